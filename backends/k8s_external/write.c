/* Records of what was found. */
#include "backends/k8s_external/k8s_external.h"
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/seen.h"
#include "waypost/base/wr.h"

static const struct external_child *child_of(const struct external_children *c,
                                             const uint8_t *name, uint16_t type)
{
    for (unsigned i = 0; c != NULL && i < c->n; i++)
        if (c->child[i].type == type && wp_name_equal(c->child[i].name, name))
            return &c->child[i];
    return NULL;
}

/* What came of a look-up: its answer, wherever it belongs here. */
static int append_child(struct wp_query *q, const struct external_child *c, enum wp_section to)
{
    if (c == NULL || c->query == NULL || !c->query->reply.begun)
        return 0;
    if ((c->query->reply.flags & WP_FLAG_TC) != 0)
        q->reply.flags |= WP_FLAG_TC;
    return wp_reply_append(q, c->query, WP_ANSWER, to);
}

static int write_addrs(struct external_answer *a, uint16_t type)
{
    struct wp_kube_seen seen = {.arena = a->q->arena};
    size_t len = type == WP_TYPE_A ? 4 : 16;
    struct wp_kube_entry e;
    int r = 0;

    while (r == 0 && wp_kube_entries_next(&a->entries, &e)) {
        uint8_t ip[16];
        if (wp_kube_addr_family(&e.addr, ip) != (type == WP_TYPE_A ? 4 : 6))
            continue;
        r = wp_kube_seen_add(&seen, wp_kube_addr_hash(&e.addr));
        if (r == 1)
            r = wp_reply_rr(a->q, WP_ANSWER, NULL, type, a->p->ttl_s, ip, len);
    }
    if (a->entries.cut)
        a->q->reply.flags |= WP_FLAG_TC;
    return r;
}

/* Names instead of addresses: an alias for each, and what it leads to. */
static int write_aliases(struct external_answer *a, const struct external_children *c)
{
    struct wp_kube_hosts hosts;
    int r = 0;

    wp_kube_entries_rewind(&a->entries);
    if (!external_hosts(a, &hosts))
        return 0;
    for (unsigned i = 0; r == 0 && i < hosts.n; i++) {
        r = wp_reply_rr(a->q, WP_ANSWER, NULL, WP_TYPE_CNAME, a->p->k->ttl_s, hosts.name[i],
                        wp_name_size(hosts.name[i]));
        if (r == 0)
            r = append_child(a->q, child_of(c, hosts.name[i], a->q->msg.qtype), WP_ANSWER);
    }
    return r;
}

static int write_srv(struct external_answer *a, const struct external_children *c)
{
    struct wp_kube_hosts hosts = {.n = 0};
    struct wp_kube_srv s = {
        .q = a->q,
        .base = a->base,
        .ttl_s = a->p->k->ttl_s,
        .glue_ttl_s = a->p->ttl_s,
        .hosts = &hosts,
    };
    int r = wp_kube_srv_write(&s, &a->entries);

    for (unsigned i = 0; r == 0 && i < hosts.n; i++) {
        r = append_child(a->q, child_of(c, hosts.name[i], WP_TYPE_A), WP_ADDITIONAL);
        if (r == 0)
            r = append_child(a->q, child_of(c, hosts.name[i], WP_TYPE_AAAA), WP_ADDITIONAL);
    }
    return r;
}

int external_write(struct external_answer *a, const struct external_children *children)
{
    struct wp_query *q = a->q;
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r == 0 && q->msg.qtype == WP_TYPE_SRV)
        r = write_srv(a, children);
    else if (r == 0 && (q->msg.qtype == WP_TYPE_A || q->msg.qtype == WP_TYPE_AAAA)) {
        a->entries.once = true;
        r = write_addrs(a, q->msg.qtype);
        if (r == 0)
            r = write_aliases(a, children);
    }
    r = kubernetes_full(q, r);
    if (r < 0)
        return r;
    return q->reply.count[WP_ANSWER] > 0 ? WP_STEP_DONE
                                         : external_deny(a->p, q, a->zone, WP_RCODE_NOERROR);
}

bool external_hosts(struct external_answer *a, struct wp_kube_hosts *ret)
{
    uint16_t type = a->q->msg.qtype;
    struct wp_kube_entry e;

    ret->n = 0;
    if (type != WP_TYPE_A && type != WP_TYPE_AAAA && type != WP_TYPE_SRV)
        return false;
    while (ret->n < WP_KUBE_HOSTS_MAX && wp_kube_entries_next(&a->entries, &e)) {
        char text[WP_KUBE_TEXT_MAX + 1];
        struct wp_name name;
        uint8_t ip[16];
        unsigned k = 0;
        if (wp_kube_addr_family(&e.addr, ip) != 0)
            continue;
        text[wp_kube_addr_text(&e.addr, text)] = '\0';
        if (wp_name_parse(text, &name) < 0)
            continue;
        while (k < ret->n && !wp_name_equal(ret->name[k], name.wire))
            k++;
        if (k < ret->n)
            continue;
        ret->name[ret->n] = wp_arena_dup(a->q->arena, name.wire, name.len);
        if (ret->name[ret->n] == NULL)
            break; /* the answer is without it */
        ret->n++;
    }
    wp_kube_entries_rewind(&a->entries);
    return ret->n > 0;
}
