/* Health checks: nothing is asked while all is well. After a failed try one prober for each
 * upstream asks from the admin loop until it gets an answer, any answer (RFC 1035 has no better
 * sign of life). What it finds is seen by all workers. */
#include "backends/common/upstream_priv.h"

#include <string.h>

#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/report.h"

#define SECOND 1000000000ull
#define MS 1000000ull
enum { TIMEOUT_S = 1, INTERVAL_MIN_MS = 10 };

static void attempt(struct wp_upstream *u);

static void failed(struct wp_upstream *u)
{
    struct wp_loop *loop = u->set->env->admin;
    uint64_t wait_ns = (uint64_t)u->profile->health_ns;

    atomic_fetch_add_explicit(&u->fails, 1, memory_order_relaxed);
    wp_metric_add(u->failures, WP_METRIC_SHARED, 1);
    if (wait_ns < INTERVAL_MIN_MS * MS)
        wait_ns = INTERVAL_MIN_MS * MS; /* an upstream that refuses at once must not spin us */
    wp_timer_set(loop, &u->probe.again, wp_loop_now(loop) + wait_ns);
}

static void on_done(struct wp_up_try *x, const struct wp_outcome *o)
{
    struct wp_upstream *u = x->up;

    if (o->err != 0 || o->look.verdict == WP_REPLY_MALFORMED) {
        failed(u);
        return;
    }
    atomic_store_explicit(&u->fails, 0, memory_order_relaxed);
    atomic_store_explicit(&u->probing, false, memory_order_release);
}

static size_t make_query(struct wp_upstream *u)
{
    const struct wp_upstream_profile *p = u->profile;
    struct wp_wr wr = wp_wr_to(u->probe.msg, sizeof(u->probe.msg));

    wp_wr_u16(&wr, 0);
    wp_wr_u16(&wr, p->health_rd ? WP_FLAG_RD : 0);
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, 0);
    wp_wr_bytes(&wr, p->health_name.wire, p->health_name.len);
    wp_wr_u16(&wr, WP_TYPE_NS);
    wp_wr_u16(&wr, WP_CLASS_IN);
    return wr.len;
}

static void attempt(struct wp_upstream *u)
{
    struct wp_loop *loop = u->set->env->admin;
    struct wp_up_try *x = &u->probe.x;
    const char *why;

    x->msg = u->probe.msg;
    x->len = (uint32_t)make_query(u);
    x->tcp = u->profile->health_tcp;
    x->setup_ns = x->deadline_ns = wp_loop_now(loop) + TIMEOUT_S * SECOND;
    x->wait_ns = TIMEOUT_S * SECOND;
    x->once = true;
    x->done = on_done;
    if (wp_upstream_ask(u, loop, x, &why) < 0)
        failed(u);
}

static void on_again(struct wp_timer *t)
{
    attempt((struct wp_upstream *)((char *)t - offsetof(struct wp_upstream, probe.again)));
}

static void on_mail(struct wp_mail *m)
{
    struct wp_upstream *u =
        (struct wp_upstream *)((char *)m - offsetof(struct wp_upstream, probe.mail));

    if (u->gone || atomic_load(&u->set->quiet))
        return; /* `probing` stays: nothing starts any more */
    u->probe.again.fn = on_again;
    attempt(u);
}

void wp_upstream_check(struct wp_upstream *u)
{
    bool idle = false;

    if (atomic_load_explicit(&u->set->quiet, memory_order_relaxed) ||
        !atomic_compare_exchange_strong(&u->probing, &idle, true))
        return;
    u->probe.mail.fn = on_mail;
    wp_loop_post(u->set->env->admin, &u->probe.mail);
}

void wp_upstream_status(struct wp_upstream *u, uint32_t max_fails, struct wp_report *r)
{
    static const char *const kind[] = {"dns", "tls", "https"};
    bool down = wp_upstream_is_down(u, max_fails);
    uint64_t rtt = (uint64_t)atomic_load_explicit(&u->reply_avg_ns, memory_order_relaxed);

    wp_report_open(r, NULL);
    wp_report_text(r, "upstream", u->text);
    wp_report_text(r, "kind", kind[u->kind]);
    wp_report_text(r, "state", down ? "down" : atomic_load(&u->probing) ? "checking" : "up");
    wp_report_int(r, "failed_checks", atomic_load_explicit(&u->fails, memory_order_relaxed));
    wp_report_int(r, "failed_tries", (int64_t)atomic_load_explicit(&u->n_failed, memory_order_relaxed));
    if (rtt != 0)
        wp_report_ns(r, "rtt_ns", rtt);
    else
        wp_report_none(r, "rtt_ns");
    pthread_mutex_lock(&u->fault_lock);
    wp_report_text(r, "last_error", u->fault_ms != 0 ? u->fault : NULL);
    wp_report_time(r, "last_error_time", u->fault_ms);
    wp_report_close(r);
    if (down)
        wp_report_problem(r, "%s is down: %s", u->text, u->fault);
    pthread_mutex_unlock(&u->fault_lock);
}

void wp_up_probe_stop(struct wp_upstream *u)
{
    wp_timer_cancel(&u->probe.again);
    wp_upstream_cancel(&u->probe.x);
}
