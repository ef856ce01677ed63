/* The zone given away (waypost/plugin/transfer.h): every service that is answered, as it is answered. The
 * store is read in parts of turns while it changes: each service is given as it was at one moment, what
 * stays is in it, and the serial is older than what may be missing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/k8s_external/k8s_external.h"
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "backends/kubernetes/target.h"
#include "waypost/base/wr.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/transfer.h"

enum {
    LOOKED_AT = 1000, /* places in one call */
    WEIGHT = 100,
    SRV_FIXED = 6,
    SOA_NUMBERS = 20,
    RECORDS_MAX = 1 << 28, /* octets of a zone */
};

/* A record as it is gathered: type, TTL, lengths of owner and data, then these. */
struct record {
    uint32_t ttl;
    uint16_t type, rdlen, owner;
};

struct source {
    const struct k8s_external *p;
    const struct external_zone *zone;
    char *records;
    size_t len, cap, at; /* at: what has been given */
    size_t head;         /* octets of the zone's own records, first */
    size_t scan;
    unsigned tables;
    bool begun, failed;
};

/* --- gathering --------------------------------------------------------------------------------- */

static void add(struct source *s, const struct wp_name *owner, uint16_t type, uint32_t ttl,
                const void *rdata, size_t rdlen)
{
    struct record r = {ttl, type, (uint16_t)rdlen, owner->len};
    size_t need = s->len + sizeof(r) + owner->len + rdlen;

    if (need > s->cap) {
        size_t cap = s->cap == 0 ? 16384 : 2 * s->cap;
        char *grown = cap > RECORDS_MAX ? NULL : realloc(s->records, cap);
        s->failed |= grown == NULL;
        if (s->failed)
            return;
        s->records = grown;
        s->cap = cap;
    }
    memcpy(s->records + s->len, &r, sizeof(r));
    memcpy(s->records + s->len + sizeof(r), owner->wire, owner->len);
    memcpy(s->records + s->len + sizeof(r) + owner->len, rdata, rdlen);
    s->len = need;
}

static void add_addr(struct source *s, const struct wp_name *owner, const struct wp_kube_addr *addr)
{
    uint8_t ip[16];
    int family = wp_kube_addr_family(addr, ip);

    if (family != 0)
        add(s, owner, family == 4 ? WP_TYPE_A : WP_TYPE_AAAA, s->p->ttl_s, ip,
            family == 4 ? 4 : 16);
}

static void add_srv(struct source *s, const struct wp_name *owner, size_t shares, int32_t port,
                    const struct wp_name *target)
{
    uint8_t rdata[SRV_FIXED + WP_NAME_MAX];

    wp_put16(rdata, 0);
    wp_put16(rdata + 2, shares == 0 || shares > WEIGHT ? 1 : (unsigned)(WEIGHT / shares));
    wp_put16(rdata + 4, (unsigned)port);
    memcpy(rdata + SRV_FIXED, target->wire, target->len);
    add(s, owner, WP_TYPE_SRV, s->p->k->ttl_s, rdata, SRV_FIXED + (size_t)target->len);
}

/* What an entry leads to: false when that is no name. *ret_host: the name stands for itself. */
static bool target_of(const struct wp_kube_entry *e, const struct wp_name *base,
                      struct wp_name *ret, bool *ret_host)
{
    char text[WP_KUBE_TEXT_MAX + 1];
    uint8_t ip[16];

    *ret_host = wp_kube_addr_family(&e->addr, ip) == 0;
    if (*ret_host) {
        text[wp_kube_addr_text(&e->addr, text)] = '\0';
        return wp_name_parse(text, ret) == 0;
    }
    *ret = *base;
    return e->slice == NULL || wp_kube_target_endpoint(ret, e->slice, e->i, base->wire, base->len);
}

/* SRV of these entries at a name, one for each target and port. */
static void add_srvs(struct source *s, struct wp_kube_entries *e, const struct wp_name *owner,
                     const struct wp_name *base, struct wp_arena *scratch)
{
    struct wp_kube_seen seen = {.arena = scratch};
    size_t shares = wp_kube_entries_count(e, true);
    struct wp_kube_entry entry;
    struct wp_name target;
    bool host;

    while (wp_kube_entries_next(e, &entry)) {
        int r;
        if (entry.port == WP_KUBE_NO_PORT || !target_of(&entry, base, &target, &host))
            continue;
        r = wp_kube_seen_add(&seen, wp_hash_mix(wp_hash_bytes(target.wire, target.len),
                                                (uint32_t)entry.port));
        s->failed |= r < 0;
        if (r == 1)
            add_srv(s, owner, shares, entry.port, &target);
    }
}

/* Addresses at the service and at its endpoints. *ret_alias: the one name that there is instead; an alias
 * has nothing beside it (RFC 1034 s3.6.2). */
static void add_addrs(struct source *s, struct wp_kube_entries *e, const struct wp_name *base,
                      struct wp_arena *scratch, struct wp_name *ret_alias)
{
    struct wp_kube_seen seen = {.arena = scratch};
    bool any = false, host;
    struct wp_kube_entry entry;
    struct wp_name target;

    ret_alias->len = 0;
    e->once = true;
    while (wp_kube_entries_next(e, &entry)) {
        int r;
        if (!target_of(&entry, base, &target, &host))
            continue;
        if (host) {
            *ret_alias = target;
            continue;
        }
        any = true;
        r = wp_kube_seen_add(&seen, wp_kube_addr_hash(&entry.addr));
        s->failed |= r < 0;
        if (r == 1)
            add_addr(s, base, &entry.addr);
        if (entry.slice != NULL)
            add_addr(s, &target, &entry.addr);
    }
    e->once = false;
    wp_kube_entries_rewind(e);
    if (any)
        ret_alias->len = 0;
}

/* _PORT._PROTOCOL.BASE in lower case; false: the port has no name, or makes none. */
static bool port_name(const struct wp_kube_port *port, const struct wp_name *base,
                      struct wp_name *ret)
{
    char text[2 * WP_KUBE_TEXT_MAX + 4];
    size_t n = 0;

    if (port->name.len == 0 || port->protocol.len == 0)
        return false;
    text[n++] = '_';
    memcpy(text + n, port->name.at, port->name.len);
    n += port->name.len;
    text[n++] = '.';
    text[n++] = '_';
    memcpy(text + n, port->protocol.at, port->protocol.len);
    n += port->protocol.len;
    ret->len = 0;
    if (!wp_kube_target_add(ret, (struct wp_kube_text){text, n}))
        return false;
    wp_name_lower(ret->wire, ret->len);
    return wp_kube_target_close(ret, base->wire, base->len);
}

static struct wp_kube_entries entries_of(const struct wp_kube_place *place, bool endpoints,
                                         const struct wp_kube_filter *f)
{
    struct wp_kube_entries e;

    if (endpoints)
        wp_kube_entries_of_slices(&e, wp_kube_place_slices(place, WP_KUBE_LOCAL),
                                  place->n_slices[WP_KUBE_LOCAL], f);
    else
        wp_kube_entries_of_addrs(&e, wp_kube_place_externals(place),
                                 wp_kube_place_ports(place, WP_KUBE_LOCAL), f);
    return e;
}

/* The names of ports, as they are asked for. */
static void add_ports(struct source *s, const struct wp_kube_place *place, bool endpoints,
                      const struct wp_name *base, struct wp_arena *scratch)
{
    struct wp_kube_cursor ports = endpoints && place->n_slices[WP_KUBE_LOCAL] > 0
                                      ? wp_kube_slice_ports(place->slices[0])
                                      : wp_kube_place_ports(place, WP_KUBE_LOCAL);
    struct wp_kube_port port;
    struct wp_name owner;

    while (wp_kube_port_next(&ports, &port)) {
        char name[WP_KUBE_TEXT_MAX], protocol[WP_KUBE_TEXT_MAX];
        struct wp_kube_filter f = {.zone = {"", 0}};
        struct wp_kube_entries e;
        if (port.number == WP_KUBE_NO_PORT || !port_name(&port, base, &owner))
            continue;
        memcpy(name, port.name.at, port.name.len);
        memcpy(protocol, port.protocol.at, port.protocol.len);
        wp_name_lower((uint8_t *)name, port.name.len);
        wp_name_lower((uint8_t *)protocol, port.protocol.len);
        f.port = (struct wp_kube_text){name, port.name.len};
        f.protocol = (struct wp_kube_text){protocol, port.protocol.len};
        e = entries_of(place, endpoints, &f);
        add_srvs(s, &e, &owner, base, scratch);
    }
}

static void add_place(struct source *s, const struct wp_kube_place *place)
{
    struct wp_kube_cursor externals = wp_kube_place_externals(place);
    const struct wp_kube_filter any = {.port = {"", 0}, .protocol = {"", 0}, .zone = {"", 0}};
    bool endpoints = externals.at == externals.end;
    struct wp_kube_entries e;
    struct wp_arena scratch;
    struct wp_name base = {.len = 0}, alias;

    if (place->kind[WP_KUBE_LOCAL] == WP_KUBE_NONE ||
        (endpoints && (!s->p->headless || place->kind[WP_KUBE_LOCAL] != WP_KUBE_HEADLESS)) ||
        !kubernetes_exposes_place(s->p->k, NULL, place) ||
        !wp_kube_target_add(&base, wp_kube_place_name(place)) ||
        !wp_kube_target_add(&base, wp_kube_place_namespace(place)) ||
        !wp_kube_target_close(&base, s->zone->name, s->zone->len))
        return;
    wp_arena_init(&scratch, 0);
    e = entries_of(place, endpoints, &any);
    add_addrs(s, &e, &base, &scratch, &alias);
    if (alias.len > 0)
        add(s, &base, WP_TYPE_CNAME, s->p->k->ttl_s, alias.wire, alias.len);
    else
        add_srvs(s, &e, &base, &base, &scratch);
    add_ports(s, place, endpoints, &base, &scratch);
    wp_arena_done(&scratch);
}

/* Places never move within their table; when it is replaced by another one it all begins again. */
static int prepare(void *source)
{
    struct source *s = source;
    const struct wp_kube_store *store = s->p->k->cluster->store;

    for (unsigned i = 0; i < LOOKED_AT && !s->failed; i++) {
        const struct wp_kube_place *place = wp_kube_place_each(store, &s->scan);
        unsigned tables = wp_kube_place_tables(store);
        if (!s->begun || tables != s->tables) {
            s->begun = tables % 2 == 0; /* odd: it is being replaced right now */
            s->tables = tables;
            s->len = s->head;
            s->scan = 0;
            continue;
        }
        if (place == NULL)
            return WP_STEP_DONE;
        add_place(s, place);
    }
    return s->failed ? -ENOMEM : WP_STEP_NEXT;
}

/* --- giving ------------------------------------------------------------------------------------- */

static int next(void *source, struct wp_transfer_out *out)
{
    struct source *s = source;

    while (s->at < s->len) {
        const uint8_t *owner = (const uint8_t *)s->records + s->at + sizeof(struct record);
        struct record r;
        memcpy(&r, s->records + s->at, sizeof(r));
        if (!wp_transfer_put(out, owner, r.type, r.ttl, owner + r.owner, r.rdlen))
            return WP_STEP_NEXT;
        s->at += sizeof(r) + r.owner + r.rdlen;
    }
    return WP_STEP_DONE;
}

static void end(void *source)
{
    free(((struct source *)source)->records);
}

/* NS, and the addresses of the name server. */
static int add_head(struct source *s, struct wp_query *q)
{
    struct wp_name zone = {.len = s->zone->len};
    struct wp_view view = {0};
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    memcpy(zone.wire, s->zone->name, zone.len);
    add(s, &zone, WP_TYPE_NS, s->p->ttl_s, s->zone->server.wire, s->zone->server.len);
    if (r == 0)
        r = external_write_servers(s->p, q, WP_ADDITIONAL, s->zone->server.wire, 0);
    if (r == 0)
        r = wp_reply_view(q, &view);
    for (size_t i = 0; r == 0 && i < view.n; i++)
        add(s, &s->zone->server, view.rr[i].type, s->p->ttl_s, view.rr[i].rdata, view.rr[i].rdlen);
    q->reply.begun = false;
    q->reply.len = 0;
    s->head = s->len;
    return s->failed ? -ENOMEM : r;
}

int k8s_external_transfer(void *self, struct wp_query *q, struct wp_transfer *ret)
{
    const struct k8s_external *p = self;
    const struct external_zone *zone = external_zone_of(p, &q->msg.qname);
    uint8_t soa[2 * WP_NAME_MAX + SOA_NUMBERS];
    uint32_t now = (uint32_t)wp_loop_unix_time(q->loop), serial;
    struct source *s;
    size_t len;
    int r;

    if (zone == NULL || zone->len != q->msg.qname.len)
        return WP_ENOTFOUND;
    if (!wp_kube_cluster_has_data(p->k->cluster))
        return WP_ESTATE;
    s = wp_arena_zalloc(q->arena, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->p = p;
    s->zone = zone;
    len = external_soa(p, zone, soa);
    serial = wp_be32(soa + len - SOA_NUMBERS);
    if (serial != 0 && serial >= now) /* its second is not over */
        wp_put32(soa + len - SOA_NUMBERS, serial = now - 1);
    r = add_head(s, q);
    *ret = (struct wp_transfer){.serial = serial,
                                .soa = wp_arena_dup(q->arena, soa, len),
                                .soa_len = (uint16_t)len,
                                .soa_ttl = p->ttl_s,
                                .newer_is_current = true,
                                .source = s,
                                .prepare = prepare,
                                .next = next,
                                .end = end};
    if (r == 0 && ret->soa == NULL)
        r = -ENOMEM;
    if (r < 0)
        end(s);
    return r;
}
