/* A reply to one name becomes the reply to another one. Mostly it is a small one in which all names
 * point at the question's: then its records are moved, and their pointers set, as they are. */
#include <string.h>

#include "server/plugins/autopath/autopath.h"
#include "waypost/base/wr.h"

enum {
    POINTERS_MAX = 64,
    LABELS_MAX = 64,
    SMALL = 512, /* fits every client as it is */
    RR_FRAME = 12,
};

/* Records on their way to another place in the message. */
struct move {
    uint8_t *buf;
    size_t end;            /* of the records */
    size_t from, to;       /* where they begin now and then */
    size_t name, name_end; /* the question's name now */
    size_t name_to;        /* where the same octets stand then; 0: nowhere */
    unsigned n;
    uint16_t at[POINTERS_MAX]; /* places of pointers */
    unsigned n_labels;
    uint16_t label[LABELS_MAX]; /* where labels begin, of names that came before */
};

/* May a pointer lead there? In the middle of another pointer the octets will be others. */
static bool is_label(const struct move *m, size_t at)
{
    for (unsigned i = 0; i < m->n_labels; i++)
        if (m->label[i] == at)
            return true;
    return at < m->from;
}

/* Where a pointer must lead then; 0: nowhere. */
static size_t target(const struct move *m, size_t old)
{
    size_t now = 0;

    if (old >= m->from)
        now = old - m->from + m->to;
    else if (old >= m->name && old < m->name_end && m->name_to != 0)
        now = m->name_to + (old - m->name);
    return now < 0x4000 ? now : 0;
}

static void note_label(struct move *m, size_t at)
{
    if (m->n_labels < LABELS_MAX)
        m->label[m->n_labels++] = (uint16_t)at;
}

/* Past the name, its pointer noted; 0: it cannot be moved. */
static size_t pass_name(struct move *m, size_t at)
{
    while (at < m->end) {
        uint8_t c = m->buf[at];

        if (c == 0)
            return at + 1;
        if (c >= 0xc0) {
            size_t to = wp_be16(m->buf + at) & 0x3fff;
            if (at + 2 > m->end || m->n == POINTERS_MAX || target(m, to) == 0 || !is_label(m, to))
                return 0;
            note_label(m, at);
            m->at[m->n++] = (uint16_t)at;
            return at + 2;
        }
        note_label(m, at);
        at += c + 1u;
    }
    return 0;
}

static bool pass_rdata(struct move *m, const struct wp_rr_at *rr)
{
    size_t at = rr->rdata_pos;

    switch (rr->type) {
    case WP_TYPE_A:
    case WP_TYPE_AAAA:
    case WP_TYPE_TXT:
        return true;
    case WP_TYPE_SRV:
        at += 6;
        break;
    case WP_TYPE_MX:
        at += 2;
        break;
    case WP_TYPE_SOA:
        at = pass_name(m, at);
        break;
    case WP_TYPE_CNAME:
    case WP_TYPE_NS:
    case WP_TYPE_PTR:
        break;
    default:
        return false;
    }
    return at != 0 && at < rr->end && pass_name(m, at) != 0;
}

static int pass(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    struct move *m = arg;

    (void)buf;
    (void)s;
    return pass_name(m, rr->pos) != 0 && pass_rdata(m, rr) ? 0 : 1;
}

/* Behind the question, an alias from its name to the one that stood there. */
static void write_alias(uint8_t *to, uint32_t ttl, const uint8_t *name, size_t len)
{
    wp_put16(to, 0xc000 | WP_HEADER_LEN);
    wp_put16(to + 2, WP_TYPE_CNAME);
    wp_put16(to + 4, WP_CLASS_IN);
    wp_put32(to + 6, ttl);
    wp_put16(to + 10, (unsigned)len);
    memcpy(to + RR_FRAME, name, len);
}

int autopath_move_records(struct wp_query *q, const uint8_t *question, uint16_t len)
{
    struct wp_reply *r = &q->reply;
    const uint8_t *name = q->question; /* in the arena, where it stays */
    size_t name_len = q->question_len - 4u, n;
    struct move m = {.buf = r->buf, .end = r->len, .from = WP_HEADER_LEN + (size_t)q->question_len,
                     .name = WP_HEADER_LEN, .to = WP_HEADER_LEN + (size_t)len};
    bool alias = r->count[WP_ANSWER] > 0;
    struct wp_rr_at first = {0};
    struct wp_rd rd = wp_rd_from(r->buf, r->len);
    int e;

    rd.pos = m.from;
    m.name_end = m.name + name_len;
    if (alias) {
        /* every record after it must be about the name, or the alias would lead past it */
        if (wp_rr_next(&rd, &first) < 0 || wp_be16(r->buf + m.from) != (0xc000 | WP_HEADER_LEN) ||
            wp_name_equal(name, question) || r->count[WP_ANSWER] == UINT16_MAX)
            return 0;
        m.name_to = m.to + RR_FRAME;
        m.to = m.name_to + name_len;
    }
    n = m.end - m.from;
    if ((!r->compressed && m.to + n > SMALL) || m.to + n > WP_MSG_MAX || wp_reply_each(q, pass, &m) != 0 ||
        (m.to > m.from && wp_reply_room(q, m.to - m.from) == NULL))
        return 0;
    e = wp_query_ask_as(q, question, len);
    if (e < 0)
        return e;
    for (unsigned i = 0; i < m.n; i++)
        wp_put16(r->buf + m.at[i], 0xc000 | (unsigned)target(&m, wp_be16(r->buf + m.at[i]) & 0x3fff));
    memmove(r->buf + m.to, r->buf + m.from, n);
    memcpy(r->buf + WP_HEADER_LEN, question, len);
    if (alias) {
        write_alias(r->buf + WP_HEADER_LEN + len, first.ttl, name, name_len);
        r->count[WP_ANSWER]++;
    }
    r->len = (uint32_t)(m.to + n);
    r->compressed = true;
    return 1;
}

/* --- the long way ---------------------------------------------------------------------------- */

/* The first answer that is not about the question's own name, or NULL. */
static const struct wp_rr *first_other(const struct wp_view *v, const uint8_t *name)
{
    for (size_t i = 0; i < v->n && v->rr[i].section == WP_ANSWER; i++) {
        if (!wp_name_equal(v->rr[i].owner, name))
            return &v->rr[i];
    }
    return NULL;
}

/* In front of all others; a view has room for some more records. */
static void put_first(struct wp_view *v, const struct wp_rr *rr)
{
    memmove(v->rr + 1, v->rr, v->n * sizeof(*v->rr));
    v->rr[0] = *rr;
    v->n++;
}

int autopath_write_anew(struct wp_query *q, const uint8_t *question, uint16_t len)
{
    const struct wp_rr *other;
    struct wp_view v;
    int r = wp_reply_view(q, &v);

    if (r < 0)
        return r;
    other = first_other(&v, question);
    if (other != NULL) {
        struct wp_rr alias = {.owner = question,
                              .rdata = other->owner,
                              .rdlen = (uint16_t)wp_name_size(other->owner),
                              .ttl = other->ttl,
                              .type = WP_TYPE_CNAME,
                              .cls = WP_CLASS_IN,
                              .section = WP_ANSWER};

        put_first(&v, &alias);
    }
    r = wp_query_ask_as(q, question, len);
    return r < 0 ? r : wp_reply_rebuild(q, &v);
}

int autopath_alias(struct wp_query *q, const uint8_t *question, uint16_t len)
{
    int r = autopath_move_records(q, question, len);

    if (r == 0)
        r = autopath_write_anew(q, question, len);
    if (r >= 0 && q->reply.count[WP_ANSWER] > 0)
        q->reply.flags &= (uint16_t)~WP_FLAG_AD; /* nobody has signed the alias */
    return r < 0 ? r : 0;
}
