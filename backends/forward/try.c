/* The tries of one flight: which upstream is next, what a reply or an error leads to, and when it
 * is enough. */
#include <stdio.h>
#include <string.h>

#include "backends/forward/flight.h"
#include "waypost/base/random.h"
#include "waypost/dns/types.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/loop.h"

#define MS 1000000ull
enum {
    REASK_MAX = 8, /* connections found closed by the peer, in one flight */
    PAUSE_MS = 10, /* between tries beyond the usual number */
};

static void give_up(struct forward_flight *f)
{
    f->over = true;
    forward_deliver_failure(f);
}

/* --- who is next --------------------------------------------------------------------------- */

static struct wp_upstream *pick(struct forward_flight *f)
{
    const struct forward_stanza *st = f->stanza;

    for (;;) {
        if (f->at >= f->n) {
            f->at = 0;
            f->down = 0;
        }
        f->trying = f->at++;
        if (!wp_upstream_is_down(f->up[f->trying], st->max_fails))
            return f->up[f->trying];
        if (++f->down < f->n)
            continue;
        wp_metric_add(st->forward->broken, f->worker->index, 1);
        if (st->failfast)
            return NULL;
        f->all_down = true; /* perhaps it is the health check that is broken */
        f->trying = wp_random_below(f->n);
        return f->up[f->trying];
    }
}

static unsigned attempts_max(const struct forward_flight *f)
{
    int64_t n = f->stanza->attempts;

    if (n == WP_UNSET)
        return 2 * f->n;
    return n > 0 ? (unsigned)n : UINT32_MAX;
}

/* An upstream that has let a whole timeout pass is not waited for again, unless the number of
 * tries was set: the client would be gone before. */
static bool is_hopeless(const struct forward_flight *f)
{
    return f->stanza->attempts == WP_UNSET && (f->silent >> f->trying & 1);
}

/* --- one try ------------------------------------------------------------------------------- */

static void failed(struct forward_flight *f, int err, const char *why)
{
    f->failed++;
    f->err = err;
    snprintf(f->why, sizeof(f->why), "%s", why);
    if (err == WP_ETIMEOUT)
        f->silent |= (uint64_t)1 << f->trying;
    if (f->stanza->max_fails > 0)
        wp_upstream_check(f->up[f->trying]);
}

static void on_done(struct wp_up_try *x, const struct wp_outcome *o);

/* False: it could not start, and counts as failed. */
static bool ask(struct forward_flight *f, bool tcp)
{
    uint64_t now_ns = wp_loop_now(f->worker->loop);
    const char *why = "";
    int r;

    f->x.msg = f->msg;
    f->x.len = f->len;
    f->x.tcp = tcp;
    f->x.deadline_ns = f->deadline_ns;
    f->x.setup_ns = f->stanza->attempts == 1 ? f->deadline_ns : now_ns + f->setup_ns;
    f->x.done = on_done;
    r = wp_upstream_ask(f->up[f->trying], f->worker->loop, &f->x, &why);
    if (r == 0)
        return true;
    failed(f, r, why);
    return false;
}

static void on_pause(struct wp_timer *t)
{
    forward_try((struct forward_flight *)((char *)t - offsetof(struct forward_flight, pause)));
}

/* More tries than usual were asked for: they must not spin when each one fails at once. */
static bool pauses(struct forward_flight *f)
{
    if (f->failed < 2 * f->n || f->failed >= attempts_max(f))
        return false;
    f->pause.fn = on_pause;
    wp_timer_set(f->worker->loop, &f->pause, wp_loop_now(f->worker->loop) + PAUSE_MS * MS);
    return true;
}

void forward_try(struct forward_flight *f)
{
    for (;;) {
        if (wp_loop_now(f->worker->loop) >= f->deadline_ns || f->failed >= attempts_max(f) ||
            (f->all_down && f->failed > 0) || pick(f) == NULL || is_hopeless(f)) {
            give_up(f);
            return;
        }
        if (ask(f, f->tcp) || pauses(f))
            return;
    }
}

/* --- what came of it ----------------------------------------------------------------------- */

static bool has_rcode(uint32_t set, uint16_t rcode)
{
    return rcode < 32 && (set >> rcode & 1);
}

/* Is the reply for the next stanza? Only a `forward` may follow. */
static bool goes_on(const struct forward_stanza *st, const struct wp_reply_look *l)
{
    if (st->next == NULL)
        return false;
    return has_rcode(st->next_rcodes, l->rcode) ||
           (st->next_on_nodata && l->rcode == WP_RCODE_NOERROR && l->answers == 0);
}

static void retry(struct forward_flight *f)
{
    if (!pauses(f))
        forward_try(f);
}

/* The same upstream once more. */
static void ask_again(struct forward_flight *f, bool tcp)
{
    if (!ask(f, tcp))
        retry(f);
}

static void on_reply(struct forward_flight *f, const struct wp_outcome *o)
{
    const struct forward_stanza *st = f->stanza;

    if (o->look.verdict != WP_REPLY_MISMATCH) {
        bool cut = o->look.verdict == WP_REPLY_CUT || (o->look.flags & WP_FLAG_TC);

        if (cut && o->udp && st->prefer_udp && !st->force_tcp) {
            ask_again(f, true);
            return;
        }
        if (has_rcode(st->failover_rcodes, o->look.rcode) && f->failovers + 1 < f->n) {
            f->failovers++;
            forward_try(f);
            return;
        }
        if (goes_on(st, &o->look)) {
            forward_deliver_next(f);
            return;
        }
    }
    if (!forward_deliver(f, o)) {
        failed(f, WP_EMALFORMED, "malformed reply");
        retry(f);
    }
}

static void on_done(struct wp_up_try *x, const struct wp_outcome *o)
{
    struct forward_flight *f =
        (struct forward_flight *)((char *)x - offsetof(struct forward_flight, x));

    if (o->err != 0 && o->again && f->reasked++ < REASK_MAX) {
        ask_again(f, x->tcp);
    } else if (o->err != 0) {
        failed(f, o->err, o->why);
        retry(f);
    } else if (o->look.verdict == WP_REPLY_MALFORMED) {
        failed(f, WP_EMALFORMED, "malformed reply");
        retry(f);
    } else {
        on_reply(f, o);
    }
}

void forward_abandon(struct forward_flight *f)
{
    wp_upstream_cancel(&f->x);
    wp_timer_cancel(&f->pause);
}
