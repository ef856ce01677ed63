/* How long a change of endpoints has taken until it is answered. The controller that writes slices
 * notes what made it do so, and when; negative times (clocks differ) count as they are. */
#include <string.h>
#include <time.h>

#include "backends/common/state.h"
#include "backends/kubernetes/cluster_priv.h"

static bool digits(const char **at, const char *end, size_t n, int *ret)
{
    int v = 0;

    if ((size_t)(end - *at) < n)
        return false;
    for (size_t i = 0; i < n; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        v = v * 10 + (**at - '0');
    }
    *ret = v;
    return true;
}

static bool take(const char **at, const char *end, const char *any)
{
    if (*at == end || **at == '\0' || strchr(any, **at) == NULL)
        return false;
    ++*at;
    return true;
}

/* "+02:00" or "Z" in seconds. */
static bool read_offset(const char **at, const char *end, int *ret)
{
    int sign = *at < end && **at == '-' ? -1 : 1, hours, minutes;

    *ret = 0;
    if (take(at, end, "Z"))
        return *at == end;
    if (!take(at, end, "+-") || !digits(at, end, 2, &hours) || !take(at, end, ":") ||
        !digits(at, end, 2, &minutes) || hours > 24 || minutes > 60)
        return false;
    *ret = sign * (hours * 3600 + minutes * 60);
    return *at == end;
}

/* RFC 3339 as Go reads it; milliseconds since 1970. */
static bool read_time(struct wp_kube_text t, int64_t *ret_ms)
{
    const char *at = t.at, *end = t.at + t.len;
    struct tm tm = {0}, same;
    int offset, ms = 0;
    time_t s;

    if (!digits(&at, end, 4, &tm.tm_year) || !take(&at, end, "-") ||
        !digits(&at, end, 2, &tm.tm_mon) || !take(&at, end, "-") ||
        !digits(&at, end, 2, &tm.tm_mday) || !take(&at, end, "T") ||
        !digits(&at, end, 2, &tm.tm_hour) || !take(&at, end, ":") ||
        !digits(&at, end, 2, &tm.tm_min) || !take(&at, end, ":") ||
        !digits(&at, end, 2, &tm.tm_sec))
        return false;
    if (take(&at, end, ".,")) {
        const char *from = at;
        for (int unit = 100; at < end && *at >= '0' && *at <= '9'; at++, unit /= 10)
            ms += (*at - '0') * unit;
        if (at == from)
            return false;
    }
    if (!read_offset(&at, end, &offset))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    same = tm;
    s = timegm(&same); /* which puts 31 February right: that is no date */
    if (same.tm_mon != tm.tm_mon || same.tm_mday != tm.tm_mday || same.tm_hour != tm.tm_hour ||
        same.tm_min != tm.tm_min || same.tm_sec != tm.tm_sec)
        return false;
    *ret_ms = ((int64_t)s - offset) * 1000 + ms;
    return true;
}

void wp_kube_latency(struct wp_kube_cluster_own *o, const struct wp_kube_object *slice)
{
    struct wp_kube_text ns = slice->ns, service = slice->service;
    const struct wp_kube_place *p;
    int64_t then_ms;

    if (slice->trigger_time.len == 0)
        return;
    p = wp_kube_place_find(o->c.store, wp_kube_place_hash(ns.at, ns.len, service.at, service.len),
                           ns.at, ns.len, service.at, service.len);
    if (p == NULL || p->kind[WP_KUBE_LOCAL] == WP_KUBE_NONE)
        return;
    if (!read_time(slice->trigger_time, &then_ms)) {
        if (wp_log_allow(&o->trigger_limit, 10, 60))
            wp_log(WP_WARNING, "kubernetes",
                   "DnsProgrammingLatency cannot be calculated for Endpoints '%.*s/%.*s'; invalid "
                   "\"endpoints.kubernetes.io/last-change-trigger-time\" annotation RFC3339 value "
                   "of \"%.*s\"",
                   (int)ns.len, ns.at, (int)service.len, service.at,
                   (int)(slice->trigger_time.len < 200 ? slice->trigger_time.len : 200),
                   slice->trigger_time.at);
        return;
    }
    wp_kube_count_latency(p->kind[WP_KUBE_LOCAL] == WP_KUBE_HEADLESS,
                          (double)(wp_state_clock_ms() - then_ms) / 1000);
}
