/* SVCB and HTTPS (RFC 9460), with `svcb` in the block only: what SRV says, in one record for each
 * distinct priority, target and port. */
#include <errno.h>

#include "backends/etcd/answer_priv.h"
#include "backends/etcd/set.h"
#include "waypost/base/wr.h"

enum { KEY_PORT = 3, KEY_IPV4HINT = 4, KEY_IPV6HINT = 6 };
enum {
    PORT_NONE = -1,
    HINTS_MAX = 16, /* of each family; who wants more asks for the target's addresses */
    HEAD_MAX = 2 + WP_NAME_MAX + 6,
    HINTS_LEN_MAX = 4 + HINTS_MAX * 4 + 4 + HINTS_MAX * 16,
};

/* One record while it is put together. */
struct svcb {
    uint8_t head[HEAD_MAX]; /* rdata up to the hints; first: what the set has for its key */
    size_t head_len;
    uint32_t item; /* its place in the answer */
    unsigned n[2]; /* of IPv4, of IPv6 */
    const struct wp_etcd_rec *hint[2][HINTS_MAX];
};
struct list {
    struct wp_etcd_set of; /* keys: the head of a struct svcb */
    struct svcb *spare;
    uint16_t qtype;
};

/* The number that SRV has; 0 would make an alias of it. */
static uint16_t priority_of(const struct wp_etcd_wide *w)
{
    uint16_t v = (uint16_t)wp_etcd_priority(w);

    return v == 0 ? 1 : v;
}

static void put_head(struct svcb *s, const struct wp_etcd_wide *w, const uint8_t *target)
{
    struct wp_wr wr = wp_wr_to(s->head, sizeof(s->head));

    wp_wr_u16(&wr, priority_of(w));
    wp_wr_bytes(&wr, target, wp_name_size(target));
    if ((uint16_t)w->port != 0) {
        wp_wr_u16(&wr, KEY_PORT);
        wp_wr_u16(&wr, 2);
        wp_wr_u16(&wr, (uint16_t)w->port);
    }
    s->head_len = wr.len;
}

static void add_hint(struct wp_etcd_answer *a, struct svcb *s, const struct wp_etcd_rec *r)
{
    unsigned family = r->kind == WP_ETCD_AAAA, n = s->n[family];
    size_t len = wp_etcd_rec_addr_len(r);

    for (unsigned i = 0; i < n; i++)
        if (memcmp(wp_etcd_rec_addr(s->hint[family][i]), wp_etcd_rec_addr(r), len) == 0)
            return;
    if (n == HINTS_MAX)
        return;
    s->hint[family][s->n[family]++] = r;
    a->octets += n == 0 ? 4 + len : len;
}

/* The entry's record, a new one or one that others share. */
static int add(struct wp_etcd_answer *a, struct list *l, const struct wp_etcd_rec *r,
               const struct wp_etcd_wide *w, const uint8_t *target)
{
    struct wp_etcd_item item = {
        .type = l->qtype, .section = WP_ANSWER, .ttl = wp_etcd_ttl(a, r)};
    struct svcb *s;
    int64_t at;
    bool is_new;
    int ret;

    if (l->spare == NULL)
        l->spare = wp_arena_zalloc(a->arena, sizeof(*l->spare));
    if (l->spare == NULL)
        return -ENOMEM;
    put_head(l->spare, w, target);
    at = wp_etcd_set_add(&l->of, a->arena, 0, l->spare->head, l->spare->head_len, &is_new);
    if (at < 0)
        return (int)at;
    s = (struct svcb *)(uintptr_t)l->of.keys[at].key; /* its first member */
    if (is_new) {
        l->spare = NULL;
        s->item = a->n;
        item.rdlen = (uint16_t)s->head_len;
        ret = wp_etcd_add(a, &item);
        if (ret < 0)
            return ret;
    }
    if (item.ttl < a->items[s->item].ttl)
        a->items[s->item].ttl = item.ttl;
    if (r->kind != WP_ETCD_ALIAS)
        add_hint(a, s, r);
    return 0;
}

static void put_hints(struct wp_wr *wr, const struct svcb *s, unsigned family, unsigned key)
{
    size_t len = family == 0 ? 4 : 16;

    if (s->n[family] == 0)
        return;
    wp_wr_u16(wr, key);
    wp_wr_u16(wr, (unsigned)(s->n[family] * len));
    for (unsigned i = 0; i < s->n[family]; i++)
        wp_wr_bytes(wr, wp_etcd_rec_addr(s->hint[family][i]), len);
}

static int finish(struct wp_etcd_answer *a, const struct list *l)
{
    uint8_t rdata[HEAD_MAX + HINTS_LEN_MAX];

    for (uint32_t i = 0; i < l->of.n; i++) {
        const struct svcb *s = l->of.keys[i].key;
        struct wp_etcd_item *item = &a->items[s->item];
        struct wp_wr wr = wp_wr_to(rdata, sizeof(rdata));
        wp_wr_bytes(&wr, s->head, s->head_len);
        put_hints(&wr, s, 0, KEY_IPV4HINT);
        put_hints(&wr, s, 1, KEY_IPV6HINT);
        item->rdata = wp_arena_dup(a->arena, rdata, wr.len);
        item->rdlen = (uint16_t)wr.len;
        if (item->rdata == NULL)
            return -ENOMEM;
    }
    return 0;
}

static bool is_endpoint(const struct wp_etcd_rec *r)
{
    return r->kind != WP_ETCD_TEXT && !(r->flags & WP_ETCD_REC_NAMELESS);
}

/* A client asks for all addresses of the target, whatever the hints are. So the name itself is the
 * target only if any of its addresses will do for the port. */
static bool have_one_port(struct wp_etcd_answer *a, struct wp_etcd_entries *e)
{
    const struct wp_etcd_rec *r;
    int64_t before = 0, port;
    bool any = false, same = true;

    while ((r = wp_etcd_next(a, e)) != NULL) {
        if (r->kind == WP_ETCD_TEXT)
            continue;
        port = wp_etcd_rec_wide(r).port;
        same &= !any || port == before;
        before = port;
        any = true;
    }
    wp_etcd_rewind(e);
    return same;
}

int wp_etcd_answer_svcb(struct wp_etcd_answer *a, const struct wp_etcd_target *t, uint16_t qtype)
{
    static const uint8_t itself[1] = {0};
    struct list list = {.qtype = qtype};
    const struct wp_etcd_rec *rec;
    struct wp_etcd_entries e;
    int r = wp_etcd_gather_address(a, t, WP_TYPE_SRV, &e);
    bool one_port;

    if (r < 0 || a->outcome != WP_ETCD_FOUND)
        return r;
    one_port = have_one_port(a, &e);
    while (r == 0 && (rec = wp_etcd_next(a, &e)) != NULL) {
        struct wp_etcd_wide w = wp_etcd_rec_wide(rec);
        bool none = false, is_alias = rec->kind == WP_ETCD_ALIAS;
        const uint8_t *target = itself;
        if (!is_endpoint(rec) || w.port == PORT_NONE)
            continue;
        if (a->octets > WP_ETCD_OCTETS_MAX) {
            a->truncated = true;
            break;
        }
        if (is_alias || !one_port)
            target = wp_etcd_target_name(a, rec, true, &none);
        if (target == NULL && !none)
            return -ENOMEM;
        if (target != NULL && !(is_alias && *target == 0)) /* a root would be the name itself */
            r = add(a, &list, rec, &w, target);
    }
    return r < 0 ? r : finish(a, &list);
}
