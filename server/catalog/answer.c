/* From an entry to the reply. */
#include <string.h>
#include "server/catalog/catalog_priv.h"
#include "waypost/base/wr.h"

int wp_catalog_answer(struct wp_query *q, const struct wp_entry *e, const struct wp_set *s,
                      uint16_t flags)
{
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, flags);
    uint8_t *to;

    if (r < 0)
        return r;
    to = wp_reply_room(q, s->len);
    if (to == NULL)
        return WP_ESPACE;
    memcpy(to, wp_entry_body(e, s), s->len);
    q->reply.len += s->len;
    for (unsigned i = 0; i < WP_SECTIONS; i++)
        q->reply.count[i] = s->count[i];
    return WP_STEP_DONE;
}

int wp_catalog_serve(const struct wp_catalog *c, struct wp_query *q,
                     const struct wp_catalog_ops *ops, void *backend)
{
    const unsigned special = 0xffff & ~(unsigned)WP_ENTRY_WILDCARD;
    struct wp_seek seek;

    wp_catalog_seek(c, &q->msg.qname, q, &seek);
    if (WP_LIKELY(seek.exact && (wp_entry_flags(seek.entry) & special) == 0)) {
        const struct wp_set *s = wp_entry_set(seek.entry, q->msg.qtype);
        if (s != NULL)
            return wp_catalog_answer(q, seek.entry, s, WP_FLAG_AA);
    }
    return ops->answer(backend, q, &seek);
}

int wp_tail_append(struct wp_query *q, const struct wp_tail *t, size_t qname_len)
{
    uint8_t *to = wp_reply_room(q, t->len);

    if (to == NULL)
        return WP_ESPACE;
    memcpy(to, t->records, t->len);
    for (unsigned i = 0; i < t->n_points; i++)
        wp_put16(to + t->points[i].at, wp_catalog_point(qname_len, t->points[i].name_len));
    q->reply.len += t->len;
    for (unsigned i = 0; i < WP_SECTIONS; i++)
        q->reply.count[i] = (uint16_t)(q->reply.count[i] + t->count[i]);
    return 0;
}
