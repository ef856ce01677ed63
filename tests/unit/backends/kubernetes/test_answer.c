/* What the tables of questions (tests/e2e) do not see: what an answer hangs on, old data, sizes,
 * options of our own, external names through the chain. */
#include "answer_world.h"

#include <time.h>

#define SOA                                                                                        \
    "cluster.local. 5 SOA ns.dns.cluster.local. hostmaster.cluster.local. 100 7200 1800 86400 5\n"
#define NODATA "NOERROR aa\nauthority " SOA
#define NXDOMAIN "NXDOMAIN aa\nauthority " SOA

static void check(struct answer_world *w, const char *question, const char *expected)
{
    const char *text = answer_ask(w, question);

    if (strcmp(text, expected) != 0)
        print_error("%s:\n%swanted:\n%s", question, text, expected);
    CHECK_AT(question, strcmp(text, expected) == 0);
}

/* --- freshness ----------------------------------------------------------------------------------
 * A question, then a change: a cached copy of the answer is dropped by it, or (kept) is not. */

static const struct {
    const char *what, *question;
    enum wp_kube_collection collection;
    const char *object; /* put; "-NS/NAME": removed */
    bool kept;
} changes[] = {
    {"a service after NXDOMAIN", "new.shop.svc.cluster.local A", WP_KUBE_SERVICES,
     "{'metadata':{'name':'new','namespace':'shop'},'spec':{'clusterIP':'10.96.9.9','ports':[{'"
     "port':80}]}}",
     false},
    {"another service", "new.shop.svc.cluster.local A", WP_KUBE_SERVICES,
     "{'metadata':{'name':'newer','namespace':'shop'},'spec':{'clusterIP':'10.96.9.9','ports':[{'"
     "port':80}]}}",
     true},
    {"a service changes", "web.shop.svc.cluster.local A", WP_KUBE_SERVICES,
     "{'metadata':{'name':'web','namespace':'shop'},'spec':{'clusterIP':'10.96.9.9','ports':[{'"
     "port':80}]}}",
     false},
    {"a service goes", "web.shop.svc.cluster.local A", WP_KUBE_SERVICES, "-shop/web", false},
    {"a service goes, NODATA", "web.shop.svc.cluster.local AAAA", WP_KUBE_SERVICES, "-shop/web",
     false},
    {"a service goes, another type", "web.shop.svc.cluster.local MX", WP_KUBE_SERVICES, "-shop/web",
     false},
    {"a service goes, SRV", "web.shop.svc.cluster.local SRV", WP_KUBE_SERVICES, "-shop/web", false},
    {"another service goes", "web.shop.svc.cluster.local A", WP_KUBE_SERVICES, "-shop/dual", true},
    {"a namespace goes", "web.shop.svc.cluster.local A", WP_KUBE_NAMESPACES, "-/shop", false},
    {"a namespace goes, ENT", "shop.svc.cluster.local A", WP_KUBE_NAMESPACES, "-/shop", false},
    {"a namespace comes, ENT", "late.svc.cluster.local A", WP_KUBE_NAMESPACES,
     "{'metadata':{'name':'late'}}", false},
    {"another namespace goes", "web.shop.svc.cluster.local A", WP_KUBE_NAMESPACES, "-/infra", true},
    {"an endpoint comes", "db.shop.svc.cluster.local A", WP_KUBE_SLICES,
     "{'metadata':{'name':'db-new','namespace':'shop','labels':{'kubernetes.io/"
     "service-name':'db'}},"
     "'endpoints':[{'addresses':['10.244.4.9']}],'ports':[{'port':1}]}",
     false},
    {"an endpoint by its name", "10-244-4-9.db.shop.svc.cluster.local A", WP_KUBE_SLICES,
     "{'metadata':{'name':'db-new','namespace':'shop','labels':{'kubernetes.io/"
     "service-name':'db'}},"
     "'endpoints':[{'addresses':['10.244.4.9']}],'ports':[{'port':1}]}",
     false},
    {"the first endpoint", "quiet.shop.svc.cluster.local A", WP_KUBE_SLICES,
     "{'metadata':{'name':'q-new','namespace':'shop','labels':{'kubernetes.io/"
     "service-name':'quiet'}},"
     "'endpoints':[{'addresses':['10.244.4.9']}],'ports':[{'port':1}]}",
     false},
    {"a slice goes", "db-0.db.shop.svc.cluster.local A", WP_KUBE_SLICES, "-shop/db-v4qwe", false},
    {"the target of an alias goes", "alias.shop.svc.cluster.local A", WP_KUBE_SERVICES, "-shop/web",
     false},
    {"the target of an alias comes", "dangling.shop.svc.cluster.local A", WP_KUBE_SERVICES,
     "{'metadata':{'name':'nope','namespace':'shop'},'spec':{'clusterIP':'10.96.9.9','ports':[{'"
     "port':80}]}}",
     false},
    {"a service with the address comes", "9.9.96.10.in-addr.arpa PTR", WP_KUBE_SERVICES,
     "{'metadata':{'name':'new','namespace':'shop'},'spec':{'clusterIP':'10.96.9.9','ports':[{'"
     "port':80}]}}",
     false},
    {"the service with the address goes", "10.1.96.10.in-addr.arpa PTR", WP_KUBE_SERVICES,
     "-shop/web", false},
    {"its namespace goes", "10.1.96.10.in-addr.arpa PTR", WP_KUBE_NAMESPACES, "-/shop", false},
    {"an endpoint with the address goes", "1.4.244.10.in-addr.arpa PTR", WP_KUBE_SLICES,
     "-shop/db-v4qwe", false},
    {"a pod with the address comes", "10-9-9-9.shop.pod.cluster.local A", WP_KUBE_PODS,
     "{'metadata':{'name':'p','namespace':'shop'},'status':{'podIPs':[{'ip':'10.9.9.9'}]}}", false},
    {"the pod goes", "10-244-1-5.shop.pod.cluster.local A", WP_KUBE_PODS, "-shop/web-7f9c-abcde",
     false},
    {"we are selected", "cluster.local NS", WP_KUBE_SLICES,
     "{'metadata':{'name':'dns-1','namespace':'shop','labels':{'kubernetes.io/"
     "service-name':'dns'}},"
     "'endpoints':[{'addresses':['192.0.2.53']}],'ports':[{'port':53}]}",
     false},
    {"we are selected, by name", "ns.dns.cluster.local A", WP_KUBE_SLICES,
     "{'metadata':{'name':'dns-1','namespace':'shop','labels':{'kubernetes.io/"
     "service-name':'dns'}},"
     "'endpoints':[{'addresses':['192.0.2.53']}],'ports':[{'port':53}]}",
     false},
    {"the version hangs on nothing", "dns-version.cluster.local TXT", WP_KUBE_NAMESPACES, "-/shop",
     true},
    {"a name of no form hangs on nothing", "foo.cluster.local A", WP_KUBE_NAMESPACES, "-/shop",
     true},
};

static void change(struct answer_world *w, enum wp_kube_collection c, const char *object)
{
    char ns[100], *name;

    if (*object != '-') {
        char *json = strdup(object);
        for (char *at = json; *at != '\0'; at++)
            *at = *at == '\'' ? '"' : *at;
        CHECK_AT(object, kube_put(&w->kube, c, json) == 1);
        free(json);
        return;
    }
    snprintf(ns, sizeof(ns), "%s", object + 1);
    name = strchr(ns, '/');
    *name++ = '\0';
    CHECK_AT(object, kube_remove(&w->kube, c, ns, name) == 1);
}

static void test_changes(void)
{
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct answer_world w;

        answer_open(&w, "kubernetes cluster.local in-addr.arpa {\npods verified\n}");
        kube_load(&w.kube, "cluster.jsonl");
        answer_ask(&w, changes[i].question);
        CHECK_AT(changes[i].what, answer_is_current(&w));
        change(&w, changes[i].collection, changes[i].object);
        CHECK_AT(changes[i].what, answer_is_current(&w) == changes[i].kept);
        answer_close(&w);
    }
}

/* More than can be remembered: it is not kept at all. */
static void test_many_dependencies(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local in-addr.arpa");
    CHECK(kube_putf(&w.kube, WP_KUBE_NAMESPACES, "{'metadata':{'name':'n'}}") == 1);
    for (int i = 0; i < 9; i++)
        CHECK(kube_putf(&w.kube, WP_KUBE_SERVICES,
                        "{'metadata':{'name':'a%d','namespace':'n'},'spec':{'type':'ExternalName','"
                        "externalName':"
                        "'a%d.n.svc.cluster.local'}}",
                        i, i + 1) == 1);
    answer_ask(&w, "a6.n.svc.cluster.local A");
    CHECK(answer_is_current(&w));
    answer_ask(&w, "a0.n.svc.cluster.local A");
    CHECK(!answer_is_current(&w));
    answer_close(&w);
}

/* --- not in step --------------------------------------------------------------------------------
 */

static void test_not_synced(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local in-addr.arpa {\nfallthrough in-addr.arpa\n}");
    w.kube.now_s = 0;
    atomic_store(&w.own.c.synced, false);
    check(&w, "web.shop.svc.cluster.local A do",
          "SERVFAIL aa\nauthority cluster.local. 5 SOA ns.dns.cluster.local. "
          "hostmaster.cluster.local. 0 7200 1800 86400 5\n");
    CHECK(answer_ede(&w) == 14 && answer_is_current(&w));
    wp_changed(w.own.state_key);
    CHECK(!answer_is_current(&w));
    check(&w, "svc.cluster.local A",
          "NOERROR aa\nauthority cluster.local. 5 SOA ns.dns.cluster.local. "
          "hostmaster.cluster.local. 0 7200 1800 86400 5\n");
    check(&w, "1.2.3.4.in-addr.arpa PTR", "NOERROR\n"); /* went on */
    CHECK(w.asked_behind == 1);
    w.kube.now_s = 100;
    kube_load(&w.kube, "cluster.jsonl");
    check(&w, "web.shop.svc.cluster.local A do",
          "NOERROR aa\nanswer web.shop.svc.cluster.local. 5 A 10.96.1.10\n");
    CHECK(answer_ede(&w) == -1 && answer_is_current(&w));
    wp_changed(w.own.state_key);
    CHECK(!answer_is_current(&w));
    answer_close(&w);
}

static void check_stale(struct answer_world *w, bool is_stale)
{
    check(w, "web.shop.svc.cluster.local A do",
          "NOERROR aa\nanswer web.shop.svc.cluster.local. 5 A 10.96.1.10\n");
    CHECK(answer_ede(w) == (is_stale ? 3 : -1) && answer_is_current(w) != is_stale);
    check(w, "db-0.db.shop.svc.cluster.local A do",
          "NOERROR aa\nanswer db-0.db.shop.svc.cluster.local. 5 A 10.244.4.1\n");
    CHECK(answer_ede(w) == (is_stale ? 3 : -1) && answer_is_current(w) != is_stale);
    check(w, "nope.shop.svc.cluster.local A do", NXDOMAIN);
    CHECK(answer_ede(w) == (is_stale ? 19 : -1) && answer_is_current(w) != is_stale);
    check(w, "ext.shop.svc.cluster.local A do",
          "NOERROR aa\nanswer ext.shop.svc.cluster.local. 5 CNAME api.example.test.\nanswer "
          "api.example.test. 60 A 203.0.113.53\n");
    CHECK(answer_ede(w) == (is_stale ? 3 : -1));
}

static void test_stale(void)
{
    struct answer_world w;
    uint64_t now;

    answer_open(&w, "kubernetes cluster.local");
    kube_load(&w.kube, "cluster.jsonl");
    now = wp_loop_now(w.asker.loop);
    check_stale(&w, false);
    atomic_store(&w.own.c.behind_since_ns, now - UINT64_C(30900000000));
    check_stale(&w, false);
    atomic_store(&w.own.c.behind_since_ns, now - UINT64_C(31000000000));
    check_stale(&w, true);
    atomic_store(&w.own.c.behind_since_ns, 0);
    atomic_store(&w.own.c.synced, false);
    atomic_store(&w.own.c.saved, true);
    check_stale(&w, true);
    answer_close(&w);
}

/* --- options of our own -------------------------------------------------------------------------
 */

static void test_answer_endpoints(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local {\nanswer endpoints\n}");
    kube_load(&w.kube, "cluster.jsonl");
    check(&w, "web.shop.svc.cluster.local A",
          "NOERROR aa\nanswer web.shop.svc.cluster.local. 5 A 10.244.1.5\nanswer "
          "web.shop.svc.cluster.local. 5 A 10.244.2.6\n");
    check(&w, "web.shop.svc.cluster.local AAAA", NODATA);
    check(&w, "empty.shop.svc.cluster.local A", NXDOMAIN);
    check(&w, "_http._tcp.web.shop.svc.cluster.local SRV",
          "NOERROR aa\nanswer _http._tcp.web.shop.svc.cluster.local. 5 SRV 0 50 8080 "
          "10-244-1-5.web.shop.svc.cluster.local.\n"
          "answer _http._tcp.web.shop.svc.cluster.local. 5 SRV 0 50 8080 "
          "web-b.web.shop.svc.cluster.local.\n"
          "additional 10-244-1-5.web.shop.svc.cluster.local. 5 A 10.244.1.5\n"
          "additional web-b.web.shop.svc.cluster.local. 5 A 10.244.2.6\n");
    answer_close(&w);
}

/* --- sizes --------------------------------------------------------------------------------------
 */

/* A slice of n endpoints, all of one hostname if it is not NULL, and of so many ports. */
static void put_slice(struct answer_world *w, int n, const char *hostname, int n_ports)
{
    size_t cap = 200 + (size_t)n * 120 + (size_t)n_ports * 50;
    char *json = malloc(cap), *at = json;

    CHECK(json != NULL);
    at += sprintf(at, "{\"metadata\":{\"name\":\"big-1\",\"namespace\":\"shop\",\"labels\":{"
                      "\"kubernetes.io/service-name\":\"big\"}},"
                      "\"ports\":[");
    for (int i = 0; i < n_ports; i++)
        at += sprintf(at, "%s{\"name\":\"p%d\",\"port\":80,\"protocol\":\"TCP\"}", i > 0 ? "," : "",
                      i);
    at += sprintf(at, "],\"endpoints\":[");
    for (int i = 0; i < n; i++) {
        at += sprintf(at, "%s{\"addresses\":[\"10.%d.%d.%d\"]", i > 0 ? "," : "", i >> 16 & 255,
                      i >> 8 & 255, i & 255);
        if (hostname != NULL)
            at += sprintf(at, ",\"hostname\":\"%s\"", hostname);
        at += sprintf(at, "}");
    }
    sprintf(at, "]}");
    CHECK(kube_put(&w->kube, WP_KUBE_SLICES, json) == 1);
    free(json);
}

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void test_large(void)
{
    static const char *const questions[] = {
        "big.shop.svc.cluster.local A tcp",        "big.shop.svc.cluster.local AAAA tcp",
        "big.shop.svc.cluster.local SRV tcp",      "10-0-39-15.big.shop.svc.cluster.local A tcp",
        "same.big.shop.svc.cluster.local SRV tcp", "big.shop.svc.cluster.local MX tcp"};
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local");
    CHECK(kube_putf(&w.kube, WP_KUBE_NAMESPACES, "{'metadata':{'name':'shop'}}") == 1);
    CHECK(kube_putf(&w.kube, WP_KUBE_SERVICES,
                    "{'metadata':{'name':'big','namespace':'shop'},'spec':{'clusterIP':'None','"
                    "ports':[{'port':80}]}}") == 1);
    for (int same = 0; same < 2; same++) {
        put_slice(&w, 10000, same ? "same" : NULL, 1);
        for (size_t i = 0; i < COUNT(questions); i++) {
            double began = cpu_ms();
            const char *text;
            asker_run(&w.asker, questions[i]);
            CHECK_AT(questions[i], cpu_ms() - began < 100); /* some, of a sanitizer's */
            text = asker_text(&w.asker, questions[i]);
            CHECK_AT(questions[i],
                     strncmp(text, "SERVFAIL", 8) != 0 && w.asker.q->out_len <= 65535);
            if (i == 0)
                CHECK(strncmp(text, "NOERROR aa tc\n", 14) == 0 &&
                      w.asker.q->reply.count[WP_ANSWER] > 4000);
            if (i == 3)
                CHECK(strncmp(text, same ? "NXDOMAIN" : "NOERROR aa\nanswer", same ? 8 : 17) == 0);
        }
    }
    answer_close(&w);
}

/* A walk over very many steps ends, and says so. */
static void test_budget(void)
{
    struct answer_world w;
    double began;

    answer_open(&w, "kubernetes cluster.local");
    CHECK(kube_putf(&w.kube, WP_KUBE_NAMESPACES, "{'metadata':{'name':'shop'}}") == 1);
    CHECK(kube_putf(&w.kube, WP_KUBE_SERVICES,
                    "{'metadata':{'name':'big','namespace':'shop'},'spec':{'clusterIP':'None','"
                    "ports':[{'port':80}]}}") == 1);
    put_slice(&w, 2000, "same", 1);
    answer_ask(&w, "big.shop.svc.cluster.local SRV tcp");
    CHECK(w.asker.q->reply.count[WP_ANSWER] == 1 && w.asker.q->reply.count[WP_ADDITIONAL] == 2000);
    put_slice(&w, 2000, "same", 100);
    answer_ask(&w, "_p7._tcp.big.shop.svc.cluster.local SRV tcp");
    CHECK(w.asker.q->reply.count[WP_ANSWER] == 1 && w.asker.q->reply.count[WP_ADDITIONAL] == 2000);
    answer_ask(&w, "big.shop.svc.cluster.local A tcp");
    CHECK(w.asker.q->reply.count[WP_ANSWER] == 2000);
    began = cpu_ms();
    CHECK(strncmp(answer_ask(&w, "big.shop.svc.cluster.local SRV tcp"), "NOERROR aa tc\nanswer",
                  20) == 0);
    CHECK(cpu_ms() - began < 200);
    CHECK(w.asker.q->reply.count[WP_ANSWER] == 1);
    answer_close(&w);
}

/* --- names --------------------------------------------------------------------------------------
 */

/* A zone that leaves just enough room for hostmaster.ZONE, and one that does not. */
static void test_long_names(void)
{
    for (int last = 50; last <= 51; last++) {
        char label[64], zone[400], question[1000], options[1000];
        struct answer_world w;

        memset(label, 'z', 63);
        label[63] = '\0';
        snprintf(zone, sizeof(zone), "%s.%s.%s.%.*s", label, label, label, last, label);
        snprintf(options, sizeof(options), "kubernetes %s", zone);
        answer_open(&w, options);
        CHECK(w.p->zone[0].too_long == (last == 51));
        snprintf(question, sizeof(question), "x.%s A", zone);
        CHECK(strncmp(answer_ask(&w, question), "NXDOMAIN aa\nauthority", 20) == 0);
        snprintf(question, sizeof(question), "%s SOA", zone);
        CHECK(strncmp(answer_ask(&w, question), "NOERROR aa\nanswer", 17) == 0);
        CHECK((strstr(w.asker.text, " hostmaster.zzz") != NULL) == (last == 50));
        snprintf(question, sizeof(question), "%s NS", zone);
        CHECK(strncmp(answer_ask(&w, question), "NOERROR aa\nanswer", 17) == 0);
        answer_close(&w);
    }
}

static void test_root_zone(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes .");
    kube_load(&w.kube, "cluster.jsonl");
    check(&w, "web.shop.svc A", "NOERROR aa\nanswer web.shop.svc. 5 A 10.96.1.10\n");
    check(&w, "ns.dns A", "NOERROR aa\nanswer ns.dns. 5 A 192.0.2.53\n");
    check(&w, "nope.shop.svc A",
          "NXDOMAIN aa\nauthority . 5 SOA ns.dns. hostmaster. 100 7200 1800 86400 5\n");
    check(&w, "10.1.96.10.in-addr.arpa PTR",
          "NOERROR aa\nanswer 10.1.96.10.in-addr.arpa. 5 PTR web.shop.svc.\n");
    check(&w, "web.shop.svc.in-addr.arpa A",
          "NXDOMAIN aa\nauthority . 5 SOA ns.dns. hostmaster. 100 7200 1800 86400 5\n");
    answer_close(&w);
}

/* The longest zone counts, wherever it stands. */
static void test_nested_zones(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes local cluster.local");
    kube_load(&w.kube, "cluster.jsonl");
    check(&w, "web.shop.svc.cluster.local A",
          "NOERROR aa\nanswer web.shop.svc.cluster.local. 5 A 10.96.1.10\n");
    check(&w, "web.shop.svc.local A", "NOERROR aa\nanswer web.shop.svc.local. 5 A 10.96.1.10\n");
    check(&w, "10.1.96.10.in-addr.arpa PTR", "NOERROR\n");
    answer_close(&w);
}

/* Endpoints that are hosts: one alias, and none beside addresses. */
static void test_hosts_as_endpoints(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local");
    kube_load(&w.kube, "cluster.jsonl");
    CHECK(kube_putf(&w.kube, WP_KUBE_SERVICES,
                    "{'metadata':{'name':'far','namespace':'shop'},'spec':{'clusterIP':'None','"
                    "ports':[{'port':80}]}}") == 1);
    CHECK(kube_putf(&w.kube, WP_KUBE_SLICES,
                    "{'metadata':{'name':'far-1','namespace':'shop','labels':{'kubernetes.io/"
                    "service-name':'far'}},'addressType':'FQDN',"
                    "'endpoints':[{'addresses':['Host.Example.test','other.example.test']}],'ports'"
                    ":[{'port':80}]}") == 1);
    check(&w, "far.shop.svc.cluster.local A",
          "NOERROR aa\nanswer far.shop.svc.cluster.local. 5 CNAME Host.Example.test.\nanswer "
          "Host.Example.test. 60 A 203.0.113.53\n");
    check(&w, "far.shop.svc.cluster.local CNAME",
          "NOERROR aa\nanswer far.shop.svc.cluster.local. 5 CNAME Host.Example.test.\n");
    check(&w, "far.shop.svc.cluster.local SRV", NODATA);
    CHECK(kube_putf(&w.kube, WP_KUBE_SLICES,
                    "{'metadata':{'name':'far-2','namespace':'shop','labels':{'kubernetes.io/"
                    "service-name':'far'}},"
                    "'endpoints':[{'addresses':['10.9.9.9']}],'ports':[{'port':80}]}") == 1);
    check(&w, "far.shop.svc.cluster.local A",
          "NOERROR aa\nanswer far.shop.svc.cluster.local. 5 A 10.9.9.9\n");
    answer_close(&w);
}

/* D-kube-other-type, D-kube-hidden: nothing goes out for other types; what is hidden is not named.
 */
static void test_departures(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local in-addr.arpa");
    kube_load(&w.kube, "cluster.jsonl");
    check(&w, "ext.shop.svc.cluster.local HTTPS", NODATA);
    CHECK(w.asked_behind == 0);
    CHECK(kube_remove(&w.kube, WP_KUBE_NAMESPACES, "", "hidden") == 1);
    CHECK(strncmp(answer_ask(&w, "10.3.96.10.in-addr.arpa PTR"), "NXDOMAIN", 8) == 0);
    CHECK(strncmp(answer_ask(&w, "1.9.244.10.in-addr.arpa PTR"), "NXDOMAIN", 8) == 0);
    answer_close(&w);
}

/* AV019: names that look like wildcards, hold dots, or lead back into the zone are this zone's
 * alone. */
static const struct {
    const char *what, *question, *rcode;
} inside[] = {
    {"AV019 a wildcard", "*.shop.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 wildcards", "*.*.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 an old wildcard", "any.any.svc.cluster.local SRV", "NXDOMAIN aa"},
    {"AV019 a wildcard's endpoint", "*.db.shop.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 a label with a dot", "web\\.shop.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 a service with a dot", "a\\.web.shop.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 a namespace with a dot", "web.shop\\.svc.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 the zone twice", "web.shop.svc.cluster.local.cluster.local A", "NXDOMAIN aa"},
    {"AV019 a search list's end", "example.test.shop.svc.cluster.local A", "NXDOMAIN aa"},
    {"AV019 an external name back into the zone", "dangling.shop.svc.cluster.local A",
     "NOERROR aa"},
    {"AV019 an external name below itself", "sub.shop.svc.cluster.local AAAA", "NOERROR aa"},
    {"AV019 a ring", "ring1.shop.svc.cluster.local A", "NOERROR aa"},
};

static void test_inside(void)
{
    struct answer_world w;

    answer_open(&w, "kubernetes cluster.local");
    kube_load(&w.kube, "cluster.jsonl");
    for (size_t i = 0; i < COUNT(inside); i++) {
        const char *text = answer_ask(&w, inside[i].question);
        CHECK_AT(inside[i].what, strncmp(text, inside[i].rcode, strlen(inside[i].rcode)) == 0);
        CHECK_AT(inside[i].what, w.asker.q->reply.count[WP_ANSWER] == 0);
        CHECK_AT(inside[i].what, w.asked_behind == 0);
    }
    answer_close(&w);
}

/* --- metadata -----------------------------------------------------------------------------------
 */

/* "label=value ..." in the order of the table; client NULL: a stranger. */
static const struct {
    const char *what, *options, *question, *client, *labels;
} metadata[] = {
    {"K332", "", "_http._tcp.s.ns.svc.cluster.local A", NULL,
     "kind=svc namespace=ns service=s endpoint= port-name=http protocol=tcp"},
    {"K333", "", "ep.s.ns.svc.cluster.local A", NULL,
     "kind=svc namespace=ns service=s endpoint=ep port-name= protocol="},
    {"K334", "", "10-240-0-1.podns.pod.cluster.local A", NULL,
     "kind=pod namespace=podns service=10-240-0-1 endpoint= port-name= protocol="},
    {"K335", "", "foo.bar.notapod.cluster.local A", NULL, "parse-error=invalid query name"},
    {"K336", "pods verified", "other.test A", NULL, ""},
    {"K337", "pods verified", "other.test A", "fd00:10:244::50",
     "client-namespace=shop client-pod-name=six client-label/a/b=c client-label/app=six"},
    {"K337 not verified", "pods insecure", "other.test A", "fd00:10:244::50", ""},
    {"K337a the first address", "pods verified", "other.test A", "10.244.2.60",
     "client-namespace=shop client-pod-name=two"},
    {"K337a the second address", "pods verified", "other.test A", "fd00:10:244::60",
     "client-namespace=shop client-pod-name=two"},
    {"zone", "zonal", "a.b.pin._zone.s.ns.svc.cluster.local A", NULL,
     "kind=svc namespace=ns service=s endpoint= port-name= protocol= zone=a.b"},
    {"cluster", "multicluster cluster.local", "ep.c1.s.ns.svc.cluster.local A", NULL,
     "kind=svc namespace=ns service=s endpoint=ep port-name= protocol= cluster=c1"},
    {"the zone itself", "", "cluster.local A", NULL,
     "kind= namespace= service= endpoint= port-name= protocol="},
};

static const char *labels_of(const struct wp_query *q)
{
    static const char *const names[] = {"kind",
                                        "namespace",
                                        "service",
                                        "endpoint",
                                        "port-name",
                                        "protocol",
                                        "cluster",
                                        "zone",
                                        "parse-error",
                                        "client-namespace",
                                        "client-pod-name",
                                        "client-label/a/b",
                                        "client-label/app"};
    static char out[1000];

    out[0] = '\0';
    for (size_t i = 0; i < COUNT(names); i++) {
        char label[100];
        const char *value;
        snprintf(label, sizeof(label), "kubernetes/%s", names[i]);
        value = wp_query_meta(q, label);
        if (value != NULL)
            sprintf(out + strlen(out), "%s%s=%s", out[0] != '\0' ? " " : "", names[i], value);
    }
    return out;
}

static void test_metadata(void)
{
    for (size_t i = 0; i < COUNT(metadata); i++) {
        struct answer_world w;
        char lines[200];

        snprintf(lines, sizeof(lines), "kubernetes cluster.local {\n%s\n}", metadata[i].options);
        answer_open(&w, lines);
        kube_load(&w.kube, "cluster.jsonl");
        CHECK(kube_putf(&w.kube, WP_KUBE_PODS,
                        "{'metadata':{'name':'two','namespace':'shop'},'status':{'podIPs':[{'ip':'"
                        "10.244.2.60'},{'ip':"
                        "'fd00:10:244::60'}]}}") == 1);
        answer_ask(&w, metadata[i].question);
        w.asker.q->meta_on = true;
        if (metadata[i].client != NULL)
            CHECK(wp_addr_parse_ip(metadata[i].client, &w.asker.q->client) == 0);
        wp_plugin_kubernetes.metadata(w.p, w.asker.q);
        if (strcmp(labels_of(w.asker.q), metadata[i].labels) != 0)
            print_error("%s: %s\n", metadata[i].what, labels_of(w.asker.q));
        CHECK_AT(metadata[i].what, strcmp(labels_of(w.asker.q), metadata[i].labels) == 0);
        answer_close(&w);
    }
}

RUN_TESTS(TEST(test_changes), TEST(test_many_dependencies), TEST(test_not_synced), TEST(test_stale),
          TEST(test_answer_endpoints), TEST(test_large), TEST(test_budget), TEST(test_long_names),
          TEST(test_root_zone), TEST(test_nested_zones), TEST(test_hosts_as_endpoints),
          TEST(test_departures), TEST(test_inside), TEST(test_metadata))
