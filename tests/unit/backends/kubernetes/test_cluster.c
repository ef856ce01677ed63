/* Who shares a cluster with whom, and how clusters come and go. */
#include "backends/kubernetes/reflector_world.h"

#include "tls/certs.h"
#include "waypost/plugin/metric.h"

static int get(const struct wp_kube_wants *w, struct wp_kube_cluster **ret)
{
    char why[WP_KUBE_WHY];

    return wp_kube_cluster_get(w, why, ret);
}

/* --- what makes two clusters one ---------------------------------------------------------------- */

static const struct {
    const char *what;
    struct wp_kube_wants w;
} others[] = {
    {"endpoint", {.source = {.endpoint = "http://api2.test:8080"}}},
    {"labels", {.source = {.endpoint = "http://api.test:8080"}, .labels = "a"}},
    {"other labels", {.source = {.endpoint = "http://api.test:8080"}, .labels = "b"}},
    {"namespace labels", {.source = {.endpoint = "http://api.test:8080"}, .namespace_labels = "a"}},
    {"slices", {.source = {.endpoint = "http://api.test:8080"}, .slices = true}},
    {"pods", {.source = {.endpoint = "http://api.test:8080"}, .pods = true}},
    {"imports", {.source = {.endpoint = "http://api.test:8080"}, .imports = true}},
    {"pod names", {.source = {.endpoint = "http://api.test:8080"}, .pod_names = true}},
    {"zonal", {.source = {.endpoint = "http://api.test:8080"}, .zonal = true}},
    {"pod labels", {.source = {.endpoint = "http://api.test:8080"}, .pod_labels = true}},
    {"qps", {.source = {.endpoint = "http://api.test:8080"}, .qps = 0.5}},
    {"burst", {.source = {.endpoint = "http://api.test:8080"}, .burst = 7}},
    {"max_inflight", {.source = {.endpoint = "http://api.test:8080"}, .max_inflight = 7}},
};

static void test_sharing(void)
{
    struct wp_kube_wants w = world_wants();
    struct wp_kube_cluster *first = NULL, *same = NULL, *all[COUNT(others)] = {NULL};

    world_begin();
    CHECK(get(&w, &first) == 0 && get(&w, &same) == 0 && first == same && world.users == 1);
    for (size_t i = 0; i < COUNT(others); i++) {
        CHECK_AT(others[i].what, get(&others[i].w, &all[i]) == 0 && world.users == i + 2);
        for (size_t j = 0; j < i; j++)
            CHECK_AT(others[i].what, all[i] != all[j]);
        CHECK_AT(others[i].what, wp_kube_cluster_state_key(all[i]) != wp_kube_cluster_state_key(first));
    }
    for (size_t i = 0; i < COUNT(others); i++)
        wp_kube_cluster_put(all[i]);
    CHECK(world.users == 1);
    wp_kube_cluster_put(first);
    CHECK(world.users == 1 && world_find("/services?") != NULL);
    wp_kube_cluster_put(same);
    CHECK(world.users == 0 && world.timers == NULL && world_find("/") == NULL);
    wp_kube_cluster_put(NULL);
}

/* A kubeconfig that has changed is another cluster. */
static void test_kubeconfig(void)
{
    static const char text[] = "clusters: [{name: c, cluster: {server: 'http://%s'}}]\n"
                               "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x\n";
    struct wp_kube_wants w = {.source = {.kubeconfig = cert_path("config")}};
    struct wp_kube_cluster *a, *b, *c;
    char buf[sizeof(text) + 50], why[WP_KUBE_WHY] = "";

    world_begin();
    snprintf(buf, sizeof(buf), text, "one.test");
    cert_write_text("config", buf);
    CHECK(get(&w, &a) == 0 && get(&w, &b) == 0 && a == b);
    snprintf(buf, sizeof(buf), text, "two.test");
    cert_write_text("config", buf);
    CHECK(get(&w, &c) == 0 && c != a && world_find("http://two.test/") != NULL);
    w.source.kubeconfig = cert_path("none");
    CHECK(wp_kube_cluster_get(&w, why, &b) == WP_ECONFIG && strstr(why, "none") != NULL && world.users == 2);
    wp_kube_cluster_put(a);
    wp_kube_cluster_put(a);
    wp_kube_cluster_put(c);
    CHECK(world.users == 0);
}

/* --- one that is away disturbs no other ------------------------------------------------------------ */

static void test_two(void)
{
    struct wp_kube_wants w = world_wants();
    struct wp_kube_cluster *away;

    world_open(NULL);
    world_sync();
    w.source.endpoint = "http://away.test:8080";
    CHECK(get(&w, &away) == 0);
    for (unsigned i = 0; i < 200; i++) {
        struct wp_httpc_call *c = world_find("http://away.test");
        if (c != NULL)
            world_end(c, -ECONNREFUSED, "away.test:8080: connection refused");
        world_pass(500);
    }
    CHECK(world_behind() == 0 && wp_kube_cluster_is_synced(world.c) && !wp_kube_cluster_is_synced(away));
    CHECK(!wp_kube_cluster_has_data(away) && wp_kube_cluster_behind_s(away, world.now) == 100);
    CHECK(!wp_kube_cluster_wait(away, 1) && wp_kube_cluster_wait(world.c, 1));
    wp_kube_cluster_put(away);
    CHECK(world_has("one"));
    world_close();
}

/* --- metrics ------------------------------------------------------------------------------------------ */

static bool is_shown(const char *line)
{
    size_t len;
    char *text = wp_metric_text(&len);
    bool found = text != NULL && strstr(text, line) != NULL;

    free(text);
    return found;
}

/* The figures are those of the newer one while there are two of a name. */
static void test_metrics(void)
{
    struct wp_kube_wants w = {.pods = true};
    struct wp_kube_cluster *old;

    world_open(NULL);
    world_sync();
    CHECK(is_shown("\nwaypost_kubernetes_synced{source=\"api.test:8080\"} 1\n"));
    CHECK(is_shown("\nwaypost_kubernetes_objects{resource=\"services\",source=\"api.test:8080\"} 1\n"));
    CHECK(is_shown("\nwaypost_kubernetes_behind_seconds{source=\"api.test:8080\"} 0\n"));
    old = world.c;
    w.source = world_wants().source;
    CHECK(get(&w, &world.c) == 0);
    CHECK(is_shown("\nwaypost_kubernetes_synced{source=\"api.test:8080\"} 0\n"));
    wp_kube_cluster_put(old);
    world_pass(7000);
    CHECK(is_shown("\nwaypost_kubernetes_synced{source=\"api.test:8080\"} 0\n"));
    CHECK(is_shown("\nwaypost_kubernetes_behind_seconds{source=\"api.test:8080\"} 7\n"));
    CHECK(is_shown("\nwaypost_kubernetes_objects{resource=\"pods\",source=\"api.test:8080\"} 0\n"));
    world_close();
    CHECK(!is_shown("waypost_kubernetes_synced{source=\"api.test:8080\"}"));
}

/* --- 359, 360: how long a change took ------------------------------------------------------------------ */

static const struct {
    const char *time;
    bool good;
} times[] = {
    {"2020-01-02T03:04:05Z", true},      {"2020-01-02T03:04:05.25Z", true},
    {"2020-02-29T23:59:59+23:59", true}, {"2020-01-02T03:04:05.123456789-01:00", true},
    {"", false},                         {"yesterday", false},
    {"2020-01-02", false},               {"2020-01-02 03:04:05Z", false},
    {"2020-01-02T03:04:05", false},      {"2020-01-02T03:04:05.Z", false},
    {"2020-01-02T03:04:05Zx", false},    {"2020-13-02T03:04:05Z", false},
    {"2020-02-30T03:04:05Z", false},     {"2020-01-02T24:04:05Z", false},
    {"2020-01-02T03:60:05Z", false},     {"2020-01-02T03:04:05+0100", false},
    {"20-01-02T03:04:05Z", false},       {"2020-01-02T03:04:0\\u0000Z", false},
};

static unsigned long observed(const char *kind)
{
    char name[200];
    size_t len;
    char *text = wp_metric_text(&len), *at;
    unsigned long n = 0;

    CHECK(text != NULL);
    snprintf(name, sizeof(name), "coredns_kubernetes_dns_programming_duration_seconds_count{service_kind=\"%s\"} ", kind);
    at = strstr(text, name);
    if (at != NULL)
        n = strtoul(at + strlen(name), NULL, 10);
    free(text);
    return n;
}

static void test_latency(void)
{
    static const char event[] =
        "{'type':'MODIFIED','object':{'metadata':{'name':'s','namespace':'shop','resourceVersion':'%zu','labels':{'kubernetes.io/service-name':'%s'},"
        "'annotations':{'endpoints.kubernetes.io/last-change-trigger-time':'%s'}},'endpoints':[]}}\n";
    struct wp_kube_wants w = {.slices = true};
    struct wp_httpc_call *c;
    char buf[1000];
    unsigned long before;

    world_open(&w);
    c = world_call("/services?");
    world_head(c, 200);
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("one", "3", "10.0.0.1")) WORLD_EVENT("ADDED", WORLD_SERVICE("none", "4", "None")) WORLD_END("7")));
    c = world_stream_empty("/endpointslices?");
    before = observed("cluster_ip");
    for (size_t i = 0; i < COUNT(times); i++) {
        snprintf(buf, sizeof(buf), event, i + 10, "one", times[i].time);
        CHECK(world_say(c, buf));
        before += times[i].good;
        CHECK_AT(times[i].time, observed("cluster_ip") == before);
    }
    CHECK(observed("headless_with_selector") == 0);
    snprintf(buf, sizeof(buf), event, (size_t)90, "unknown", times[0].time);
    CHECK(world_say(c, buf));
    snprintf(buf, sizeof(buf), event, (size_t)91, "none", times[0].time);
    CHECK(world_say(c, buf));
    CHECK(observed("cluster_ip") == before && observed("headless_with_selector") == 1 && observed("headless_without_selector") == 0);
    world_close();
}

/* The end of a start, or a reload, that the engine has not yet heard of. */
static void test_left_before_it_began(void)
{
    struct wp_kube_wants w = world_wants();
    struct wp_kube_cluster *c;

    world_begin();
    late_begin(2);
    CHECK(get(&w, &c) == 0);
    wp_kube_cluster_put(c);
    late_end();
    CHECK(world.users == 0 && world.timers == NULL && world_find("/") == NULL);
}

RUN_TESTS(TEST(test_left_before_it_began), TEST(test_sharing), TEST(test_kubeconfig), TEST(test_two), TEST(test_metrics), TEST(test_latency))
