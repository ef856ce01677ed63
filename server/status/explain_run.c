/* The worker's side: the question as a listener would ask it. */
#include <stdio.h>
#include <string.h>

#include "server/status/explain_priv.h"
#include "waypost/base/random.h"
#include "waypost/base/wr.h"
#include "waypost/server/gen.h"
#include "waypost/server/router.h"

enum { UDP_SIZE = 1232, CLIENT_PORT = 53000 };

/* --- which listener ---------------------------------------------------------------------------- */

static bool carries(const struct wp_group *g, enum wp_transport t)
{
    for (const struct wp_listener_ops *const *l = wp_listeners_of(g->scheme); *l != NULL; l++)
        if ((*l)->transport == t)
            return true;
    return false;
}

/* The first that fits; without a word about it those with UDP come first. */
static const struct wp_group *find_group(const struct wp_gen *gen, const struct question *q)
{
    const struct wp_group *other = NULL;

    for (unsigned i = 0; i < gen->n_groups; i++) {
        const struct wp_group *g = &gen->groups[i];

        if (q->listener[0] != '\0' && strcmp(q->listener, g->label) != 0)
            continue;
        if (carries(g, q->has_transport ? q->transport : WP_UDP))
            return g;
        if (other == NULL && !q->has_transport)
            other = g;
    }
    return other;
}

static void refuse(struct asking *k, const struct wp_gen *gen)
{
    size_t len;

    if (gen == NULL) {
        snprintf(k->refused, sizeof(k->refused), "nothing is served now\n");
        return;
    }
    len = (size_t)snprintf(k->refused, sizeof(k->refused), "no such listener; there are:");
    for (unsigned i = 0; i < gen->n_groups && len < sizeof(k->refused) - 2; i++)
        len += (size_t)snprintf(k->refused + len, sizeof(k->refused) - len, " %s",
                                gen->groups[i].label);
    len = len < sizeof(k->refused) - 2 ? len : sizeof(k->refused) - 2;
    strcpy(k->refused + len, "\n");
}

/* --- the question ------------------------------------------------------------------------------ */

static size_t write_question(const struct question *q, uint8_t wire[ASKING_WIRE_MAX])
{
    struct wp_wr wr = wp_wr_to(wire, ASKING_WIRE_MAX);
    struct wp_edns edns = {.present = true, .dnssec_ok = q->dnssec_ok, .udp_size = UDP_SIZE};

    wp_wr_u16(&wr, wp_random_below(65536));
    wp_wr_u16(&wr, (q->no_recursion ? 0u : WP_FLAG_RD) | (q->checking_disabled ? WP_FLAG_CD : 0u));
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, q->has_edns);
    wp_wr_bytes(&wr, q->name.wire, q->name.len);
    wp_wr_u16(&wr, q->type);
    wp_wr_u16(&wr, q->cls);
    if (q->has_edns)
        wp_edns_write(&wr, &edns);
    return wr.len; /* the buffer holds the longest name */
}

static void set_ends(struct asking *k, struct wp_query *q)
{
    static const struct wp_addr here = {.family = 4, .ip = {127, 0, 0, 1}};

    q->client = k->question.client.family != 0 ? k->question.client : here;
    q->client.port = CLIENT_PORT;
    q->peer = q->client;
    if (wp_addr_parse_ip(k->group->host, &q->local) < 0)
        q->local = here;
    q->local.port = k->group->port;
}

static void done(struct wp_query *q)
{
    struct asking *k = q->owner;

    wp_timer_cancel(&k->timer);
    asking_tell(k);
    wp_query_put(q);
    asking_is_over(k);
}

static void on_timeout(struct wp_timer *t)
{
    struct asking *k = (struct asking *)((char *)t - offsetof(struct asking, timer));

    wp_query_cancel(k->q); /* done() follows */
}

static void ask(struct asking *k, struct wp_query *q)
{
    enum wp_transport t = k->question.has_transport || carries(k->group, WP_UDP)
                              ? k->question.transport
                              : (*wp_listeners_of(k->group->scheme))->transport;

    k->question.transport = t;
    k->q = q;
    k->began_ns = wp_loop_clock(k->loop);
    wp_explain_init(&k->story, &k->arena, k->began_ns);
    q->wire = k->wire;
    q->wire_len = (uint32_t)write_question(&k->question, k->wire);
    q->transport = t;
    q->stream = t != WP_UDP;
    q->encrypted = t == WP_DOT || k->group->tls != NULL;
    set_ends(k, q);
    q->route = k->group->route;
    q->start_ns = k->began_ns;
    q->done = done;
    q->owner = k;
    q->explain = &k->story;
    k->timer.fn = on_timeout;
    wp_timer_set(k->loop, &k->timer, wp_loop_now(k->loop) + (uint64_t)ASKING_WAIT_MS * 1000000);
    if (wp_query_run(q) == WP_STEP_DONE)
        done(q);
}

static void arrive(struct wp_mail *mail)
{
    struct asking *k = (struct asking *)mail;
    struct wp_worker *w = wp_loop_user(k->loop);
    struct wp_query *q = NULL;

    k->group = w->gen != NULL ? find_group(w->gen, &k->question) : NULL;
    if (k->group == NULL)
        refuse(k, w->gen);
    else if ((q = wp_query_get(w)) == NULL)
        snprintf(k->refused, sizeof(k->refused), "the worker is full\n");
    if (q != NULL)
        ask(k, q);
    else
        asking_is_over(k);
}

void asking_begins(struct asking *k)
{
    k->mail.fn = arrive;
    wp_loop_post(k->loop, &k->mail);
}
