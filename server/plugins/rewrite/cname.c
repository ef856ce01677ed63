/* rewrite cname: a CNAME's target is replaced, and what follows it by what the new target gives. */
#include <string.h>

#include "server/plugins/rewrite/rewrite.h"

static void on_lookup(void *arg, struct wp_query *child);

/* The last rule that matches the record, with the new target; NULL: none. Rules that a `stop` kept
 * from being reached are none. */
static const struct rw_rule *rule_for(struct rw_state *st, struct wp_query *q, const struct wp_rr *rr,
                                      struct wp_name *ret_target)
{
    char text[WP_NAME_TEXT_MAX], out[RW_TEXT_MAX];
    const struct rw_rule *found = NULL;
    uint8_t lower[WP_NAME_MAX];
    struct wp_name target;
    int len = wp_name_len(rr->rdata, rr->rdlen);

    if (len < 0)
        return NULL;
    memcpy(lower, rr->rdata, (size_t)len);
    wp_name_lower(lower, (size_t)len);
    wp_name_text(lower, text);
    for (const struct rw_rule *r = st->p->rules; r != NULL; r = r->next) {
        if (r->kind == RW_CNAME && rw_match_replace(r, q, text, out) &&
            wp_name_parse(out, &target) == 0) {
            found = r;
            *ret_target = target;
        }
        if (r == st->stopped)
            break;
    }
    return found;
}

/* Keep the answers up to the record, with its new target, then the child's answers; the other
 * sections stay. */
static int join(struct rw_state *st, struct wp_query *q, struct wp_query *child)
{
    struct wp_view v = {.cap = st->view.n + 1}, found = {0};
    int r = wp_reply_view(child, &found);

    if (r < 0)
        return r;
    for (size_t i = 0; i < found.n; i++)
        v.cap += found.rr[i].section == WP_ANSWER;
    v.rr = wp_arena_array(q->arena, v.cap, sizeof(*v.rr));
    if (v.rr == NULL)
        return -ENOMEM;
    memcpy(v.rr, st->view.rr, (st->at + 1) * sizeof(*v.rr));
    v.n = st->at + 1;
    for (size_t i = 0; i < found.n && found.rr[i].section == WP_ANSWER; i++) {
        struct wp_rr rr = found.rr[i];

        /* the child's memory goes with it */
        rr.owner = wp_arena_dup(q->arena, rr.owner, wp_name_size(rr.owner));
        rr.rdata = wp_arena_dup(q->arena, rr.rdata, rr.rdlen);
        if (rr.owner == NULL || rr.rdata == NULL)
            return -ENOMEM;
        v.rr[v.n++] = rr;
    }
    for (size_t i = st->at + 1; i < st->view.n; i++) {
        if (st->view.rr[i].section != WP_ANSWER)
            v.rr[v.n++] = st->view.rr[i];
    }
    q->reply.flags |= child->reply.flags & WP_FLAG_TC;
    st->view = v;
    return WP_STEP_DONE;
}

int rw_cname(struct rw_state *st, struct wp_query *q)
{
    for (; st->at < st->view.n && st->view.rr[st->at].section == WP_ANSWER; st->at++) {
        struct wp_rr *rr = &st->view.rr[st->at];
        struct wp_name target;
        struct wp_query *child;
        int r;

        if (rr->type != WP_TYPE_CNAME || rule_for(st, q, rr, &target) == NULL ||
            wp_name_equal(target.wire, rr->rdata))
            continue;
        r = wp_query_lookup(q, target.wire, q->msg.qtype, on_lookup, q, &child);
        if (r == WP_ELIMIT)
            return WP_STEP_DONE; /* nested too deep: the reply passes as it is */
        if (r < 0)
            return r;
        rr->rdata = wp_arena_dup(q->arena, target.wire, target.len);
        rr->rdlen = target.len;
        if (rr->rdata == NULL)
            return -ENOMEM;
        if (r == WP_STEP_WAIT)
            return r;
        r = join(st, q, child);
        wp_query_release(child);
        return r; /* everything after the first match came from the look-up */
    }
    return WP_STEP_DONE;
}

int rw_finish(struct rw_state *st, struct wp_query *q);

static void on_lookup(void *arg, struct wp_query *child)
{
    struct wp_query *q = arg;
    struct rw_state *st = wp_query_state(q);
    int r = join(st, q, child);

    wp_query_release(child);
    if (r >= 0)
        r = rw_finish(st, q);
    wp_query_resume(q, r < 0 ? r : WP_STEP_NEXT);
}
