/* External names: aliases in the zone are followed here, those that lead out of it go through the
 * whole server, so that stub zones and every other directive answer them. */
#include <errno.h>

#include "backends/kubernetes/answer.h"
#include "waypost/plugin/log.h"

enum { LINKS_MAX = 11 }; /* as CoreDNS counts them */

struct chase {
    struct kubernetes_answer *a;
    uint16_t type;
    unsigned n;
    const uint8_t *link[LINKS_MAX]; /* wire, in q->arena: each alias's target */
};

static int deny(const struct kubernetes_answer *a)
{
    return kubernetes_finish(a->p, a->q, kubernetes_deny(a->p, a->q, a->zone, WP_RCODE_NOERROR));
}

static int begin(const struct chase *c)
{
    struct wp_query *q = c->a->q;
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    for (unsigned i = 0; r == 0 && i < c->n; i++)
        r = wp_reply_rr(q, WP_ANSWER, i == 0 ? NULL : c->link[i - 1], WP_TYPE_CNAME, c->a->p->ttl_s,
                        c->link[i], wp_name_size(c->link[i]));
    return r;
}

/* --- out of the zone ----------------------------------------------------------------------------
 */

static int take(const struct chase *c, struct wp_query *child)
{
    struct kubernetes_answer *a = c->a;
    struct wp_query *q = a->q;
    int r;

    if (q->cancelled)
        r = wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ECANCELLED, NULL);
    else if (!child->reply.begun && !child->reply.unwritten)
        r = deny(a); /* dropped: there is no reply */
    else {
        r = begin(c);
        if (r == 0 && child->reply.begun)
            r = kubernetes_full(q, wp_reply_append(q, child, WP_ANSWER, WP_ANSWER));
        if (child->reply.begun && (child->reply.flags & WP_FLAG_TC) != 0)
            q->reply.flags |= WP_FLAG_TC;
        r = kubernetes_finish(a->p, q, r < 0 ? r : WP_STEP_DONE);
    }
    wp_query_release(child);
    return r;
}

static void on_child(void *arg, struct wp_query *child)
{
    const struct chase *c = arg;

    wp_query_resume(c->a->q, take(c, child));
}

static void tell_loop(const uint8_t *name)
{
    static struct wp_log_limit limit;
    char text[WP_NAME_TEXT_MAX];

    if (wp_log_allow(&limit, 1, 60))
        wp_log(WP_WARNING, "kubernetes", "external names lead from zone to zone without end: %s",
               wp_name_text(name, text));
}

/* What the look-up needs outlives this turn. */
static int look_up(struct chase *c)
{
    struct kubernetes_answer *a = c->a;
    struct wp_query *q = a->q, *child = NULL;
    const uint8_t *name = c->link[c->n - 1];
    int r;

    c = wp_arena_dup(q->arena, c, sizeof(*c));
    if (c != NULL)
        c->a = wp_arena_dup(q->arena, a, sizeof(*a));
    if (c == NULL || c->a == NULL)
        return -ENOMEM;
    r = wp_query_lookup(q, name, c->type, on_child, c, &child);
    if (r == WP_STEP_DONE)
        return take(c, child);
    if (r == WP_ELIMIT)
        tell_loop(name);
    return r == WP_STEP_WAIT ? r : deny(a);
}

/* --- in the zone --------------------------------------------------------------------------------
 */

/* Add a link; false: it leads nowhere (to itself, below itself, in a circle, too far, to no name).
 */
static bool add(struct chase *c, struct wp_kube_text target, const uint8_t *from)
{
    char text[WP_KUBE_TEXT_MAX + 1];
    struct wp_name name;

    memcpy(text, target.at, target.len);
    text[target.len] = '\0';
    if (c->n == LINKS_MAX || wp_name_parse(text, &name) < 0 || wp_name_within(name.wire, from))
        return false;
    for (unsigned i = 0; i < c->n; i++)
        if (wp_name_equal(c->link[i], name.wire))
            return false;
    c->link[c->n] = wp_arena_dup(c->a->q->arena, name.wire, name.len);
    return c->link[c->n++] != NULL;
}

/* The last target is in the zone and has addresses, maybe. */
static int write(struct chase *c)
{
    struct kubernetes_answer *a = c->a;
    struct wp_query *q = a->q;
    struct wp_kube_addr host;
    int r = begin(c);

    if (r == 0)
        r = kubernetes_write_addrs(a, c->link[c->n - 1], c->type, &host);
    if (r < 0)
        return r;
    if (q->reply.count[WP_ANSWER] == c->n) /* CoreDNS leaves the aliases out, too */
        return deny(a);
    return kubernetes_finish(a->p, q, WP_STEP_DONE);
}

int kubernetes_chase(struct kubernetes_answer *a, struct wp_kube_text target)
{
    struct chase c = {.a = a, .type = a->q->msg.qtype};
    const uint8_t *from = a->q->msg.qname.wire;
    struct wp_qname name;

    while (add(&c, target, from)) {
        from = c.link[c.n - 1];
        if (!wp_name_within(from, a->zone->name))
            return look_up(&c);
        if (wp_qname_set(&name, from, wp_name_size(from)) < 0)
            break;
        kubernetes_resolve(a, &name);
        if (a->found == KUBERNETES_ENTRIES || a->found == KUBERNETES_SELF)
            return write(&c);
        if (a->found != KUBERNETES_ALIAS)
            break;
        target = wp_kube_place_external_name(a->place);
    }
    return deny(a);
}
