/* The connections of one loop to an upstream: kept, shared by many queries, opened when none is
 * free. */
#include "backends/common/upstream_conn.h"

#include "waypost/plugin/metric.h"

enum {
    CONNS_USUAL = 8, /* opened as long as no idle one is there; then queries share them */
    CONNS_MAX = 64,  /* for upstreams that do not take several queries at a time */
};

static bool is_worn(const struct wp_up_conn *c, uint64_t now_ns)
{
    const struct wp_upstream_profile *p = c->local->up->profile;

    return (c->open == 0 && c->phase == WP_UP_OPEN &&
            now_ns - c->used_ns > (uint64_t)p->expire_ns) ||
           (p->max_age_ns > 0 && now_ns - c->born_ns > (uint64_t)p->max_age_ns);
}

/* Worn ones take no more queries; NULL: open another one. */
static struct wp_up_conn *choose(struct wp_up_local *l)
{
    uint64_t now_ns = wp_loop_now(l->here->loop);
    bool h2 = wp_up_is_h2(l->up);
    struct wp_up_conn *best = NULL, *next;

    for (struct wp_up_conn *c = l->conns; c != NULL; c = next) {
        next = c->next;
        if (is_worn(c, now_ns)) {
            c->draining = true;
            if (c->open == 0)
                wp_up_conn_close(c);
            continue;
        }
        if (c->draining || wp_up_conn_backlog(c) > WP_UP_OUT_MAX ||
            (c->proto->room != NULL && c->phase == WP_UP_OPEN && c->open >= c->proto->room(c)))
            continue;
        if (best == NULL || c->open < best->open)
            best = c;
    }
    if (best == NULL || best->open == 0 || l->n_conns >= CONNS_MAX)
        return best;
    if (h2)
        return best;
    return l->n_conns < CONNS_USUAL || best->open >= l->depth ? NULL : best;
}

int wp_up_conn_ask(struct wp_up_local *l, struct wp_up_try *x, const char **ret_why)
{
    struct wp_up_conn *c = choose(l);
    bool worker = l->here->index < l->up->set->n_loops - 1;
    enum wp_up_proto proto = l->up->kind == WP_UPSTREAM_DNS ? WP_UP_TCP : WP_UP_TLS;
    int r = 0;

    if (worker)
        wp_metric_add(c != NULL ? l->up->hits[proto] : l->up->misses[proto], l->here->index, 1);
    if (c == NULL)
        r = l->n_conns < CONNS_MAX ? wp_up_conn_new(l, &c) : WP_ELIMIT;
    if (r == 0) {
        x->via = c;
        c->open++;
        if (c->phase != WP_UP_OPEN)
            wp_up_conn_wait(c, x);
        else
            r = wp_up_conn_send(c, x);
        if (r < 0)
            c->open--;
    }
    if (r < 0)
        *ret_why = r == WP_ELIMIT ? "too many connections to the upstream"
                                  : wp_up_why(l->up, "dial", "tcp", -1, r);
    return r;
}

/* --- looking after ------------------------------------------------------------------------- */

bool wp_up_conn_sweep(struct wp_up_local *l, uint64_t now_ns)
{
    struct wp_up_conn *next;

    for (struct wp_up_conn *c = l->conns; c != NULL; c = next) {
        next = c->next;
        if (!is_worn(c, now_ns))
            continue;
        c->draining = true;
        if (c->open == 0)
            wp_up_conn_close(c);
    }
    return l->conns != NULL;
}

bool wp_up_conn_is_open(const struct wp_up_local *l)
{
    for (const struct wp_up_conn *c = l->conns; c != NULL; c = c->next) {
        if (c->open > 0)
            return true;
    }
    return false;
}

void wp_up_conn_close_all(struct wp_up_local *l)
{
    while (l->conns != NULL)
        wp_up_conn_close(l->conns);
}

static unsigned idle_conns(const struct wp_up_local *l)
{
    unsigned n = 0;

    for (const struct wp_up_conn *c = l->conns; c != NULL; c = c->next)
        n += c->phase == WP_UP_OPEN && c->open == 0;
    return n;
}

/* How many idle ones this loop may keep of the bound for all. */
static unsigned idle_max(const struct wp_up_local *l)
{
    int64_t max = l->up->profile->max_idle, workers = l->up->set->n_loops - 1;

    if (max == 0)
        return UINT32_MAX;
    return (unsigned)(max > workers ? max / workers : 1);
}

bool wp_up_conn_has_spare(const struct wp_up_local *l)
{
    return idle_conns(l) > idle_max(l);
}
