/* What the store has, as records and back. */
#include "kube_world.h"

#include "backends/kubernetes/saved.h"
#include "backends/kubernetes/walk.h"

enum { RECORDS_MAX = 4000 };

struct record {
    uint8_t *at;
    size_t len;
};
struct records {
    struct record r[RECORDS_MAX];
    size_t n;
};

static int compare(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    int r = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);

    return r != 0 ? r : (x->len > y->len) - (x->len < y->len);
}

static void add(struct records *all, const struct wp_kube_object *o)
{
    struct record *r = &all->r[all->n++];

    CHECK(all->n <= RECORDS_MAX);
    r->len = wp_kube_saved_size(o);
    r->at = malloc(r->len);
    CHECK(r->at != NULL);
    wp_kube_saved_write(o, r->at);
}

static void take(const struct wp_kube_store *s, struct records *ret)
{
    struct wp_kube_walk w;
    struct wp_kube_object o;
    struct wp_arena a;
    int r;

    ret->n = 0;
    wp_arena_init(&a, 0);
    wp_kube_walk_begin(&w, s);
    while ((r = wp_kube_walk_next(&w, &a, &o)) == 1) {
        add(ret, &o);
        wp_arena_reset(&a);
    }
    CHECK(r == 0);
    wp_arena_done(&a);
    qsort(ret->r, ret->n, sizeof(ret->r[0]), compare);
}

static void drop(struct records *r)
{
    while (r->n > 0)
        free(r->r[--r->n].at);
}

/* Every record cut short, and one octet longer, is refused. */
static void refuse_others(const struct record *r)
{
    struct wp_kube_object o;
    struct wp_arena a;
    uint8_t longer[70000];

    wp_arena_init(&a, 0);
    for (size_t len = 0; len < r->len; len++) {
        uint8_t *cut = malloc(len > 0 ? len : 1);
        CHECK(cut != NULL);
        memcpy(cut, r->at, len);
        CHECK(wp_kube_saved_read(cut, len, &a, &o) == WP_EMALFORMED);
        free(cut);
        wp_arena_reset(&a);
    }
    CHECK(r->len < sizeof(longer));
    memcpy(longer, r->at, r->len);
    longer[r->len] = 0;
    CHECK(wp_kube_saved_read(longer, r->len + 1, &a, &o) == WP_EMALFORMED);
    wp_arena_done(&a);
}

/* A second store filled from the records of the first has the same, and asks for nothing to change
 * when the objects themselves come. */
static void there_and_back(const char *const *files, struct wp_kube_decode_config decode)
{
    static struct records first, second;
    struct kube_world from = {.decode = decode}, to = {.decode = decode};
    struct wp_arena a;

    kube_open(&from);
    for (; *files != NULL; files++)
        kube_load(&from, *files);
    take(from.store, &first);
    CHECK(first.n > 10);
    kube_open(&to);
    wp_arena_init(&a, 0);
    for (size_t i = 0; i < first.n; i++) {
        struct wp_kube_object o;
        CHECK(wp_kube_saved_read(first.r[i].at, first.r[i].len, &a, &o) == 0);
        CHECK(wp_kube_store_put(to.store, &o, 7) == 1);
        refuse_others(&first.r[i]);
        wp_arena_reset(&a);
    }
    wp_arena_done(&a);
    take(to.store, &second);
    CHECK(first.n == second.n);
    for (size_t i = 0; i < first.n; i++)
        CHECK(compare(&first.r[i], &second.r[i]) == 0);
    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++)
        CHECK(wp_kube_store_figures(from.store, c).objects ==
              wp_kube_store_figures(to.store, c).objects);
    CHECK(wp_kube_store_endpoints(from.store) == wp_kube_store_endpoints(to.store));
    drop(&first);
    drop(&second);
    kube_close(&from);
    kube_close(&to);
}

static void test_round_trip(void)
{
    there_and_back((const char *const[]){"cluster.jsonl", "external.jsonl", NULL},
                   (struct wp_kube_decode_config){.labels = true});
    there_and_back((const char *const[]){"cluster.jsonl", "zonal.jsonl", NULL},
                   (struct wp_kube_decode_config){.zonal = true, .pod_names = true});
    there_and_back((const char *const[]){"cluster.jsonl", "multicluster.jsonl", NULL},
                   (struct wp_kube_decode_config){0});
}

/* A walk that goes on after changes: what was there all the time is met exactly once, and a table
 * that has grown is told. */
static void test_walk_among_changes(void)
{
    struct kube_world w = {0};
    struct wp_kube_walk walk;
    struct wp_kube_object o;
    struct wp_arena a;
    unsigned stays = 0;
    int r;

    kube_open(&w);
    for (int i = 0; i < 20; i++)
        CHECK(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'stays-%d'}}", i) == 1);
    CHECK(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'goes'}}") == 1);
    wp_arena_init(&a, 0);
    wp_kube_walk_begin(&walk, w.store);
    for (int i = 0; (r = wp_kube_walk_next(&walk, &a, &o)) == 1; i++) {
        stays += o.name.len > 6 && memcmp(o.name.at, "stays-", 6) == 0;
        if (i == 5) {
            CHECK(kube_remove(&w, WP_KUBE_NAMESPACES, "", "goes") == 1);
            CHECK(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'comes'}}") == 1);
        }
    }
    CHECK(r == 0 && stays == 20);
    wp_kube_walk_begin(&walk, w.store);
    do
        r = wp_kube_walk_next(&walk, &a, &o);
    while (r == 1 && o.collection != WP_KUBE_NAMESPACES);
    CHECK(r == 1);
    for (int i = 0; i < 100; i++)
        CHECK(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'more-%d'}}", i) == 1);
    CHECK(wp_kube_walk_next(&walk, &a, &o) == WP_ESTATE);
    wp_arena_done(&a);
    kube_close(&w);
}

/* Records that could only harm. */
static void test_impossible(void)
{
    struct wp_kube_text ips[] = {{"1", 1}, {"2", 1}, {"3", 1}, {"4", 1}, {"5", 1}};
    struct wp_kube_text empty = {"", 0};
    const struct wp_kube_port no_port = {.number = 65536, .name = empty, .protocol = empty};
    const struct wp_kube_text x = {"x", 1};
    const struct {
        const char *what;
        struct wp_kube_object o;
    } bad[] = {
        {"no name", {.collection = WP_KUBE_SERVICES, .kind = WP_KUBE_CLUSTER_IP}},
        {"a service of no kind", {.collection = WP_KUBE_SERVICES, .name = x}},
        {"no such collection", {.collection = WP_KUBE_COLLECTIONS, .name = x}},
        {"a slice without ports", {.collection = WP_KUBE_SLICES, .name = x}},
        {"no address", {.collection = WP_KUBE_PODS, .name = x, .ips = &empty, .n_ips = 1}},
        {"five addresses", {.collection = WP_KUBE_PODS, .name = x, .ips = ips, .n_ips = 5}},
        {"no port", {.collection = WP_KUBE_SLICES, .name = x, .ports = &no_port, .n_ports = 1}},
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t rec[256];
        struct wp_kube_object o;
        struct wp_arena a;
        size_t len = wp_kube_saved_size(&bad[i].o);
        CHECK_AT(bad[i].what, len <= sizeof(rec));
        wp_kube_saved_write(&bad[i].o, rec);
        wp_arena_init(&a, 0);
        CHECK_AT(bad[i].what, wp_kube_saved_read(rec, len, &a, &o) == WP_EMALFORMED);
        wp_arena_done(&a);
    }
}

RUN_TESTS(TEST(test_round_trip), TEST(test_walk_among_changes), TEST(test_impossible))
