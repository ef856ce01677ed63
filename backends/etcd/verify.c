/* Verification: servers have lost events around compactions and reconnections (etcd's own bugs,
 * mended by and by), and a mirror that missed one would not know. So keys and revisions are listed
 * now and then and compared with the tree. What differs may be an event under way, or a key that
 * was deleted meanwhile: it counts when a second pass finds the same. Then the range is loaded
 * again. */
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"
#include "waypost/base/hash.h"

enum { FOUND_MAX = 65536, TOLD_MAX = 10 };

static void ask(struct wp_etcd_mirror *m);

static void set_timer(struct wp_etcd_mirror *m, uint64_t wait_ns);

static void forget(struct wp_etcd_verify *v)
{
    free(v->from);
    free(v->found);
    v->from = NULL;
    v->found = NULL;
    v->n_found = v->cap_found = v->n_confirmed = 0;
    v->range = NULL;
    v->second = false;
}

static void end(struct wp_etcd_mirror *m)
{
    uint64_t tenth = wp_etcd_ms(WP_ETCD_VERIFY_MS) / 10;

    forget(&m->verify);
    m->verify.ended_ns = m->g->now();
    set_timer(m, 9 * tenth + wp_etcd_random(m) % (2 * tenth));
}

/* Compacted meanwhile, no memory, or an endpoint in trouble, which the watch will tell of. */
static void give_up(struct wp_etcd_mirror *m)
{
    end(m);
    set_timer(m, wp_etcd_ms(WP_ETCD_VERIFY_LEAST_MS));
}

/* --- what differs ----------------------------------------------------------------------------- */

static uint64_t hash_of(const char *key, size_t len, int64_t listed, int64_t held)
{
    return wp_hash_mix(wp_hash_mix(wp_hash_bytes(key, len), (uint64_t)listed), (uint64_t)held);
}

/* More than there is room for are looked at by the next verification. */
static void note(struct wp_etcd_verify *v, uint64_t hash)
{
    if (v->n_found == v->cap_found) {
        size_t cap = v->cap_found == 0 ? 64 : 2 * v->cap_found;
        uint64_t *found = cap > FOUND_MAX ? NULL : realloc(v->found, cap * sizeof(v->found[0]));
        if (found == NULL)
            return;
        v->found = found;
        v->cap_found = cap;
    }
    v->found[v->n_found++] = hash;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return (x > y) - (x < y);
}

static bool was_found(const struct wp_etcd_verify *v, uint64_t hash)
{
    return bsearch(&hash, v->found, v->n_found, sizeof(hash), compare_hashes) != NULL;
}

static void differs(void *arg, const char *key, size_t len, int64_t listed, int64_t held)
{
    struct wp_etcd_mirror *m = arg;
    struct wp_etcd_verify *v = &m->verify;
    uint64_t hash = hash_of(key, len, listed, held);

    if (!v->second) {
        note(v, hash);
        return;
    }
    if (!was_found(v, hash))
        return;
    if (v->n_confirmed++ < TOLD_MAX)
        wp_log(WP_ERROR, "etcd",
               "%s: key %s%.*s: revision %lld in etcd, %lld here (0: no such key)",
               wp_etcd_endpoint_text(m), m->src.prefix, len > 512 ? 512 : (int)len, key,
               (long long)listed, (long long)held);
}

/* --- passes ------------------------------------------------------------------------------------
 */

static void begin_pass(struct wp_etcd_mirror *m)
{
    struct wp_etcd_verify *v = &m->verify;

    free(v->from);
    v->from = NULL;
    v->part = 0;
    v->revision = 0;
    v->limit = WP_ETCD_PAGE_KEYS;
    ask(m);
}

static void next_range(struct wp_etcd_mirror *m, struct wp_etcd_range_own *r)
{
    while (r != NULL && (r->needs_load || r->leaving))
        r = r->next;
    forget(&m->verify);
    m->verify.range = r;
    if (r == NULL)
        end(m);
    else
        begin_pass(m);
}

static void repair(struct wp_etcd_mirror *m)
{
    struct wp_etcd_range_own *r = m->verify.range;

    wp_log(WP_ERROR, "etcd",
           "%s: verification found %zu keys below \"%s%s\" that differ: loading again",
           wp_etcd_endpoint_text(m), m->verify.n_confirmed, m->src.prefix, r->base);
    wp_etcd_watch_cancel(m, r);
    r->needs_load = true;
    r->reason = WP_ETCD_LOAD_VERIFY;
    end(m);
    wp_etcd_step(m);
}

static void pass_done(struct wp_etcd_mirror *m)
{
    struct wp_etcd_verify *v = &m->verify;

    if (v->n_confirmed > 0) {
        repair(m);
    } else if (!v->second && v->n_found > 0) {
        qsort(v->found, v->n_found, sizeof(v->found[0]), compare_hashes);
        v->second = true;
        set_timer(m, wp_etcd_ms(WP_ETCD_VERIFY_SETTLE_MS));
    } else {
        next_range(m, v->range->next);
    }
}

static void read_page(struct wp_etcd_mirror *m, const char *from, size_t from_len,
                      const Etcd__RangeResponse *page)
{
    struct wp_etcd_verify *v = &m->verify;
    const struct wp_etcd_part *p = &v->range->parts[v->part];
    struct wp_etcd_compare c = {
        .tree = v->range->r.tree, .revision = v->revision, .differs = differs, .arg = m};
    size_t skip = strlen(m->src.prefix), len;

    wp_etcd_compare_from(&c, from + skip, from_len - skip);
    for (size_t i = 0; i < page->n_kvs; i++) {
        const char *key = wp_etcd_apply_key(m, v->range, &page->kvs[i]->key, &len);
        if (key != NULL)
            wp_etcd_compare_listed(&c, key, len, page->kvs[i]->mod_revision);
    }
    if (page->more)
        return;
    if (p->end != NULL)
        wp_etcd_compare_rest(&c, p->key + skip, p->key_len - skip);
    else if (page->n_kvs == 0)
        wp_etcd_compare_self(&c, p->key + skip, p->key_len - skip);
}

static void page_came(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct wp_etcd_mirror *m = arg;
    struct wp_etcd_verify *v = &m->verify;
    const struct wp_etcd_part *p = &v->range->parts[v->part];
    const char *from = v->from != NULL ? v->from : p->key;
    size_t from_len = v->from != NULL ? v->from_len : p->key_len;
    const Etcd__RangeResponse *page = NULL;

    v->call = NULL;
    if (wp_etcd_is_token_refused(status, message) && wp_etcd_token_renew(m)) {
        end(m);
        set_timer(m, wp_etcd_ms(WP_ETCD_VERIFY_SOON_MS));
        return;
    }
    if (status == WP_GRPC_OK)
        page = wp_etcd_unpack(m, &etcd__range_response__descriptor, data, len);
    if (page == NULL || v->range->needs_load || !wp_etcd_page_in_order(p, from, from_len, page)) {
        give_up(m);
        return;
    }
    if (v->revision == 0)
        v->revision = page->header->revision;
    read_page(m, from, from_len, page);
    if (page->more && wp_etcd_page_next(page, &v->from, &v->from_len) == 0) {
        v->limit = wp_etcd_page_limit(len, page->n_kvs);
        ask(m);
    } else if (page->more) {
        give_up(m);
    } else if (v->part == 0 && !v->range->parts[1].denied) {
        free(v->from);
        v->from = NULL;
        v->part = 1;
        ask(m);
    } else {
        pass_done(m);
    }
}

static void ask(struct wp_etcd_mirror *m)
{
    struct wp_etcd_verify *v = &m->verify;
    const struct wp_etcd_part *p = &v->range->parts[v->part];
    Etcd__RangeRequest q = ETCD__RANGE_REQUEST__INIT;

    q.key = v->from != NULL ? (ProtobufCBinaryData){v->from_len, (uint8_t *)v->from}
                            : (ProtobufCBinaryData){p->key_len, (uint8_t *)p->key};
    if (p->end != NULL) {
        q.range_end = (ProtobufCBinaryData){p->end_len, (uint8_t *)p->end};
        q.limit = v->limit;
    }
    q.revision = v->revision;
    q.keys_only = true;
    wp_metric_add(m->stats.ranges, WP_METRIC_SHARED, 1);
    v->call =
        wp_etcd_request_beside(m, "/etcdserverpb.KV/Range", &q.base, WP_ETCD_PAGE_MS, page_came, m);
    if (v->call == NULL)
        give_up(m);
}

/* --- when ----------------------------------------------------------------------------------------
 */

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_verify *v =
        (struct wp_etcd_verify *)(void *)((char *)t - offsetof(struct wp_etcd_verify, timer));
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)v - offsetof(struct wp_etcd_mirror, verify));

    if (v->second && !v->range->needs_load)
        begin_pass(m);
    else
        next_range(m, m->ranges);
}

static void set_timer(struct wp_etcd_mirror *m, uint64_t wait_ns)
{
    m->verify.timer.fn = on_timer;
    m->g->timer_set(&m->verify.timer, m->g->now() + wait_ns);
}

void wp_etcd_verify_later(struct wp_etcd_mirror *m, bool resumed)
{
    uint64_t now = m->g->now(), soon = now + wp_etcd_ms(WP_ETCD_VERIFY_SOON_MS);
    uint64_t least = m->verify.ended_ns + wp_etcd_ms(WP_ETCD_VERIFY_LEAST_MS);

    if (!resumed) {
        end(m);
        m->verify.ended_ns = 0;
        return;
    }
    if (m->verify.ended_ns != 0 && least > soon)
        soon = least;
    set_timer(m, soon - now);
}

void wp_etcd_verify_stop(struct wp_etcd_mirror *m)
{
    m->g->timer_cancel(&m->verify.timer);
    m->g->drop(m->verify.call);
    m->verify.call = NULL;
    forget(&m->verify);
}
