/* A zone of a cluster given away (waypost/plugin/transfer.h). The store is read without locks while
 * it changes, so the zone is no snapshot of one moment. What holds is:
 *
 * - every service is given as it was at one moment, whole;
 * - what was there from the beginning to the end is in it, each service once, in the order of
 * names;
 * - the serial was read before anything else, and is older than any change that may be missing:
 *   serials count seconds, so one that is of this very second is given as the one before. A
 *   secondary that comes back gets what it missed.
 *
 * The names are gathered and sorted first, a part of a turn at a time; the services are looked up
 * again when their turn comes. One that does not fit into a message is copied, with its slices, and
 * goes on from the copy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/target.h"
#include "waypost/base/wr.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/transfer.h"

enum {
    GATHERED = 4000, /* places looked at in one call, some 200 us */
    MERGED = 4000,   /* steps of sorting */
    LOOKED_UP = 1000,
    ZONE_RECORDS = 64, /* NS and their addresses, at most */
    WEIGHT = 100,
    SRV_FIXED = 6,
};

/* Where the records of a place are: what comes next, of addresses or ports of the service, or of
 * endpoint i in slice k. */
struct at {
    unsigned part; /* 0 addresses, 1 ports; of endpoints 0 at the service, 1 at their own name, 2
                      ports */
    uint32_t k;
    size_t i, port;
    bool service; /* of a reverse zone: the service's own addresses are done */
};

struct source {
    const struct kubernetes *p;
    const struct kubernetes_zone *zone;
    struct wp_query *q;
    enum wp_kube_view view;
    bool reverse;
    struct wp_view head; /* SOA, NS and the addresses of the name servers */
    size_t head_at;
    /* names and namespaces, each behind its length, and where each pair begins */
    char *texts;
    size_t texts_len, texts_cap;
    uint32_t *order, *other;
    size_t n, cap;
    size_t scan;
    unsigned tables;
    bool begun, gathered;
    /* sorting: runs of `width` are merged from order to other */
    size_t width, out, left, left_end, right, right_end;
    /* giving away */
    size_t next;
    struct at at;
    struct wp_kube_place *held; /* a copy of the one that did not fit */
};

/* --- names ----------------------------------------------------------------------------------- */

static int grow(void **buf, size_t *cap, size_t need, size_t size)
{
    size_t more = *cap == 0 ? 1024 : *cap * 2;
    void *p;

    if (need <= *cap)
        return 0;
    if (more < need)
        more = need;
    if (more > UINT32_MAX)
        return -ENOMEM;
    p = realloc(*buf, more * size);
    if (p == NULL)
        return -ENOMEM;
    *buf = p;
    *cap = more;
    return 0;
}

static struct wp_kube_text text_at(const struct source *s, uint32_t at)
{
    return (struct wp_kube_text){s->texts + at + 1, (uint8_t)s->texts[at]};
}

static uint32_t behind(const struct source *s, uint32_t at)
{
    return at + 1 + (uint8_t)s->texts[at];
}

static int add_name(struct source *s, const struct wp_kube_place *place)
{
    struct wp_kube_text text[] = {wp_kube_place_name(place), wp_kube_place_namespace(place)};
    size_t need = s->texts_len + 2 + text[0].len + text[1].len;

    if (text[0].len > UINT8_MAX || text[1].len > UINT8_MAX)
        return 0; /* no name */
    if (grow((void **)&s->texts, &s->texts_cap, need, 1) < 0 ||
        grow((void **)&s->order, &s->cap, s->n + 1, sizeof(*s->order)) < 0)
        return -ENOMEM;
    s->order[s->n++] = (uint32_t)s->texts_len;
    for (unsigned i = 0; i < 2; i++) {
        s->texts[s->texts_len++] = (char)text[i].len;
        memcpy(s->texts + s->texts_len, text[i].at, text[i].len);
        s->texts_len += text[i].len;
    }
    return 0;
}

/* Does it have records in this zone? */
static bool shows(const struct source *s, const struct wp_kube_place *place)
{
    return place->kind[s->view] != WP_KUBE_NONE && kubernetes_exposes_place(s->p, NULL, place);
}

/* Places never move within their table; when it is replaced by another one it all begins again. */
static int gather(struct source *s)
{
    const struct wp_kube_store *store = s->p->cluster->store;

    for (unsigned i = 0; i < GATHERED; i++) {
        const struct wp_kube_place *place = wp_kube_place_each(store, &s->scan);
        unsigned tables = wp_kube_place_tables(store);

        if (!s->begun || tables != s->tables) {
            s->begun = tables % 2 == 0; /* odd: it is being replaced right now */
            s->tables = tables;
            s->n = s->texts_len = s->scan = 0;
            continue;
        }
        if (place == NULL) {
            s->gathered = true;
            break;
        }
        if (shows(s, place) && add_name(s, place) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int compare_text(struct wp_kube_text a, struct wp_kube_text b)
{
    int r = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);

    return r != 0 ? r : (a.len > b.len) - (a.len < b.len);
}

static int compare(const struct source *s, uint32_t a, uint32_t b)
{
    int r = compare_text(text_at(s, a), text_at(s, b));

    return r != 0 ? r : compare_text(text_at(s, behind(s, a)), text_at(s, behind(s, b)));
}

static void next_runs(struct source *s)
{
    s->left = s->out;
    s->left_end = s->right = s->n - s->out < s->width ? s->n : s->out + s->width;
    s->right_end = s->n - s->right < s->width ? s->n : s->right + s->width;
}

/* Merge sort, some steps at a time. True: it is done. */
static bool sort(struct source *s)
{
    for (unsigned steps = 0; s->width < s->n; steps++) {
        if (steps == MERGED)
            return false;
        if (s->out == s->n) {
            uint32_t *sorted = s->other;

            s->other = s->order;
            s->order = sorted;
            s->width *= 2;
            s->out = 0;
            next_runs(s);
        } else if (s->left == s->left_end && s->right == s->right_end) {
            next_runs(s);
        } else if (s->right == s->right_end ||
                   (s->left < s->left_end &&
                    compare(s, s->order[s->left], s->order[s->right]) <= 0)) {
            s->other[s->out++] = s->order[s->left++];
        } else {
            s->other[s->out++] = s->order[s->right++];
        }
    }
    return true;
}

static int prepare(void *source)
{
    struct source *s = source;

    if (!s->gathered) {
        if (gather(s) < 0)
            return -ENOMEM;
        if (!s->gathered)
            return WP_STEP_NEXT;
        s->other = malloc((s->n + 1) * sizeof(*s->other));
        if (s->other == NULL)
            return -ENOMEM;
        s->width = 1;
        next_runs(s);
        return WP_STEP_NEXT;
    }
    if (!sort(s))
        return WP_STEP_NEXT;
    free(s->other);
    s->other = NULL;
    return WP_STEP_DONE;
}

/* --- records --------------------------------------------------------------------------------- */

/* False: the message is full. What makes no record is put, too. */
static bool put_address(const struct source *s, struct wp_transfer_out *out,
                        const struct wp_name *owner, const struct wp_kube_addr *addr)
{
    uint8_t ip[16];
    int family = wp_kube_addr_family(addr, ip);

    if (family == 0)
        return true;
    return wp_transfer_put(out, owner->wire, family == 4 ? WP_TYPE_A : WP_TYPE_AAAA, s->p->ttl_s,
                           ip, family == 4 ? 4 : 16);
}

static bool put_srv(const struct source *s, struct wp_transfer_out *out,
                    const struct wp_name *owner, unsigned weight, int32_t port,
                    const struct wp_name *target)
{
    uint8_t rdata[SRV_FIXED + WP_NAME_MAX];

    wp_put16(rdata, 0);
    wp_put16(rdata + 2, weight);
    wp_put16(rdata + 4, (unsigned)port);
    memcpy(rdata + SRV_FIXED, target->wire, target->len);
    return wp_transfer_put(out, owner->wire, WP_TYPE_SRV, s->p->ttl_s, rdata,
                           SRV_FIXED + (size_t)target->len);
}

/* The address's own name in a reverse zone, and what it leads to. */
static bool put_pointer(const struct source *s, struct wp_transfer_out *out,
                        const struct wp_kube_addr *addr, const struct wp_name *target)
{
    struct wp_addr a = {0};
    struct wp_name owner;
    int family = wp_kube_addr_family(addr, a.ip);

    if (family == 0)
        return true;
    a.family = (uint8_t)family;
    wp_name_reverse(&a, &owner);
    return !wp_name_within(owner.wire, s->zone->name) ||
           wp_transfer_put(out, owner.wire, WP_TYPE_PTR, s->p->ttl_s, target->wire, target->len);
}

/* _PORT._PROTOCOL.BASE in lower case; false: the port has no name, or makes none. */
static bool port_name(const struct wp_kube_port *port, const struct wp_name *base,
                      struct wp_name *ret)
{
    struct wp_kube_text part[] = {port->name, port->protocol};

    ret->len = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (part[i].len == 0 || part[i].len + 1 > WP_LABEL_MAX)
            return false;
        ret->wire[ret->len] = (uint8_t)(part[i].len + 1);
        ret->wire[ret->len + 1] = '_';
        memcpy(ret->wire + ret->len + 2, part[i].at, part[i].len);
        ret->len = (uint8_t)(ret->len + part[i].len + 2);
    }
    wp_name_lower(ret->wire, ret->len);
    return wp_kube_target_close(ret, base->wire, base->len);
}

/* A port number that two protocols share makes one record at the service. */
static bool is_first(struct wp_kube_cursor ports, size_t n, int32_t number)
{
    struct wp_kube_port port;

    for (size_t i = 0; i < n && wp_kube_port_next(&ports, &port); i += 2)
        if (port.number == number)
            return false;
    return true;
}

/* The ports from at->port on. `plain`: each also at the base itself. */
static bool put_ports(const struct source *s, struct wp_transfer_out *out, struct at *at,
                      struct wp_kube_cursor ports, bool plain, unsigned weight,
                      const struct wp_name *base, const struct wp_name *target)
{
    const struct wp_kube_cursor all = ports;
    struct wp_kube_port port;
    struct wp_name owner;

    /* two records for each port: the plain one, and that of its name */
    for (size_t n = 0; wp_kube_port_next(&ports, &port); n += 2) {
        if (port.number == WP_KUBE_NO_PORT || n + 1 < at->port)
            continue;
        if (at->port < n)
            at->port = n;
        if (n == at->port) {
            if (plain && is_first(all, n, port.number) &&
                !put_srv(s, out, base, weight, port.number, target))
                return false;
            at->port++;
        }
        if (port_name(&port, base, &owner) && !put_srv(s, out, &owner, weight, port.number, target))
            return false;
        at->port = n + 2;
    }
    at->port = 0;
    return true;
}

static bool put_service(const struct source *s, struct wp_transfer_out *out, struct at *at,
                        const struct wp_kube_place *place, const struct wp_name *base)
{
    struct wp_kube_cursor ips = wp_kube_place_ips(place, s->view);
    struct wp_kube_addr addr;

    if (at->part == 0) {
        for (size_t n = 0; wp_kube_addr_next(&ips, &addr); n++) {
            if (n < at->i)
                continue;
            if (s->reverse ? !put_pointer(s, out, &addr, base) : !put_address(s, out, base, &addr))
                return false;
            at->i++;
        }
        at->part = 1;
    }
    return s->reverse ||
           put_ports(s, out, at, wp_kube_place_ports(place, s->view), true, WEIGHT, base, base);
}

static bool put_endpoint(const struct source *s, struct wp_transfer_out *out, struct at *at,
                         const struct wp_kube_slice *slice, const struct wp_name *base)
{
    struct wp_kube_addr addr = wp_kube_slice_addr(slice, at->i);
    unsigned weight = slice->n < WEIGHT ? WEIGHT / slice->n : 1;
    struct wp_name name;
    uint8_t ip[16];

    if (!wp_kube_target_endpoint(&name, slice, at->i, base->wire, base->len) ||
        wp_kube_addr_family(&addr, ip) == 0)
        return true;
    if (s->reverse)
        return put_pointer(s, out, &addr, &name);
    if (at->part == 0) {
        if (!put_address(s, out, base, &addr))
            return false;
        at->part = 1;
    }
    if (at->part == 1) {
        if (!put_address(s, out, &name, &addr))
            return false;
        at->part = 2;
    }
    return put_ports(s, out, at, wp_kube_slice_ports(slice), false, weight, base, &name);
}

static bool put_endpoints(const struct source *s, struct wp_transfer_out *out, struct at *at,
                          const struct wp_kube_place *place, const struct wp_name *base)
{
    const struct wp_kube_slice *const *slices = wp_kube_place_slices(place, s->view);

    for (; at->k < place->n_slices[s->view]; at->k++) {
        for (; at->i < slices[at->k]->n; at->i++) {
            if (!put_endpoint(s, out, at, slices[at->k], base))
                return false;
            at->part = 0;
            at->port = 0;
        }
        at->i = 0;
    }
    return true;
}

static bool put_alias(const struct source *s, struct wp_transfer_out *out,
                      const struct wp_kube_place *place, const struct wp_name *base)
{
    struct wp_kube_text target = wp_kube_place_external_name(place);
    char text[WP_KUBE_TEXT_MAX + 1];
    struct wp_name name;
    struct wp_addr ip;

    if (s->reverse)
        return true;
    memcpy(text, target.at, target.len);
    text[target.len] = '\0';
    return wp_addr_parse_ip(text, &ip) == 0 || wp_name_parse(text, &name) < 0 ||
           wp_transfer_put(out, base->wire, WP_TYPE_CNAME, s->p->ttl_s, name.wire, name.len);
}

/* Names below a reverse zone lead into the zone that answers give, too. */
static const struct kubernetes_zone *base_zone(const struct source *s)
{
    return s->reverse ? s->p->primary : s->zone;
}

static bool put_place(const struct source *s, struct wp_transfer_out *out, struct at *at,
                      const struct wp_kube_place *place)
{
    const struct kubernetes_zone *zone = base_zone(s);
    enum wp_kube_kind kind = place->kind[s->view];
    struct wp_name base;

    if (!wp_kube_target_service(&base, wp_kube_place_namespace(place), wp_kube_place_name(place),
                                zone->name, zone->len))
        return true; /* it cannot be asked for, either */
    if (kind == WP_KUBE_EXTERNAL_NAME)
        return put_alias(s, out, place, &base);
    if (kind == WP_KUBE_HEADLESS || (s->p->answer_endpoints && !s->reverse))
        return put_endpoints(s, out, at, place, &base);
    if (!s->reverse)
        return put_service(s, out, at, place, &base);
    /* an endpoint's address leads to its name whatever the service */
    if (!at->service) {
        if (!put_service(s, out, at, place, &base))
            return false;
        *at = (struct at){.service = true};
    }
    return put_endpoints(s, out, at, place, &base);
}

/* --- one after the other --------------------------------------------------------------------- */

/* A place with its slices, in one block of our own. */
static struct wp_kube_place *copy_place(const struct wp_kube_place *place)
{
    uint32_t n = place->n_slices[0] + place->n_slices[1];
    size_t own = sizeof(*place) + n * sizeof(place->slices[0]) + place->end[WP_KUBE_PARTS - 1];
    size_t len = own;
    struct wp_kube_place *copy;
    uint8_t *to;

    for (uint32_t k = 0; k < n; k++)
        len += (place->slices[k]->size + 15u) & ~(size_t)15;
    copy = malloc(len + 16);
    if (copy == NULL)
        return NULL;
    memcpy(copy, place, own);
    copy->ns = NULL;
    to = (uint8_t *)copy + ((own + 15) & ~(size_t)15);
    for (uint32_t k = 0; k < n; k++) {
        memcpy(to, place->slices[k], place->slices[k]->size);
        copy->slices[k] = (const struct wp_kube_slice *)(const void *)to;
        to += (place->slices[k]->size + 15u) & ~(size_t)15;
    }
    return copy;
}

/* NEXT: the message is full. */
static int put_next(struct source *s, struct wp_transfer_out *out)
{
    uint32_t at = s->order[s->next];
    struct wp_kube_text name = text_at(s, at), ns = text_at(s, behind(s, at));
    const struct wp_kube_place *place = s->held;

    if (s->next > 0 && compare(s, s->order[s->next - 1], at) == 0) {
        s->next++; /* it went and came while the names were gathered */
        return WP_STEP_DONE;
    }
    if (place == NULL) {
        place = wp_kube_place_find(s->p->cluster->store,
                                   wp_kube_place_hash(ns.at, ns.len, name.at, name.len), ns.at,
                                   ns.len, name.at, name.len);
        s->at = (struct at){0};
    }
    if (place != NULL && (s->held != NULL || shows(s, place)) &&
        !put_place(s, out, &s->at, place)) {
        if (s->held == NULL)
            s->held = copy_place(place);
        return s->held == NULL ? -ENOMEM : WP_STEP_NEXT;
    }
    free(s->held);
    s->held = NULL;
    s->next++;
    return WP_STEP_DONE;
}

static int next(void *source, struct wp_transfer_out *out)
{
    struct source *s = source;
    int r = WP_STEP_DONE;

    for (; s->head_at < s->head.n; s->head_at++) {
        const struct wp_rr *rr = &s->head.rr[s->head_at];
        bool is_glue = rr->section == WP_ADDITIONAL;

        /* as CoreDNS: addresses of name servers for nobody to keep, they are ours and change */
        if (rr->type != WP_TYPE_SOA &&
            !wp_transfer_put(out, rr->owner, rr->type, is_glue ? 0 : rr->ttl, rr->rdata, rr->rdlen))
            return WP_STEP_NEXT;
    }
    for (unsigned looked = 0; r == WP_STEP_DONE && s->next < s->n; looked++)
        r = looked < LOOKED_UP ? put_next(s, out) : WP_STEP_NEXT;
    return r;
}

static void end(void *source)
{
    struct source *s = source;

    free(s->texts);
    free(s->order);
    free(s->other);
    free(s->held);
}

/* --- the beginning --------------------------------------------------------------------------- */

/* SOA and NS, as they are answered. */
static int make_head(struct source *s)
{
    struct kubernetes_answer a = {.p = s->p, .q = s->q, .zone = s->zone};
    int r = wp_reply_begin(s->q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r == 0)
        r = kubernetes_write_soa(s->p, s->q, s->zone, WP_ANSWER);
    if (r == 0)
        r = kubernetes_write_ns(&a);
    if (r == 0)
        r = wp_reply_view(s->q, &s->head);
    s->q->reply.begun = false;
    s->q->reply.len = 0;
    return r;
}

/* The serial that stands in the SOA at `numbers`, or the one before while its second lasts. */
static uint32_t settle_serial(const struct source *s, uint8_t *numbers)
{
    uint32_t serial = wp_be32(numbers), now = (uint32_t)wp_loop_unix_time(s->q->loop);

    if (serial != 0 && serial >= now)
        serial = now - 1;
    wp_put32(numbers, serial);
    return serial;
}

int kubernetes_transfer(void *self, struct wp_query *q, struct wp_transfer *ret)
{
    const struct kubernetes *p = self;
    const struct kubernetes_zone *zone = kubernetes_zone_match(p, &q->msg.qname);
    const struct wp_rr *soa;
    struct source *s;
    uint8_t *rdata;
    int r;

    if (zone == NULL || zone->len != q->msg.qname.len)
        return WP_ENOTFOUND;
    if (!wp_kube_cluster_has_data(p->cluster))
        return WP_ESTATE;
    s = wp_arena_zalloc(q->arena, sizeof(*s));
    if (s == NULL)
        return -ENOMEM;
    s->p = p;
    s->zone = zone;
    s->q = q;
    s->view = zone->multicluster ? WP_KUBE_CLUSTERSET : WP_KUBE_LOCAL;
    s->reverse = wp_kube_name_in_arpa(&q->msg.qname);
    r = make_head(s);
    if (r < 0)
        return r;
    soa = &s->head.rr[0];
    rdata = wp_arena_dup(q->arena, soa->rdata, soa->rdlen);
    if (rdata == NULL)
        return -ENOMEM;
    *ret = (struct wp_transfer){.serial = settle_serial(s, rdata + soa->rdlen - 20),
                                .soa = rdata,
                                .soa_len = soa->rdlen,
                                .soa_ttl = soa->ttl,
                                .source = s,
                                .prepare = prepare,
                                .next = next,
                                .end = end};
    return 0;
}
