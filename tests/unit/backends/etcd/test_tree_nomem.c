/* The n-th allocation of a change fails: the change did not happen, what is published stays, and
 * the same change works afterwards. */
#include "check.h"
#include "failmalloc.h"

#include <errno.h>
#include <stdlib.h>

#include "backends/etcd/lease.h"
#include "backends/etcd/record.h"
#include "backends/etcd/tree.h"

static void drop(void *arg, struct wp_etcd_lease *lease)
{
    (void)arg;
    lease->refs--;
}

static struct wp_etcd_tree *new_tree(size_t n_keys)
{
    struct wp_etcd_tree_config c = {.source = 3, .base = "/test", .drop = drop};
    struct wp_etcd_value v = {.kind = WP_ETCD_A, .addr = {192, 0, 2, 1}, .ttl = 1};
    struct wp_etcd_batch_size size;
    struct wp_etcd_tree *t = NULL;

    CHECK(wp_etcd_tree_new(&c, &t) == 0);
    for (size_t i = 0; i < n_keys; i++) {
        char key[32];
        int len = snprintf(key, sizeof(key), "/test/k%zu/i", i);
        CHECK(wp_etcd_tree_put(t, key, (size_t)len, &v, NULL, 1) == 1);
    }
    wp_etcd_tree_publish(t, true, &size);
    return t;
}

static void free_tree(struct wp_etcd_tree *t)
{
    for (int i = 0; i < 10 && wp_etcd_tree_reap(t) > 0; i++)
        ;
    wp_etcd_tree_free(t);
}

static uint32_t visible_ttl(const struct wp_etcd_tree *t, const char *key)
{
    struct wp_etcd_snap s = wp_etcd_tree_snap(t);
    size_t len = strlen(key);
    const struct wp_etcd_rec *r =
        wp_etcd_snap_key(&s, key, len, wp_etcd_path_hash(key, len, 0, wp_name_hash_root()));

    return r != NULL ? r->ttl : 0;
}

/* 24 keys are where the first table is full: growing it is one of the things that fail. */
static const struct {
    const char *what, *key;
    size_t n_keys;
    bool is_del;
    uint32_t before, after;
} rows[] = {
    {"first key", "/test/new/a", 0, false, 0, 9},
    {"a key among others", "/test/new/a", 10, false, 0, 9},
    {"replaced", "/test/k3/i", 10, false, 1, 9},
    {"removed", "/test/k3/i", 10, true, 1, 0},
    {"the table grows", "/test/new/a/b/c/d", 23, false, 0, 9},
};

static int change(struct wp_etcd_tree *t, size_t row)
{
    struct wp_etcd_value v = {.kind = WP_ETCD_A, .addr = {192, 0, 2, 9}, .ttl = 9};
    const char *key = rows[row].key;

    return rows[row].is_del ? wp_etcd_tree_del(t, key, strlen(key), 5)
                            : wp_etcd_tree_put(t, key, strlen(key), &v, NULL, 5);
}

static void test_change(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_etcd_tree *t = new_tree(rows[i].n_keys);
        size_t keys = wp_etcd_tree_keys(t);
        struct wp_etcd_batch_size size;
        long met = 0;
        int r;

        for (long n = 0;; n++) {
            failmalloc_after(n);
            r = change(t, i);
            if (!failmalloc_stop())
                break;
            met++;
            CHECK_AT(rows[i].what, r == -ENOMEM && n < 50);
            CHECK_AT(rows[i].what, wp_etcd_tree_keys(t) == keys);
            CHECK_AT(rows[i].what, visible_ttl(t, rows[i].key) == rows[i].before);
        }
        CHECK_AT(rows[i].what, r == 1 && met > 0);
        CHECK_AT(rows[i].what, visible_ttl(t, rows[i].key) == rows[i].before);
        wp_etcd_tree_publish(t, false, &size);
        CHECK_AT(rows[i].what, visible_ttl(t, rows[i].key) == rows[i].after);
        free_tree(t);
    }
}

static void put(struct wp_etcd_tree *t, const char *key, uint32_t ttl, int64_t revision)
{
    struct wp_etcd_value v = {.kind = WP_ETCD_A, .addr = {192, 0, 2, 9}, .ttl = ttl};

    CHECK_AT(key, wp_etcd_tree_put(t, key, strlen(key), &v, NULL, revision) == 1);
}

static void test_out(void)
{
    struct wp_etcd_tree *t = new_tree(23);
    struct wp_etcd_lease lease = {.refs = 1};
    struct wp_etcd_value v = {.kind = WP_ETCD_A, .addr = {192, 0, 2, 9}, .ttl = 4};
    struct wp_etcd_batch_size size;

    CHECK(wp_etcd_tree_put(t, "/test/k3/i", 10, &v, &lease, 5) == 1);
    wp_etcd_tree_publish(t, false, &size);
    for (unsigned why = 1; why < 2; why--) {
        long met = 0;
        for (long n = 0;; n++) {
            int r;
            failmalloc_after(n);
            r = wp_etcd_tree_out(t, wp_etcd_tree_newest(t, "/test/k3/i", 10), why);
            if (!failmalloc_stop()) {
                CHECK(r == 0);
                break;
            }
            met++;
            CHECK(r == -ENOMEM && n < 50 && lease.refs == (why == 1 ? 1u : 2u));
        }
        wp_etcd_tree_publish(t, false, &size);
        CHECK(met > 0 && visible_ttl(t, "/test/k3/i") == (why == 1 ? 0u : 4u));
    }
    free_tree(t);
    CHECK(lease.refs == 0 && lease.tied.first == NULL);
}

static void differs(void *arg, const char *key, size_t len, int64_t listed, int64_t held)
{
    unsigned *n = arg;

    (void)key, (void)len, (void)listed, (void)held;
    ++*n;
}

/* Keys k0 to k9 at revision 1, nothing else: what new_tree made. */
static unsigned differences(struct wp_etcd_tree *t)
{
    unsigned n = 0;
    struct wp_etcd_compare c = {.tree = t, .revision = 100, .differs = differs, .arg = &n};

    wp_etcd_compare_from(&c, "/test/", 6);
    for (int i = 0; i < 10; i++) {
        char key[32];
        size_t len = (size_t)snprintf(key, sizeof(key), "/test/k%d/i", i);
        wp_etcd_compare_listed(&c, key, len, 1);
    }
    wp_etcd_compare_rest(&c, "/test/", 6);
    return n;
}

/* A batch is taken back whole, or not at all when there is no memory for it. */
static void test_discard(void)
{
    struct wp_etcd_tree *t = new_tree(10);
    struct wp_etcd_batch_size size;
    long met = 0;

    CHECK(differences(t) == 0);
    put(t, "/test/new/a", 9, 5);
    put(t, "/test/k3/i", 8, 5);
    put(t, "/test/k3/i", 9, 6); /* twice in one batch */
    CHECK(wp_etcd_tree_del(t, "/test/k4/i", 10, 5) == 1);
    CHECK(differences(t) == 3 && wp_etcd_tree_keys(t) == 10);
    for (long n = 0;; n++) {
        int r;
        failmalloc_after(n);
        r = wp_etcd_tree_discard(t);
        if (!failmalloc_stop()) {
            CHECK(r == 0);
            break;
        }
        met++;
        CHECK(r == -ENOMEM && n < 5 && differences(t) == 3);
    }
    CHECK(met > 0 && differences(t) == 0 && wp_etcd_tree_keys(t) == 10);
    wp_etcd_tree_publish(t, false, &size);
    CHECK(size.added == 0 && size.changed == 0 && size.removed == 0);
    CHECK(visible_ttl(t, "/test/k3/i") == 1 && visible_ttl(t, "/test/k4/i") == 1 &&
          visible_ttl(t, "/test/new/a") == 0);
    put(t, "/test/k4/i", 7, 5); /* and it goes on */
    wp_etcd_tree_publish(t, false, &size);
    CHECK(visible_ttl(t, "/test/k4/i") == 7 && size.changed == 1);
    free_tree(t);
}

static void test_new(void)
{
    struct wp_etcd_tree_config c = {.source = 3, .base = "/test", .drop = drop};

    for (long n = 0;; n++) {
        struct wp_etcd_tree *t = NULL;
        int r;
        failmalloc_after(n);
        r = wp_etcd_tree_new(&c, &t);
        if (!failmalloc_stop()) {
            CHECK(r == 0 && n > 0);
            wp_etcd_tree_free(t);
            break;
        }
        CHECK(r == -ENOMEM && t == NULL && n < 50);
    }
}

/* A value either reads as it should, or says that memory ended: never malformed instead. */
static void test_value(void)
{
    static const char json[] = "{\"host\":\"a.b\",\"text\":\"\xff\",\"n\":1e999,\"port\":7}";

    for (long n = 0;; n++) {
        struct wp_etcd_scratch scratch = {0};
        struct wp_etcd_value v;
        struct wp_etcd_flaw flaw;
        int r;
        failmalloc_after(n);
        r = wp_etcd_value_read(json, strlen(json), &scratch, &v, &flaw);
        if (!failmalloc_stop()) {
            CHECK(r == 0 && v.port == 7);
            wp_etcd_scratch_done(&scratch);
            break;
        }
        CHECK(r == -ENOMEM && n < 100);
        wp_etcd_scratch_done(&scratch);
    }
}

RUN_TESTS(TEST(test_change), TEST(test_out), TEST(test_discard), TEST(test_new), TEST(test_value))
