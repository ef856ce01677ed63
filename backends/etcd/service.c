/* The service form of SRV (RFC 2782): _LABEL._tcp.REST where no such key exists is answered from
 * the entries of LABEL.REST that have a port. Only reached after a name error, so it changes no
 * answer that the keys themselves give. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"

enum { WEIGHT_UNSET = 10 };

/* The name LABEL.REST, or false: not of that form, or REST is not inside the zone. */
static bool service_name(const struct wp_etcd_answer *a, const struct wp_qname *q,
                         struct wp_name *ret)
{
    const uint8_t *label = q->wire, *proto, *rest;
    size_t rest_len;

    if (q->n_labels < 3 || label[0] < 2 || label[1] != '_')
        return false;
    proto = q->wire + q->at[1];
    if (proto[0] != 4 || (memcmp(proto + 1, "_tcp", 4) != 0 && memcmp(proto + 1, "_udp", 4) != 0))
        return false;
    rest = q->wire + q->at[2];
    if (!wp_name_within(rest, a->view->zone->name))
        return false;
    rest_len = (size_t)(q->len - q->at[2]);
    ret->wire[0] = (uint8_t)(label[0] - 1);
    memcpy(ret->wire + 1, label + 2, ret->wire[0]);
    memcpy(ret->wire + 1 + ret->wire[0], rest, rest_len);
    ret->len = (uint8_t)(1 + ret->wire[0] + rest_len);
    return true;
}

/* Not set: 0 here, not the 10 of the plain form. */
static uint16_t priority_of(const struct wp_etcd_wide *w)
{
    return (uint16_t)w->priority;
}

static uint16_t weight_of(const struct wp_etcd_wide *w)
{
    return w->weight == 0 ? WEIGHT_UNSET : (uint16_t)w->weight;
}

/* Entries that are a service: a host of any kind and a port; in place. *ret_one: one port only. */
static void keep_services(struct wp_etcd_entries *e, bool *ret_one)
{
    int64_t port = 0;
    size_t n = 0;

    *ret_one = true;
    for (size_t i = 0; i < e->n; i++) {
        int64_t p = wp_etcd_rec_wide(e->at[i]).port;
        if (e->at[i]->kind == WP_ETCD_TEXT || p <= 0)
            continue;
        *ret_one &= n == 0 || p == port;
        port = p;
        e->at[n++] = e->at[i];
    }
    e->n = n;
}

static uint32_t least_ttl(const struct wp_etcd_answer *a, const struct wp_etcd_entries *e)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < e->n; i++) {
        uint32_t ttl = wp_etcd_ttl(a, e->at[i]);
        least = ttl < least ? ttl : least;
    }
    return least;
}

static int add(struct wp_etcd_answer *a, uint32_t ttl, uint16_t priority, uint16_t weight,
               int64_t port, const uint8_t *target)
{
    struct wp_etcd_item item = {.type = WP_TYPE_SRV, .section = WP_ANSWER, .ttl = ttl};

    item.rdata = wp_etcd_srv_rdata(a, priority, weight, (uint16_t)port, target, &item.rdlen);
    return item.rdata == NULL ? -ENOMEM : wp_etcd_add(a, &item);
}

/* All entries share a port: the service's name is the target, its addresses are all of theirs. */
static int add_shared(struct wp_etcd_answer *a, const struct wp_etcd_entries *e,
                      const struct wp_etcd_target *t, const uint8_t *name)
{
    struct wp_etcd_wide w = wp_etcd_rec_wide(e->at[0]);
    uint16_t priority = priority_of(&w), weight = weight_of(&w);
    int r;

    for (size_t i = 1; i < e->n; i++) {
        struct wp_etcd_wide other = wp_etcd_rec_wide(e->at[i]);
        priority = priority_of(&other) < priority ? priority_of(&other) : priority;
        weight = weight_of(&other) > weight ? weight_of(&other) : weight;
    }
    r = add(a, least_ttl(a, e), priority, weight, w.port, name);
    if (r == 0)
        r = wp_etcd_follow(a, t, name, WP_TYPE_A, WP_ADDITIONAL, NULL);
    if (r == 0)
        r = wp_etcd_follow(a, t, name, WP_TYPE_AAAA, WP_ADDITIONAL, NULL);
    return r;
}

static int add_each(struct wp_etcd_answer *a, const struct wp_etcd_entries *e)
{
    uint32_t ttl = least_ttl(a, e);
    int r = 0;

    for (size_t i = 0; r == 0 && i < e->n; i++) {
        const struct wp_etcd_rec *rec = e->at[i];
        struct wp_etcd_wide w = wp_etcd_rec_wide(rec);
        bool none;
        const uint8_t *target = wp_etcd_target_name(a, rec, true, &none);
        if (target == NULL && none)
            continue;
        if (target == NULL)
            return -ENOMEM;
        if (a->octets > WP_ETCD_OCTETS_MAX) {
            a->truncated = true;
            break;
        }
        r = add(a, ttl, priority_of(&w), weight_of(&w), w.port, target);
        if (r == 0)
            r = rec->kind == WP_ETCD_ALIAS ? wp_etcd_glue(a, target)
                                           : wp_etcd_add_address(a, rec, target, WP_ADDITIONAL);
    }
    return r;
}

int wp_etcd_answer_service(struct wp_etcd_answer *a, const struct wp_etcd_target *t)
{
    struct wp_etcd_target service;
    struct wp_etcd_entries e;
    struct wp_name name;
    uint8_t *copy;
    bool one;
    int r;

    if (!service_name(a, &t->name, &name))
        return 0;
    if (wp_qname_set(&service.name, name.wire, name.len) < 0)
        return 0;
    wp_etcd_path_set(&service.path, &service.name);
    r = wp_etcd_gather(a, &service.path, WP_ETCD_BELOW, WP_TYPE_SRV, &e);
    if (r < 0 || a->outcome != WP_ETCD_FOUND)
        return r;
    keep_services(&e, &one);
    if (e.n == 0) {
        a->outcome = WP_ETCD_NO_NAME; /* nothing of that form: the literal answer stands */
        return 0;
    }
    copy = wp_arena_dup(a->arena, name.wire, name.len);
    if (copy == NULL)
        return -ENOMEM;
    r = one ? add_shared(a, &e, &service, copy) : add_each(a, &e);
    a->outcome = WP_ETCD_FOUND;
    a->error = NULL;
    return r;
}
