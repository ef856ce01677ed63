/* Asking for checks: when, how many at once, and what no answer means. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "backends/nomad/health_priv.h"
#include "waypost/plugin/log.h"

static const uint64_t MS = 1000000u, S = 1000000000u;

static struct wp_nomad_health *health_of(struct wp_engine_timer *t)
{
    return (struct wp_nomad_health *)(void *)((char *)t - offsetof(struct wp_nomad_health, timer));
}

static void on_timer(struct wp_engine_timer *t)
{
    wp_nomad_health_run(health_of(t));
}

/* --- when -------------------------------------------------------------------------------------- */

/* Without an answer it is asked again after twice as long each time; without checks, rarely. */
static uint64_t period_of(const struct wp_nomad_health *h, const struct wp_nomad_alloc *a)
{
    uint64_t rare = WP_NOMAD_CHECKS_RARE * h->c.interval_ns;
    uint64_t period = h->c.interval_ns << a->n_silent;

    return a->n_empty >= WP_NOMAD_CHECKS_NEW || period > rare ? rare : period;
}

/* About a period from now: each allocation has its own moment in it, so that they never bunch, whenever they
 * were begun. */
static uint64_t next_due(const struct wp_nomad_alloc *a, uint64_t now, uint64_t period)
{
    uint64_t from = now + period / 2;

    return from + (a->hash % period + period - from % period) % period;
}

void wp_nomad_health_wake(struct wp_nomad_health *h)
{
    uint64_t now = h->c.h->now(), due;

    if (h->n_heap == 0 || h->n_flying == WP_NOMAD_CHECKS_FLYING)
        return; /* the end of a request will look again */
    due = h->heap[0]->due_ns;
    if (due < h->next_ns)
        due = h->next_ns;
    h->timer.fn = on_timer;
    h->c.h->timer_set(&h->timer, due > now ? due : now);
}

/* --- what came --------------------------------------------------------------------------------- */

static void tell_refusal(struct wp_nomad_health *h, const char *body, size_t len)
{
    uint64_t now = h->c.h->now();
    size_t shown = 0;

    if (h->told_ns != 0 && now - h->told_ns < WP_NOMAD_CHECKS_TELL_S * S)
        return;
    h->told_ns = now;
    while (shown < len && shown < 100 && body[shown] >= ' ' && body[shown] < 0x7f)
        shown++;
    wp_log(WP_ERROR, "nomad",
           "checks of allocations may not be read (HTTP status 403: %.*s): the token needs read-job on their "
           "namespaces; instances count as well",
           (int)shown, body);
}

/* True: it was an answer. */
static bool take_answer(struct wp_nomad_health *h, struct wp_nomad_alloc *a,
                        const struct wp_httpc_end *end)
{
    const char *body = end->body != NULL ? (const char *)end->body : "";
    size_t len = end->body != NULL ? end->len : 0;
    char why[256];

    if (end->err == 0 && end->status == 403)
        tell_refusal(h, body, len);
    if (end->err != 0 || end->status != 200)
        return false;
    if (wp_nomad_alloc_checked(h, a, body, len, why) < 0) {
        wp_log(WP_DEBUG, "nomad", "checks of allocation %.*s: %s", (int)a->id_len, a->text, why);
        return false;
    }
    return true;
}

static void on_end(void *arg, const struct wp_httpc_end *end)
{
    struct wp_nomad_checks_call *c = arg;
    struct wp_nomad_health *h = c->health;
    struct wp_nomad_alloc *a = c->alloc;
    uint64_t period;

    c->http = NULL;
    c->alloc = NULL;
    h->n_flying--;
    h->c.counted(h->c.arg, end->status, end->err);
    if (take_answer(h, a, end))
        a->n_silent = 0;
    else if (a->n_silent < 8 && ++a->n_silent >= WP_NOMAD_CHECKS_SILENT)
        wp_nomad_alloc_unknown(h, a);
    period = period_of(h, a);
    /* While no agent answers nothing can be seen either, and nothing is forgotten. */
    if (end->err == 0)
        a->idle_ns += period;
    if (a->idle_ns > WP_NOMAD_CHECKS_FORGET_S * S) {
        wp_nomad_alloc_forget(h, a);
    } else {
        a->due_ns = next_due(a, h->c.h->now(), period);
        wp_nomad_heap_push(h, a);
    }
    wp_nomad_health_run(h);
}

/* --- asking ------------------------------------------------------------------------------------ */

static bool begin(struct wp_nomad_checks_call *c, unsigned agent)
{
    static const struct wp_httpc_call_ops ops = {.end = on_end};
    struct wp_nomad_health *h = c->health;
    struct wp_nomad_alloc *a = h->heap[0];
    struct wp_httpc_request r = {.connect_ms = WP_NOMAD_CHECKS_TIMEOUT_MS,
                                 .total_ms = WP_NOMAD_CHECKS_TIMEOUT_MS,
                                 .body_max = WP_NOMAD_CHECKS_BODY_MAX};
    const char *ns, *path;
    char why[256];
    int err;

    wp_arena_reset(&h->scratch);
    ns = wp_nomad_escape(&h->scratch, a->text + a->id_len, a->namespace_len);
    path = ns == NULL ? NULL
                      : wp_arena_printf(&h->scratch, "/v1/client/allocation/%.*s/checks?namespace=%s",
                                        (int)a->id_len, a->text, ns);
    err = path != NULL ? wp_nomad_access_request(h->c.access, agent, path, &r, why) : -ENOMEM;
    if (err == 0)
        err = h->c.h->start(&r, &ops, c, &c->http);
    if (err < 0)
        return false;
    wp_nomad_heap_remove(h, a);
    c->alloc = a;
    h->n_flying++;
    return true;
}

static struct wp_nomad_checks_call *free_call(struct wp_nomad_health *h)
{
    struct wp_nomad_checks_call *c = h->calls;

    while (c->alloc != NULL)
        c++;
    return c;
}

void wp_nomad_health_run(struct wp_nomad_health *h)
{
    uint64_t now = h->c.h->now();
    int agent = h->c.agent(h->c.arg);

    if (h->n_flying < WP_NOMAD_CHECKS_FLYING && h->n_heap > 0 && now >= h->next_ns &&
        h->heap[0]->due_ns <= now)
        /* When nobody can be asked, or no request be made: later; the owner's other requests tell why. */
        h->next_ns = now + (agent >= 0 && begin(free_call(h), (unsigned)agent)
                                ? WP_NOMAD_CHECKS_GAP_MS * MS
                                : 1000 * MS);
    wp_nomad_health_wake(h);
}
