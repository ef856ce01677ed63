/* Listing a range at one revision, page by page, against what the tree holds. The next page is
 * asked for before the one at hand is read. What is listed becomes visible at the end, all at
 * once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

enum { RESTARTS_MAX = 3 };

static void ask_page(struct wp_etcd_mirror *m);

static void free_cursor(struct wp_etcd_load *l)
{
    free(l->from);
    l->from = NULL;
    l->from_len = 0;
}

void wp_etcd_load_abort(struct wp_etcd_mirror *m)
{
    free_cursor(&m->load);
    m->load.range = NULL;
}

static void tell(struct wp_etcd_mirror *m, const struct wp_etcd_range_own *r,
                 const struct wp_etcd_batch_size *size)
{
    uint64_t took_ms = (m->g->now() - m->load.began_ns) / 1000000u;

    wp_metric_add(m->stats.reloads[r->reason], WP_METRIC_SHARED, 1);
    wp_log(r->reason == WP_ETCD_LOAD_START ? WP_INFO : WP_WARNING, "etcd",
           "%s: loaded %zu keys below \"%s%s\" at revision %lld in %llu ms (%s): %zu added, %zu "
           "changed, %zu removed%s",
           wp_etcd_endpoint_text(m), wp_etcd_tree_keys(r->r.tree), m->src.prefix, r->base,
           (long long)m->load.revision, (unsigned long long)took_ms, wp_etcd_reason_text(r->reason),
           size->added, size->changed, size->removed,
           m->load.serializable ? "; without a quorum" : "");
}

static void finish(struct wp_etcd_mirror *m)
{
    struct wp_etcd_range_own *r = m->load.range;
    struct wp_etcd_batch_size size;

    if (wp_etcd_tree_list_end(r->r.tree) < 0) {
        wp_etcd_fail(m, WP_GRPC_RESOURCE_EXHAUSTED, "out of memory", "load");
        return;
    }
    if (wp_etcd_apply_is_full(m, r, true))
        return;
    for (unsigned i = 0; i < 2; i++)
        r->parts[i].next_revision = m->load.revision + 1;
    m->revision = m->load.revision;
    m->checked = true; /* this very reply tells what is there now */
    r->needs_load =
        m->load.serializable; /* a member's own view is no proof: again, with a quorum */
    wp_etcd_apply_done(m, r, true, &size);
    tell(m, r, &size);
    r->suspect = false;
    if (!m->load.serializable)
        r->reason = WP_ETCD_LOAD_START;
    wp_etcd_load_abort(m);
    wp_etcd_lease_poll(m);
    wp_etcd_settled(m);
    if (r->needs_load)
        wp_etcd_fail(m, WP_GRPC_UNAVAILABLE, "loaded without a quorum", "load");
    else
        wp_etcd_step(m);
}

int wp_etcd_page_next(const Etcd__RangeResponse *page, char **from, size_t *from_len)
{
    const ProtobufCBinaryData *last = &page->kvs[page->n_kvs - 1]->key;
    char *next = malloc(last->len + 1);

    if (next == NULL)
        return -ENOMEM;
    memcpy(next, last->data, last->len);
    next[last->len] = '\0';
    free(*from);
    *from = next;
    *from_len = last->len + 1;
    return 0;
}

/* Pages of about the same size, however large the values are. */
int64_t wp_etcd_page_limit(size_t octets, size_t keys)
{
    size_t per_key = keys > 0 ? octets / keys + 1 : 1;
    int64_t fit = (int64_t)(WP_ETCD_PAGE_OCTETS / per_key);

    return fit < 1 ? 1 : fit > WP_ETCD_PAGE_KEYS_MAX ? WP_ETCD_PAGE_KEYS_MAX : fit;
}

static int compare(const ProtobufCBinaryData *k, const char *key, size_t len)
{
    int c = memcmp(k->data, key, k->len < len ? k->len : len);

    return c != 0 ? c : (k->len > len) - (k->len < len);
}

/* What is listed lies in the part, and goes on from what was asked for: a listing that turns back
 * has no end. */
bool wp_etcd_page_in_order(const struct wp_etcd_part *p, const char *from, size_t from_len,
                           const Etcd__RangeResponse *page)
{
    if (page->header == NULL || !wp_etcd_is_revision(page->header->revision))
        return false;
    if (page->more && page->n_kvs == 0)
        return false;
    if (p->end == NULL && (page->more || page->n_kvs > 1))
        return false;
    for (size_t i = 0; i < page->n_kvs; i++) {
        const ProtobufCBinaryData *key = &page->kvs[i]->key;
        int order = compare(key, from, from_len);
        if (order < 0 || (order == 0 && i > 0))
            return false;
        from = (const char *)key->data;
        from_len = key->len;
        if (key->len < p->key_len || memcmp(key->data, p->key, p->key_len) != 0 ||
            (p->end == NULL && key->len != p->key_len))
            return false;
    }
    return true;
}

static int read_page(struct wp_etcd_mirror *m, const Etcd__RangeResponse *page)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < page->n_kvs; i++)
        r = wp_etcd_apply_listed(m, m->load.range, page->kvs[i]);
    return r < 0 ? r : 0;
}

static void next_part(struct wp_etcd_mirror *m)
{
    struct wp_etcd_load *l = &m->load;

    free_cursor(l);
    l->limit = WP_ETCD_PAGE_KEYS;
    l->part++;
    if (l->part == 2 || l->range->parts[l->part].denied)
        finish(m);
    else
        ask_page(m);
}

static void page_failed(struct wp_etcd_mirror *m, int status, const char *message)
{
    struct wp_etcd_load *l = &m->load;
    struct wp_etcd_part *p = &l->range->parts[l->part];

    if (status == WP_GRPC_OUT_OF_RANGE && l->restarts < RESTARTS_MAX) {
        unsigned restarts = l->restarts + 1;
        if (restarts == 1 && wp_log_allow(&m->lost_limit, 1, 60))
            wp_log(WP_INFO, "etcd", "%s: compacted while loading (%s), beginning again",
                   wp_etcd_endpoint_text(m), message);
        wp_etcd_load_begin(m, l->range);
        l->restarts = restarts;
        return;
    }
    if (status == WP_GRPC_RESOURCE_EXHAUSTED && l->limit > 1) {
        wp_etcd_stats_error(m, m->at, status);
        l->limit /= 8;
        l->limit = l->limit < 1 ? 1 : l->limit;
        ask_page(m);
        return;
    }
    if (status == WP_GRPC_PERMISSION_DENIED && p->end == NULL) {
        p->denied = true;
        wp_log(WP_INFO, "etcd", "%s: the key \"%s\" may not be read (%s): taken as absent",
               wp_etcd_endpoint_text(m), p->key, message);
        next_part(m);
        return;
    }
    wp_etcd_part_refused(m, p, status, message, "range");
}

static void page_came(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct wp_etcd_mirror *m = arg;
    struct wp_etcd_load *l = &m->load;
    const struct wp_etcd_part *p = &l->range->parts[l->part];
    const Etcd__RangeResponse *page;
    bool more;
    int r;

    m->call = NULL;
    if (status != WP_GRPC_OK) {
        page_failed(m, status, message);
        return;
    }
    page = wp_etcd_unpack(m, &etcd__range_response__descriptor, data, len);
    if (page == NULL || !wp_etcd_page_in_order(p, l->from != NULL ? l->from : p->key,
                                               l->from != NULL ? l->from_len : p->key_len, page)) {
        wp_etcd_fail(m, WP_GRPC_DATA_LOSS, "malformed reply", "range");
        return;
    }
    if (page->more && m->g->now() - l->began_ns > wp_etcd_ms(WP_ETCD_LOAD_MS)) {
        wp_etcd_fail(m, WP_GRPC_DEADLINE_EXCEEDED, "the listing does not end", "range");
        return;
    }
    if (wp_etcd_apply_is_full(m, l->range, false))
        return;
    wp_etcd_seen(m, page->header);
    if (l->revision == 0) {
        l->revision = page->header->revision;
        m->raft_term = l->serializable ? m->raft_term : page->header->raft_term;
        m->cluster_id = page->header->cluster_id;
        wp_etcd_restore_compare(m, l->range, page->header);
    }
    more = page->more;
    r = more ? wp_etcd_page_next(page, &l->from, &l->from_len) : 0;
    if (r == 0 && more) {
        l->limit = wp_etcd_page_limit(len, page->n_kvs);
        ask_page(m); /* the server works while this page is read */
    }
    if (r == 0 && l->range != NULL)
        r = read_page(m, page);
    if (r < 0) {
        wp_etcd_fail(m, r == WP_EMALFORMED ? WP_GRPC_DATA_LOSS : WP_GRPC_RESOURCE_EXHAUSTED,
                     r == WP_EMALFORMED ? "malformed reply" : "out of memory", "load");
        return;
    }
    if (!more)
        next_part(m);
}

static void ask_page(struct wp_etcd_mirror *m)
{
    const struct wp_etcd_load *l = &m->load;
    const struct wp_etcd_part *p = &l->range->parts[l->part];
    Etcd__RangeRequest q = ETCD__RANGE_REQUEST__INIT;
    const char *from = l->from != NULL ? l->from : p->key;

    q.key = (ProtobufCBinaryData){l->from != NULL ? l->from_len : p->key_len,
                                  (uint8_t *)(uintptr_t)from};
    if (p->end != NULL) {
        q.range_end = (ProtobufCBinaryData){p->end_len, (uint8_t *)p->end};
        q.limit = l->limit;
    }
    q.revision = l->revision;
    q.serializable = l->serializable;
    wp_metric_add(m->stats.ranges, WP_METRIC_SHARED, 1);
    wp_etcd_request(m, "/etcdserverpb.KV/Range", &q.base, WP_ETCD_PAGE_MS, page_came);
}

/* Nothing was ever loaded or saved, no other mirror serves the zone, and no endpoint has a quorum:
 * a member's own view, which may be old, is better than none. */
static bool is_cold(const struct wp_etcd_mirror *m, const struct wp_etcd_range_own *r)
{
    uint64_t wait = wp_etcd_ms(r->r.replaces ? WP_ETCD_REPLACE_WAIT_MS : WP_ETCD_COLD_MS);

    return !wp_etcd_range_has_data(&r->r) && m->first_failure_ns != 0 &&
           m->g->now() - m->first_failure_ns > wait && m->was_without_quorum;
}

bool wp_etcd_load_is_cold(const struct wp_etcd_mirror *m)
{
    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        if (!r->leaving && is_cold(m, r))
            return true;
    return false;
}

void wp_etcd_load_begin(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r)
{
    free_cursor(&m->load);
    m->load = (struct wp_etcd_load){
        .range = r,
        .limit = WP_ETCD_PAGE_KEYS,
        .began_ns = m->g->now(),
        .serializable = is_cold(m, r),
    };
    for (unsigned i = 0; i < 2; i++)
        r->parts[i].denied = r->parts[i].key_len == 0;
    wp_etcd_mark_drop(&r->mark);
    wp_etcd_tree_list_begin(r->r.tree);
    ask_page(m);
}
