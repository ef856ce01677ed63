/* Reading and editing a reply that stands: walking the wire, taking it apart, writing it anew,
 * and taking over a message that somebody else made. */
#include "server/router/router_priv.h"

#include "waypost/base/wr.h"

int wp_reply_each(struct wp_query *q,
                  int (*fn)(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s),
                  void *arg)
{
    struct wp_rd rd = wp_rd_from(q->reply.buf, q->reply.len);
    struct wp_rr_at at;

    if (!q->reply.begun)
        return 0;
    rd.pos = WP_HEADER_LEN + (size_t)q->question_len;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        for (unsigned i = 0; i < q->reply.count[s]; i++) {
            int r = wp_rr_next(&rd, &at);

            if (r < 0)
                return r;
            r = fn(arg, q->reply.buf, &at, (enum wp_section)s);
            if (r != 0)
                return r;
        }
    }
    return 0;
}

static int ttl_less(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    uint32_t *min = arg;

    (void)buf;
    (void)s;
    if (rr->ttl < *min)
        *min = rr->ttl;
    return 0;
}

uint32_t wp_reply_ttl_min(const struct wp_query *q)
{
    uint32_t min = UINT32_MAX;

    wp_reply_each((struct wp_query *)q, ttl_less, &min);
    return min;
}

int wp_reply_view(struct wp_query *q, struct wp_view *ret)
{
    const struct wp_reply *r = &q->reply;
    size_t n = (size_t)r->count[0] + r->count[1] + r->count[2];
    struct wp_view v = {.n = n, .cap = n + 8};
    struct wp_rd rd = wp_rd_from(r->buf, r->len);
    size_t k = 0;

    v.rr = wp_arena_array(q->arena, v.cap, sizeof(*v.rr));
    if (v.rr == NULL)
        return -ENOMEM;
    rd.pos = WP_HEADER_LEN + (size_t)q->question_len;
    for (unsigned s = 0; s < WP_SECTIONS && r->begun; s++) {
        for (unsigned i = 0; i < r->count[s]; i++, k++) {
            int e = wp_rr_read(&rd, q->arena, &v.rr[k]);

            if (e < 0)
                return e;
            v.rr[k].section = (uint8_t)s;
        }
    }
    v.n = k;
    *ret = v;
    return 0;
}

int wp_reply_rebuild(struct wp_query *q, const struct wp_view *view)
{
    struct wp_reply *r = &q->reply;
    struct wp_comp comp;
    struct wp_wr wr;
    uint8_t *to;
    size_t room = 0;
    int e;

    e = wp_reply_begin(q, r->rcode, r->flags);
    if (e < 0)
        return e;
    for (size_t i = 0; i < view->n; i++)
        room += wp_name_size(view->rr[i].owner) + 10u + view->rr[i].rdlen;
    to = wp_reply_room(q, room);
    if (to == NULL) /* compression may still make it fit: take what the largest buffer has */
        to = wp_reply_room(q, WP_BIG_LEN - WP_REPLY_SPARE - r->len);
    if (to == NULL)
        return WP_ESPACE;
    wr = wp_wr_to(r->buf, r->cap - WP_REPLY_SPARE);
    wr.len = WP_HEADER_LEN;
    wp_comp_init(&comp);
    wp_wr_name(&wr, &comp, q->question);
    if (wr.len != r->len - 4) /* the question was written spelled as asked, uncompressed */
        return WP_ESTATE;
    memcpy(r->buf + WP_HEADER_LEN, q->question, q->question_len);
    wr.len = r->len;
    for (size_t i = 0; i < view->n; i++) {
        wp_wr_rr(&wr, &comp, &view->rr[i]);
        r->count[view->rr[i].section]++;
    }
    if (wr.bad)
        return WP_ESPACE;
    r->len = (uint32_t)wr.len;
    r->compressed = true;
    return 0;
}

void wp_reply_compress(struct wp_query *q)
{
    struct wp_reply before;
    struct wp_view v;

    if (q->reply.compressed || wp_reply_view(q, &v) < 0)
        return;
    before = q->reply;
    if (wp_reply_rebuild(q, &v) < 0) {
        /* begin() has spoilt the header only; the records stand as they were */
        before.buf = q->reply.buf;
        before.cap = q->reply.cap;
        q->reply = before;
    }
}

int wp_reply_keep(struct wp_query *q, struct wp_kept_reply *ret)
{
    const struct wp_reply *r = &q->reply;
    const uint8_t *octets = NULL;

    if (r->begun) {
        octets = wp_arena_dup(q->arena, r->buf, r->len);
        if (octets == NULL)
            return -ENOMEM;
    }
    *ret = (struct wp_kept_reply){.reply = *r, .octets = octets, .writer = q->writer};
    return 0;
}

int wp_reply_give_back(struct wp_query *q, const struct wp_kept_reply *kept)
{
    struct wp_reply *r = &q->reply, was;
    uint8_t *to;

    r->len = 0;
    to = wp_reply_room(q, kept->reply.len);
    if (to == NULL)
        return WP_ESPACE;
    if (kept->octets != NULL)
        memcpy(to, kept->octets, kept->reply.len);
    was = *r; /* the buffer may be another one now */
    *r = kept->reply;
    r->buf = was.buf;
    r->cap = was.cap;
    q->writer = kept->writer;
    return 0;
}

/* The OPT of a message that is taken over. */
static int take_opt(struct wp_query *q, const uint8_t *msg, const struct wp_rr_at *at)
{
    struct wp_reply *r = &q->reply;

    r->rcode = (uint16_t)(r->rcode | (at->ttl >> 24) << 4);
    r->opt_do = at->ttl >> 15 & 1;
    r->has_opt = true;
    r->options = NULL;
    r->options_len = 0;
    if (at->rdlen > 0) {
        if (wp_edns_options_check(msg + at->rdata_pos, at->rdlen) < 0)
            return WP_EMALFORMED;
        r->options = wp_arena_dup(q->arena, msg + at->rdata_pos, at->rdlen);
        if (r->options == NULL)
            return -ENOMEM;
        r->options_len = at->rdlen;
    }
    return 0;
}

struct taken {
    size_t start, end; /* the records, without a closing OPT */
    uint16_t count[WP_SECTIONS];
    bool opt_inside; /* an OPT stands before other records */
};

/* Walk the whole message once: sections, OPT, end. */
static int survey(struct wp_query *q, const uint8_t *msg, size_t len, struct taken *t)
{
    struct wp_rd rd = wp_rd_from(msg, len);
    bool opt_seen = false;

    rd.pos = WP_HEADER_LEN;
    for (unsigned i = wp_be16(msg + 4); i > 0; i--) {
        int r = wp_name_skip(&rd);

        if (r < 0)
            return r;
        wp_rd_skip(&rd, 4);
    }
    if (rd.bad)
        return WP_EMALFORMED;
    t->start = t->end = rd.pos;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        t->count[s] = wp_be16(msg + 6 + 2 * s);
        for (unsigned i = t->count[s]; i > 0; i--) {
            struct wp_rr_at at;
            int r = wp_rr_next(&rd, &at);

            if (r < 0)
                return r;
            if (at.type == WP_TYPE_OPT && s == WP_ADDITIONAL) {
                r = opt_seen ? WP_EMALFORMED : take_opt(q, msg, &at);
                if (r < 0)
                    return r;
                opt_seen = true;
                t->count[s]--;
                continue;
            }
            if (opt_seen)
                t->opt_inside = true;
            t->end = at.end;
        }
    }
    return 0;
}

/* Pointers lead elsewhere: read every record and write it anew. */
static int take_apart(struct wp_query *q, const uint8_t *msg, size_t len, const struct taken *t)
{
    size_t n = (size_t)t->count[0] + t->count[1] + t->count[2], k = 0;
    struct wp_view v = {.n = n, .cap = n};
    struct wp_rd rd = wp_rd_from(msg, len);

    v.rr = wp_arena_array(q->arena, n + 1, sizeof(*v.rr));
    if (v.rr == NULL)
        return -ENOMEM;
    rd.pos = t->start;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        for (unsigned i = wp_be16(msg + 6 + 2 * s); i > 0; i--) {
            struct wp_rr_at at;
            struct wp_rd look = rd;
            int r = wp_rr_next(&look, &at);

            if (r < 0)
                return r;
            if (at.type == WP_TYPE_OPT && s == WP_ADDITIONAL) {
                rd = look;
                continue;
            }
            r = wp_rr_read(&rd, q->arena, &v.rr[k]);
            if (r < 0)
                return r;
            v.rr[k++].section = (uint8_t)s;
        }
    }
    v.n = k;
    return wp_reply_rebuild(q, &v);
}

int wp_reply_take(struct wp_query *q, const uint8_t *msg, size_t len)
{
    struct wp_reply *r = &q->reply;
    struct taken t = {0};
    uint16_t flags, rcode;
    uint8_t *to;
    int e;

    if (len < WP_HEADER_LEN)
        return WP_EMALFORMED;
    flags = wp_be16(msg + 2);
    r->has_opt = r->opt_do = false;
    r->options_len = 0;
    r->rcode = flags & WP_FLAG_RCODE;
    e = survey(q, msg, len, &t);
    if (e < 0)
        return e;
    rcode = r->rcode; /* with the OPT's upper bits */
    e = wp_reply_begin(q, rcode, flags & (WP_FLAG_AA | WP_FLAG_TC | WP_FLAG_RA | WP_FLAG_AD));
    if (e < 0)
        return e;
    if (t.opt_inside || t.start != r->len)
        return take_apart(q, msg, len, &t);
    to = wp_reply_room(q, t.end - t.start);
    if (to == NULL)
        return WP_ESPACE;
    memcpy(to, msg + t.start, t.end - t.start);
    r->len += (uint32_t)(t.end - t.start);
    memcpy(r->count, t.count, sizeof(r->count));
    r->compressed = true;
    return 0;
}
