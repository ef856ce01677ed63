/* Names outside the zone, looked up through the server itself, all at once. */
#include <errno.h>

#include "backends/etcd/etcd.h"
#include "waypost/plugin/log.h"

struct wait {
    struct etcd *p;
    struct wp_query *q;
    struct wp_etcd_answer *a;
    struct wp_query *children[WP_ETCD_LOOKUPS_MAX];
    unsigned waiting;
    bool starting; /* the loop that starts them is not done */
    struct ask {
        struct wait *w;
        unsigned at;
    } asks[WP_ETCD_LOOKUPS_MAX];
};

static void take(struct wait *w, unsigned at, struct wp_query *child)
{
    struct wp_etcd_lookup *l = &w->a->lookups[at];

    w->children[at] = child;
    l->answered = child->reply.begun || child->reply.unwritten; /* of any rcode */
    l->truncated = child->reply.begun && (child->reply.flags & WP_FLAG_TC) != 0;
}

/* All are there: write, give them back. */
static int finish(struct wait *w)
{
    int r = w->q->cancelled ? wp_query_fail(w->q, WP_RCODE_SERVFAIL, WP_ECANCELLED, NULL)
                            : etcd_write(w->p, w->q, w->a, w->children);

    for (unsigned i = 0; i < w->a->n_lookups; i++)
        wp_query_release(w->children[i]);
    return r;
}

static void on_child(void *arg, struct wp_query *child)
{
    const struct ask *ask = arg;
    struct wait *w = ask->w;

    take(w, ask->at, child);
    w->waiting--;
    if (w->waiting == 0 && !w->starting)
        wp_query_resume(w->q, finish(w));
}

static void tell_loop(const uint8_t *name)
{
    static struct wp_log_limit limit;
    char text[WP_NAME_TEXT_MAX];

    if (wp_log_allow(&limit, 1, 60))
        wp_log(WP_WARNING, "etcd", "aliases lead from zone to zone without end: %s is left out",
               wp_name_text(name, text));
}

int etcd_resolve(struct etcd *p, struct wp_query *q, struct wp_etcd_answer *a)
{
    struct wait *w = wp_arena_zalloc(q->arena, sizeof(*w));

    if (w == NULL || wp_etcd_answer_pin(a) < 0)
        return -ENOMEM;
    w->p = p;
    w->q = q;
    w->a = a;
    w->starting = true;
    for (unsigned i = 0; i < a->n_lookups; i++) {
        struct wp_query *child = NULL;
        int r;
        w->asks[i] = (struct ask){w, i};
        w->waiting++;
        r = wp_query_lookup(q, a->lookups[i].name, a->lookups[i].type, on_child, &w->asks[i],
                            &child);
        if (r == WP_STEP_WAIT)
            continue;
        w->waiting--;
        if (r == WP_ELIMIT)
            tell_loop(a->lookups[i].name);
        if (r == WP_STEP_DONE)
            take(w, i, child);
    }
    w->starting = false;
    return w->waiting > 0 ? WP_STEP_WAIT : finish(w);
}
