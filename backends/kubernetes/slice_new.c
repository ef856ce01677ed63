#include <stdlib.h>

#include "backends/kubernetes/slice.h"
#include "backends/kubernetes/store.h"

enum { RECENT = 8 }; /* texts that are looked for before one is written again */

/* Texts behind the ports, each distinct one once or nearly so. Runs twice: without `out` it only
 * counts. */
struct pool {
    uint8_t *out; /* the octets of the slice, NULL: count */
    uint32_t len;
    unsigned next;
    struct {
        struct wp_kube_text text;
        uint32_t at;
    } recent[RECENT];
};

static uint32_t pool_add(struct pool *p, struct wp_kube_text t)
{
    uint32_t at = p->len;

    if (t.len == 0)
        return 0;
    for (unsigned i = 0; i < RECENT; i++)
        if (p->recent[i].at != 0 && wp_kube_text_equal(p->recent[i].text, t))
            return p->recent[i].at;
    p->recent[p->next].text = t;
    p->recent[p->next].at = at;
    p->next = (p->next + 1) % RECENT;
    if (p->out != NULL) {
        p->out[at] = (uint8_t)t.len;
        memcpy(p->out + at + 1, t.at, t.len);
    }
    p->len += 1 + (uint32_t)t.len;
    return at;
}

static uint8_t *append(uint8_t *out, struct wp_kube_text t)
{
    memcpy(out, t.at, t.len);
    return out + t.len;
}

/* Kinds of the struct that the addresses, names and zones of the object lead to. */
static void look(const struct wp_kube_object *o, struct wp_kube_slice *s)
{
    uint8_t room[16];

    for (size_t i = 0; i < o->n_endpoints; i++) {
        const struct wp_kube_endpoint *e = &o->endpoints[i];
        struct wp_kube_addr a = wp_kube_addr_from_text(e->addr.at, e->addr.len, room);
        s->addr_len = i == 0 || a.len == s->addr_len ? a.len : 0;
        s->has_names |= e->name.len > 0;
        s->has_zones |= e->zone.len > 0;
        if (i > 0 && s->addr_len == 0 && s->has_names && s->has_zones)
            break;
    }
}

/* The texts at `member` of each endpoint; *to, unless it is NULL, moves past their offsets. */
static void write_texts(const struct wp_kube_object *o, uint32_t n, size_t member, uint32_t **to,
                        struct pool *p)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct wp_kube_text *t =
            (const struct wp_kube_text *)((const char *)&o->endpoints[i] + member);
        uint32_t at = pool_add(p, *t);
        if (*to != NULL)
            *(*to)++ = at;
    }
}

static void write_endpoints(const struct wp_kube_object *o, const struct wp_kube_slice *s,
                            uint32_t *to, struct pool *p)
{
    uint8_t *addr;

    if (s->addr_len == 0)
        write_texts(o, s->n, offsetof(struct wp_kube_endpoint, addr), &to, p);
    if (s->has_names)
        write_texts(o, s->n, offsetof(struct wp_kube_endpoint, name), &to, p);
    if (s->has_zones)
        write_texts(o, s->n, offsetof(struct wp_kube_endpoint, zone), &to, p);
    if (to == NULL || s->addr_len == 0)
        return;
    addr = (uint8_t *)to;
    for (size_t i = 0; i < s->n; i++, addr += s->addr_len)
        (void)wp_kube_addr_from_text(o->endpoints[i].addr.at, o->endpoints[i].addr.len, addr);
}

struct wp_kube_slice *wp_kube_slice_new(const struct wp_kube_object *o)
{
    bool import = o->collection == WP_KUBE_IMPORT_SLICES;
    struct wp_kube_text service = import ? o->import : o->service;
    struct wp_kube_text cluster = import ? o->cluster : (struct wp_kube_text){"", 0};
    struct wp_kube_slice s = {.n = service.len > 0 ? (uint32_t)o->n_endpoints : 0}, *ret;
    size_t texts = o->ns.len + service.len + cluster.len + o->name.len;
    struct pool pool = {0};
    uint8_t *out;

    if (s.n > 0)
        look(o, &s);
    s.place =
        service.len > 0 ? wp_kube_place_hash(o->ns.at, o->ns.len, service.at, service.len) : 0;
    s.ns_len = (uint8_t)o->ns.len;
    s.service_len = (uint8_t)service.len;
    s.cluster_len = (uint8_t)cluster.len;
    s.name_len = (uint8_t)o->name.len;
    s.ports_len = (uint32_t)wp_kube_ports_size(o->ports, o->n_ports);
    s.octets_at = (uint32_t)sizeof(s) +
                  s.n * (4u * ((s.addr_len == 0) + s.has_names + s.has_zones) + s.addr_len);
    pool.len = (uint32_t)texts + s.ports_len;
    write_endpoints(o, &s, NULL, &pool);
    s.size = s.octets_at + pool.len;
    ret = malloc(s.size);
    if (ret == NULL)
        return NULL;
    *ret = s;
    out = (uint8_t *)ret + s.octets_at;
    pool = (struct pool){.out = out, .len = (uint32_t)texts + s.ports_len};
    out = append(append(append(append(out, o->ns), service), cluster), o->name);
    wp_kube_ports_write(o->ports, o->n_ports, out);
    write_endpoints(o, &s, (uint32_t *)(ret + 1), &pool);
    return ret;
}
