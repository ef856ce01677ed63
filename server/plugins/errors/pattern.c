#include "server/plugins/errors/pattern.h"

#include <stddef.h>
#include "waypost/base/text.h"

static void tell(struct errors_pattern *p)
{
    uint32_t n = atomic_exchange(&p->count, 0);
    char period[32];

    if (n == 0 || (n == 1 && p->show_first))
        return;
    wp_duration_text(p->period_ns, period);
    wp_log(p->level, "errors", "%u errors like '%s' occurred in last %s", n, p->text, period);
}

static void on_end(struct wp_timer *t)
{
    tell((struct errors_pattern *)((char *)t - offsetof(struct errors_pattern, timer)));
}

static void on_first(struct wp_mail *mail)
{
    struct errors_pattern *p =
        (struct errors_pattern *)((char *)mail - offsetof(struct errors_pattern, mail));
    uint64_t period = p->period_ns > 0 ? (uint64_t)p->period_ns : 0;

    p->timer.fn = on_end;
    wp_timer_set(p->admin, &p->timer, wp_loop_now(p->admin) + period);
}

/* The mail is free again: the count goes back to 0 only after it was delivered. */
bool wp_errors_pattern_count(struct errors_pattern *p)
{
    if (atomic_fetch_add_explicit(&p->count, 1, memory_order_acq_rel) > 0)
        return false;
    p->mail.fn = on_first;
    wp_loop_post(p->admin, &p->mail);
    return true;
}

void wp_errors_pattern_end(struct errors_pattern *p)
{
    wp_timer_cancel(&p->timer);
    tell(p);
}
