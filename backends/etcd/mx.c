/* MX and NS: the entries whose own name, or host, is the record. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "backends/etcd/set.h"

enum { TAG_EXCHANGE = 1 << 16, TAG_TARGET = 1 << 17 };

static int add_to(struct wp_etcd_set *said, struct wp_arena *arena, uint32_t tag,
                  const uint8_t *name, bool *ret_new)
{
    int64_t at = wp_etcd_set_add(said, arena, tag, name, wp_name_size(name), ret_new);

    return at < 0 ? (int)at : 0;
}

static int add_mx_record(struct wp_etcd_answer *a, const struct wp_etcd_rec *r, uint16_t preference,
                         const uint8_t *exchange)
{
    size_t len = wp_name_size(exchange);
    struct wp_etcd_item item = {.type = WP_TYPE_MX,
                                .section = WP_ANSWER,
                                .ttl = wp_etcd_ttl(a, r),
                                .rdlen = (uint16_t)(2 + len)};
    uint8_t *rdata = wp_arena_alloc(a->arena, 2 + len);

    if (rdata == NULL)
        return -ENOMEM;
    rdata[0] = (uint8_t)(preference >> 8);
    rdata[1] = (uint8_t)preference;
    memcpy(rdata + 2, exchange, len);
    item.rdata = rdata;
    return wp_etcd_add(a, &item);
}

/* An entry with an address: the exchange is stripped, the owner of its address is not. */
static int add_mx_address(struct wp_etcd_answer *a, const struct wp_etcd_rec *r,
                          uint16_t preference, const uint8_t *exchange, struct wp_etcd_set *said)
{
    bool none, is_new;
    const uint8_t *owner = wp_etcd_target_name(a, r, false, &none);
    int ret;

    if (owner == NULL)
        return none ? 0 : -ENOMEM;
    ret = add_to(said, a->arena, TAG_EXCHANGE | preference, exchange, &is_new);
    if (ret == 0 && is_new)
        ret = add_mx_record(a, r, preference, exchange);
    return ret < 0 ? ret : wp_etcd_add_address_once(a, r, owner, said);
}

static int add_mx(struct wp_etcd_answer *a, const struct wp_etcd_rec *r, struct wp_etcd_set *said)
{
    struct wp_etcd_wide w = wp_etcd_rec_wide(r);
    uint16_t preference = (uint16_t)wp_etcd_priority(&w);
    bool none, is_new;
    const uint8_t *exchange = wp_etcd_target_name(a, r, true, &none);
    int ret;

    if (exchange == NULL)
        return none ? 0 : -ENOMEM;
    if (r->kind != WP_ETCD_ALIAS)
        return add_mx_address(a, r, preference, exchange, said);
    ret = add_mx_record(a, r, preference, exchange);
    if (ret == 0)
        ret = add_to(said, a->arena, TAG_TARGET, exchange, &is_new);
    return ret < 0 || !is_new ? ret : wp_etcd_glue(a, exchange);
}

int wp_etcd_answer_mx(struct wp_etcd_answer *a, const struct wp_etcd_target *t)
{
    struct wp_etcd_entries e;
    struct wp_etcd_set said = {0};
    const struct wp_etcd_rec *rec;
    int r = wp_etcd_gather(a, &t->path, WP_ETCD_BELOW, WP_TYPE_MX, &e);

    while (r == 0 && a->outcome == WP_ETCD_FOUND && (rec = wp_etcd_next(a, &e)) != NULL) {
        if (!(rec->flags & WP_ETCD_REC_MAIL) || rec->kind == WP_ETCD_TEXT)
            continue;
        if (a->octets > WP_ETCD_OCTETS_MAX) {
            a->truncated = true;
            break;
        }
        r = add_mx(a, rec, &said);
    }
    return r;
}

/* The name servers of the zone: entries of ns.dns.ZONE, which must be addresses. */
int wp_etcd_answer_ns(struct wp_etcd_answer *a)
{
    struct wp_etcd_entries e;
    struct wp_etcd_set said = {0};
    const struct wp_etcd_rec *rec;
    int r = wp_etcd_gather_place(a, &a->view->zone->ns, WP_TYPE_NS, &e);

    while (r == 0 && a->outcome == WP_ETCD_FOUND && (rec = wp_etcd_next(a, &e)) != NULL) {
        struct wp_etcd_item item = {
            .type = WP_TYPE_NS, .section = WP_ANSWER, .ttl = wp_etcd_ttl(a, rec)};
        char text[WP_NAME_TEXT_MAX];
        bool none, is_new;
        if (rec->kind == WP_ETCD_TEXT)
            continue;
        if (rec->kind == WP_ETCD_ALIAS) {
            a->outcome = WP_ETCD_FAILED;
            a->error = wp_arena_printf(a->arena, "NS record must be an IP address: %s",
                                       wp_name_text(wp_etcd_rec_host(rec), text));
            return a->error == NULL ? -ENOMEM : 0;
        }
        item.rdata = wp_etcd_target_name(a, rec, true, &none);
        if (item.rdata == NULL && none)
            continue;
        if (item.rdata == NULL)
            return -ENOMEM;
        item.rdlen = (uint16_t)wp_name_size(item.rdata);
        r = wp_etcd_add_address(a, rec, item.rdata, WP_ADDITIONAL);
        if (r == 0)
            r = add_to(&said, a->arena, TAG_TARGET, item.rdata, &is_new);
        if (r == 0 && is_new)
            r = wp_etcd_add(a, &item);
    }
    return r;
}
