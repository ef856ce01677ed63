/* Making a reply: header, question, records, one after the other, straight in wire form. */
#include "server/router/router_priv.h"

#include "waypost/base/wr.h"
#include "waypost/plugin/change.h"

void wp_reply_own_buffer(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);

    if (q->reply.buf == p->out || q->reply.buf == p->big)
        return;
    if (q->reply.len <= WP_QUERY_OUT) {
        memcpy(p->out, q->reply.buf, q->reply.len);
        q->reply.buf = p->out;
        q->reply.cap = WP_QUERY_OUT;
        return;
    }
    p->big = wp_worker_big_get(p->worker);
    if (p->big == NULL) { /* lose the reply, not the query */
        q->reply.buf = p->out;
        q->reply.cap = WP_QUERY_OUT;
        wp_query_fail(q, WP_RCODE_SERVFAIL, -ENOMEM, NULL);
        return;
    }
    memcpy(p->big, q->reply.buf, q->reply.len);
    q->reply.buf = p->big;
    q->reply.cap = WP_BIG_LEN;
}

/* A larger buffer with the same contents. */
static bool grow(struct wp_query *q, size_t need)
{
    struct wp_pooled *p = wp_pooled_of(q);
    uint8_t *to;
    uint32_t cap;

    if (need <= WP_QUERY_OUT && q->reply.buf != p->out) {
        to = p->out;
        cap = WP_QUERY_OUT;
    } else if (need <= WP_BIG_LEN && p->big == NULL) {
        to = p->big = wp_worker_big_get(p->worker);
        cap = WP_BIG_LEN;
    } else {
        return false;
    }
    if (to == NULL)
        return false;
    memcpy(to, q->reply.buf, q->reply.len);
    q->reply.buf = to;
    q->reply.cap = cap;
    return true;
}

uint8_t *wp_reply_room(struct wp_query *q, size_t len)
{
    size_t need = q->reply.len + len + WP_REPLY_SPARE;

    if (WP_UNLIKELY(need > q->reply.cap) && !(need <= WP_BIG_LEN && grow(q, need)))
        return NULL;
    return q->reply.buf + q->reply.len;
}

int wp_reply_begin(struct wp_query *q, uint16_t rcode, uint16_t flags)
{
    struct wp_reply *r = &q->reply;
    uint8_t *to;

    r->len = 0;
    to = wp_reply_room(q, WP_HEADER_LEN + (size_t)q->question_len);
    if (to == NULL)
        return WP_ESPACE;
    memset(to, 0, WP_HEADER_LEN);
    memcpy(to + WP_HEADER_LEN, q->question, q->question_len);
    r->len = WP_HEADER_LEN + (uint32_t)q->question_len;
    r->count[0] = r->count[1] = r->count[2] = 0;
    r->rcode = rcode;
    r->flags = flags;
    r->begun = true;
    r->unwritten = r->dropped = r->compressed = false;
    return 0;
}

/* A later section has records already: the order of the wire would not be kept. */
static bool out_of_order(const struct wp_reply *r, enum wp_section s)
{
    for (unsigned i = (unsigned)s + 1; i < WP_SECTIONS; i++) {
        if (r->count[i] > 0)
            return true;
    }
    return false;
}

static int put(struct wp_query *q, enum wp_section s, const uint8_t *owner, uint16_t type,
               uint16_t cls, uint32_t ttl, const void *rdata, size_t rdlen)
{
    bool same = owner == NULL || wp_name_equal(owner, q->question);
    size_t owner_len = same ? 2 : wp_name_size(owner);
    uint8_t *to;

    if (!q->reply.begun || out_of_order(&q->reply, s))
        return WP_ESTATE;
    if (rdlen > WP_MSG_MAX || q->reply.count[s] == UINT16_MAX)
        return WP_ESPACE;
    to = wp_reply_room(q, owner_len + 10 + rdlen);
    if (to == NULL)
        return WP_ESPACE;
    if (same)
        wp_put16(to, 0xc000 | WP_HEADER_LEN);
    else
        memcpy(to, owner, owner_len);
    to += owner_len;
    wp_put16(to, type);
    wp_put16(to + 2, cls);
    wp_put32(to + 4, ttl);
    wp_put16(to + 8, (unsigned)rdlen);
    if (rdlen > 0)
        memcpy(to + 10, rdata, rdlen);
    q->reply.len += (uint32_t)(owner_len + 10 + rdlen);
    q->reply.count[s]++;
    return 0;
}

int wp_reply_rr(struct wp_query *q, enum wp_section s, const uint8_t *owner, uint16_t type,
                uint32_t ttl, const void *rdata, size_t rdlen)
{
    return put(q, s, owner, type, WP_CLASS_IN, ttl, rdata, rdlen);
}

int wp_reply_put(struct wp_query *q, const struct wp_rr *rr)
{
    return put(q, (enum wp_section)rr->section, rr->owner, rr->type, rr->cls, rr->ttl, rr->rdata,
               rr->rdlen);
}

int wp_reply_append(struct wp_query *q, const struct wp_query *child, enum wp_section from,
                    enum wp_section to)
{
    struct wp_rd rd = wp_rd_from(child->reply.buf, child->reply.len);
    unsigned skip = 0;

    for (unsigned s = 0; s < (unsigned)from; s++)
        skip += child->reply.count[s];
    rd.pos = WP_HEADER_LEN + (size_t)child->question_len;
    for (unsigned i = 0; i < skip + child->reply.count[from]; i++) {
        struct wp_rr_at at;
        struct wp_rr rr;
        int r;

        if (i < skip) {
            r = wp_rr_next(&rd, &at);
            if (r < 0)
                return r;
            continue;
        }
        r = wp_rr_read(&rd, q->arena, &rr);
        if (r < 0)
            return r;
        rr.section = (uint8_t)to;
        r = wp_reply_put(q, &rr);
        if (r < 0)
            return r;
    }
    return 0;
}

int wp_reply_option(struct wp_query *q, uint16_t code, const void *data, size_t len)
{
    struct wp_reply *r = &q->reply;
    uint8_t *all;

    if (len > 4096 || r->options_len + len + 4 > 8192)
        return WP_ESPACE;
    all = wp_arena_alloc(q->arena, r->options_len + len + 4);
    if (all == NULL)
        return -ENOMEM;
    if (r->options_len > 0)
        memcpy(all, r->options, r->options_len);
    wp_put16(all + r->options_len, code);
    wp_put16(all + r->options_len + 2, (unsigned)len);
    if (len > 0)
        memcpy(all + r->options_len + 4, data, len);
    r->options = all;
    r->options_len = (uint16_t)(r->options_len + len + 4);
    r->has_opt = true;
    return 0;
}

int wp_reply_ede(struct wp_query *q, uint16_t code, const char *text)
{
    uint8_t data[2 + 255];
    size_t len = text != NULL ? strlen(text) : 0;

    if (!q->had_opt)
        return 0;
    if (len > sizeof(data) - 2)
        len = sizeof(data) - 2;
    wp_put16(data, code);
    if (len > 0)
        memcpy(data + 2, text, len);
    return wp_reply_option(q, WP_EDNS_EDE, data, len + 2);
}

void wp_query_depends(struct wp_query *q, uint64_t key)
{
    uint32_t slot = wp_change_slot(key);

    for (unsigned i = 0; i < q->n_deps; i++) {
        if (q->deps[i].slot == slot)
            return; /* the older version is the one to compare with */
    }
    if (q->n_deps == WP_QUERY_DEPS) {
        q->cacheable = false;
        return;
    }
    q->deps[q->n_deps++] = (struct wp_dep){
        .slot = slot,
        .version = atomic_load_explicit(&wp_change_version[slot], memory_order_acquire),
    };
}
