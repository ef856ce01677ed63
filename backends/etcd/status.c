/* What `waypost status` tells of an instance and its mirror. The engine's thread leaves copies, the
 * admin thread reads them: neither waits for the other for longer than a few assignments. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/etcd/etcd.h"
#include "backends/etcd/mirror_priv.h"
#include "waypost/plugin/report.h"

/* --- the engine's side ------------------------------------------------------------------------ */

void wp_etcd_facts_update(struct wp_etcd_mirror *m)
{
    size_t bad = 0;
    bool held = false;

    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next) {
        bad += wp_etcd_tree_bad(r->r.tree);
        held |= r->held;
    }
    pthread_mutex_lock(&m->lock);
    snprintf(m->facts.endpoint, sizeof(m->facts.endpoint), "%s",
             m->src.n_endpoints > 0 ? m->src.endpoints[m->at].text : "");
    m->facts.connected = m->connected;
    m->facts.held = held;
    m->facts.cluster_id = m->cluster_id;
    m->facts.member_id = m->member_id;
    m->facts.revision = m->revision;
    m->facts.bad = bad;
    m->facts.leases = m->leases.n;
    pthread_mutex_unlock(&m->lock);
}

void wp_etcd_facts_changed(struct wp_etcd_mirror *m)
{
    uint64_t now = m->g->now();

    pthread_mutex_lock(&m->lock);
    m->facts.changed_ns = now;
    m->facts.apply_ns = m->arrived_ns != 0 && now > m->arrived_ns ? now - m->arrived_ns : 0;
    pthread_mutex_unlock(&m->lock);
}

void wp_etcd_facts_failed(struct wp_etcd_mirror *m, unsigned at, int status, const char *message,
                          const char *what)
{
    pthread_mutex_lock(&m->lock);
    snprintf(m->facts.error, sizeof(m->facts.error), "%s: %s: %s: %s", m->src.endpoints[at].text,
             what, wp_etcd_status_text(status), message);
    m->facts.error_ms = wp_state_clock_ms();
    pthread_mutex_unlock(&m->lock);
}

/* --- the admin thread's side ------------------------------------------------------------------- */

static void put_age(struct wp_report *r, const char *name, uint64_t then_ns, uint64_t now_ns)
{
    if (then_ns == 0)
        wp_report_none(r, name);
    else
        wp_report_s(r, name, now_ns > then_ns ? now_ns - then_ns : 0);
}

const char *wp_etcd_range_state_text(const struct wp_etcd_range *range, uint64_t now_ns)
{
    if (!wp_etcd_range_has_data(range))
        return "loading";
    if (!wp_etcd_range_is_loaded(range))
        return "saved";
    if (atomic_load_explicit(&range->mirror->lost_ns, memory_order_relaxed) == 0)
        return "in step";
    return wp_etcd_range_behind_s(range, now_ns) > WP_ETCD_STALE_S ? "stale" : "behind";
}

/* The file's own time moves on while what it holds is still so. */
static void put_saved(const struct wp_etcd_range *range, struct wp_report *r)
{
    const struct wp_state *s = range->own->keep.state;
    struct stat st;
    bool there = s != NULL && stat(wp_state_path(s), &st) == 0;
    int64_t age_ms = there ? wp_state_clock_ms() - (st.st_mtim.tv_sec * INT64_C(1000) +
                                                    st.st_mtim.tv_nsec / 1000000)
                           : 0;

    wp_report_text(r, "saved_file", there ? wp_state_path(s) : NULL);
    if (there)
        wp_report_s(r, "saved_age_s", age_ms > 0 ? (uint64_t)age_ms * 1000000 : 0);
    else
        wp_report_none(r, "saved_age_s");
}

static void put_zones(const struct etcd *p, uint64_t now_ns, struct wp_report *r)
{
    char zone[WP_NAME_TEXT_MAX];

    wp_report_list(r, "zones");
    for (unsigned i = 0; i < p->zones.n; i++) {
        const struct wp_etcd_range *range = p->range[i];

        wp_report_open(r, NULL);
        wp_report_text(r, "zone", wp_name_text(p->zones.zone[i], zone));
        wp_report_printf(r, "below", "%s%s", range->mirror->src.prefix, range->own->base);
        wp_report_text(r, "state", wp_etcd_range_state_text(range, now_ns));
        wp_report_int(r, "keys", (int64_t)wp_etcd_tree_keys(range->tree));
        wp_report_octets(r, "octets", wp_etcd_tree_octets(range->tree));
        wp_report_s(r, "behind_s", wp_etcd_range_behind_s(range, now_ns) * UINT64_C(1000000000));
        put_saved(range, r);
        wp_report_close(r);
        if (!wp_etcd_range_is_loaded(range))
            wp_report_problem(r, "%s: %s", wp_name_text(p->zones.zone[i], zone),
                              wp_etcd_range_has_data(range) ? "served from saved data"
                                                            : "no data yet, SERVFAIL is answered");
    }
    wp_report_close(r);
}

static void put_sums(const struct etcd *p, struct wp_report *r)
{
    size_t keys = 0, octets = 0;

    for (unsigned i = 0; i < p->zones.n; i++) {
        bool again = false; /* zones may share a range */

        for (unsigned k = 0; k < i; k++)
            again |= p->range[k] == p->range[i];
        if (again)
            continue;
        keys += wp_etcd_tree_keys(p->range[i]->tree);
        octets += wp_etcd_tree_octets(p->range[i]->tree);
    }
    wp_report_int(r, "keys", (int64_t)keys);
    wp_report_octets(r, "octets", octets);
}

static void put_mirror(struct wp_etcd_mirror *m, uint64_t now_ns, struct wp_report *r)
{
    struct wp_etcd_facts f;

    pthread_mutex_lock(&m->lock);
    f = m->facts;
    pthread_mutex_unlock(&m->lock);
    wp_report_text(r, "endpoint", f.endpoint[0] != '\0' ? f.endpoint : NULL);
    wp_report_bool(r, "connected", f.connected);
    wp_report_printf(r, "cluster_id", "%llx", (unsigned long long)f.cluster_id);
    wp_report_printf(r, "member_id", "%llx", (unsigned long long)f.member_id);
    wp_report_int(r, "revision", f.revision);
    wp_report_int(r, "malformed_keys", (int64_t)f.bad);
    wp_report_int(r, "leases", (int64_t)f.leases);
    wp_report_bool(r, "held", f.held);
    put_age(r, "heard_age_s", atomic_load_explicit(&m->seen_ns, memory_order_relaxed), now_ns);
    put_age(r, "changed_age_s", f.changed_ns, now_ns);
    if (f.apply_ns != 0)
        wp_report_ns(r, "apply_ns", f.apply_ns);
    else
        wp_report_none(r, "apply_ns");
    wp_report_text(r, "last_error", f.error_ms != 0 ? f.error : NULL);
    wp_report_time(r, "last_error_time", f.error_ms);
    if (f.bad > 0)
        wp_report_problem(r, "%s: %zu malformed keys (waypost etcd bad)", m->name, f.bad);
    if (f.held)
        wp_report_problem(r, "%s: the store was suddenly emptied: older data is served", m->name);
    if (atomic_load_explicit(&m->lost_ns, memory_order_relaxed) != 0)
        wp_report_problem(r, "%s: not in step%s%s", m->name, f.error_ms != 0 ? ": " : "", f.error);
}

void etcd_status(void *self, struct wp_report *r)
{
    const struct etcd *p = self;
    struct wp_etcd_mirror *m = p->range[0]->mirror;
    uint64_t now_ns = m->g->now();

    wp_report_text(r, "source", m->name);
    wp_report_text(r, "state", wp_etcd_range_state_text(p->range[0], now_ns));
    put_mirror(m, now_ns, r);
    put_sums(p, r);
    put_zones(p, now_ns, r);
}
