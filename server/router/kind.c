/* What sort of reply it is, as CoreDNS's response package sorts them; metadata; elapsed time. */
#include "server/router/router_priv.h"

#include "waypost/server/listener.h"

struct seen {
    uint16_t qtype;
    bool answer, soa, ns_only, any_auth, answers_type;
};

static int look(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    struct seen *k = arg;

    (void)buf;
    if (s == WP_AUTHORITY) {
        if (rr->type == WP_TYPE_SOA)
            k->soa = true;
        if (rr->type == WP_TYPE_NS)
            k->ns_only = true;
    }
    return s == WP_ADDITIONAL;
}

enum wp_reply_kind wp_reply_kind(struct wp_query *q)
{
    const struct wp_reply *r = &q->reply;
    unsigned opcode = wp_msg_opcode(&q->msg);
    struct seen k = {.qtype = q->msg.qtype};

    if (opcode == WP_OPCODE_UPDATE)
        return WP_REPLY_UPDATE;
    if (opcode == WP_OPCODE_NOTIFY || q->msg.qtype == WP_TYPE_AXFR || q->msg.qtype == WP_TYPE_IXFR)
        return WP_REPLY_META;
    if (r->rcode != WP_RCODE_NOERROR && r->rcode != WP_RCODE_NXDOMAIN)
        return r->rcode == WP_RCODE_SERVFAIL || r->rcode == WP_RCODE_NOTIMP ? WP_REPLY_SERVERERROR
                                                                           : WP_REPLY_OTHERERROR;
    wp_reply_each(q, look, &k);
    if (r->rcode == WP_RCODE_NXDOMAIN)
        return k.soa && r->count[WP_ANSWER] == 0 ? WP_REPLY_NXDOMAIN : WP_REPLY_OTHERERROR;
    if (r->count[WP_ANSWER] > 0)
        return WP_REPLY_NOERROR;
    if (k.soa)
        return WP_REPLY_NODATA;
    if (k.ns_only)
        return WP_REPLY_DELEGATION;
    return WP_REPLY_NOERROR;
}

const char *wp_query_server(const struct wp_query *q)
{
    return q->route->group->label;
}

uint64_t wp_query_elapsed(struct wp_query *q)
{
    if (q->elapsed_ns == 0) {
        uint64_t now = wp_loop_clock(q->loop);

        q->elapsed_ns = now > q->start_ns ? now - q->start_ns : 1;
    }
    return q->elapsed_ns;
}

struct wp_meta {
    struct wp_meta *next;
    const char *label, *value;
};

int wp_query_meta_set(struct wp_query *q, const char *label, const char *value)
{
    struct wp_meta *m;

    if (!q->meta_on)
        return 0;
    m = wp_arena_alloc(q->arena, sizeof(*m));
    if (m == NULL)
        return -ENOMEM;
    m->label = wp_arena_strdup(q->arena, label);
    m->value = wp_arena_strdup(q->arena, value);
    if (m->label == NULL || m->value == NULL)
        return -ENOMEM;
    m->next = q->meta;
    q->meta = m;
    return 0;
}

const char *wp_query_meta(const struct wp_query *q, const char *label)
{
    for (const struct wp_meta *m = q->meta; m != NULL; m = m->next) {
        if (strcmp(m->label, label) == 0)
            return m->value;
    }
    return NULL;
}
