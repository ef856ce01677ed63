/* The tree against a plain model: whatever was published, every path gives the same records in the
 * same order, and a reader that keeps its epoch keeps its view. */
#include "check.h"

#include <stdlib.h>

#include "backends/etcd/lease.h"
#include "backends/etcd/tree.h"
#include "backends/etcd/tree_priv.h"
#include "waypost/plugin/change.h"

/* --- the model: keys with a stamp (ttl), as they stand and as they were published -------- */

enum { KEYS_MAX = 900 }; /* all keys of random_key: 1 + 9 + 81 + 729 */
struct model {
    size_t n;
    struct {
        char key[32];
        uint32_t stamp;
    } at[KEYS_MAX];
};

static int compare_keys(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    int c = memcmp(a, b, la < lb ? la : lb);

    return c != 0 ? c : (la > lb) - (la < lb);
}

static void model_put(struct model *m, const char *key, uint32_t stamp)
{
    size_t i = 0;

    while (i < m->n && compare_keys(m->at[i].key, key) < 0)
        i++;
    if (i == m->n || strcmp(m->at[i].key, key) != 0) {
        memmove(&m->at[i + 1], &m->at[i], (m->n - i) * sizeof(m->at[0]));
        m->n++;
    }
    strcpy(m->at[i].key, key);
    m->at[i].stamp = stamp;
}

static bool model_del(struct model *m, const char *key)
{
    for (size_t i = 0; i < m->n; i++) {
        if (strcmp(m->at[i].key, key) != 0)
            continue;
        memmove(&m->at[i], &m->at[i + 1], (m->n - i - 1) * sizeof(m->at[0]));
        m->n--;
        return true;
    }
    return false;
}

static uint64_t hash_of(const char *path)
{
    return wp_etcd_path_hash(path, strlen(path), 0, wp_name_hash_root());
}

static void check_below(const struct model *m, const struct wp_etcd_snap *s, const char *path)
{
    size_t len = strlen(path), budget = 100000;
    const struct wp_etcd_rec *r;
    struct wp_etcd_walk w;

    wp_etcd_snap_walk(s, path, len, hash_of(path), &w);
    for (size_t i = 0; i < m->n; i++) {
        if (strncmp(m->at[i].key, path, len) != 0 || m->at[i].key[len] != '/')
            continue;
        r = wp_etcd_walk_next(&w, &budget);
        CHECK_AT(path, r != NULL);
        CHECK_AT(path, r->ttl == m->at[i].stamp);
        CHECK_AT(path, wp_etcd_rec_has_key(r, m->at[i].key, strlen(m->at[i].key)));
    }
    CHECK_AT(path, wp_etcd_walk_next(&w, &budget) == NULL);
}

/* Every key, every path above one, and some that are not there. */
static void check_all(const struct model *m, const struct wp_etcd_snap *s)
{
    static const char *const absent[] = {"", "/", "/a", "/a-b", "/a/a-b", "/zz", "/a/zz", "/a/"};

    for (size_t i = 0; i < m->n; i++) {
        const char *key = m->at[i].key;
        const struct wp_etcd_rec *r = wp_etcd_snap_key(s, key, strlen(key), hash_of(key));
        CHECK_AT(key, r != NULL && r->ttl == m->at[i].stamp);
        check_below(m, s, key);
        for (size_t n = 0; key[n] != '\0'; n++) {
            char path[32];
            snprintf(path, sizeof(path), "%.*s", (int)n, key);
            if (key[n] == '/')
                check_below(m, s, path);
        }
    }
    for (size_t i = 0; i < COUNT(absent); i++) {
        bool there = false;
        for (size_t k = 0; k < m->n; k++)
            there |= strcmp(m->at[k].key, absent[i]) == 0;
        CHECK_AT(absent[i], (wp_etcd_snap_key(s, absent[i], strlen(absent[i]),
                                              hash_of(absent[i])) != NULL) == there);
        check_below(m, s, absent[i]);
    }
}

/* --- the tree ------------------------------------------------------------------------------ */

static size_t n_dropped;
static void drop(void *arg, struct wp_etcd_lease *lease)
{
    (void)arg;
    lease->refs--;
    n_dropped++;
}

static struct wp_etcd_tree *new_tree(const char *base)
{
    struct wp_etcd_tree_config c = {.source = 7, .base = base, .drop = drop};
    struct wp_etcd_tree *t = NULL;

    CHECK(wp_etcd_tree_new(&c, &t) == 0);
    return t;
}

static void free_tree(struct wp_etcd_tree *t)
{
    for (int i = 0; i < 10 && wp_etcd_tree_reap(t) > 0; i++)
        ;
    CHECK(wp_etcd_tree_reap(t) == 0);
    wp_etcd_tree_free(t);
}

static struct wp_etcd_value stamped(uint32_t stamp)
{
    return (struct wp_etcd_value){.kind = WP_ETCD_A, .addr = {192, 0, 2, 1}, .ttl = stamp};
}

static void publish(struct wp_etcd_tree *t)
{
    struct wp_etcd_batch_size size;

    wp_etcd_tree_publish(t, false, &size);
}

static uint32_t rnd(void)
{
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 16);
}

/* Keys whose order as octets is not that of their elements ("a-b" stands between "a" and "a/"),
 * empty elements, trailing slashes, a key with others below. */
static const char *random_key(char key[32])
{
    static const char *const elements[] = {"a", "a-b", "b", "*", "Z", "1", "10", "2", ""};
    size_t n = 0;

    for (unsigned depth = 1 + rnd() % 3; depth > 0; depth--)
        n += (size_t)sprintf(key + n, "/%s", elements[rnd() % COUNT(elements)]);
    if (rnd() % 64 == 0)
        key[0] = '\0'; /* the prefix itself */
    return key;
}

static void change(struct wp_etcd_tree *t, struct model *m, int64_t *revision)
{
    char key[32];
    uint32_t stamp = 1 + rnd() % 1000000;
    struct wp_etcd_value v = stamped(stamp);
    int64_t rev = ++*revision;

    random_key(key);
    if (rnd() % 3 == 0) {
        bool had = model_del(m, key);
        CHECK(wp_etcd_tree_del(t, key, strlen(key), rev) == (had ? 1 : 0));
        CHECK(wp_etcd_tree_del(t, key, strlen(key), rev) == 0);
    } else {
        CHECK(wp_etcd_tree_put(t, key, strlen(key), &v, NULL, rev) == 1);
        CHECK(wp_etcd_tree_put(t, key, strlen(key), &v, NULL, rev) == 0); /* told twice */
        v.ttl = 0;
        CHECK(wp_etcd_tree_put(t, key, strlen(key), &v, NULL, rev - 1) == 0); /* told late */
        model_put(m, key, stamp);
    }
}

static void test_model(void)
{
    static struct model now, published, held;
    struct wp_etcd_tree *t = new_tree("");
    struct wp_etcd_snap s, old;
    int64_t revision = 0;
    int reader = wp_grace_register();

    now.n = 0;
    published = held = now;
    old = wp_etcd_tree_snap(t);
    for (int round = 0; round < 60; round++) {
        for (unsigned n = rnd() % 40; n > 0; n--)
            change(t, &now, &revision);
        s = wp_etcd_tree_snap(t);
        check_all(&published, &s); /* the open batch is not seen */
        publish(t);
        published = now;
        s = wp_etcd_tree_snap(t);
        check_all(&published, &s);
        wp_etcd_tree_reap(t);
        check_all(&held, &old); /* what a reader holds stays until it lets go */
        CHECK(wp_etcd_tree_keys(t) == now.n);
        if (rnd() % 8 == 0) {
            wp_grace_quiescent(reader);
            wp_etcd_tree_reap(t);
            old = wp_etcd_tree_snap(t);
            held = published;
        }
    }
    wp_grace_unregister(reader);
    free_tree(t);
}

/* A listing against what is there: any state becomes any other, also when the listing was begun
 * before and given up half-way. */
static void test_listing(void)
{
    static struct model now, next;
    struct wp_etcd_tree *t = new_tree("");
    struct wp_etcd_snap s;
    int64_t revision = 0;

    now.n = 0;
    for (int round = 0; round < 60; round++) {
        next = now;
        for (unsigned n = rnd() % 30; n > 0; n--) {
            char key[32];
            random_key(key);
            if (rnd() % 2 == 0)
                model_put(&next, key, 1 + rnd() % 1000000);
            else
                model_del(&next, key);
        }
        for (int attempt = rnd() % 2; attempt >= 0; attempt--) {
            size_t end = attempt > 0 ? next.n / 2 : next.n;
            wp_etcd_tree_list_begin(t);
            for (size_t i = 0; i < end; i++) {
                const char *key = next.at[i].key;
                struct wp_etcd_value v = stamped(next.at[i].stamp);
                /* the revision of a key stands for its stamp */
                if (!wp_etcd_tree_listed(t, key, strlen(key), next.at[i].stamp, 0))
                    CHECK(wp_etcd_tree_list_put(t, key, strlen(key), &v, NULL, next.at[i].stamp) >=
                          0);
            }
        }
        s = wp_etcd_tree_snap(t);
        check_all(&now, &s);
        CHECK(wp_etcd_tree_list_end(t) == 0);
        publish(t);
        now = next;
        s = wp_etcd_tree_snap(t);
        check_all(&now, &s);
        CHECK(wp_etcd_tree_keys(t) == now.n);
        wp_etcd_tree_reap(t);
        revision++;
    }
    free_tree(t);
}

static uint32_t version_of(const char *path)
{
    return wp_change_version[wp_change_slot(wp_change_key(7, hash_of(path)))];
}

/* What a change marks: the key's name and every name above it, down to the base. */
static void test_marks(void)
{
    static const char *const names[] = {"/test/way/svc/i1", "/test/way/svc",   "/test/way", "/test",
                                        "/test/way/other",  "/test/way/svc/i2"};
    static const struct {
        const char *what, *key;
        uint32_t stamp; /* 0: delete */
        bool marked[COUNT(names)];
    } rows[] = {
        {"first load: nothing could be remembered", "/test/way/svc/i1", 1, {0}},
        {"a change", "/test/way/svc/i1", 2, {true, true, true}},
        {"the same again", "/test/way/svc/i1", 2, {0}},
        {"a new key", "/test/way/svc/i2", 3, {false, true, true, false, false, true}},
        {"gone", "/test/way/svc/i2", 0, {false, true, true, false, false, true}},
        {"the base itself", "/test/way", 4, {false, false, true}},
        {"a trailing slash", "/test/way/svc/", 5, {false, true, true}},
    };
    struct wp_etcd_tree *t = new_tree("/test/way");
    int64_t revision = 0;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_etcd_value v = stamped(rows[i].stamp);
        struct wp_etcd_batch_size size;
        uint32_t before[COUNT(names)];
        for (size_t k = 0; k < COUNT(names); k++)
            before[k] = version_of(names[k]);
        if (rows[i].stamp != 0)
            CHECK(wp_etcd_tree_put(t, rows[i].key, strlen(rows[i].key), &v, NULL, ++revision) >= 0);
        else
            CHECK(wp_etcd_tree_del(t, rows[i].key, strlen(rows[i].key), ++revision) == 1);
        for (size_t k = 0; k < COUNT(names); k++)
            CHECK_AT(rows[i].what,
                     version_of(names[k]) == before[k]); /* not before it can be read */
        wp_etcd_tree_publish(t, i == 0, &size);
        for (size_t k = 0; k < COUNT(names); k++)
            CHECK_AT(rows[i].what, (version_of(names[k]) != before[k]) == rows[i].marked[k]);
    }
    free_tree(t);
}

/* A record's reference to its lease comes back when the record is freed, not before. */
static void test_leases(void)
{
    struct wp_etcd_tree *t = new_tree("");
    struct wp_etcd_lease lease = {.id = 5, .refs = 2}, other = {.id = 6, .refs = 1};
    struct wp_etcd_value v = stamped(1);
    int reader = wp_grace_register();

    n_dropped = 0;
    CHECK(wp_etcd_tree_put(t, "/a", 2, &v, &lease, 1) == 1);
    CHECK(wp_etcd_tree_put(t, "/b", 2, &v, &lease, 1) == 1);
    publish(t);
    CHECK(wp_etcd_tree_listed(t, "/a", 2, 1, 5));
    CHECK(!wp_etcd_tree_listed(t, "/a", 2, 1, 0));
    CHECK(!wp_etcd_tree_listed(t, "/a", 2, 2, 5));
    CHECK(wp_etcd_tree_put(t, "/a", 2, &v, &lease, 2) == 0); /* the same content: not taken over */
    CHECK(wp_etcd_tree_put(t, "/a", 2, &v, &other, 3) == 1); /* another lease is a change */
    publish(t);
    CHECK(wp_etcd_tree_reap(t) == 1 && n_dropped == 0);
    wp_grace_quiescent(reader);
    CHECK(wp_etcd_tree_reap(t) == 1 && n_dropped == 0); /* out of the list, maybe still looked at */
    wp_grace_quiescent(reader);
    CHECK(wp_etcd_tree_reap(t) == 0 && n_dropped == 1 && lease.refs == 1);
    wp_grace_unregister(reader);
    free_tree(t);
    CHECK(lease.refs == 0 && other.refs == 0);
}

/* The next key after this one, as a reader sees it, and as everything that is kept. */
static bool is_seen(struct wp_etcd_tree *t, const char *key)
{
    struct wp_etcd_snap s = wp_etcd_tree_snap(t);

    return wp_etcd_snap_key(&s, key, strlen(key), hash_of(key)) != NULL;
}

static size_t n_kept(struct wp_etcd_tree *t)
{
    struct wp_etcd_snap s = wp_etcd_tree_snap(t);
    const struct wp_etcd_rec *r = NULL;
    size_t n = 0;

    while ((r = wp_etcd_snap_after(&s, r)) != NULL)
        n++;
    return n;
}

static void out(struct wp_etcd_tree *t, const char *key, unsigned why)
{
    CHECK_AT(key, wp_etcd_tree_out(t, wp_etcd_tree_newest(t, key, strlen(key)), why) == 0);
}

/* Kept and not shown: events, listings and readers before the publication see what they should. */
static void test_out(void)
{
    struct wp_etcd_tree *t = new_tree("");
    struct wp_etcd_lease lease = {.id = 5, .refs = 3};
    struct wp_etcd_value v = stamped(1), w = stamped(2);
    struct wp_etcd_snap before;
    uint32_t version;

    CHECK(wp_etcd_tree_put(t, "/a/1", 4, &v, &lease, 5) == 1);
    CHECK(wp_etcd_tree_put(t, "/a/2", 4, &v, &lease, 5) == 1);
    CHECK(wp_etcd_tree_put(t, "/b", 2, &v, &lease, 5) == 1);
    publish(t);
    version = version_of("/a");
    before = wp_etcd_tree_snap(t);
    out(t, "/a/1", WP_ETCD_OUT_LAPSED);
    CHECK(is_seen(t, "/a/1") && wp_etcd_tree_is_open(t));
    publish(t);
    CHECK(!is_seen(t, "/a/1") && is_seen(t, "/a/2") && version_of("/a") != version);
    CHECK(wp_etcd_snap_key(&before, "/a/1", 4, hash_of("/a/1")) != NULL);
    CHECK(n_kept(t) == 3 && wp_etcd_tree_keys(t) == 3 && wp_etcd_tree_outs(t, WP_ETCD_OUT_LAPSED) == 1);

    CHECK(wp_etcd_tree_listed(t, "/a/1", 4, 5, 5) && !is_seen(t, "/a/1"));
    CHECK(wp_etcd_tree_put(t, "/a/1", 4, &w, &lease, 5) == 0); /* not newer */
    CHECK(wp_etcd_tree_put(t, "/a/1", 4, &v, &lease, 6) == 0); /* the same again: as it was */
    publish(t);
    CHECK(!is_seen(t, "/a/1") && wp_etcd_tree_newest(t, "/a/1", 4)->mod_revision == 6);

    lease.lapsed = true;
    CHECK(wp_etcd_tree_put(t, "/a/1", 4, &w, &lease, 7) == 1); /* of a lease that is out: out */
    lease.refs++;
    publish(t);
    CHECK(!is_seen(t, "/a/1") && wp_etcd_tree_outs(t, WP_ETCD_OUT_LAPSED) == 1);
    out(t, "/a/1", 0);
    CHECK(wp_etcd_tree_discard(t) == 0);
    publish(t);
    CHECK(!is_seen(t, "/a/1") && wp_etcd_tree_outs(t, WP_ETCD_OUT_LAPSED) == 1);
    out(t, "/a/1", 0);
    publish(t);
    CHECK(is_seen(t, "/a/1") && wp_etcd_tree_outs(t, WP_ETCD_OUT_LAPSED) == 0 && n_kept(t) == 3);
    out(t, "/b", WP_ETCD_OUT_LAPSED);
    publish(t);
    CHECK(wp_etcd_tree_del(t, "/b", 2, 9) == 1);
    publish(t);
    CHECK(n_kept(t) == 2 && wp_etcd_tree_outs(t, WP_ETCD_OUT_LAPSED) == 0);
    free_tree(t);
    CHECK(lease.refs == 0 && lease.tied.first == NULL);
}

static void test_budget(void)
{
    struct wp_etcd_tree *t = new_tree("");
    struct wp_etcd_value v = stamped(1);
    struct wp_etcd_snap s;
    struct wp_etcd_walk w;
    size_t budget = 3;

    for (int i = 0; i < 5; i++) {
        char key[16];
        snprintf(key, sizeof(key), "/a/%d", i);
        CHECK(wp_etcd_tree_put(t, key, strlen(key), &v, NULL, i + 1) == 1);
    }
    publish(t);
    s = wp_etcd_tree_snap(t);
    wp_etcd_snap_walk(&s, "/a", 2, hash_of("/a"), &w);
    for (int i = 0; i < 3; i++)
        CHECK(wp_etcd_walk_next(&w, &budget) != NULL);
    CHECK(wp_etcd_walk_next(&w, &budget) == NULL && budget == 0);
    free_tree(t);
}

RUN_TESTS(TEST(test_model), TEST(test_listing), TEST(test_marks), TEST(test_leases), TEST(test_out),
          TEST(test_budget))
