/* For a question that is explained: where was looked, and which keys the answer was made from. */
#include <string.h>

#include "backends/etcd/etcd.h"
#include "backends/etcd/mirror_priv.h"
#include "waypost/plugin/explain.h"

enum { TOLD_MAX = 256 };

struct etcd_told {
    const struct wp_etcd_rec *rec[TOLD_MAX];
    unsigned n;
};

struct etcd_told *etcd_explain_begin(struct wp_query *q, const struct wp_etcd_range *range,
                                     const struct wp_etcd_path *path, uint64_t now_ns)
{
    struct wp_report *d = wp_explain_details(q);
    struct wp_etcd_mirror *m = range->mirror;
    int64_t revision;

    pthread_mutex_lock(&m->lock);
    revision = m->facts.revision;
    pthread_mutex_unlock(&m->lock);
    wp_report_printf(d, "looked_at", "%s%.*s", m->src.prefix, (int)path->len, path->text);
    wp_report_text(d, "state", wp_etcd_range_state_text(range, now_ns));
    wp_report_int(d, "revision", revision);
    return wp_arena_zalloc(q->arena, sizeof(struct etcd_told));
}

static void put_lease(struct wp_report *s, const struct wp_etcd_rec *rec, uint64_t now_ns)
{
    const struct wp_etcd_lease *lease = wp_etcd_rec_lease(rec);
    uint64_t ends;

    if (lease == NULL) {
        wp_report_none(s, "lease");
        wp_report_none(s, "lease_left_s");
        return;
    }
    ends = atomic_load_explicit(&((struct wp_etcd_lease *)(uintptr_t)lease)->ends,
                                memory_order_relaxed);
    wp_report_printf(s, "lease", "%llx", (unsigned long long)lease->id);
    if (ends == WP_ETCD_LEASE_UNKNOWN || ends == WP_ETCD_LEASE_REFUSED)
        wp_report_none(s, "lease_left_s"); /* etcd has not said it */
    else
        wp_report_s(s, "lease_left_s", ends != WP_ETCD_LEASE_GONE && ends > now_ns ? ends - now_ns : 0);
}

/* A record often makes more than one of the reply's. */
void etcd_explain_record(struct wp_query *q, struct etcd_told *told,
                         const struct wp_etcd_range *range, const struct wp_etcd_rec *rec,
                         uint64_t now_ns)
{
    struct wp_report *s = wp_explain_sources(q);

    if (told == NULL || told->n == TOLD_MAX)
        return;
    for (unsigned i = 0; i < told->n; i++)
        if (told->rec[i] == rec)
            return;
    told->rec[told->n++] = rec;
    wp_report_open(s, NULL);
    wp_report_text(s, "source", "etcd");
    wp_report_printf(s, "key", "%s%.*s", range->mirror->src.prefix, rec->key_len,
                     wp_etcd_rec_key(rec));
    if (rec->mod_revision > 0)
        wp_report_int(s, "mod_revision", rec->mod_revision);
    else
        wp_report_none(s, "mod_revision"); /* saved data */
    put_lease(s, rec, now_ns);
    wp_report_close(s);
}
