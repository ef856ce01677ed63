/* An object of the Kubernetes API; the first octet says of which collection. Properties: what is
 * taken is JSON to jansson too, and what is no JSON is refused by both; white space changes
 * nothing; a cut object is refused; what the store keeps of it is what was read; it can be taken
 * out again. */
#include "fuzz.h"

#include "backends/common/json.h"
#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/store.h"

static const struct wp_kube_decode_config config = {
    .zonal = true, .pod_names = true, .labels = true};

static int decode(struct wp_arena *a, enum wp_kube_collection c, const char *text, size_t len,
                  struct wp_kube_object *o)
{
    struct wp_kube_decode_error e = {{0}};
    int r;

    wp_arena_init(a, 64 << 20);
    r = wp_kube_decode(&config, c, text, len, a, o, &e);
    CHECK(r == 0 || r == WP_EMALFORMED);
    CHECK((r == 0) == (e.text[0] == '\0'));
    return r;
}

/* Members of one name twice are the exception: the two readers differ, harmlessly. */
static void compare_with_jansson(const char *text, size_t len, int r)
{
    struct wp_json_error e;
    json_t *value = NULL;
    int r2 = wp_json_load(text, len, &value, &e);

    if (r == 0)
        CHECK(r2 == 0 || r2 == WP_ELIMIT);
    json_decref(value);
}

static void check_slice(const struct wp_kube_object *o, const struct wp_kube_slice *s)
{
    CHECK(s->n == o->n_endpoints);
    for (size_t i = 0; i < s->n; i++) {
        const struct wp_kube_endpoint *e = &o->endpoints[i];
        char text[WP_KUBE_TEXT_MAX], buf[WP_KUBE_NAME_MAX];
        struct wp_kube_addr a = wp_kube_slice_addr(s, i);
        struct wp_kube_text name = wp_kube_slice_name(s, i, buf), zone = wp_kube_slice_zone(s, i);
        size_t n = wp_kube_addr_text(&a, text);
        CHECK(n == e->addr.len && memcmp(text, e->addr.at, n) == 0);
        CHECK(e->name.len == 0 || wp_kube_text_equal(name, e->name));
        CHECK(wp_kube_text_equal(zone, e->zone));
        CHECK(wp_kube_slice_find_addr(s, 0, &a) <= i);
    }
}

static void check_place(const struct wp_kube_object *o, const struct wp_kube_place *p,
                        enum wp_kube_view v)
{
    struct wp_kube_cursor ips = wp_kube_place_ips(p, v), ports = wp_kube_place_ports(p, v);
    struct wp_kube_addr a;
    struct wp_kube_port port;

    CHECK(p->kind[v] == o->kind || o->kind == WP_KUBE_NONE);
    for (size_t i = 0; i < o->n_ips; i++) {
        char text[WP_KUBE_TEXT_MAX];
        CHECK(wp_kube_addr_next(&ips, &a));
        CHECK(wp_kube_addr_text(&a, text) == o->ips[i].len &&
              memcmp(text, o->ips[i].at, o->ips[i].len) == 0);
    }
    CHECK(!wp_kube_addr_next(&ips, &a));
    for (size_t i = 0; i < o->n_ports; i++) {
        CHECK(wp_kube_port_next(&ports, &port) && port.number == o->ports[i].number);
        CHECK(wp_kube_text_equal(port.name, o->ports[i].name) &&
              wp_kube_text_equal(port.protocol, o->ports[i].protocol));
    }
    CHECK(!wp_kube_port_next(&ports, &port));
}

static void keep(const struct wp_kube_object *o)
{
    bool import = o->collection == WP_KUBE_IMPORTS || o->collection == WP_KUBE_IMPORT_SLICES;
    bool slice = o->collection == WP_KUBE_SLICES || o->collection == WP_KUBE_IMPORT_SLICES;
    struct wp_kube_text owner = !slice ? o->name : import ? o->import : o->service;
    struct wp_kube_store_config c = {.source = 1, .labels = true};
    struct wp_kube_store *s;
    const struct wp_kube_place *p;
    int r;

    CHECK(wp_kube_store_new(&c, &s) == 0);
    r = wp_kube_store_put(s, o, 1);
    CHECK(r == 1 || (r == 0 && o->deleting));
    p = wp_kube_place_find(s, wp_kube_place_hash(o->ns.at, o->ns.len, owner.at, owner.len),
                           o->ns.at, o->ns.len, owner.at, owner.len);
    if (slice) {
        CHECK((p != NULL) == (owner.len > 0));
        if (p != NULL)
            check_slice(o, wp_kube_place_slices(p, import)[0]);
    } else if (o->collection == WP_KUBE_SERVICES || o->collection == WP_KUBE_IMPORTS) {
        CHECK(p != NULL);
        check_place(o, p, import);
    } else if (o->collection == WP_KUBE_PODS) {
        for (size_t i = 0; i < o->n_ips && r == 1; i++) {
            uint8_t room[16];
            struct wp_kube_addr a = wp_kube_addr_from_text(o->ips[i].at, o->ips[i].len, room);
            CHECK(wp_kube_pod_has(s, o->ns.at, o->ns.len, &a));
        }
    }
    CHECK(wp_kube_store_remove(s, o, 1) == r);
    for (unsigned k = 0; k < WP_KUBE_COLLECTIONS; k++)
        CHECK(wp_kube_store_figures(s, k).objects == 0);
    CHECK(wp_kube_store_reap(s) == 0);
    wp_kube_store_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum wp_kube_collection c = size > 0 ? data[0] % WP_KUBE_COLLECTIONS : 0;
    const char *text = (const char *)data + (size > 0);
    size_t len = size - (size > 0);
    char *padded = malloc(len + 4);
    struct wp_kube_object o, again;
    struct wp_arena a, a2;
    int r = decode(&a, c, text, len, &o);

    CHECK(padded != NULL);
    compare_with_jansson(text, len, r);
    memcpy(padded, " \n", 2);
    memcpy(padded + 2, text, len);
    memcpy(padded + 2 + len, "\t\r", 2);
    CHECK(decode(&a2, c, padded, len + 4, &again) == r);
    if (r == 0) {
        CHECK(wp_kube_text_equal(o.name, again.name) && o.n_endpoints == again.n_endpoints &&
              o.n_ips == again.n_ips && o.n_ports == again.n_ports);
        if (o.name.len > 0)
            keep(&o);
        wp_arena_done(&a2);
        if (len > 1 && text[0] == '{' && text[len - 1] == '}')
            CHECK(decode(&a2, c, text, len - 1, &again) == WP_EMALFORMED);
    }
    wp_arena_done(&a);
    wp_arena_done(&a2);
    free(padded);
    return 0;
}
