#include "backends/kubernetes/srv.h"

#include <errno.h>
#include <string.h>

#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "backends/kubernetes/target.h"
#include "waypost/base/wr.h"

enum {
    WEIGHT = 100,
    SRV_FIXED = 6, /* priority, weight, port */
    RR_FIXED = 10, /* type, class, TTL, length */
    POINTER = 2,
    POINTER_MAX = 0x3fff,
};

struct writer {
    const struct wp_kube_srv *s;
    struct wp_kube_seen seen;
    uint16_t weight;
    unsigned base_at; /* where owners may point at the base, 0: nowhere yet */
};

/* The name without the base, and the base; the labels of endpoints only. */
static bool target_of(const struct wp_kube_entry *e, struct wp_name *ret)
{
    static const uint8_t nothing[1];

    ret->len = 0;
    return e->slice == NULL || wp_kube_target_endpoint(ret, e->slice, e->i, nothing, 0);
}

static uint64_t hash_of(const struct wp_name *labels, const struct wp_kube_addr *addr, int32_t port)
{
    uint64_t h = wp_hash_bytes(labels->wire, labels->len);

    return addr != NULL ? wp_hash_mix(h, wp_kube_addr_hash(addr))
                        : wp_hash_mix(h, UINT64_C(1) << 32 | (uint32_t)port);
}

static int put_srv(struct writer *w, const struct wp_name *labels, const uint8_t *base, size_t len,
                   int32_t port)
{
    struct wp_query *q = w->s->q;
    uint8_t rdata[SRV_FIXED + WP_NAME_MAX];

    if (labels->len + len > WP_NAME_MAX)
        return 0; /* too long to be a name */
    wp_put16(rdata, 0);
    wp_put16(rdata + 2, w->weight);
    wp_put16(rdata + 4, (unsigned)port);
    memcpy(rdata + SRV_FIXED, labels->wire, labels->len);
    memcpy(rdata + SRV_FIXED + labels->len, base, len);
    return wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_SRV, w->s->ttl_s, rdata,
                       SRV_FIXED + labels->len + len);
}

/* A target that is a name of its own. */
static int put_host(struct writer *w, const struct wp_kube_entry *e)
{
    struct wp_kube_hosts *hosts = w->s->hosts;
    struct wp_name none = {.len = 0}, name;
    char text[WP_KUBE_TEXT_MAX + 1];
    unsigned k = 0;
    int r;

    if (hosts == NULL)
        return 0;
    text[wp_kube_addr_text(&e->addr, text)] = '\0';
    if (wp_name_parse(text, &name) < 0)
        return 0;
    r = wp_kube_seen_add(&w->seen, hash_of(&name, NULL, e->port));
    if (r != 1)
        return r;
    r = put_srv(w, &none, name.wire, name.len, e->port);
    while (k < hosts->n && !wp_name_equal(hosts->name[k], name.wire))
        k++;
    if (r < 0 || k < hosts->n || hosts->n == WP_KUBE_HOSTS_MAX)
        return r;
    hosts->name[hosts->n] = wp_arena_dup(w->s->q->arena, name.wire, name.len);
    return hosts->name[hosts->n++] == NULL ? -ENOMEM : 0;
}

static int put_answer(struct writer *w, const struct wp_kube_entry *e)
{
    const struct wp_name *base = &w->s->base;
    struct wp_name labels;
    uint8_t ip[16];
    int r;

    if (e->port == WP_KUBE_NO_PORT)
        return 0;
    if (wp_kube_addr_family(&e->addr, ip) == 0)
        return put_host(w, e);
    if (!target_of(e, &labels))
        return 0;
    r = wp_kube_seen_add(&w->seen, hash_of(&labels, NULL, e->port));
    return r == 1 ? put_srv(w, &labels, base->wire, base->len, e->port) : r;
}

/* Owners point at the base in the question, or in the first of them. */
static int put_glue(struct writer *w, const struct wp_name *labels, int family, const uint8_t *ip)
{
    struct wp_query *q = w->s->q;
    const struct wp_name *base = &w->s->base;
    bool points = w->base_at != 0;
    size_t owner = labels->len + (points ? POINTER : (size_t)base->len), len = family == 4 ? 4 : 16;
    uint8_t *to;

    if (labels->len + base->len > WP_NAME_MAX)
        return 0;
    to = wp_reply_room(q, owner + RR_FIXED + len);
    if (to == NULL || q->reply.count[WP_ADDITIONAL] == UINT16_MAX)
        return WP_ESPACE;
    memcpy(to, labels->wire, labels->len);
    to += labels->len;
    if (points)
        wp_put16(to, 0xc000u | w->base_at);
    else
        memcpy(to, base->wire, base->len);
    if (!points && q->reply.len + labels->len <= POINTER_MAX)
        w->base_at = q->reply.len + labels->len;
    to += points ? POINTER : base->len;
    wp_put16(to, family == 4 ? WP_TYPE_A : WP_TYPE_AAAA);
    wp_put16(to + 2, WP_CLASS_IN);
    wp_put32(to + 4, w->s->glue_ttl_s);
    wp_put16(to + 8, (unsigned)len);
    memcpy(to + RR_FIXED, ip, len);
    q->reply.len += (uint32_t)(owner + RR_FIXED + len);
    q->reply.count[WP_ADDITIONAL]++;
    return 0; /* not yet `compressed`: where room is short owners can point at the targets whole */
}

static int put_additional(struct writer *w, const struct wp_kube_entry *e)
{
    struct wp_name labels;
    uint8_t ip[16];
    int family = wp_kube_addr_family(&e->addr, ip), r;

    if (e->port == WP_KUBE_NO_PORT || family == 0 || !target_of(e, &labels))
        return 0;
    r = wp_kube_seen_add(&w->seen, hash_of(&labels, &e->addr, 0));
    return r == 1 ? put_glue(w, &labels, family, ip) : r;
}

static int walk(struct writer *w, struct wp_kube_entries *e,
                int (*put)(struct writer *w, const struct wp_kube_entry *entry))
{
    struct wp_kube_entry entry;
    int r = 0;

    w->seen = (struct wp_kube_seen){.arena = w->s->q->arena};
    wp_kube_entries_rewind(e);
    while (r == 0 && wp_kube_entries_next(e, &entry))
        r = put(w, &entry);
    if (e->cut)
        w->s->q->reply.flags |= WP_FLAG_TC;
    return kubernetes_full(w->s->q, r);
}

/* Where the question ends in the base, spelled the same; 0: it does not. */
static unsigned base_in_question(const struct wp_query *q, const struct wp_name *base)
{
    const struct wp_qname *name = &q->msg.qname;

    for (unsigned i = 0; i < name->n_labels; i++)
        if (name->len - name->at[i] == base->len)
            return memcmp(q->question + name->at[i], base->wire, base->len) == 0
                       ? WP_HEADER_LEN + (unsigned)name->at[i]
                       : 0;
    return 0;
}

int wp_kube_srv_write(const struct wp_kube_srv *s, struct wp_kube_entries *e)
{
    struct writer w = {.s = s, .base_at = base_in_question(s->q, &s->base)};
    size_t n;
    int r;

    wp_kube_entries_rewind(e);
    n = wp_kube_entries_count(e, s->hosts != NULL);
    w.weight = (uint16_t)(n == 0 || n > WEIGHT ? 1 : WEIGHT / n);
    r = walk(&w, e, put_answer);
    return r == 0 && (s->q->reply.flags & WP_FLAG_TC) == 0 ? walk(&w, e, put_additional) : r;
}
