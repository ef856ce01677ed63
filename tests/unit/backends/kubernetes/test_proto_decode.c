/* API objects read from protobuf: what is refused, and that every object that JSON can tell is read the same from
 * both. What is kept of fields, and why, is in test_decode.c. */
#include "kube_proto.h"

#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/proto_decode.h"

static const struct wp_kube_decode_config all = {.zonal = true, .pod_names = true, .labels = true};

/* Each message in an allocation of its own, so that reading past its end is noticed. */
static int decode(const struct wp_kube_decode_config *c, enum wp_kube_collection collection,
                  const void *msg, size_t len, struct wp_arena *arena, struct wp_kube_object *o,
                  struct wp_kube_decode_error *e, char **ret_copy)
{
    char *copy = malloc(len > 0 ? len : 1);

    CHECK(copy != NULL);
    memcpy(copy, msg, len);
    e->text[0] = '\0';
    *ret_copy = copy;
    return wp_kube_proto_decode(c, collection, copy, len, arena, o, e);
}

/* --- what is refused -------------------------------------------------------------------------- */

#define META "\x0a\x06\x0a\x01n\x1a\x01" "a"
#define ROW(s) s, sizeof(s) - 1
static const struct {
    const char *what;
    enum wp_kube_collection collection;
    const char *msg;
    size_t len;
    const char *error;
} refused[] = {
    {"metadata cut", WP_KUBE_SERVICES, ROW("\x0a\x07\x0a\x01n\x1a\x01" "a"), "services a/n: protobuf: no message"},
    {"name cut", WP_KUBE_SERVICES, ROW("\x0a\x03\x0a\x09n"), "services n: protobuf: no message"},
    {"tag cut", WP_KUBE_SERVICES, ROW(META "\x92"), "services a/n: protobuf: no message"},
    {"number cut", WP_KUBE_SERVICES, ROW(META "\x38\xff\xff"), "services a/n: protobuf: no message"},
    {"length cut", WP_KUBE_SERVICES, ROW(META "\x12"), "services a/n: protobuf: no message"},
    {"64 bits cut", WP_KUBE_SERVICES, ROW(META "\x39" "1234567"), "services a/n: protobuf: no message"},
    {"32 bits cut", WP_KUBE_SERVICES, ROW(META "\x3d" "123"), "services a/n: protobuf: no message"},
    {"field 0", WP_KUBE_SERVICES, ROW(META "\x02\x00"), "services a/n: protobuf: no message"},
    {"field beyond 29 bits", WP_KUBE_SERVICES, ROW(META "\x82\x80\x80\x80\x10\x00"), "services a/n: protobuf: no message"},
    {"group", WP_KUBE_SERVICES, ROW(META "\x3b\x3c"), "services a/n: protobuf: no message"},
    {"no such type", WP_KUBE_SERVICES, ROW(META "\x3f\x00"), "services a/n: protobuf: no message"},
    {"length of 64 bits", WP_KUBE_SERVICES, ROW(META "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "x"),
     "services a/n: protobuf: no message"},
    {"number of eleven octets", WP_KUBE_SERVICES, ROW(META "\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "services a/n: protobuf: no message"},
    {"spec is a number", WP_KUBE_SERVICES, ROW(META "\x10\x01"), "services a/n: spec: not an object"},
    {"metadata is a number", WP_KUBE_PODS, ROW("\x08\x01"), "pods ?: metadata: not an object"},
    {"name is a number", WP_KUBE_PODS, ROW("\x0a\x02\x08\x01"), "pods ?: metadata.name: not a string"},
    {"name behind the fault", WP_KUBE_SERVICES, ROW("\x10\x01" META), "services a/n: spec: not an object"},
    {"port is a text", WP_KUBE_SERVICES, ROW(META "\x12\x05\x0a\x03\x1a\x01" "8"), "services a/n: ports.port: not a number"},
    {"port is large", WP_KUBE_SERVICES, ROW(META "\x12\x06\x0a\x04\x18\x80\x80\x04"), "services a/n: ports.port: out of range"},
    {"port is negative", WP_KUBE_SLICES, ROW(META "\x1a\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
     "endpointslices a/n: ports.port: out of range"},
    {"ready is a text", WP_KUBE_SLICES, ROW(META "\x12\x04\x12\x02\x0a\x00"),
     "endpointslices a/n: endpoints.conditions.ready: not true or false"},
    {"message inside cut", WP_KUBE_SLICES, ROW(META "\x12\x04\x0a\x05" "10"), "endpointslices a/n: protobuf: no message"},
    {"label's value is a number", WP_KUBE_PODS, ROW("\x0a\x0d\x0a\x01n\x1a\x01" "a\x5a\x05\x0a\x01k\x10\x01"),
     "pods a/n: metadata.labels: not a string"},
    {"name with a dot", WP_KUBE_SERVICES, ROW("\x0a\x08\x0a\x03" "a.b\x1a\x01" "a"), "services a/a.b: metadata.name: not a DNS label"},
    {"no namespace", WP_KUBE_PODS, ROW("\x0a\x03\x0a\x01n"), "pods n: metadata.namespace: not a DNS label"},
    {"no name", WP_KUBE_PODS, ROW("\x0a\x03\x1a\x01" "a"), "pods a/: metadata.name: empty"},
    {"addresses of a pod", WP_KUBE_PODS,
     ROW(META "\x1a\x19\x62\x03\x0a\x01" "1\x62\x03\x0a\x01" "2\x62\x03\x0a\x01" "3\x62\x03\x0a\x01" "4\x62\x03\x0a\x01" "5"),
     "pods a/n: status.podIPs.ip: too many addresses"},
    {"custom resource", WP_KUBE_IMPORTS, ROW(META), "serviceimports a/n: object: of a kind that has no protobuf"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct wp_kube_decode_error e;
        struct wp_kube_object o;
        struct wp_arena arena;
        char *copy;
        int r;

        wp_arena_init(&arena, 1 << 20);
        r = decode(&all, refused[i].collection, refused[i].msg, refused[i].len, &arena, &o, &e, &copy);
        if (strcmp(e.text, refused[i].error) != 0)
            print_error("got '%s'\n", e.text);
        CHECK_AT(refused[i].what, r == WP_EMALFORMED);
        CHECK_AT(refused[i].what, strcmp(e.text, refused[i].error) == 0);
        free(copy);
        wp_arena_done(&arena);
    }
}

static void test_text(void)
{
    static const char msg[] = META "\x12\x09\x0a\x01" "1\x1a\x04\xff" "a\xc3\xa9";
    struct wp_kube_decode_error e;
    struct wp_kube_object o;
    struct wp_arena arena;
    char *copy;

    wp_arena_init(&arena, 1 << 20);
    CHECK(decode(&all, WP_KUBE_SLICES, msg, sizeof(msg) - 1, &arena, &o, &e, &copy) == 0);
    CHECK(o.n_endpoints == 1 && wp_kube_text_is(o.endpoints[0].name, "\xef\xbf\xbd" "a\xc3\xa9"));
    free(copy);
    wp_arena_done(&arena);
}

/* --- objects in both forms --------------------------------------------------------------------- */

static uint64_t seed = 0x9e3779b97f4a7c15u;

static unsigned below(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 16) % n;
}

static const char *pick(const char *const *words, unsigned n)
{
    return words[below(n)];
}
#define PICK(...) pick((const char *const[]){__VA_ARGS__}, COUNT(((const char *const[]){__VA_ARGS__})))

/* Something that nobody wants, in one form or the other. */
static void noise(struct both *b)
{
    switch (below(9)) {
    case 0:
        both_key(b, "somethingElse");
        both_json(b, PICK("null", "{\"a\":[1,2.5e3,true,null]}", "\"x\""));
        break;
    case 1:
        pb_number(&b->pb, 200 + below(9), seed);
        break;
    case 2:
        pb_bytes(&b->pb, 2000 + below(9), "\x0a\xff\x00\x12 octets of nobody", below(20));
        break;
    case 3:
        pb_varint(&b->pb, 300u << 3 | 1);
        pb_octets(&b->pb, "12345678", 8);
        break;
    case 4:
        pb_varint(&b->pb, 300u << 3 | 5);
        pb_octets(&b->pb, "1234", 4);
        break;
    default:
        break;
    }
}

static void some_text(struct both *b, const char *name, uint32_t field, const char *text)
{
    if (below(6) > 0)
        both_text(b, name, field, text);
    else if (below(2) == 0) { /* what is not there, told so */
        both_key(b, name);
        both_json(b, "null");
    }
    noise(b);
}

static void some_texts(struct both *b, const char *name, uint32_t field, unsigned most)
{
    if (below(5) == 0)
        return;
    both_list(b, name);
    for (unsigned i = below(most + 1); i > 0; i--)
        both_text(b, NULL, field, PICK("10.0.0.1", "10.0.0.2", "fd00::1", "None", "", "x.example"));
    both_list_end(b);
}

static void ports(struct both *b, uint32_t field)
{
    if (below(5) == 0)
        return;
    both_list(b, "ports");
    for (unsigned i = below(12); i > 0; i--) {
        both_open(b, NULL, field);
        some_text(b, "name", 1, PICK("http", "", "dns-tcp", "x"));
        some_text(b, "protocol", 2, PICK("TCP", "UDP", "SCTP", "Odd"));
        if (below(4) > 0)
            both_number(b, "port", 3, below(40) > 0 ? below(65536) : (int64_t)below(3) * 65536 - 1);
        noise(b);
        both_close(b, true);
    }
    both_list_end(b);
}

static void metadata(struct both *b, enum wp_kube_collection c)
{
    both_open(b, "metadata", 1);
    some_text(b, "name", 1, PICK("web", "a.b", "db-0", "x"));
    if (c != WP_KUBE_NAMESPACES)
        some_text(b, "namespace", 3, PICK("shop", "prod", "with space"));
    some_text(b, "resourceVersion", 6, PICK("7", "0x1", "123456789012"));
    if (below(4) == 0) {
        both_key(b, "deletionTimestamp");
        both_json(b, "\"2026-03-01T09:30:00Z\"");
        pb_begin(&b->pb, 9);
        pb_number(&b->pb, 1, 1772357400);
        pb_end(&b->pb);
    }
    if (below(3) > 0) {
        both_open(b, "labels", 0);
        both_pair(b, 11, "app", "x");
        if (below(2) == 0)
            both_pair(b, 11, "kubernetes.io/service-name", PICK("web", "a.b", ""));
        if (below(2) == 0)
            both_pair(b, 11, "multicluster.kubernetes.io/service-name", "web");
        if (below(2) == 0)
            both_pair(b, 11, "multicluster.kubernetes.io/source-cluster", PICK("east", "-"));
        both_close(b, false);
    }
    if (below(3) > 0) {
        both_open(b, "annotations", 0);
        both_pair(b, 12, "endpoints.kubernetes.io/last-change-trigger-time", "2026-03-01T09:30:00Z");
        if (below(2) == 0)
            both_pair(b, 12, "k8s.io/initial-events-end", PICK("true", "false"));
        both_pair(b, 12, "", "x");
        both_close(b, false);
    }
    noise(b);
    both_close(b, true);
}

static void service(struct both *b)
{
    both_open(b, "spec", 2);
    ports(b, 1);
    some_text(b, "clusterIP", 3, PICK("10.96.0.1", "None", ""));
    some_texts(b, "clusterIPs", 18, 3);
    some_text(b, "type", 4, PICK("ClusterIP", "ExternalName", "NodePort", ""));
    some_texts(b, "externalIPs", 5, 9);
    some_text(b, "externalName", 10, PICK("example.org", "", "10.0.0.1"));
    noise(b);
    both_close(b, true);
    both_open(b, "status", 3);
    both_open(b, "loadBalancer", 1);
    both_list(b, "ingress");
    for (unsigned i = below(4); i > 0; i--) {
        both_open(b, NULL, 1);
        some_text(b, "ip", 1, PICK("192.0.2.1", "192.0.2.2", ""));
        some_text(b, "hostname", 2, PICK("lb.example", ""));
        both_close(b, true);
    }
    both_list_end(b);
    noise(b);
    both_close(b, true);
    both_close(b, true);
}

static void slice(struct both *b)
{
    both_text(b, "addressType", 4, "IPv4");
    both_list(b, "endpoints");
    for (unsigned i = below(30); i > 0; i--) {
        both_open(b, NULL, 2);
        some_texts(b, "addresses", 1, below(10) > 0 ? 1 : 12);
        if (below(3) > 0) {
            both_open(b, "conditions", 2);
            if (below(3) > 0)
                both_bool(b, "ready", 1, below(2) > 0);
            both_bool(b, "serving", 2, below(2) > 0);
            both_close(b, true);
        }
        some_text(b, "hostname", 3, PICK("h-0", "h..1", "", ".h"));
        if (below(2) == 0) {
            both_open(b, "targetRef", 4);
            both_text(b, "kind", 1, "Pod");
            some_text(b, "name", 3, PICK("pod-0", "p.q", "0123456789012345678901234567890123456789012345678901234567890123"));
            both_close(b, true);
        }
        some_text(b, "nodeName", 6, "node-1");
        some_text(b, "zone", 7, PICK("EU-West-1a", "eu-west-1b", ""));
        both_close(b, true);
    }
    both_list_end(b);
    ports(b, 3);
    noise(b);
}

static void pod(struct both *b)
{
    both_open(b, "spec", 2);
    noise(b);
    both_text(b, "nodeName", 10, "node-1");
    both_close(b, true);
    both_open(b, "status", 3);
    both_text(b, "phase", 1, "Running");
    both_text(b, "podIP", 6, "10.9.9.9");
    both_list(b, "podIPs");
    for (unsigned i = below(6); i > 0; i--) {
        both_open(b, NULL, 12);
        some_text(b, "ip", 1, PICK("10.0.0.1", "fd00::1", ""));
        both_close(b, true);
    }
    both_list_end(b);
    both_close(b, true);
}

static void random_object(struct both *b, enum wp_kube_collection c)
{
    b->pb.len = b->len = b->pb.depth = 0;
    b->comma = false;
    both_open(b, NULL, 0);
    if (below(30) > 0)
        metadata(b, c);
    noise(b);
    if (below(30) == 0)
        ;
    else if (c == WP_KUBE_SERVICES)
        service(b);
    else if (c == WP_KUBE_PODS)
        pod(b);
    else if (c != WP_KUBE_NAMESPACES)
        slice(b);
    noise(b);
    both_close(b, false);
}

/* --- the same object? --------------------------------------------------------------------------- */

static bool same_texts(const struct wp_kube_text *a, size_t n, const struct wp_kube_text *b, size_t m)
{
    bool same = n == m;

    for (size_t i = 0; same && i < n; i++)
        same = wp_kube_text_equal(a[i], b[i]);
    return same;
}

static bool same_lists(const struct wp_kube_object *a, const struct wp_kube_object *b)
{
    bool same = a->n_ports == b->n_ports && a->n_endpoints == b->n_endpoints && a->n_labels == b->n_labels;

    for (size_t i = 0; same && i < a->n_ports; i++)
        same = a->ports[i].number == b->ports[i].number && wp_kube_text_equal(a->ports[i].name, b->ports[i].name) &&
               wp_kube_text_equal(a->ports[i].protocol, b->ports[i].protocol);
    for (size_t i = 0; same && i < a->n_endpoints; i++)
        same = wp_kube_text_equal(a->endpoints[i].addr, b->endpoints[i].addr) &&
               wp_kube_text_equal(a->endpoints[i].name, b->endpoints[i].name) &&
               wp_kube_text_equal(a->endpoints[i].zone, b->endpoints[i].zone);
    for (size_t i = 0; same && i < a->n_labels; i++)
        same = wp_kube_text_equal(a->labels[i].key, b->labels[i].key) &&
               wp_kube_text_equal(a->labels[i].value, b->labels[i].value);
    return same;
}

static bool same(const struct wp_kube_object *a, const struct wp_kube_object *b)
{
    return wp_kube_text_equal(a->ns, b->ns) && wp_kube_text_equal(a->name, b->name) &&
           wp_kube_text_equal(a->resource_version, b->resource_version) && a->kind == b->kind &&
           wp_kube_text_equal(a->external_name, b->external_name) &&
           same_texts(a->ips, a->n_ips, b->ips, b->n_ips) &&
           same_texts(a->externals, a->n_externals, b->externals, b->n_externals) && same_lists(a, b) &&
           wp_kube_text_equal(a->service, b->service) && wp_kube_text_equal(a->import, b->import) &&
           wp_kube_text_equal(a->cluster, b->cluster) && wp_kube_text_equal(a->trigger_time, b->trigger_time) &&
           a->deleting == b->deleting && a->initial_events_end == b->initial_events_end;
}

/* The property: one object, two forms, one result, be it an object or a refusal. */
static void test_agree(void)
{
    static const enum wp_kube_collection kinds[] = {WP_KUBE_SERVICES, WP_KUBE_SLICES, WP_KUBE_NAMESPACES,
                                                    WP_KUBE_PODS, WP_KUBE_IMPORT_SLICES};
    static struct both b;
    unsigned taken = 0, endpoints = 0;

    for (unsigned i = 0; i < 20000; i++) {
        struct wp_kube_decode_config c = {below(2) > 0, below(2) > 0, below(2) > 0};
        enum wp_kube_collection collection = kinds[i % COUNT(kinds)];
        struct wp_kube_decode_error e1 = {{0}}, e2 = {{0}};
        struct wp_kube_object o1, o2;
        struct wp_arena a1, a2;
        char *copy;
        int r1, r2;

        random_object(&b, collection);
        wp_arena_init(&a1, 1 << 20);
        wp_arena_init(&a2, 1 << 20);
        r1 = wp_kube_decode(&c, collection, b.json, b.len, &a1, &o1, &e1);
        r2 = decode(&c, collection, b.pb.at, b.pb.len, &a2, &o2, &e2, &copy);
        if (r1 != r2 || strcmp(e1.text, e2.text) != 0 || (r1 == 0 && !same(&o1, &o2)))
            print_error("%s\n%d %s\n%d %s\n", b.json, r1, e1.text, r2, e2.text);
        CHECK(r1 == r2 && strcmp(e1.text, e2.text) == 0 && (r1 < 0 || same(&o1, &o2)));
        taken += r1 == 0;
        endpoints += r1 == 0 ? (unsigned)o1.n_endpoints : 0;
        free(copy);
        wp_arena_done(&a1);
        wp_arena_done(&a2);
    }
    CHECK(taken > 5000 && taken < 19000 && endpoints > 10000); /* it has said both yes and no */
}

/* Cut at every octet: an object or a refusal, and nothing past the end is read. */
static void test_cut(void)
{
    static struct both b;
    unsigned refusals = 0;

    for (unsigned i = 0; i < 8; i++) {
        enum wp_kube_collection c = i % 2 ? WP_KUBE_SLICES : WP_KUBE_SERVICES;

        random_object(&b, c);
        for (size_t n = 0; n < b.pb.len; n++) {
            struct wp_kube_decode_error e;
            struct wp_kube_object o;
            struct wp_arena arena;
            char *copy;
            int r;

            wp_arena_init(&arena, 1 << 20);
            r = decode(&all, c, b.pb.at, n, &arena, &o, &e, &copy);
            CHECK(r == 0 || (r == WP_EMALFORMED && e.text[0] != '\0'));
            refusals += r != 0;
            free(copy);
            wp_arena_done(&arena);
        }
    }
    CHECK(refusals > 500);
}

RUN_TESTS(TEST(test_refused), TEST(test_text), TEST(test_agree), TEST(test_cut))
