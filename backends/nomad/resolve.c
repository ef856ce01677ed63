/* `hostnames resolve`: A and AAAA of instances that are host names are looked up through the server itself, all at
 * once, and given as the service's own, each in its instance's place. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/answer.h"
#include "waypost/dns/edns.h"
#include "waypost/plugin/log.h"

enum { LOOKUPS_MAX = 16 }; /* host names of one answer; others are left out */

struct wait {
    struct nomad_answer a;
    struct wp_query *child[LOOKUPS_MAX];
    struct wp_name name[LOOKUPS_MAX];
    unsigned n, waiting;
    bool starting; /* the loop that starts them is not done */
    struct ask {
        struct wait *w;
        unsigned at;
    } asks[LOOKUPS_MAX];
};

/* --- writing ------------------------------------------------------------------------------------ */

static int put_child(struct nomad_answer *a, struct wp_query *child)
{
    struct wp_view view;
    int r = child == NULL || !child->reply.begun ? WP_ENOTFOUND : wp_reply_view(child, &view);

    if (r < 0)
        return r == WP_ENOTFOUND ? 0 : r;
    for (size_t i = 0; r == 0 && i < view.n; i++) {
        const struct wp_rr *rr = &view.rr[i];
        if (rr->section == WP_ANSWER && rr->type == a->q->msg.qtype && rr->cls == WP_CLASS_IN)
            r = wp_reply_rr(a->q, WP_ANSWER, NULL, rr->type,
                            rr->ttl < a->p->ttl_s ? rr->ttl : a->p->ttl_s, rr->rdata, rr->rdlen);
    }
    return r;
}

static unsigned find(const struct wait *w, const struct wp_name *name)
{
    unsigned k = 0;

    while (k < w->n && !wp_name_equal(w->name[k].wire, name->wire))
        k++;
    return k;
}

static int put(struct wait *w, const struct wp_nomad_instance *i)
{
    struct nomad_answer *a = &w->a;
    struct wp_name name;
    unsigned k;

    if (i->family != WP_NOMAD_HOST)
        return wp_reply_rr(a->q, WP_ANSWER, NULL, a->q->msg.qtype, a->p->ttl_s, i->addr,
                           i->family == WP_NOMAD_IPV4 ? 4 : 16);
    if (!nomad_host_name(a, i, &name) || (k = find(w, &name)) == w->n)
        return 0;
    return put_child(a, w->child[k]);
}

/* Does a look-up that failed leave the answer open? */
static bool has_failed(const struct wait *w)
{
    for (unsigned k = 0; k < w->n; k++) {
        const struct wp_query *child = w->child[k];
        if (child == NULL || (child->reply.rcode != WP_RCODE_NOERROR &&
                              child->reply.rcode != WP_RCODE_NXDOMAIN))
            return true;
    }
    return false;
}

static int no_addresses(struct wait *w)
{
    int r;

    if (!has_failed(w))
        return nomad_no_data(&w->a);
    r = wp_query_fail(w->a.q, WP_RCODE_SERVFAIL, WP_EUNREACHABLE,
                      "nomad: host names of instances cannot be resolved");
    wp_reply_ede(w->a.q, WP_EDE_OTHER, "host names of instances cannot be resolved");
    return r;
}

static int write_all(struct wait *w)
{
    struct nomad_answer *a = &w->a;
    struct wp_query *q = a->q;
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    for (uint32_t i = 0; r == 0 && i < a->n_picks; i++)
        r = put(w, a->pick[i]);
    if (r == WP_ESPACE) {
        q->reply.flags |= WP_FLAG_TC;
        r = 0;
    }
    if (r < 0)
        return r;
    if (q->reply.count[WP_ANSWER] == 0)
        return no_addresses(w);
    if (has_failed(w))
        q->cacheable = false; /* it may be more the next time */
    if (a->all_unwell)
        wp_reply_ede(q, WP_EDE_OTHER, "all instances are unhealthy");
    return WP_STEP_DONE;
}

/* All are there: write, give them back. */
static int finish(struct wait *w)
{
    struct nomad_answer *a = &w->a;
    int r = a->q->cancelled ? wp_query_fail(a->q, WP_RCODE_SERVFAIL, WP_ECANCELLED, NULL)
                            : write_all(w);

    for (unsigned k = 0; k < w->n; k++)
        if (w->child[k] != NULL)
            wp_query_release(w->child[k]);
    return r;
}

/* --- asking ------------------------------------------------------------------------------------- */

static void on_child(void *arg, struct wp_query *child)
{
    const struct ask *ask = arg;
    struct wait *w = ask->w;

    w->child[ask->at] = child;
    if (--w->waiting == 0 && !w->starting) {
        struct wp_query *q = w->a.q;
        wp_query_resume(q, nomad_finish(&w->a, finish(w)));
    }
}

static void tell_loop(const uint8_t *name)
{
    static struct wp_log_limit limit;
    char text[WP_NAME_TEXT_MAX];

    if (wp_log_allow(&limit, 1, 60))
        wp_log(WP_WARNING, "nomad", "host names of instances lead to each other without end: %s",
               wp_name_text(name, text));
}

static void ask_for(struct wait *w, unsigned k)
{
    struct wp_query *child = NULL;
    int r;

    w->asks[k] = (struct ask){w, k};
    w->waiting++;
    r = wp_query_lookup(w->a.q, w->name[k].wire, w->a.q->msg.qtype, on_child, &w->asks[k], &child);
    if (r == WP_STEP_WAIT)
        return;
    w->waiting--;
    if (r == WP_STEP_DONE)
        w->child[k] = child;
    if (r == WP_ELIMIT)
        tell_loop(w->name[k].wire);
}

static void note_names(struct wait *w)
{
    struct wp_name name;

    for (uint32_t i = 0; i < w->a.n_picks && w->n < LOOKUPS_MAX; i++)
        if (w->a.pick[i]->family == WP_NOMAD_HOST && nomad_host_name(&w->a, w->a.pick[i], &name) &&
            find(w, &name) == w->n)
            w->name[w->n++] = name;
}

/* What the answer is made of must outlive this turn: a copy of the service. */
static int copy(struct wait *w, const struct nomad_answer *a)
{
    const struct wp_nomad_service *s = a->service;
    size_t len = sizeof(*s) + s->n * sizeof(s->instances[0]) + s->octets_len;
    const struct wp_nomad_service *mine = wp_arena_dup(a->q->arena, s, len);

    if (mine == NULL)
        return -ENOMEM;
    w->a = *a;
    w->a.service = mine;
    w->a.key = a->key == &a->name.plain ? &w->a.name.plain : &w->a.name.tagged;
    for (uint32_t k = 0; k < a->n_picks; k++)
        w->a.pick[k] = mine->instances + (a->pick[k] - s->instances);
    return 0;
}

int nomad_resolve(struct nomad_answer *a)
{
    struct wait *w = wp_arena_zalloc(a->q->arena, sizeof(*w));

    if (w == NULL || copy(w, a) < 0)
        return -ENOMEM;
    note_names(w);
    w->starting = true;
    for (unsigned k = 0; k < w->n; k++)
        ask_for(w, k);
    w->starting = false;
    return w->waiting > 0 ? WP_STEP_WAIT : finish(w);
}
