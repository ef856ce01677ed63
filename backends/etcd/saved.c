#include "backends/etcd/saved.h"

#include "backends/etcd/lease.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

/* kind, flags, port, ttl, lengths of host, group, text, key; then, when there: lease, wide numbers;
 * then address, host, group, text, key */
enum {
    FIXED = 1 + 1 + 2 + 4 + 2 + 2 + 4 + 2,
    LEASE = 16,
    WIDE = 32,
    FLAGS = WP_ETCD_REC_MAIL | WP_ETCD_REC_WIDE | WP_ETCD_REC_HOST | WP_ETCD_REC_ODD |
            WP_ETCD_REC_GROUP | WP_ETCD_REC_LEASE,
};

static size_t words_len(const struct wp_etcd_rec *r)
{
    return wp_etcd_rec_addr_len(r) + r->host_len + r->group_len + r->text_len + r->key_len;
}

size_t wp_etcd_saved_size(const struct wp_etcd_rec *r)
{
    return FIXED + (r->flags & WP_ETCD_REC_LEASE ? LEASE : 0) +
           (r->flags & WP_ETCD_REC_WIDE ? WIDE : 0) + words_len(r);
}

static void put64(struct wp_wr *wr, int64_t v)
{
    wp_wr_u32(wr, (uint32_t)((uint64_t)v >> 32));
    wp_wr_u32(wr, (uint32_t)(uint64_t)v);
}

void wp_etcd_saved_write(const struct wp_etcd_rec *r, const struct wp_etcd_saved_lease *lease,
                         uint8_t *to)
{
    struct wp_wr wr = wp_wr_to(to, wp_etcd_saved_size(r));

    wp_wr_u8(&wr, r->kind);
    wp_wr_u8(&wr, (uint8_t)(r->flags & FLAGS)); /* what is checked is known when etcd is there again */
    wp_wr_u16(&wr, r->port);
    wp_wr_u32(&wr, r->ttl);
    wp_wr_u16(&wr, r->host_len);
    wp_wr_u16(&wr, r->group_len);
    wp_wr_u32(&wr, r->text_len);
    wp_wr_u16(&wr, r->key_len);
    if (r->flags & WP_ETCD_REC_LEASE) {
        put64(&wr, lease->id);
        put64(&wr, lease->end_ms);
    }
    if (r->flags & WP_ETCD_REC_WIDE) {
        struct wp_etcd_wide w = wp_etcd_rec_wide(r);
        put64(&wr, w.port);
        put64(&wr, w.priority);
        put64(&wr, w.weight);
        put64(&wr, w.targetstrip);
    }
    wp_wr_bytes(&wr, wp_etcd_rec_addr(r), words_len(r)); /* they stand one after the other */
}

static int64_t read64(struct wp_rd *rd)
{
    uint64_t high = wp_rd_u32(rd);

    return (int64_t)(high << 32 | wp_rd_u32(rd));
}

/* Which flags go with which kind and lengths. */
static bool is_possible(unsigned kind, unsigned flags, size_t host, size_t group)
{
    bool is_address = kind == WP_ETCD_A || kind == WP_ETCD_AAAA;
    unsigned host_flag = is_address ? WP_ETCD_REC_ODD : WP_ETCD_REC_HOST;
    unsigned not_flag = is_address ? WP_ETCD_REC_HOST : WP_ETCD_REC_ODD;

    if (kind > WP_ETCD_TEXT || (flags & ~(unsigned)FLAGS) != 0 || (flags & not_flag) != 0)
        return false;
    if (((flags & host_flag) != 0) != (host > 0) ||
        ((flags & WP_ETCD_REC_GROUP) != 0) != (group > 0))
        return false;
    return kind != WP_ETCD_ALIAS || host > 0;
}

static const char *read_words(struct wp_rd *rd, size_t len)
{
    return (const char *)wp_rd_bytes(rd, len);
}

int wp_etcd_saved_read(const uint8_t *rec, size_t len, struct wp_etcd_saved *ret)
{
    struct wp_rd rd = wp_rd_from(rec, len);
    struct wp_etcd_value *v = &ret->value;
    unsigned flags;
    size_t host_len;
    const char *host;

    *ret = (struct wp_etcd_saved){.value.kind = (enum wp_etcd_kind)wp_rd_u8(&rd)};
    flags = wp_rd_u8(&rd);
    v->port = wp_rd_u16(&rd);
    v->ttl = wp_rd_u32(&rd);
    host_len = wp_rd_u16(&rd);
    v->group_len = wp_rd_u16(&rd);
    v->text_len = wp_rd_u32(&rd);
    ret->key_len = wp_rd_u16(&rd);
    if (!is_possible(v->kind, flags, host_len, v->group_len))
        return WP_EMALFORMED;
    if (flags & WP_ETCD_REC_LEASE) {
        ret->lease.id = read64(&rd);
        ret->lease.end_ms = read64(&rd);
    }
    if (flags & WP_ETCD_REC_WIDE) {
        v->port = read64(&rd);
        v->priority = read64(&rd);
        v->weight = read64(&rd);
        v->targetstrip = read64(&rd);
    }
    v->mail = (flags & WP_ETCD_REC_MAIL) != 0;
    if (v->kind == WP_ETCD_A || v->kind == WP_ETCD_AAAA) {
        size_t n = v->kind == WP_ETCD_A ? 4 : 16;
        const uint8_t *addr = wp_rd_bytes(&rd, n);
        if (addr != NULL)
            memcpy(v->addr, addr, n);
    }
    host = read_words(&rd, host_len);
    v->group = read_words(&rd, v->group_len);
    v->text = read_words(&rd, v->text_len);
    ret->key = read_words(&rd, ret->key_len);
    if (rd.bad || wp_rd_left(&rd) > 0 || ret->key_len > WP_ETCD_KEY_MAX ||
        ((flags & WP_ETCD_REC_LEASE) != 0 && ret->lease.id == 0))
        return WP_EMALFORMED;
    if (flags & WP_ETCD_REC_ODD) {
        v->odd_host = host;
        v->odd_host_len = host_len;
    } else if (host_len > 0) {
        if (wp_name_len((const uint8_t *)host, host_len) != (int)host_len)
            return WP_EMALFORMED;
        v->host.len = (uint8_t)host_len;
        memcpy(v->host.wire, host, host_len);
    }
    return 0;
}
