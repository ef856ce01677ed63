#include "check.h"

#include <stdlib.h>

#include "backends/kubernetes/name.h"

static const char *const kinds[] = {
    [WP_KUBE_NAME_BAD] = "bad",      [WP_KUBE_NAME_EMPTY] = "empty",
    [WP_KUBE_NAME_NAMESPACE] = "ns", [WP_KUBE_NAME_SERVICE] = "service",
    [WP_KUBE_NAME_POD] = "pod",
};

static void put(char *out, const char *what, struct wp_kube_text t)
{
    if (t.len > 0)
        sprintf(out + strlen(out), " %s=%.*s", what, (int)t.len, t.at);
}

/* "kind ns= svc= ..." of a name without its zone, which is cluster.local. */
static const char *parsed(const char *left, struct wp_kube_name_rules rules)
{
    static char out[1500];
    static struct wp_qname q;
    char text[600], zone[WP_NAME_MAX];
    struct wp_kube_name n;
    struct wp_name name;

    snprintf(text, sizeof(text), "%s%scluster.local.", left, *left != '\0' ? "." : "");
    CHECK_AT(text, wp_name_parse(text, &name) == 0);
    CHECK_AT(text, wp_qname_set(&q, name.wire, name.len) == name.len);
    wp_kube_name_parse(&q, q.n_labels - 2u, rules, &n);
    sprintf(out, "%s%s", kinds[n.kind], n.kind == WP_KUBE_NAME_NAMESPACE && n.in_pod ? " pod" : "");
    if (n.kind == WP_KUBE_NAME_BAD)
        return out;
    put(out, "ns", n.ns);
    put(out, "svc", n.service);
    put(out, "ep", n.endpoint);
    put(out, "cluster", n.cluster);
    put(out, "port", n.port);
    put(out, "proto", n.protocol);
    if (n.choice != WP_KUBE_ZONE_ANY)
        put(out, n.choice == WP_KUBE_ZONE_PIN ? "pin" : "prefer",
            (struct wp_kube_text){zone, wp_kube_name_zone_text(&n, zone)});
    return out;
}

static const struct {
    const char *name, *plain, *multicluster, *zonal; /* NULL: as plain */
} names[] = {
    {"", "empty", NULL, NULL},
    {"svc", "empty", NULL, NULL},
    {"pod", "empty", NULL, NULL},
    {"foo", "bad", NULL, NULL},
    {"ns.dns", "bad", NULL, NULL},
    {"shop.svc", "ns ns=shop", NULL, NULL},
    {"shop.pod", "ns pod ns=shop", NULL, NULL},
    {"shop.node", "bad", NULL, NULL},
    {"web.shop.svc", "service ns=shop svc=web", NULL, NULL},
    {"WEB.Shop.SVC", "service ns=shop svc=web", NULL, NULL},
    {"svc.svc.svc", "service ns=svc svc=svc", NULL, NULL},
    {"a.web.shop.svc", "service ns=shop svc=web ep=a", NULL, NULL},
    {"_tcp.web.shop.svc", "service ns=shop svc=web ep=_tcp", NULL, NULL},
    {"_http._tcp.web.shop.svc", "service ns=shop svc=web port=http proto=tcp", NULL, NULL},
    {"a.b.web.shop.svc", "service ns=shop svc=web port=a proto=b",
     "service ns=shop svc=web ep=a cluster=b", NULL},
    {"_a.b.web.shop.svc", "service ns=shop svc=web port=a proto=b", NULL, NULL},
    {"a._b.web.shop.svc", "service ns=shop svc=web port=a proto=b", NULL, NULL},
    {"_._.web.shop.svc", "service ns=shop svc=web", NULL, NULL},
    {"__a._b.web.shop.svc", "service ns=shop svc=web port=_a proto=b", NULL, NULL},
    {"a.b.c.web.shop.svc", "bad", NULL, NULL},
    {"1-2-3-4.shop.pod", "pod ns=shop svc=1-2-3-4", NULL, NULL},
    {"x.1-2-3-4.shop.pod", "pod ns=shop svc=1-2-3-4 ep=x", NULL, NULL},
    {"x.y.1-2-3-4.shop.pod", "pod ns=shop svc=1-2-3-4 port=x proto=y",
     "pod ns=shop svc=1-2-3-4 ep=x cluster=y", NULL},
    {"x.y.z.1-2-3-4.shop.pod", "bad", NULL, NULL},
    {"a.pin._zone.web.shop.svc", "bad", NULL, "service ns=shop svc=web pin=a"},
    {"A.prefer._zone.web.shop.svc", "bad", NULL, "service ns=shop svc=web prefer=a"},
    {"b.c.d.pin._zone.web.shop.svc", "bad", NULL, "service ns=shop svc=web pin=b.c.d"},
    {"pin._zone.web.shop.svc", "service ns=shop svc=web port=pin proto=zone", NULL, NULL},
    {"_zone.web.shop.svc", "service ns=shop svc=web ep=_zone", NULL, NULL},
    {"a.other._zone.web.shop.svc", "bad", NULL, NULL},
    {"a.pin.zone.web.shop.svc", "bad", NULL, NULL},
    {"a.pin._zone.1-2-3-4.shop.pod", "bad", NULL, NULL},
};

static void test_grammar(void)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *multicluster = names[i].multicluster, *zonal = names[i].zonal;
        CHECK_AT(names[i].name, strcmp(parsed(names[i].name, (struct wp_kube_name_rules){0}),
                                       names[i].plain) == 0);
        CHECK_AT(names[i].name,
                 strcmp(parsed(names[i].name, (struct wp_kube_name_rules){.multicluster = true}),
                        multicluster != NULL ? multicluster : names[i].plain) == 0);
        CHECK_AT(names[i].name,
                 strcmp(parsed(names[i].name, (struct wp_kube_name_rules){.zonal = true}),
                        zonal != NULL ? zonal : names[i].plain) == 0);
    }
}

static const struct {
    const char *label, *text;
} pods[] = {
    {"10-0-0-1", "10.0.0.1"},   {"fd00--1", "fd00::1"}, {"--1", "::1"},
    {"a-b-c-d", "a.b.c.d"},     {"a-b--c", "a:b::c"},   {"1-2-3", "1:2:3"},
    {"1-2-3-4-5", "1:2:3:4:5"}, {"plain", "plain"},
};

static void test_pod_labels(void)
{
    for (size_t i = 0; i < COUNT(pods); i++) {
        char out[64];
        size_t n = strlen(pods[i].label);
        wp_kube_pod_label_text((struct wp_kube_text){pods[i].label, n}, out);
        CHECK_AT(pods[i].label, strlen(pods[i].text) == n && memcmp(out, pods[i].text, n) == 0);
    }
}

#define NIBBLES "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f"
static const struct {
    const char *name, *ip; /* hexadecimal; "": none */
    bool in_arpa;
} reverse[] = {
    {"10.1.96.10.in-addr.arpa", "0a60010a", true},
    {"255.255.255.255.In-Addr.ARPA", "ffffffff", true},
    {"1.96.10.in-addr.arpa", "", true},
    {"x.10.1.96.10.in-addr.arpa", "", true},
    {"256.1.96.10.in-addr.arpa", "", true},
    {"01.1.96.10.in-addr.arpa", "", true},
    {"a.1.96.10.in-addr.arpa", "", true},
    {"10.1.96.10.in-addr.test", "", false},
    {"in-addr.arpa", "", true},
    {"arpa", "", false},
    {NIBBLES ".ip6.arpa", "fd000010024400000000000000000001", true},
    {"x." NIBBLES ".ip6.arpa", "fd000010024400000000000000000001", true},
    {"x.y.z." NIBBLES ".ip6.arpa", "fd000010024400000000000000000001", true},
    {"w.x.y.z." NIBBLES ".ip6.arpa", "", true},
    {"g" NIBBLES ".ip6.arpa", "", true},
    {"0.0.0.0.d.f.ip6.arpa", "", true},
};

static void test_reverse(void)
{
    for (size_t i = 0; i < COUNT(reverse); i++) {
        char hex[40] = "";
        struct wp_name name;
        struct wp_qname q;
        uint8_t ip[16];
        unsigned n;

        CHECK_AT(reverse[i].name, wp_name_parse(reverse[i].name, &name) == 0);
        CHECK_AT(reverse[i].name, wp_qname_set(&q, name.wire, name.len) > 0);
        n = wp_kube_name_reverse(&q, ip);
        for (unsigned k = 0; k < n; k++)
            sprintf(hex + 2 * k, "%02x", ip[k]);
        CHECK_AT(reverse[i].name, strcmp(hex, reverse[i].ip) == 0);
        CHECK_AT(reverse[i].name, wp_kube_name_in_arpa(&q) == reverse[i].in_arpa);
    }
}

RUN_TESTS(TEST(test_grammar), TEST(test_pod_labels), TEST(test_reverse))
