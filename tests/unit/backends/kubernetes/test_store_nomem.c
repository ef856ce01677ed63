/* The n-th allocation of a change fails: the change did not happen, everything shows as before, and
 * the same change works afterwards. */
#include "kube_world.h"

#include "failmalloc.h"

#include <errno.h>

/* What a change may touch. */
static const char *seen(const struct kube_world *w)
{
    static struct kube_text t;
    char word[64];

    t.len = 0;
    kube_say(&t, kube_place(w, WP_KUBE_LOCAL, "a", "s"));
    kube_say(&t, " | ");
    kube_say(&t, kube_place(w, WP_KUBE_LOCAL, "a", "t"));
    kube_say(&t, " | ");
    kube_say(&t, kube_place(w, WP_KUBE_CLUSTERSET, "a", "s"));
    for (int i = 1; i < 5; i++) {
        snprintf(word, sizeof(word), "10.0.0.%d", i);
        kube_say(&t, " | ");
        kube_say(&t, kube_reverse(w, word));
    }
    snprintf(word, sizeof(word), " | %d %d %zu", wp_kube_namespace_present(w->store, "a", 1),
             wp_kube_namespace_present(w->store, "b", 1), wp_kube_store_endpoints(w->store));
    kube_say(&t, word);
    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++) {
        snprintf(word, sizeof(word), " %zu", wp_kube_store_figures(w->store, c).objects);
        kube_say(&t, word);
    }
    for (unsigned i = 0; i < WP_KUBE_SERIALS; i++) {
        snprintf(word, sizeof(word), " %u", wp_kube_store_serial(w->store, i));
        kube_say(&t, word);
    }
    return t.at;
}

#define SERVICE(rv, spec)                                                                          \
    "{'metadata':{'name':'s','namespace':'a','resourceVersion':'" rv "'},'spec':{" spec "}}"
#define SLICE(svc, rv, eps)                                                                        \
    "{'metadata':{'name':'e','namespace':'a','resourceVersion':'" rv "','labels':{"                \
    "'kubernetes.io/service-name':'" svc "','multicluster.kubernetes.io/service-name':'" svc       \
    "'}},'endpoints':[" eps "]}"
#define EP(a) "{'addresses':['10.0.0." a "'],'hostname':'h'}"
#define POD(rv, ips)                                                                               \
    "{'metadata':{'name':'p','namespace':'a','resourceVersion':'" rv                               \
    "','labels':{'k':'v'}},'status':{'podIPs':[" ips "]}}"

enum {
    TABLE_FULL = 44
}; /* objects that fill a first table: growing is one of the things that fail */

static const struct {
    const char *what;
    enum wp_kube_collection collection;
    const char *before[3], *json; /* json NULL: the object "s", "e", "p" or "a" is removed */
    const char *name;
} rows[] = {
    {"service comes",
     WP_KUBE_SERVICES,
     {NULL},
     SERVICE("1", "'clusterIPs':['10.0.0.1'],'externalIPs':['10.0.0.2'],'ports':[{'port':80}]"),
     "s"},
    {"service changes",
     WP_KUBE_SERVICES,
     {SERVICE("1", "'clusterIPs':['10.0.0.1']")},
     SERVICE("2", "'clusterIPs':['10.0.0.2','10.0.0.3']"),
     "s"},
    {"service goes", WP_KUBE_SERVICES, {SERVICE("1", "'clusterIPs':['10.0.0.1']")}, NULL, "s"},
    {"import comes", WP_KUBE_IMPORTS, {NULL}, SERVICE("1", "'ips':['10.0.0.1']"), "s"},
    {"slice comes", WP_KUBE_SLICES, {NULL}, SLICE("s", "1", EP("1") "," EP("2")), "e"},
    {"slice changes", WP_KUBE_SLICES, {SLICE("s", "1", EP("1"))}, SLICE("s", "2", EP("2")), "e"},
    {"slice moves", WP_KUBE_SLICES, {SLICE("s", "1", EP("1"))}, SLICE("t", "2", EP("1")), "e"},
    {"slice goes", WP_KUBE_SLICES, {SLICE("s", "1", EP("1"))}, NULL, "e"},
    {"slice of an import comes", WP_KUBE_IMPORT_SLICES, {NULL}, SLICE("s", "1", EP("1")), "e"},
    {"pod comes", WP_KUBE_PODS, {NULL}, POD("1", "{'ip':'10.0.0.1'}"), "p"},
    {"pod changes",
     WP_KUBE_PODS,
     {POD("1", "{'ip':'10.0.0.1'}")},
     POD("2", "{'ip':'10.0.0.2'}"),
     "p"},
    {"pod goes", WP_KUBE_PODS, {POD("1", "{'ip':'10.0.0.1'}")}, NULL, "p"},
    {"namespace comes", WP_KUBE_NAMESPACES, {NULL}, "{'metadata':{'name':'b'}}", "b"},
    {"namespace goes", WP_KUBE_NAMESPACES, {"{'metadata':{'name':'b'}}"}, NULL, "b"},
};

static void start(struct kube_world *w, size_t row, size_t filler)
{
    char json[256];

    *w = (struct kube_world){.decode = {.labels = true}};
    kube_open(w);
    for (size_t i = 0; i < filler; i++) {
        snprintf(json, sizeof(json),
                 "{\"metadata\":{\"name\":\"x%zu\",\"namespace\":\"y%zu\"},"
                 "\"spec\":{\"clusterIPs\":[\"10.7.0.%zu\"]}}",
                 i, i, i);
        CHECK(kube_put(w, WP_KUBE_SERVICES, json) == 1);
    }
    for (size_t i = 0; i < COUNT(rows[row].before) && rows[row].before[i] != NULL; i++)
        CHECK_AT(rows[row].what,
                 kube_putf(w, rows[row].collection, "%s", rows[row].before[i]) == 1);
    w->now_s++;
}

/* The decoded object stays while the change is tried again. */
static int change(struct kube_world *w, size_t row, long fail_after)
{
    struct wp_kube_object o;
    const char *name = rows[row].name;
    char json[1024];
    int r;

    if (rows[row].json != NULL) {
        snprintf(json, sizeof(json), "%s", rows[row].json);
        for (char *c = json; *c != '\0'; c++)
            if (*c == '\'')
                *c = '"';
        o = *kube_read(w, rows[row].collection, json);
    } else {
        o = (struct wp_kube_object){.collection = rows[row].collection,
                                    .ns = {"a", rows[row].collection != WP_KUBE_NAMESPACES},
                                    .name = {name, strlen(name)}};
    }
    failmalloc_after(fail_after);
    r = rows[row].json != NULL ? wp_kube_store_put(w->store, &o, w->now_s)
                               : wp_kube_store_remove(w->store, &o, w->now_s);
    return r;
}

static void test_changes(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int full = 0; full < 2; full++) {
            for (long n = 0;; n++) {
                char before[8192];
                struct kube_world w;
                bool met;
                int r;

                start(&w, i, full ? TABLE_FULL : 0);
                strcpy(before, seen(&w));
                r = change(&w, i, n);
                met = failmalloc_stop();
                if (met && r != 1) { /* an arena asks again for less */
                    CHECK_AT(rows[i].what, r == -ENOMEM);
                    CHECK_AT(rows[i].what, strcmp(before, seen(&w)) == 0);
                    r = change(&w, i, -1);
                }
                CHECK_AT(rows[i].what, r == 1);
                CHECK_AT(rows[i].what, strcmp(before, seen(&w)) != 0);
                kube_close(&w);
                if (!met)
                    break;
            }
        }
    }
}

/* A listing that ends short of memory goes on where it stopped. */
static void test_listing(void)
{
    for (long n = 0;; n++) {
        struct kube_world w;
        size_t removed, part = 0;
        bool met;
        int r;

        start(&w, 0, TABLE_FULL);
        wp_kube_store_list_begin(w.store, WP_KUBE_SERVICES);
        failmalloc_after(n);
        r = wp_kube_store_list_end(w.store, WP_KUBE_SERVICES, w.now_s, &removed);
        met = failmalloc_stop();
        if (met && r != 0) {
            CHECK(r == -ENOMEM);
            part = TABLE_FULL - wp_kube_store_figures(w.store, WP_KUBE_SERVICES).objects;
            r = wp_kube_store_list_end(w.store, WP_KUBE_SERVICES, w.now_s, &removed);
        }
        CHECK(r == 0 && removed + part == TABLE_FULL);
        CHECK(wp_kube_store_figures(w.store, WP_KUBE_SERVICES).objects == 0);
        kube_close(&w);
        if (!met)
            break;
    }
}

static void test_new(void)
{
    struct wp_kube_store_config c = {.source = 1};
    struct wp_kube_store *s = NULL;

    for (long n = 0;; n++) {
        int r;
        failmalloc_after(n);
        r = wp_kube_store_new(&c, &s);
        if (!failmalloc_stop())
            break;
        CHECK(r == -ENOMEM && s == NULL);
    }
    wp_kube_store_free(s);
}

static void test_decode(void)
{
    static const char text[] =
        "{\"metadata\":{\"name\":\"n\",\"namespace\":\"a\",\"labels\":{\"x\\u00e9\":"
        "\"y\"}},\"status\":{\"podIPs\":[{\"ip\":\"1\"}]}}";
    struct wp_kube_decode_config c = {.labels = true};

    for (long n = 0;; n++) {
        struct wp_kube_decode_error e;
        struct wp_kube_object o;
        struct wp_arena a;
        int r;
        wp_arena_init(&a, 0);
        failmalloc_after(n);
        r = wp_kube_decode(&c, WP_KUBE_PODS, text, sizeof(text) - 1, &a, &o, &e);
        if (!failmalloc_stop()) {
            CHECK(r == 0);
            wp_arena_done(&a);
            break;
        }
        CHECK(r == -ENOMEM || r == 0); /* an arena asks again for less */
        wp_arena_done(&a);
    }
}

RUN_TESTS(TEST(test_changes), TEST(test_listing), TEST(test_new), TEST(test_decode))
