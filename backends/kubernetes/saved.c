#include "backends/kubernetes/saved.h"

#include <errno.h>

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

/* collection, kind; then ns, name, external name, service, import, cluster; then each list behind
 * its length: addresses, external addresses, ports, endpoints, labels. A text stands behind its
 * length, of one octet, or two in labels. */
enum {
    HEAD = 2,
    TEXTS = 6,
    COUNT = 4, /* octets of a list's length */
    COUNTS = 5,
    PORT = 4, /* octets of its number */
};

static void texts_of(struct wp_kube_object *o, struct wp_kube_text *ret[TEXTS])
{
    ret[0] = &o->ns;
    ret[1] = &o->name;
    ret[2] = &o->external_name;
    ret[3] = &o->service;
    ret[4] = &o->import;
    ret[5] = &o->cluster;
}

static size_t texts_size(const struct wp_kube_text *t, size_t n)
{
    size_t size = n;

    for (size_t i = 0; i < n; i++)
        size += t[i].len;
    return size;
}

size_t wp_kube_saved_size(const struct wp_kube_object *o)
{
    size_t size = HEAD + TEXTS + COUNTS * COUNT;
    struct wp_kube_object copy = *o;
    struct wp_kube_text *text[TEXTS];

    texts_of(&copy, text);
    for (unsigned i = 0; i < TEXTS; i++)
        size += text[i]->len;
    size += texts_size(o->ips, o->n_ips) + texts_size(o->externals, o->n_externals);
    for (size_t i = 0; i < o->n_ports; i++)
        size += PORT + 2 + o->ports[i].name.len + o->ports[i].protocol.len;
    for (size_t i = 0; i < o->n_endpoints; i++)
        size += 3 + o->endpoints[i].addr.len + o->endpoints[i].name.len + o->endpoints[i].zone.len;
    for (size_t i = 0; i < o->n_labels; i++)
        size += 4 + o->labels[i].key.len + o->labels[i].value.len;
    return size;
}

static void put_text(struct wp_wr *wr, struct wp_kube_text t)
{
    wp_wr_u8(wr, (unsigned)t.len);
    wp_wr_bytes(wr, t.at, t.len);
}

static void put_long_text(struct wp_wr *wr, struct wp_kube_text t)
{
    wp_wr_u16(wr, (unsigned)t.len);
    wp_wr_bytes(wr, t.at, t.len);
}

static void put_texts(struct wp_wr *wr, const struct wp_kube_text *t, size_t n)
{
    wp_wr_u32(wr, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        put_text(wr, t[i]);
}

void wp_kube_saved_write(const struct wp_kube_object *o, uint8_t *to)
{
    struct wp_wr wr = wp_wr_to(to, wp_kube_saved_size(o));
    struct wp_kube_object copy = *o;
    struct wp_kube_text *text[TEXTS];

    wp_wr_u8(&wr, o->collection);
    wp_wr_u8(&wr, o->kind);
    texts_of(&copy, text);
    for (unsigned i = 0; i < TEXTS; i++)
        put_text(&wr, *text[i]);
    put_texts(&wr, o->ips, o->n_ips);
    put_texts(&wr, o->externals, o->n_externals);
    wp_wr_u32(&wr, (uint32_t)o->n_ports);
    for (size_t i = 0; i < o->n_ports; i++) {
        wp_wr_u32(&wr, (uint32_t)o->ports[i].number);
        put_text(&wr, o->ports[i].name);
        put_text(&wr, o->ports[i].protocol);
    }
    wp_wr_u32(&wr, (uint32_t)o->n_endpoints);
    for (size_t i = 0; i < o->n_endpoints; i++) {
        put_text(&wr, o->endpoints[i].addr);
        put_text(&wr, o->endpoints[i].name);
        put_text(&wr, o->endpoints[i].zone);
    }
    wp_wr_u32(&wr, (uint32_t)o->n_labels);
    for (size_t i = 0; i < o->n_labels; i++) {
        put_long_text(&wr, o->labels[i].key);
        put_long_text(&wr, o->labels[i].value);
    }
}

/* --- reading ------------------------------------------------------------------------------------ */

struct reader {
    struct wp_rd rd;
    struct wp_arena *arena;
    bool no_memory;
};

static struct wp_kube_text read_octets(struct reader *r, size_t len)
{
    const uint8_t *at = wp_rd_bytes(&r->rd, len);

    return at != NULL ? (struct wp_kube_text){(const char *)at, len} : (struct wp_kube_text){"", 0};
}

static struct wp_kube_text read_text(struct reader *r)
{
    return read_octets(r, wp_rd_u8(&r->rd));
}

/* Room for a list of items that take at least `least` octets each: it is never larger than what is
 * there to be read. NULL: it is empty, or something is wrong. */
static void *read_list(struct reader *r, size_t size, size_t least, size_t *ret_n)
{
    size_t n = wp_rd_u32(&r->rd);
    void *list;

    *ret_n = 0;
    if (n == 0)
        return NULL;
    if (n > wp_rd_left(&r->rd) / least) {
        r->rd.bad = true;
        return NULL;
    }
    list = wp_arena_array(r->arena, n, size);
    if (list == NULL)
        r->no_memory = r->rd.bad = true;
    else
        *ret_n = n;
    return list;
}

/* Addresses are never empty. */
static struct wp_kube_text *read_addrs(struct reader *r, size_t *ret_n)
{
    struct wp_kube_text *list = read_list(r, sizeof(*list), 2, ret_n);

    for (size_t i = 0; i < *ret_n; i++) {
        list[i] = read_text(r);
        r->rd.bad |= list[i].len == 0;
    }
    return list;
}

static void read_ports(struct reader *r, struct wp_kube_object *o)
{
    struct wp_kube_port *list = read_list(r, sizeof(*list), PORT + 2, &o->n_ports);

    for (size_t i = 0; i < o->n_ports; i++) {
        list[i].number = (int32_t)wp_rd_u32(&r->rd);
        list[i].name = read_text(r);
        list[i].protocol = read_text(r);
        r->rd.bad |= list[i].number < WP_KUBE_NO_PORT || list[i].number > UINT16_MAX;
    }
    o->ports = list;
}

static void read_endpoints(struct reader *r, struct wp_kube_object *o)
{
    o->endpoints = read_list(r, sizeof(*o->endpoints), 4, &o->n_endpoints);
    for (size_t i = 0; i < o->n_endpoints; i++) {
        o->endpoints[i].addr = read_text(r);
        o->endpoints[i].name = read_text(r);
        o->endpoints[i].zone = read_text(r);
        r->rd.bad |= o->endpoints[i].addr.len == 0;
    }
}

static void read_labels(struct reader *r, struct wp_kube_object *o)
{
    o->labels = read_list(r, sizeof(*o->labels), 4, &o->n_labels);
    for (size_t i = 0; i < o->n_labels; i++) {
        o->labels[i].key = read_octets(r, wp_rd_u16(&r->rd));
        o->labels[i].value = read_octets(r, wp_rd_u16(&r->rd));
    }
}

/* Lists that objects of a collection have; no other one may be there. */
enum { IPS = 1, EXTERNALS = 2, PORTS = 4, ENDPOINTS = 8, LABELS = 16 };
static const uint8_t lists[WP_KUBE_COLLECTIONS] = {
    [WP_KUBE_SERVICES] = IPS | EXTERNALS | PORTS,
    [WP_KUBE_SLICES] = PORTS | ENDPOINTS,
    [WP_KUBE_NAMESPACES] = 0,
    [WP_KUBE_PODS] = IPS | LABELS,
    [WP_KUBE_IMPORTS] = IPS | PORTS,
    [WP_KUBE_IMPORT_SLICES] = PORTS | ENDPOINTS,
};

static unsigned lists_of(const struct wp_kube_object *o)
{
    return (o->n_ips > 0 ? IPS : 0u) | (o->n_externals > 0 ? EXTERNALS : 0u) |
           (o->n_ports > 0 ? PORTS : 0u) | (o->n_endpoints > 0 ? ENDPOINTS : 0u) |
           (o->n_labels > 0 ? LABELS : 0u);
}

/* What the store relies on, beside what the reader has seen to. */
static bool is_possible(const struct wp_kube_object *o)
{
    bool is_pod = o->collection == WP_KUBE_PODS;
    bool is_slice = o->collection == WP_KUBE_SLICES || o->collection == WP_KUBE_IMPORT_SLICES;
    bool has_kind = o->collection == WP_KUBE_SERVICES || o->collection == WP_KUBE_IMPORTS;

    if (o->collection >= WP_KUBE_COLLECTIONS || o->kind > WP_KUBE_EXTERNAL_NAME ||
        o->name.len == 0 || (lists_of(o) & ~(unsigned)lists[o->collection]) != 0 ||
        has_kind != (o->kind != WP_KUBE_NONE) || (is_slice && o->n_ports == 0) ||
        o->n_endpoints > WP_KUBE_ADDRS_MAX || (is_pod && o->n_ips > WP_KUBE_POD_IPS_MAX))
        return false;
    for (size_t i = 0; is_pod && i < o->n_ips; i++)
        if (o->ips[i].len > WP_KUBE_IP_TEXT_MAX)
            return false;
    return true;
}

int wp_kube_saved_read(const uint8_t *rec, size_t len, struct wp_arena *a,
                       struct wp_kube_object *ret)
{
    struct reader r = {.rd = wp_rd_from(rec, len), .arena = a};
    struct wp_kube_text *text[TEXTS];

    *ret = (struct wp_kube_object){.resource_version = {"", 0}, .trigger_time = {"", 0}};
    ret->collection = wp_rd_u8(&r.rd);
    ret->kind = wp_rd_u8(&r.rd);
    texts_of(ret, text);
    for (unsigned i = 0; i < TEXTS; i++)
        *text[i] = read_text(&r);
    ret->ips = read_addrs(&r, &ret->n_ips);
    ret->externals = read_addrs(&r, &ret->n_externals);
    read_ports(&r, ret);
    read_endpoints(&r, ret);
    read_labels(&r, ret);
    if (r.no_memory)
        return -ENOMEM;
    return r.rd.bad || wp_rd_left(&r.rd) > 0 || !is_possible(ret) ? WP_EMALFORMED : 0;
}
