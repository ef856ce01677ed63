/* The question put to the server, and its reply waited for. */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/forward/command/query.h"
#include "waypost/plugin/plugin.h"

#define SECOND 1000000000ll

/* One try at one address; the loop's, until `done`. */
struct asking {
    struct query *q;
    struct wp_upstream *up;
    struct wp_up_try x;
    const struct wp_addr *addr;
    uint64_t begun_ns;
    bool tcp;
    int err;
    char why[WP_UP_PATH_MAX];
    struct wp_reply_look look;
    bool udp;
    sem_t done;
};

/* --- on the loop ---------------------------------------------------------------------------- */

static void on_done(struct wp_up_try *x, const struct wp_outcome *o)
{
    struct asking *a = (struct asking *)((char *)x - offsetof(struct asking, x));
    struct query *q = a->q;
    uint8_t *copy;

    q->took_ns = wp_loop_clock(x->loop) - a->begun_ns;
    a->err = o->err;
    a->look = o->look;
    a->udp = o->udp;
    if (o->err < 0)
        snprintf(a->why, sizeof(a->why), "%s", o->why);
    if (o->err == 0 && o->len > 0) {
        copy = wp_arena_alloc(q->arena, o->len);
        if (copy != NULL)
            memcpy(copy, o->reply, o->len);
        q->wire = copy;
        q->wire_len = copy != NULL ? o->len : 0;
    }
    sem_post(&a->done);
}

static void start(void *arg, struct wp_loop *loop)
{
    struct asking *a = arg;
    struct query *q = a->q;
    const char *why = "";

    a->begun_ns = wp_loop_clock(loop);
    a->x = (struct wp_up_try){
        .msg = q->msg,
        .len = (uint32_t)q->msg_len,
        .tcp = a->tcp,
        .deadline_ns = a->begun_ns + (uint64_t)q->o->timeout_ns,
        .setup_ns = a->begun_ns + (uint64_t)q->o->timeout_ns,
        .wait_ns = (uint64_t)q->o->timeout_ns,
        .done = on_done,
    };
    a->err = wp_upstream_ask(a->up, loop, &a->x, &why);
    if (a->err < 0) {
        snprintf(a->why, sizeof(a->why), "%s", why);
        sem_post(&a->done);
    }
}

/* --- on the command's own thread ------------------------------------------------------------ */

static int ask_once(struct asking *a, struct wp_loop *loop)
{
    int tries = 2; /* a kept connection may have been closed by the peer meanwhile */

    do {
        a->q->wire = NULL;
        wp_loop_call(loop, start, a);
        while (sem_wait(&a->done) != 0)
            ;
    } while (a->err < 0 && --tries > 0 && a->err == WP_ECLOSED);
    return a->err;
}

/* Is it a reply to the question? A reason, or NULL. */
static const char *flaw(const struct asking *a)
{
    switch (a->look.verdict) {
    case WP_REPLY_OK:
    case WP_REPLY_CUT:
        return a->q->wire == NULL ? "out of memory" : NULL;
    case WP_REPLY_MISMATCH:
        return "the reply is to another question";
    case WP_REPLY_NOT_ONE:
    case WP_REPLY_MALFORMED:
        break;
    }
    return "what came back is no DNS reply";
}

/* Whose certificate it must be: as told, else the host's name; NULL: the address's own. */
static const char *verified_name(const struct query *q)
{
    struct wp_addr a;

    if (q->server_name != NULL)
        return q->server_name;
    return wp_addr_parse_ip(q->host, &a) < 0 ? q->host : NULL;
}

static int ask_address(struct asking *a, struct wp_loop *loop)
{
    struct query *q = a->q;
    char text[WP_ADDR_TEXT_MAX];
    const char *why;
    int r;

    a->tcp = q->transport == QUERY_TCP;
    r = ask_once(a, loop);
    if (r == 0 && a->udp && (a->look.flags & WP_FLAG_TC) && !q->o->ignore_tc) {
        if (!q->o->json && !q->o->brief)
            puts(";; Truncated, retrying in TCP mode.");
        a->tcp = true;
        r = ask_once(a, loop);
    }
    why = r < 0 ? a->why : flaw(a);
    if (why != NULL && r == WP_ETLS && !q->o->insecure)
        return query_say("%s over %s: %s (as %s)", wp_addr_text(a->addr, text),
                         query_transport_name(q), why,
                         verified_name(q) != NULL ? verified_name(q) : q->host);
    if (why != NULL)
        return query_say("%s over %s: %s", wp_addr_text(a->addr, text), query_transport_name(q),
                         why);
    q->from = *a->addr;
    q->came_over = a->tcp ? QUERY_TCP : q->transport;
    return 0;
}

static enum wp_upstream_kind kind_of(enum query_transport t)
{
    switch (t) {
    case QUERY_UDP:
    case QUERY_TCP:
        break;
    case QUERY_DOT:
        return WP_UPSTREAM_TLS;
    case QUERY_DOH:
        return WP_UPSTREAM_HTTPS;
    case QUERY_GRPC:
        return WP_UPSTREAM_GRPC;
    }
    return WP_UPSTREAM_DNS;
}

static int ask_all(struct query *q, struct wp_upstreams *set, const struct wp_upstream_profile *p,
                   struct wp_loop *loop)
{
    struct asking *a = wp_arena_zalloc(q->arena, sizeof(*a));
    int r = a == NULL ? -ENOMEM : WP_ECONFIG;

    for (unsigned i = 0; a != NULL && r < 0 && i < q->n_addrs; i++) {
        *a = (struct asking){.q = q, .addr = &q->addrs[i]};
        sem_init(&a->done, 0, 0);
        r = wp_upstream_new(set, p, kind_of(q->transport), &q->addrs[i], verified_name(q), &a->up);
        if (r == 0)
            r = ask_address(a, loop);
        sem_destroy(&a->done);
    }
    return r;
}

int query_ask(struct query *q, struct wp_loop *loop)
{
    const struct query_options *o = q->o;
    const struct wp_client_tls files = {.cert = o->cert, .key = o->key, .ca = o->ca};
    struct wp_upstream_profile p = {
        .asker = "query",
        .expire_ns = 10 * SECOND,
        .read_timeout_ns = o->timeout_ns,
        .http_host = q->authority,
        .http_path = q->path,
        .doh_get = o->get,
    };
    struct wp_env env = {.admin = loop};
    struct wp_upstreams *set = NULL;
    struct wp_tls_ctx *tls = NULL;
    char why[256];
    int r = 0;

    if (q->secure && wp_client_tls_open(&files, q->transport == QUERY_DOT ? NULL : "h2",
                                        o->insecure, why, &tls) < 0) {
        query_say("%s", why);
        return QUERY_USAGE;
    }
    p.tls = p.https = tls;
    r = wp_upstreams_new(&env, &set);
    if (r == 0)
        r = ask_all(q, set, &p, loop);
    wp_upstreams_free(set);
    wp_client_tls_free(tls);
    if (r == -ENOMEM)
        query_say("out of memory");
    return r == 0 ? QUERY_ANSWERED : r == -ENOMEM ? QUERY_INTERNAL : QUERY_NO_REPLY;
}
