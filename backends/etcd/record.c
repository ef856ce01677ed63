#include "backends/etcd/record.h"

#include <stdlib.h>

#include "backends/etcd/path.h"

static bool is_wide(const struct wp_etcd_value *v)
{
    return v->port < 0 || v->port > 0xffff || v->priority != 0 || v->weight != 0 ||
           v->targetstrip != 0;
}

static uint8_t *put(uint8_t *to, const void *from, size_t len)
{
    if (len > 0)
        memcpy(to, from, len);
    return to + len;
}

/* What stands before the record. */
static size_t room_before(unsigned level, unsigned flags)
{
    return (level - 1) * sizeof(void *) +
           (flags & WP_ETCD_REC_LEASE ? sizeof(struct wp_etcd_tie) : 0) +
           (flags & WP_ETCD_REC_CHECK ? sizeof(struct wp_etcd_tie) : 0);
}

static struct wp_etcd_rec *rec_alloc(size_t body, unsigned level, unsigned flags)
{
    size_t before = room_before(level, flags);
    uint8_t *p = calloc(1, before + sizeof(struct wp_etcd_rec) + body);
    struct wp_etcd_rec *r;

    if (p == NULL)
        return NULL;
    r = (struct wp_etcd_rec *)(void *)(p + before);
    r->level = (uint8_t)level;
    r->flags = (uint8_t)flags;
    return r;
}

static void fill(struct wp_etcd_rec *r, const char *key, const struct wp_etcd_value *v,
                 struct wp_etcd_lease *lease)
{
    uint8_t *p = r->body;

    if (r->flags & WP_ETCD_REC_LEASE)
        p = put(p, &lease, sizeof(struct wp_etcd_lease *));
    if (r->flags & WP_ETCD_REC_CHECK)
        p = put(p, &v->check, sizeof(struct wp_etcd_check *));
    if (r->flags & WP_ETCD_REC_WIDE) {
        struct wp_etcd_wide w = {v->port, v->priority, v->weight, v->targetstrip};
        p = put(p, &w, sizeof(w));
    }
    p = put(p, v->addr, wp_etcd_rec_addr_len(r));
    p = put(p, r->flags & WP_ETCD_REC_ODD ? (const void *)v->odd_host : v->host.wire, r->host_len);
    p = put(p, v->group, r->group_len);
    p = put(p, v->text, r->text_len);
    put(p, key, r->key_len);
}

struct wp_etcd_rec *wp_etcd_rec_new(const char *key, size_t key_len, const struct wp_etcd_value *v,
                                    struct wp_etcd_lease *lease, int64_t mod_revision,
                                    unsigned level)
{
    unsigned flags = (v->mail ? WP_ETCD_REC_MAIL : 0) | (is_wide(v) ? WP_ETCD_REC_WIDE : 0) |
                     (lease != NULL ? WP_ETCD_REC_LEASE : 0) |
                     (v->check != NULL ? WP_ETCD_REC_CHECK : 0) |
                     (v->group_len > 0 ? WP_ETCD_REC_GROUP : 0);
    size_t host_len = 0, addr_len = v->kind == WP_ETCD_A ? 4 : v->kind == WP_ETCD_AAAA ? 16 : 0;
    struct wp_etcd_rec *r;
    struct wp_name name;
    size_t body;

    if (addr_len > 0 && wp_etcd_path_name(key, key_len, &name) < 0)
        flags |= WP_ETCD_REC_NAMELESS;
    if (v->odd_host != NULL && addr_len > 0) {
        flags |= WP_ETCD_REC_ODD;
        host_len = v->odd_host_len;
    } else if (v->host.len > 0 && addr_len == 0) {
        flags |= WP_ETCD_REC_HOST;
        host_len = v->host.len;
    }
    body = (lease != NULL ? sizeof(struct wp_etcd_lease *) : 0) +
           (v->check != NULL ? sizeof(struct wp_etcd_check *) : 0) +
           (flags & WP_ETCD_REC_WIDE ? sizeof(struct wp_etcd_wide) : 0) + addr_len + host_len +
           v->group_len + v->text_len + key_len;
    r = rec_alloc(body, level, flags);
    if (r == NULL)
        return NULL;
    r->kind = (uint8_t)v->kind;
    r->mod_revision = mod_revision;
    r->ttl = v->ttl;
    r->port = (uint16_t)v->port;
    r->key_len = (uint16_t)key_len;
    r->host_len = (uint16_t)host_len;
    r->group_len = (uint16_t)v->group_len;
    r->text_len = (uint32_t)v->text_len;
    fill(r, key, v, lease);
    return r;
}

static size_t body_len(const struct wp_etcd_rec *r)
{
    return (size_t)((const uint8_t *)wp_etcd_rec_key(r) - r->body) + r->key_len;
}

struct wp_etcd_rec *wp_etcd_rec_copy(const struct wp_etcd_rec *r, unsigned level)
{
    struct wp_etcd_rec *copy = rec_alloc(body_len(r), level, r->flags);

    if (copy == NULL)
        return NULL;
    copy->mod_revision = r->mod_revision;
    copy->ttl = r->ttl;
    copy->text_len = r->text_len;
    copy->port = r->port;
    copy->key_len = r->key_len;
    copy->host_len = r->host_len;
    copy->group_len = r->group_len;
    copy->kind = r->kind;
    memcpy(copy->body, r->body, body_len(r));
    return copy;
}

void wp_etcd_rec_free(struct wp_etcd_rec *r)
{
    if (r != NULL)
        free((uint8_t *)r - room_before(r->level, r->flags));
}

size_t wp_etcd_rec_size(const struct wp_etcd_rec *r)
{
    return room_before(r->level, r->flags) + sizeof(*r) + body_len(r);
}

bool wp_etcd_rec_same_host(const struct wp_etcd_rec *a, const struct wp_etcd_rec *b)
{
    size_t n = wp_etcd_rec_addr_len(a);

    return a->kind == b->kind && a->host_len == b->host_len &&
           (a->flags & WP_ETCD_REC_ODD) == (b->flags & WP_ETCD_REC_ODD) &&
           memcmp(wp_etcd_rec_addr(a), wp_etcd_rec_addr(b), n) == 0 &&
           memcmp(wp_etcd_rec_host(a), wp_etcd_rec_host(b), a->host_len) == 0;
}

bool wp_etcd_rec_equal(const struct wp_etcd_rec *a, const struct wp_etcd_rec *b)
{
    size_t skip_a = wp_etcd_rec_wide_at(a), skip_b = wp_etcd_rec_wide_at(b);
    unsigned differ = (unsigned)(a->flags ^ b->flags);
    size_t len = (size_t)((const uint8_t *)wp_etcd_rec_key(a) - a->body) - skip_a;

    return a->kind == b->kind && (differ & ~(unsigned)(WP_ETCD_REC_LEASE | WP_ETCD_REC_CHECK)) == 0 &&
           a->ttl == b->ttl && a->port == b->port && a->host_len == b->host_len &&
           a->group_len == b->group_len && a->text_len == b->text_len &&
           memcmp(a->body + skip_a, b->body + skip_b, len) == 0;
}
