/* The table of services: what is put is found, by its name alone; keys move with changes. */
#include "check.h"

#include <stdlib.h>

#include "backends/nomad/build.h"
#include "backends/nomad/saved.h"
#include "waypost/plugin/change.h"

static struct wp_nomad_build build;

static int add(const char *address, unsigned port, const struct wp_nomad_text *tags, size_t n)
{
    struct wp_nomad_registration r = {
        .address = {address, strlen(address)}, .port = (uint16_t)port, .tags = tags, .n_tags = n};

    return wp_nomad_build_add(&build, &r);
}

static struct wp_nomad_service *end(const char *name, const char *ns)
{
    return wp_nomad_build_end(&build, wp_nomad_hash(name, strlen(name), ns, strlen(ns)), name,
                              strlen(name), ns, strlen(ns));
}

/* With one address, or none. */
static struct wp_nomad_service *simple(const char *name, const char *ns, const char *address)
{
    wp_nomad_build_begin(&build);
    if (address != NULL)
        CHECK(add(address, 80, NULL, 0) == 0);
    return end(name, ns);
}

static const struct wp_nomad_service *find(const struct wp_nomad_store *s, const char *name, const char *ns)
{
    return wp_nomad_store_find(s, wp_nomad_hash(name, strlen(name), ns, strlen(ns)), name, strlen(name),
                               ns, strlen(ns));
}

static uint32_t version(const struct wp_nomad_store *s, const char *name, const char *ns)
{
    return atomic_load(&wp_change_version[wp_change_slot(
        wp_nomad_store_key(s, wp_nomad_hash(name, strlen(name), ns, strlen(ns))))]);
}

/* --- building ---------------------------------------------------------------------------------- */

static const struct {
    const char *address;
    enum wp_nomad_family family;
    uint8_t first, last; /* of four or sixteen octets */
} addresses[] = {
    {"10.1.2.3", WP_NOMAD_IPV4, 10, 3},
    {"2001:db8::6", WP_NOMAD_IPV6, 0x20, 6},
    {"::ffff:10.1.0.6", WP_NOMAD_IPV4, 10, 6},
    {"db.corp.example", WP_NOMAD_HOST, 0, 0},
    {"10.1.2.3 ", WP_NOMAD_HOST, 0, 0},
    {"10.1.2", WP_NOMAD_HOST, 0, 0},
    {"", WP_NOMAD_HOST, 0, 0},
    {"fe80::1%eth0", WP_NOMAD_HOST, 0, 0},
};

static void test_addresses(void)
{
    for (size_t i = 0; i < COUNT(addresses); i++) {
        const char *what = addresses[i].address;
        struct wp_nomad_service *v = simple("web", "default", what);
        const struct wp_nomad_instance *in = &v->instances[0];
        CHECK_AT(what, v->n == 1 && in->family == addresses[i].family && v->n_of[in->family] == 1);
        CHECK_AT(what, in->addr[0] == addresses[i].first);
        CHECK_AT(what, in->addr[in->family == WP_NOMAD_IPV4 ? 3 : 15] == addresses[i].last);
        CHECK_AT(what, in->port == 80 && in->priority == 10 && in->weight == 10 && !in->unhealthy);
        if (in->family == WP_NOMAD_HOST)
            CHECK_AT(what, in->host_len == strlen(what) &&
                               memcmp(wp_nomad_instance_host(v, in), what, strlen(what)) == 0);
        wp_nomad_service_free(v);
    }
}

static void test_address_with_nul(void)
{
    struct wp_nomad_registration r = {.address = {"10.0.0.1\0x", 10}};
    struct wp_nomad_service *v;

    wp_nomad_build_begin(&build);
    CHECK(wp_nomad_build_add(&build, &r) == 0);
    v = end("web", "default");
    CHECK(v->instances[0].family == WP_NOMAD_HOST && v->instances[0].host_len == 10);
    wp_nomad_service_free(v);
}

static void test_tags(void)
{
    static char huge[300];
    const struct wp_nomad_text tags[] = {{"Blue", 4}, {huge, sizeof(huge)}, {"", 0}, {"canary", 6}};
    struct wp_nomad_service *v;
    const struct wp_nomad_instance *i;

    build.tags = true;
    wp_nomad_build_begin(&build);
    CHECK(add("db.corp", 1, tags, 4) == 0 && add("10.0.0.1", 2, NULL, 0) == 0);
    v = end("web", "default");
    build.tags = false;
    i = &v->instances[0];
    CHECK(i->n_tags == 3 && wp_nomad_instance_has_tag(v, i, "blue", 4) &&
          wp_nomad_instance_has_tag(v, i, "CANARY", 6) && wp_nomad_instance_has_tag(v, i, "", 0));
    CHECK(!wp_nomad_instance_has_tag(v, i, "blu", 3) && !wp_nomad_instance_has_tag(v, &v->instances[1], "blue", 4));
    CHECK(memcmp(wp_nomad_instance_host(v, i), "db.corp", 7) == 0);
    wp_nomad_service_free(v);
}

static const struct {
    const char *tag;
    unsigned priority, weight;
} weights[] = {
    {"dns-priority=5", 5, 10},  {"dns-weight=20", 10, 20},    {"dns-weight=0", 10, 0},
    {"dns-weight=65535", 10, 65535}, {"dns-weight=65536", 10, 10}, {"dns-weight=", 10, 10},
    {"dns-weight=1x", 10, 10},  {"dns-priority=-1", 10, 10},  {"priority=5", 10, 10},
};

static void test_weights(void)
{
    build.weights = true;
    for (size_t i = 0; i < COUNT(weights); i++) {
        const struct wp_nomad_text tag = {weights[i].tag, strlen(weights[i].tag)};
        struct wp_nomad_service *v;
        wp_nomad_build_begin(&build);
        CHECK(add("10.0.0.1", 1, &tag, 1) == 0);
        v = end("web", "default");
        CHECK_AT(weights[i].tag, v->instances[0].priority == weights[i].priority &&
                                     v->instances[0].weight == weights[i].weight);
        wp_nomad_service_free(v);
    }
    build.weights = false;
}

/* Equal means that nothing has changed; the order counts. */
static void test_digest(void)
{
    static const struct {
        const char *one, *two;
        unsigned port;
    } rows[] = {{"10.0.0.1", "10.0.0.2", 1}, {"10.0.0.2", "10.0.0.1", 1}, {"10.0.0.1", "10.0.0.2", 2},
                {"10.0.0.1", "10.0.0.1", 1}, {"a.example", "b.example", 1}, {"b.example", "a.example", 1},
                {"a.exampleb", ".example", 1}};
    uint64_t digests[COUNT(rows)];

    for (size_t i = 0; i < COUNT(rows); i++)
        for (unsigned again = 0; again < 2; again++) {
            struct wp_nomad_service *v;
            wp_nomad_build_begin(&build);
            CHECK(add(rows[i].one, rows[i].port, NULL, 0) == 0 && add(rows[i].two, rows[i].port, NULL, 0) == 0);
            v = end("web", "default");
            CHECK_AT(rows[i].one, again == 0 || digests[i] == v->digest);
            digests[i] = v->digest;
            wp_nomad_service_free(v);
            for (size_t other = 0; other < i; other++)
                CHECK_AT(rows[i].one, digests[other] != digests[i]);
        }
}

/* --- the table --------------------------------------------------------------------------------- */

static void test_put_find_remove(void)
{
    struct wp_nomad_service *v;
    struct wp_nomad_store *s;
    uint32_t before;

    CHECK(wp_nomad_store_new(1, &s) == 0);
    before = version(s, "web", "default");
    v = simple("web", "default", "10.0.0.1");
    CHECK(wp_nomad_store_put(s, v) == 0 && find(s, "web", "default") == v);
    CHECK(version(s, "web", "default") == before + 1);
    CHECK(find(s, "web", "ops") == NULL && find(s, "we", "bdefault") == NULL && find(s, "", "default") == NULL);
    CHECK(wp_nomad_store_put(s, simple("", "default", NULL)) == 0 && find(s, "", "default") != NULL);
    CHECK(wp_nomad_store_figures(s).services == 1 && wp_nomad_store_figures(s).instances == 1);
    CHECK(wp_nomad_store_put(s, simple("web", "default", "10.0.0.2")) == 0);
    CHECK(find(s, "web", "default")->instances[0].addr[3] == 2 && version(s, "web", "default") == before + 2);
    wp_nomad_store_remove(s, (struct wp_nomad_service *)(uintptr_t)find(s, "web", "default"));
    CHECK(find(s, "web", "default") == NULL && version(s, "web", "default") == before + 3);
    CHECK(wp_nomad_store_figures(s).services == 0 && wp_nomad_store_figures(s).instances == 0);
    CHECK(wp_nomad_store_reap() == 0);
    wp_nomad_store_free(s);
    wp_nomad_store_free(NULL);
}

/* Many come and go, through tables of each size: a list of what there should be says the same. */
static void test_model(void)
{
    enum { NAMES = 3000, STEPS = 30000 };
    static uint8_t model[NAMES];
    struct wp_nomad_store *s;
    size_t n = 0, at = 0;
    char name[20];

    CHECK(wp_nomad_store_new(2, &s) == 0);
    for (unsigned step = 0, x = 1; step < STEPS; step++) {
        const struct wp_nomad_service *v;
        x = x * 1103515245u + 12345u;
        snprintf(name, sizeof(name), "s%u", (x >> 8) % NAMES);
        v = find(s, name, "default");
        CHECK_AT(name, (v != NULL) == (model[(x >> 8) % NAMES] != 0));
        if (v != NULL && (x >> 28) % 2 == 0) {
            wp_nomad_store_remove(s, (struct wp_nomad_service *)(uintptr_t)v);
            model[(x >> 8) % NAMES] = 0;
            continue;
        }
        CHECK(wp_nomad_store_put(s, simple(name, "default", "10.0.0.1")) == 0);
        model[(x >> 8) % NAMES] = 1;
    }
    for (unsigned i = 0; i < NAMES; i++)
        n += model[i];
    CHECK(wp_nomad_store_figures(s).services == n);
    while (wp_nomad_store_each(s, &at) != NULL)
        n--;
    CHECK(n == 0);
    wp_nomad_store_reap();
    wp_nomad_store_free(s);
}

/* 5,000 services of 10 instances. */
static void test_memory(void)
{
    struct wp_nomad_store *s;
    char name[20], address[20];

    CHECK(wp_nomad_store_new(3, &s) == 0);
    for (unsigned i = 0; i < 5000; i++) {
        wp_nomad_build_begin(&build);
        for (unsigned k = 0; k < 10; k++) {
            snprintf(address, sizeof(address), "10.%u.%u.%u", i / 250, i % 250, k);
            CHECK(add(address, 8000 + k, NULL, 0) == 0);
        }
        snprintf(name, sizeof(name), "service-%u", i);
        CHECK(wp_nomad_store_put(s, end(name, "default")) == 0);
    }
    CHECK(wp_nomad_store_figures(s).instances == 50000);
    CHECK(wp_nomad_store_figures(s).octets < 4 << 20);
    wp_nomad_store_free(s);
}

/* --- saved records ----------------------------------------------------------------------------- */

static struct wp_nomad_service *rich(void)
{
    const struct wp_nomad_text tags[] = {{"blue", 4}, {"dns-weight=3", 12}};
    struct wp_nomad_service *v;

    build.tags = build.weights = true;
    wp_nomad_build_begin(&build);
    CHECK(add("10.0.0.1", 1, tags, 2) == 0 && add("db.corp", 2, tags, 1) == 0 && add("2001:db8::1", 3, NULL, 0) == 0);
    v = end("web", "ops");
    build.tags = build.weights = false;
    v->on_demand = true;
    v->instances[1].unhealthy = true;
    v->n_unhealthy = 1;
    return v;
}

static void test_saved(void)
{
    struct wp_nomad_service *v = rich(), *back;
    size_t size = wp_nomad_saved_size(v);
    uint8_t *rec = malloc(size);

    CHECK(rec != NULL);
    wp_nomad_saved_write(v, rec);
    CHECK(wp_nomad_saved_read(rec, size, &back) == 0);
    CHECK(back->hash == v->hash && back->n == 3 && back->on_demand && back->n_unhealthy == 1);
    CHECK(memcmp(back->n_of, v->n_of, sizeof(v->n_of)) == 0 && back->octets_len == v->octets_len);
    CHECK(memcmp(back->instances, v->instances, 3 * sizeof(v->instances[0])) == 0);
    CHECK(memcmp(wp_nomad_service_octets(back), wp_nomad_service_octets(v), v->octets_len) == 0);
    for (size_t len = 0; len < size; len++) {
        struct wp_nomad_service *none = NULL;
        CHECK(wp_nomad_saved_read(rec, len, &none) == WP_EMALFORMED && none == NULL);
    }
    wp_nomad_service_free(back);
    wp_nomad_service_free(v);
    free(rec);
}

static int setup(void **state)
{
    (void)state;
    wp_hash_seed_init();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wp_nomad_build_done(&build);
    return 0;
}

RUN_TESTS_WITH(setup, teardown, TEST(test_addresses), TEST(test_address_with_nul), TEST(test_tags),
               TEST(test_weights), TEST(test_digest), TEST(test_put_find_remove), TEST(test_model),
               TEST(test_memory), TEST(test_saved))
