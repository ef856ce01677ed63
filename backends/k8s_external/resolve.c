/* Load balancers that have a name instead of an address: the name is looked up through the server
 * itself. What the service has is read again afterwards: it may have changed meanwhile. */
#include <errno.h>

#include "backends/k8s_external/k8s_external.h"
#include "backends/kubernetes/answer.h"

struct wait {
    struct external_answer a;
    struct external_children children;
    unsigned waiting;
    bool starting; /* the loop that starts them is not done */
    struct ask {
        struct wait *w;
        unsigned at;
    } asks[EXTERNAL_LOOKUPS_MAX];
};

/* All are there: write, give them back. */
static int finish(struct wait *w)
{
    struct external_answer *a = &w->a;
    int r;

    if (a->q->cancelled)
        r = wp_query_fail(a->q, WP_RCODE_SERVFAIL, WP_ECANCELLED, NULL);
    else {
        external_find(a);
        r = a->found ? external_write(a, &w->children)
                     : external_deny(a->p, a->q, a->zone, a->rcode);
        r = kubernetes_finish(a->p->k, a->q, r);
    }
    for (unsigned i = 0; i < w->children.n; i++)
        wp_query_release(w->children.child[i].query);
    return r;
}

static void on_child(void *arg, struct wp_query *child)
{
    const struct ask *ask = arg;
    struct wait *w = ask->w;

    w->children.child[ask->at].query = child;
    w->waiting--;
    if (w->waiting == 0 && !w->starting)
        wp_query_resume(w->a.q, finish(w));
}

static void ask(struct wait *w, const uint8_t *name, uint16_t type)
{
    unsigned at = w->children.n++;
    struct external_child *c = &w->children.child[at];
    int r;

    *c = (struct external_child){.name = name, .type = type};
    w->asks[at] = (struct ask){w, at};
    w->waiting++;
    r = wp_query_lookup(w->a.q, name, type, on_child, &w->asks[at], &c->query);
    if (r != WP_STEP_WAIT)
        w->waiting--;
    if (r < 0)
        c->query = NULL; /* too deep, or no memory: there was no reply */
}

int external_resolve(struct external_answer *a, const struct wp_kube_hosts *hosts)
{
    struct wait *w = wp_arena_zalloc(a->q->arena, sizeof(*w));
    bool both = a->q->msg.qtype == WP_TYPE_SRV;

    if (w == NULL)
        return -ENOMEM;
    w->a = *a;
    w->starting = true;
    for (unsigned i = 0; i < hosts->n; i++) {
        ask(w, hosts->name[i], both ? WP_TYPE_A : a->q->msg.qtype);
        if (both)
            ask(w, hosts->name[i], WP_TYPE_AAAA);
    }
    w->starting = false;
    return w->waiting > 0 ? WP_STEP_WAIT : finish(w);
}
