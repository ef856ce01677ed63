/* The cluster of tests/scenario/kubernetes as the store shows it; then what events and listings
 * make of it. */
#include "kube_world.h"

#include "waypost/plugin/change.h"

static const struct {
    const char *row, *ns, *name, *expected;
} places[] = {
    {"1", "shop", "web",
     "cluster-ip 10.96.1.10 http/TCP/80 metrics/TCP/9100 [10-244-1-5=10.244.1.5 web-b=10.244.2.6 : "
     "http/TCP/8080 metrics/TCP/9100]"},
    {"3", "shop", "empty", "cluster-ip 10.96.1.12 http/TCP/80 [: http/TCP/80]"},
    {"4", "shop", "v6", "cluster-ip fd00:10:96::6 http/TCP/80"},
    {"6", "shop", "dual", "cluster-ip 10.96.1.13 fd00:10:96::13 http/TCP/80"},
    {"8", "shop", "nope", "absent"},
    {"11", "ghost", "web", "absent"},
    {"12", "infra", "web", "cluster-ip 10.96.2.10 http/TCP/80"},
    {"44", "shop", "dns", "cluster-ip 10.96.1.14 dns/UDP/53 dns-tcp/TCP/53"},
    {"47", "shop", "anon", "cluster-ip 10.96.1.15 /TCP/8000"},
    {"48", "shop", "db",
     "headless pg/TCP/5432 [db-0=10.244.4.1 db-1=10.244.4.2 10-244-4-3=10.244.4.3 : pg/TCP/5432] "
     "[fd00-10-244--1=fd00:10:244::1 : pg/TCP/5432]"},
    {"51", "shop", "twins", "headless http/TCP/80 [twin=10.244.5.1 twin=10.244.5.2 : http/TCP/80]"},
    {"52", "shop", "multi",
     "headless http/TCP/80 grpc/TCP/9090 [10-244-8-1=10.244.8.1 10-244-8-2=10.244.8.2 : "
     "http/TCP/80 grpc/TCP/9090]"},
    {"55", "shop", "quiet", "headless http/TCP/80 [: http/TCP/80]"},
    {"54", "shop", "noport", "headless //-1 [10-244-7-1=10.244.7.1 : //-1]"},
    {"72", "shop", "v6end",
     "headless http/TCP/80 [fd00-10-244-7--0=fd00:10:244:7:: : http/TCP/80]"},
    {"79", "shop", "early", "headless http/TCP/80 [10-244-6-1=10.244.6.1 : http/TCP/80]"},
    {"80", "shop", "nilready", "headless http/TCP/80 [10-244-6-9=10.244.6.9 : http/TCP/80]"},
    {"101", "shop", "ext", "external-name api.example.test http/TCP/80"},
    {"121", "shop", "ipname", "external-name 192.0.2.9 //-1"},
    {"283", "shop", "lb", "cluster-ip 10.96.1.30 ext 203.0.113.10 http/TCP/80 https/TCP/443"},
    {"297", "shop", "lbn", "cluster-ip 10.96.1.31 ext lb.cloud.test http/TCP/80"},
    {"290", "shop", "x6", "cluster-ip 10.96.1.33 ext 2001:db8::20 http/TCP/80"},
    {"247", "shop", "front", "none"},
};

static const struct {
    const char *row, *name, *label, *expected;
} endpoints[] = {
    {"66", "db", "db-0", "10.244.4.1"},
    {"67", "db", "10-244-4-3", "10.244.4.3"},
    {"68", "db", "10-244-4-1", ""},
    {"69", "db", "db-2", ""},
    {"70", "db", "fd00-10-244--1", "fd00:10:244::1"},
    {"72", "v6end", "fd00-10-244-7--0", "fd00:10:244:7::"},
    {"72-other", "v6end", "fd00-10-244-7--", ""},
    {"74", "twins", "twin", "10.244.5.1 10.244.5.2"},
    {"82", "noport", "10-244-7-1", "10.244.7.1"},
    {"84", "web", "web-b", "10.244.2.6"},
    {"85", "web", "10-244-1-5", "10.244.1.5"},
    {"86", "web", "10-244-2-6", ""},
    {"87", "web", "10-244-3-7", ""},
    {"88", "db", "bogus", ""},
    {"89", "nope", "bogus", ""},
};

static const struct {
    const char *row, *addr, *expected;
} reverses[] = {
    {"151", "10.96.1.10", "svc:shop/web"},
    {"152", "10.244.1.5", "ep:shop/web/10-244-1-5 pod:shop/web-7f9c-abcde"},
    {"153", "10.244.2.6", "ep:shop/web/web-b"},
    {"154", "10.244.3.7", ""},
    {"155", "10.244.4.1", "ep:shop/db/db-0"},
    {"156", "10.244.10.1", "ep:shop/both1/10-244-10-1 ep:shop/both2/10-244-10-1"},
    {"158", "fd00:10:244::1", "ep:shop/db/fd00-10-244--1"},
    {"159", "10.96.1.200", ""},
    {"170", "10.244.9.1", "ep:hidden/web/10-244-9-1"},
    {"172", "10.244.2.50", "pod:infra/job-1"},
    {"306", "203.0.113.10", "ext:shop/lb"},
    {"307", "203.0.113.99", ""},
    {"no PTR of imports", "10.112.0.1", ""},
    {"no PTR of imported endpoints", "10.1.0.2", ""},
};

static const struct {
    const char *row, *ns, *addr;
    bool expected;
} pods[] = {
    {"143", "shop", "10.244.1.5", true},
    {"144", "infra", "10.244.1.5", false},
    {"145", "shop", "1.2.3.4", false},
    {"146", "shop", "fd00:10:244::50", true},
    {"147", "shop", "fd00:10:244:0:0:0:0:50", false},
};

static struct kube_world cluster(void)
{
    struct kube_world w = {0};

    kube_open(&w);
    kube_load(&w, "cluster.jsonl");
    kube_load(&w, "external.jsonl");
    kube_load(&w, "multicluster.jsonl");
    return w;
}

static void test_fixture(void)
{
    struct kube_world w = cluster();

    for (size_t i = 0; i < COUNT(places); i++) {
        const char *got = kube_place(&w, WP_KUBE_LOCAL, places[i].ns, places[i].name);
        if (strcmp(got, places[i].expected) != 0)
            print_error("got      %s\nexpected %s\n", got, places[i].expected);
        CHECK_AT(places[i].row, strcmp(got, places[i].expected) == 0);
    }
    for (size_t i = 0; i < COUNT(endpoints); i++)
        CHECK_AT(endpoints[i].row, strcmp(kube_endpoint(&w, WP_KUBE_LOCAL, "shop",
                                                        endpoints[i].name, endpoints[i].label),
                                          endpoints[i].expected) == 0);
    for (size_t i = 0; i < COUNT(reverses); i++)
        CHECK_AT(reverses[i].row,
                 strcmp(kube_reverse(&w, reverses[i].addr), reverses[i].expected) == 0);
    for (size_t i = 0; i < COUNT(pods); i++) {
        struct wp_kube_addr a = kube_addr(pods[i].addr);
        CHECK_AT(pods[i].row,
                 wp_kube_pod_has(w.store, pods[i].ns, strlen(pods[i].ns), &a) == pods[i].expected);
    }
    CHECK(wp_kube_namespace_present(w.store, "hidden", 6));
    CHECK(!wp_kube_namespace_present(w.store, "ghost", 5));
    CHECK(wp_kube_place_namespace_present(kube_find(&w, "shop", "web")));
    kube_close(&w);
}

static void test_multicluster(void)
{
    struct kube_world w = cluster();
    static const struct {
        const char *row, *name, *expected;
    } rows[] = {
        {"235", "front", "cluster-ip 10.112.0.1 http/TCP/80 [c1: ep1=10.1.0.1 : http/TCP/80]"},
        {"237", "dual2", "cluster-ip 10.112.0.2 fd00:112::2 http/TCP/80"},
        {"238", "hl",
         "headless http/TCP/80 [c1: 10-1-0-2=10.1.0.2 10-1-0-3=10.1.0.3 twin=10.1.0.4 "
         "twin=10.1.0.5 : http/TCP/80] [c1: fd00-1--1=fd00:1::1 fd00-1--2=fd00:1::2 : "
         "http/TCP/80]"},
        {"248", "web", "none"},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        CHECK_AT(rows[i].row, strcmp(kube_place(&w, WP_KUBE_CLUSTERSET, "shop", rows[i].name),
                                     rows[i].expected) == 0);
    CHECK(strcmp(kube_endpoint(&w, WP_KUBE_CLUSTERSET, "shop", "hl", "twin"),
                 "10.1.0.4 10.1.0.5") == 0);
    /* the watch of all slices holds those of other clusters too, under no name */
    CHECK(wp_kube_store_figures(w.store, WP_KUBE_IMPORT_SLICES).objects == 3);
    CHECK(kube_find(&w, "shop", "hl")->n_slices[WP_KUBE_LOCAL] == 0);
    kube_close(&w);
}

static void test_options(void)
{
    struct kube_world w = {.decode = {.zonal = true, .pod_names = true, .labels = true}};
    const struct wp_kube_pod *pod;
    struct wp_kube_addr a = kube_addr("fd00:10:244::50");
    struct wp_kube_cursor c;
    struct wp_kube_pair pair;
    struct wp_kube_hits h;

    kube_open(&w);
    kube_load(&w, "cluster.jsonl");
    kube_load(&w, "zonal.jsonl");
    CHECK(strcmp(kube_endpoint(&w, 0, "shop", "web", "web-7f9c-abcde"), "10.244.1.5") == 0);
    CHECK(strcmp(kube_endpoint(&w, 0, "shop", "web", "10-244-1-5"), "") == 0);
    CHECK(strcmp(kube_endpoint(&w, 0, "shop", "db", "db-2"), "10.244.4.3") == 0);
    CHECK(strcmp(kube_endpoint(&w, 0, "shop", "db", "db-0"), "10.244.4.1") == 0);
    CHECK(strcmp(kube_place(&w, 0, "shop", "zn"),
                 "headless http/TCP/80 [10-244-20-1=10.244.20.1@us-west-2a "
                 "10-244-20-2=10.244.20.2@us-west-2b 10-244-20-3=10.244.20.3@us-west-2b "
                 "10-244-20-4=10.244.20.4 : http/TCP/80]") == 0);
    h = wp_kube_pod_hits(w.store, &a);
    pod = wp_kube_hits_pod(&h);
    CHECK(pod != NULL && wp_kube_text_is(wp_kube_pod_name(pod), "six"));
    c = wp_kube_pod_labels(pod);
    CHECK(wp_kube_label_next(&c, &pair));
    CHECK(wp_kube_text_is(pair.key, "a/b") && wp_kube_text_is(pair.value, "c"));
    CHECK(wp_kube_label_next(&c, &pair) && wp_kube_text_is(pair.value, "six"));
    CHECK(!wp_kube_label_next(&c, &pair));
    kube_close(&w);
}

RUN_TESTS(TEST(test_fixture), TEST(test_multicluster), TEST(test_options))
