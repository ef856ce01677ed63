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

/* An entry that is a service: a host of any kind and a port. */
static bool is_service(const struct wp_etcd_rec *r, struct wp_etcd_wide *ret)
{
    *ret = wp_etcd_rec_wide(r);
    return r->kind != WP_ETCD_TEXT && ret->port > 0;
}

/* What all of them say together. */
struct service {
    size_t n;
    bool one_port;
    int64_t port;
    uint16_t priority, weight; /* least, largest */
    uint32_t ttl;              /* least */
};

static void sum_up(struct wp_etcd_answer *a, struct wp_etcd_entries *e, struct service *s)
{
    const struct wp_etcd_rec *r;
    struct wp_etcd_wide w;

    *s = (struct service){.one_port = true, .priority = UINT16_MAX, .ttl = UINT32_MAX};
    while ((r = wp_etcd_next(a, e)) != NULL) {
        uint32_t ttl = wp_etcd_ttl(a, r);
        if (!is_service(r, &w))
            continue;
        s->one_port &= s->n == 0 || w.port == s->port;
        s->port = w.port;
        s->priority = priority_of(&w) < s->priority ? priority_of(&w) : s->priority;
        s->weight = weight_of(&w) > s->weight ? weight_of(&w) : s->weight;
        s->ttl = ttl < s->ttl ? ttl : s->ttl;
        s->n++;
    }
    wp_etcd_rewind(e);
}

static int add(struct wp_etcd_answer *a, uint32_t ttl, uint16_t priority, uint16_t weight,
               int64_t port, const uint8_t *target)
{
    struct wp_etcd_item item = {.type = WP_TYPE_SRV, .section = WP_ANSWER, .ttl = ttl};

    item.rdata = wp_etcd_srv_rdata(a, priority, weight, (uint16_t)port, target, &item.rdlen);
    return item.rdata == NULL ? -ENOMEM : wp_etcd_add(a, &item);
}

/* All entries share a port: the service's name is the target, its addresses are all of theirs. */
static int add_shared(struct wp_etcd_answer *a, const struct service *s,
                      const struct wp_etcd_target *t)
{
    const uint8_t *name = wp_arena_dup(a->arena, t->name->wire, t->name->len);
    bool truncated = a->truncated; /* additional data that is left out needs no TC */
    int r;

    if (name == NULL)
        return -ENOMEM;
    r = add(a, s->ttl, s->priority, s->weight, s->port, name);
    if (r == 0)
        r = wp_etcd_follow(a, t, name, WP_TYPE_A, WP_ADDITIONAL, NULL);
    if (r == 0)
        r = wp_etcd_follow(a, t, name, WP_TYPE_AAAA, WP_ADDITIONAL, NULL);
    a->truncated = truncated;
    return r;
}

static int add_each(struct wp_etcd_answer *a, const struct service *s, struct wp_etcd_entries *e)
{
    const struct wp_etcd_rec *rec;
    struct wp_etcd_wide w;
    int r = 0;

    while (r == 0 && (rec = wp_etcd_next(a, e)) != NULL) {
        bool none;
        const uint8_t *target;
        if (!is_service(rec, &w))
            continue;
        target = wp_etcd_target_name(a, rec, true, &none);
        if (target == NULL && none)
            continue;
        if (target == NULL)
            return -ENOMEM;
        if (a->octets > WP_ETCD_OCTETS_MAX) {
            a->truncated = true;
            break;
        }
        r = add(a, s->ttl, priority_of(&w), weight_of(&w), w.port, target);
        if (r == 0)
            r = rec->kind == WP_ETCD_ALIAS ? wp_etcd_glue(a, target)
                                           : wp_etcd_add_address(a, rec, target, WP_ADDITIONAL);
    }
    return r;
}

int wp_etcd_answer_service(struct wp_etcd_answer *a, const struct wp_etcd_target *t)
{
    struct wp_etcd_target target;
    struct wp_etcd_entries e;
    struct service service;
    struct wp_qname q;
    struct wp_name name;
    int r;

    if (!service_name(a, t->name, &name) || wp_qname_set(&q, name.wire, name.len) < 0)
        return 0;
    target.name = &q;
    wp_etcd_path_set(&target.path, &q);
    r = wp_etcd_gather(a, &target.path, WP_ETCD_BELOW, WP_TYPE_SRV, &e);
    if (r < 0)
        return r;
    service.n = 0;
    if (a->outcome == WP_ETCD_FOUND)
        sum_up(a, &e, &service);
    if (service.n == 0) {
        a->outcome = WP_ETCD_NO_NAME; /* nothing of that form: the literal answer stands */
        a->error = NULL;
        return 0;
    }
    r = service.one_port ? add_shared(a, &service, &target) : add_each(a, &service, &e);
    a->outcome = WP_ETCD_FOUND;
    a->error = NULL;
    return r;
}
