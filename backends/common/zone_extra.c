/* The additional section: addresses of hosts that records in the reply name. */
#include <string.h>
#include "backends/common/zone_priv.h"
#include "waypost/base/rd.h"

/* More different hosts than any sane answer has; those beyond go without. */
enum { HOSTS_MAX = 64 };

struct hosts {
    const struct wp_zone *zone;
    struct wp_query *q;
    const struct wp_entry *given[HOSTS_MAX];
    unsigned n;
};

static const struct wp_entry *find_host(const struct wp_zone *z, const uint8_t *name)
{
    uint8_t lower[WP_NAME_MAX];
    size_t len = wp_name_size(name);

    memcpy(lower, name, len);
    wp_name_lower(lower, len);
    return wp_catalog_find(z->catalog, lower, len, wp_name_hash(lower));
}

/* A and AAAA of a host of this zone, once. */
static void put_host(struct hosts *h, const uint8_t *name)
{
    const struct wp_entry *e;
    struct wp_zone_owner owner;

    if (!wp_name_within(name, h->zone->origin.wire))
        return;
    e = find_host(h->zone, name);
    if (e == NULL || h->n == HOSTS_MAX)
        return;
    for (unsigned i = 0; i < h->n; i++) {
        if (h->given[i] == e)
            return;
    }
    h->given[h->n++] = e;
    owner = (struct wp_zone_owner){.name = name};
    if (wp_zone_put_type(h->q, WP_ADDITIONAL, e, WP_TYPE_A, owner) < 0 ||
        wp_zone_put_type(h->q, WP_ADDITIONAL, e, WP_TYPE_AAAA, owner) < 0)
        h->n = HOSTS_MAX; /* no room for more */
}

static bool names_hosts(uint16_t type)
{
    return type == WP_TYPE_SRV || type == WP_TYPE_MX || type == WP_TYPE_SVCB ||
           type == WP_TYPE_HTTPS;
}

void wp_zone_put_hosts(const struct wp_zone *z, struct wp_query *q)
{
    struct hosts h = {.zone = z, .q = q};
    struct wp_rd rd = wp_rd_from(q->reply.buf, q->reply.len);
    unsigned n = q->reply.count[WP_ANSWER];

    if (!names_hosts(q->msg.qtype))
        return;
    rd.pos = WP_HEADER_LEN + (size_t)q->question_len;
    for (unsigned i = 0; i < n; i++) {
        struct wp_name name;
        struct wp_rr_at rr;
        int at;

        if (wp_rr_next(&rd, &rr) < 0)
            return;
        if (!names_hosts(rr.type))
            continue;
        at = wp_rdata_name_at(rr.type, q->reply.buf + rr.rdata_pos, rr.rdlen);
        if (at < 0)
            continue;
        /* the reply's buffer may move while addresses are added; the name may not */
        struct wp_rd in = wp_rd_from(q->reply.buf, q->reply.len);
        in.pos = rr.rdata_pos + (size_t)at;
        if (wp_name_read(&in, &name) == 0)
            put_host(&h, name.wire);
        rd.buf = q->reply.buf;
    }
}

void wp_zone_put_glue(const struct wp_zone *z, struct wp_query *q, const struct wp_entry *e,
                      const struct wp_set *ns)
{
    struct hosts h = {.zone = z, .q = q};
    const uint8_t *body = wp_entry_body(e, ns);

    for (size_t at = 0; at < ns->len; at += 12 + (size_t)wp_be16(body + at + 10)) {
        if (wp_name_within(body + at + 12, wp_entry_name(e)))
            put_host(&h, body + at + 12);
    }
}
