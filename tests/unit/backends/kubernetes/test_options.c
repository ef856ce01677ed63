/* The lines of the directive: what is taken, and CoreDNS's words where one is not. */
#include "check.h"

#include "backends/kubernetes/kubernetes.h"
#include "server/config/conf_load.h"
#include "waypost/plugin/block.h"

/* error: what stands in the first one, NULL: there is none. */
static const struct {
    const char *what, *options, *error;
} rows[] = {
    {"K361 nothing", "", NULL},
    {"K361 two endpoints", "endpoint http://127.0.0.1:1 http://127.0.0.1:2", NULL},
    {"K362 endpoint", "endpoint", "unexpected line ending after 'endpoint'"},
    {"K362 namespaces", "namespaces", "unexpected line ending after 'namespaces'"},
    {"K362 labels", "labels", "unexpected line ending after 'labels'"},
    {"K362 namespace_labels", "namespace_labels",
     "unexpected line ending after 'namespace_labels'"},
    {"K362 kubeconfig", "kubeconfig", "unexpected line ending after 'kubeconfig'"},
    {"K362 kubeconfig of three", "kubeconfig a b c", "unexpected line ending after 'c'"},
    {"K362 tls", "tls a b", "unexpected line ending after 'b'"},
    {"K362 ttl", "ttl", "unexpected line ending after 'ttl'"},
    {"K362 pods", "pods", "unexpected line ending after 'pods'"},
    {"K362 pods of two", "pods verified insecure", "unexpected line ending after 'insecure'"},
    {"K362 startup_timeout", "startup_timeout", "unexpected line ending after 'startup_timeout'"},
    {"K363 namespaces", "namespaces a\nnamespaces b", NULL},
    {"K364 labels", "labels environment in (production, qa",
     "plugin/kubernetes: unable to parse label selector value: 'environment in (production, qa': "
     "couldn't parse the selector string \"environment in (production, qa\": unable to parse "
     "requirement: found '', expected: ',' or ')'"},
    {"K364 namespace_labels", "namespace_labels =",
     "unable to parse namespace_label selector value: '=': couldn't parse the selector string "
     "\"=\": found '=', expected: !, identifier, or 'end of string'"},
    {"K365 pods", "pods giant_seed",
     "plugin/kubernetes: wrong value for pods: giant_seed,  must be one of: disabled, verified, "
     "insecure"},
    {"K366 ttl", "ttl -1", "Error during parsing: ttl must be in range [0, 3600]: -1"},
    {"K366 ttl", "ttl 3601", "Error during parsing: ttl must be in range [0, 3600]: 3601"},
    {"K366 ttl", "ttl x", "plugin/kubernetes: strconv.Atoi: parsing \"x\": invalid syntax"},
    {"K366 ttl of the least", "ttl 0", NULL},
    {"K366 ttl of the most", "ttl 3600 and more", NULL},
    {"K367 endpoint_pod_names", "endpoint_pod_names x", "unexpected line ending after 'x'"},
    {"K367 noendpoints", "noendpoints x", "unexpected line ending after 'x'"},
    {"K367 zonal", "zonal x", "unexpected line ending after 'x'"},
    {"K368 ignore", "ignore empty_service extra", NULL},
    {"K368 bare ignore", "ignore", NULL},
    {"K369 ignore", "ignore other", "plugin/kubernetes: unable to parse ignore value: 'other'"},
    {"K370 multicluster", "multicluster clusterset.local",
     "is not authoritative for the multicluster zone clusterset.local. (authoritative zones: "
     "[coredns.local.])"},
    {"K371 multicluster", "multicluster", NULL},
    {"K372 qps", "apiserver_qps -10", "Error during parsing: apiserver_qps must be >= 0"},
    {"K372 qps", "apiserver_qps x",
     "invalid apiserver_qps \"x\": strconv.ParseFloat: parsing \"x\": invalid syntax"},
    {"K372 qps", "apiserver_qps nan",
     "invalid apiserver_qps \"nan\": strconv.ParseFloat: parsing \"nan\": invalid syntax"},
    {"K372 qps", "apiserver_qps 1e39",
     "invalid apiserver_qps \"1e39\": strconv.ParseFloat: parsing \"1e39\": value out of range"},
    {"K372 qps", "apiserver_qps 2.5", NULL},
    {"K372 burst", "apiserver_burst -5", "Error during parsing: apiserver_burst must be >= 0"},
    {"K372 burst", "apiserver_burst x",
     "invalid apiserver_burst \"x\": strconv.Atoi: parsing \"x\": invalid syntax"},
    {"K372 inflight", "apiserver_max_inflight -1",
     "Error during parsing: apiserver_max_inflight must be >= 0"},
    {"K372 inflight", "apiserver_max_inflight", "ending after 'apiserver_max_inflight'"},
    {"K372 inflight", "apiserver_max_inflight 4", NULL},
    {"K373 zonal", "zonal\nnoendpoints", "zonal requires the endpoint cache; remove noendpoints"},
    {"K373 namespaces", "namespaces a\nnamespace_labels b=c",
     "namespaces and namespace_labels cannot both be set"},
    {"K376 resyncperiod", "resyncperiod 5m", NULL},
    {"K376 upstream", "upstream", NULL},
    {"K376 upstream", "upstream 192.0.2.1 192.0.2.2", NULL},
    {"K376 transfer", "transfer to *\ntransfer to 192.0.2.1", NULL},
    {"startup_timeout", "startup_timeout x",
     "plugin/kubernetes: failed to parse startup_timeout: x, time: invalid duration \"x\""},
    {"startup_timeout", "startup_timeout 0", NULL},
    {"startup_timeout", "startup_timeout -1s", NULL},
    {"answer", "answer", "unexpected line ending after 'answer'"},
    {"answer", "answer pods", "unable to parse answer value: 'pods'"},
    {"answer", "answer endpoints", NULL},
    {"answer", "answer endpoints\nnoendpoints",
     "answer endpoints requires the endpoint cache; remove noendpoints"},
    {"state", "state", "unexpected line ending after 'state'"},
    {"state", "state off", NULL},
    {"another word", "federation x", "unknown property 'federation'"},
    {"no kubeconfig", "kubeconfig /nonexistent/config", "/nonexistent/config"},
    {"no certificate",
     "endpoint https://127.0.0.1:1\ntls /nonexistent/c /nonexistent/k /nonexistent/a",
     "/nonexistent/"},
};

static void test_rows(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[1000];
        struct loaded l;

        snprintf(text, sizeof(text), "coredns.local {\nkubernetes coredns.local {\n%s\n}\n}\n",
                 rows[i].options);
        conf_load(&l, text);
        if (rows[i].error == NULL) {
            CHECK_AT(conf_load_error(&l, 0), l.r == 0);
        } else {
            CHECK_AT(rows[i].what, l.r < 0);
            CHECK_AT(conf_load_error(&l, 0), strstr(conf_load_error(&l, 0), rows[i].error) != NULL);
        }
        conf_unload(&l);
    }
}

/* K374, K375: whole blocks. */
static const struct {
    const char *what, *text, *error;
} blocks[] = {
    {"K374 reverse only", "coredns.local {\nkubernetes 10.0.0.0/8\n}\n",
     "plugin/kubernetes: non-reverse zone name must be used"},
    {"K374 keys that are reverse", "10.0.0.0/8 {\nkubernetes\n}\n",
     "plugin/kubernetes: non-reverse zone name must be used"},
    {"K375 twice", "coredns.local {\nkubernetes\nkubernetes\n}\n",
     "this plugin can only be used once per Server Block"},
};

static void test_blocks(void)
{
    for (size_t i = 0; i < COUNT(blocks); i++) {
        struct loaded l;

        conf_load(&l, blocks[i].text);
        CHECK_AT(blocks[i].what, l.r < 0);
        CHECK_AT(conf_load_error(&l, 0), strstr(conf_load_error(&l, 0), blocks[i].error) != NULL);
        conf_unload(&l);
    }
}

static const struct kubernetes *load(struct loaded *l, const char *text)
{
    conf_load(l, text);
    CHECK_AT(conf_load_error(l, 0), l->r == 0);
    return wp_block_plugin(&l->blocks[0], "kubernetes");
}

static void test_defaults(void)
{
    struct loaded l;
    const struct kubernetes *p = load(&l, "a.test b.test {\nkubernetes\n}\n");

    CHECK(p->zones.n == 2 && p->ttl_s == 5 && p->startup_timeout_ns == 5000000000);
    CHECK(p->wants.slices && !p->wants.pods && !p->wants.imports && !p->wants.zonal);
    CHECK(p->wants.labels == NULL && p->wants.namespace_labels == NULL && p->n_namespaces == 0);
    CHECK(p->wants.source.endpoint == NULL && p->wants.source.kubeconfig == NULL);
    CHECK(p->primary == &p->zone[0] && !p->fall.on && p->state == NULL);
    CHECK(p->pods == KUBERNETES_PODS_DISABLED && !p->ignore_empty && !p->answer_endpoints);
    conf_unload(&l);
}

static void test_values(void)
{
    struct loaded l;
    const struct kubernetes *p =
        load(&l, ". {\nkubernetes 10.0.0.0/8 cluster.local set.local in-addr.arpa {\n"
                 "namespaces a b\nnamespaces c\nlabels e in (f,d) , c = d\npods verified\nttl 30\n"
                 "endpoint http://127.0.0.1:1\nmulticluster SET.local\nzonal\nendpoint_pod_names\n"
                 "apiserver_qps 2.5\napiserver_burst 7\napiserver_max_inflight 3\n"
                 "ignore empty_service\nanswer endpoints\nstartup_timeout -2s\n"
                 "fallthrough in-addr.arpa\nstate /tmp/kept\n}\n}\n");

    CHECK(p->n_namespaces == 3 && strcmp(p->namespaces[2], "c") == 0);
    CHECK(strcmp(p->wants.labels, "c=d,e in (d,f)") == 0);
    CHECK(p->pods == KUBERNETES_PODS_VERIFIED && p->wants.pods && p->ttl_s == 30);
    CHECK(strcmp(p->wants.source.endpoint, "http://127.0.0.1:1") == 0);
    CHECK(p->wants.imports && p->wants.zonal && p->wants.pod_names);
    CHECK(p->wants.qps == 2.5 && p->wants.burst == 7 && p->wants.max_inflight == 3);
    CHECK(p->ignore_empty && p->answer_endpoints && p->startup_timeout_ns == 0);
    CHECK(p->fall.on && p->fall.zones.n == 1 && strcmp(p->state, "/tmp/kept") == 0);
    CHECK(p->zones.n == 4 && p->primary == &p->zone[1]);
    CHECK(p->zone[2].multicluster && !p->zone[1].multicluster);
    conf_unload(&l);
}

static void test_empty_selector(void)
{
    struct loaded l;
    const struct kubernetes *p = load(&l, "a.test {\nkubernetes {\nlabels \"\"\n}\n}\n");

    CHECK(p->wants.labels == NULL);
    conf_unload(&l);
}

RUN_TESTS(TEST(test_rows), TEST(test_blocks), TEST(test_defaults), TEST(test_values),
          TEST(test_empty_selector))
