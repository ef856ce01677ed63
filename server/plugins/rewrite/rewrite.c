#include "server/plugins/rewrite/rewrite.h"

#include <string.h>

#include "waypost/plugin/explain.h"

int rw_finish(struct rw_state *st, struct wp_query *q);

static int rewrite_new(void *self, struct wp_setup *s)
{
    struct rewrite *p = self;

    (void)s;
    p->last = &p->rules;
    return 0;
}

static int begin(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return rw_parse(self, s, l);
}

static void rewrite_stop(void *self)
{
    rw_rules_free(((struct rewrite *)self)->rules);
}

static bool respond(struct rw_state *st, struct wp_query *q, struct rw_response o)
{
    struct rw_response *copy = wp_arena_dup(q->arena, &o, sizeof(o));

    if (copy == NULL)
        return false;
    copy->next = st->responses;
    st->responses = copy;
    return true;
}

static void leave_answers(struct rw_state *st, struct wp_query *q, const struct rw_rule *r,
                          const char *old, const char *now)
{
    if (r->automatic && r->match.mode == RW_SUFFIX)
        respond(st, q, (struct rw_response){.what = RW_OUT_SUFFIX, .from = r->to, .to = r->match.from});
    else if (r->automatic)
        respond(st, q, (struct rw_response){.what = RW_OUT_REMAP,
                                            .from = wp_arena_strdup(q->arena, now),
                                            .to = wp_arena_strdup(q->arena, old)});
    for (const struct rw_answer *a = r->answers; a != NULL; a = a->next)
        respond(st, q, (struct rw_response){.what = RW_OUT_ANSWER, .answer = a});
}

/* 1 applied, 0 not, negative: the new name is none. */
static int apply_name(struct rw_state *st, struct wp_query *q, const struct rw_rule *r)
{
    char text[WP_NAME_TEXT_MAX], out[RW_TEXT_MAX];
    struct wp_name name;
    int e;

    wp_name_text(q->msg.qname.wire, text);
    if (!rw_match_replace(r, q, text, out))
        return 0;
    if (wp_name_parse(out, &name) < 0) {
        wp_query_fail(q, WP_RCODE_SERVFAIL, WP_EMALFORMED, "invalid name after rewrite: %s", out);
        return WP_EMALFORMED;
    }
    e = wp_query_rename(q, name.wire, q->msg.qtype, q->msg.qclass);
    if (e < 0)
        return e;
    st->renamed = true;
    leave_answers(st, q, r, text, out);
    return 1;
}

static int apply(struct rw_state *st, struct wp_query *q, const struct rw_rule *r)
{
    char text[WP_NAME_TEXT_MAX];
    int e;

    switch (r->kind) {
    case RW_NAME:
        return apply_name(st, q, r);
    case RW_TYPE:
    case RW_CLASS:
        if ((r->kind == RW_TYPE ? q->msg.qtype : q->msg.qclass) != r->from16)
            return 0;
        e = wp_query_rename(q, q->question, r->kind == RW_TYPE ? r->to16 : q->msg.qtype,
                            r->kind == RW_CLASS ? r->to16 : q->msg.qclass);
        st->renamed = true;
        return e < 0 ? e : 1;
    case RW_TTL:
    case RW_RCODE:
        if (!rw_match_has(&r->match, wp_name_text(q->msg.qname.wire, text)))
            return 0;
        respond(st, q, (struct rw_response){.what = r->kind == RW_TTL ? RW_OUT_TTL : RW_OUT_RCODE,
                                            .rule = r});
        return 1;
    case RW_EDNS:
        if (!rw_edns_apply(r, q))
            return 0;
        st->edns_changed = true;
        st->revert |= r->revert;
        return 1;
    case RW_CNAME:
        return 1; /* whatever the question: it looks at replies */
    }
    return 0;
}

static int rewrite_serve(void *self, struct wp_query *q)
{
    struct rewrite *p = self;
    struct rw_state *st = wp_arena_zalloc(q->arena, sizeof(*st));
    unsigned applied = 0;

    if (st == NULL)
        return -ENOMEM;
    st->p = p;
    st->name = q->question;
    st->type = q->msg.qtype;
    st->cls = q->msg.qclass;
    st->edns = q->msg.edns;
    for (const struct rw_rule *r = p->rules; r != NULL; r = r->next) {
        int e = apply(st, q, r);

        if (e < 0)
            return q->reply.unwritten ? WP_STEP_DONE : e;
        applied += e > 0 && r->kind != RW_CNAME;
        if (e > 0 && r->stop) {
            st->stopped = r;
            break;
        }
    }
    if (WP_UNLIKELY(wp_query_is_explained(q)))
        wp_report_int(wp_explain_details(q), "rules_applied", applied);
    if (st->renamed || st->edns_changed || st->responses != NULL || p->has_cname || p->has_local) {
        wp_query_state_set(q, st);
        wp_query_want_reply(q);
    }
    return WP_STEP_NEXT;
}

/* Codes of local rules come back with what the question had below us (CoreDNS 1.15.0), when the
 * reply has no OPT of its own. */
static int echo_local(struct rewrite *p, struct wp_query *q)
{
    if (q->reply.has_opt)
        return 0;
    for (const struct rw_rule *r = p->rules; r != NULL; r = r->next) {
        uint16_t len;
        const uint8_t *data = r->kind == RW_EDNS && r->edns <= RW_LOCAL_VARIABLE
                                  ? wp_edns_option_find(&q->msg.edns, r->code, &len)
                                  : NULL;
        uint16_t have;
        const struct wp_edns mine = {.options = q->reply.options, .options_len = q->reply.options_len};
        int e;

        if (data == NULL || wp_edns_option_find(&mine, r->code, &have) != NULL)
            continue;
        e = wp_reply_option(q, r->code, data, len);
        if (e < 0)
            return e;
    }
    q->reply.has_opt = false; /* these are the core's doing, not a plugin's */
    return 0;
}

/* The question as the client spelled it, and the records as the rules want them. */
int rw_finish(struct rw_state *st, struct wp_query *q)
{
    int r;

    if (st->p->has_local) {
        r = echo_local(st->p, q);
        if (r < 0)
            return r;
    }
    if (st->edns_changed)
        q->msg.edns = st->edns;
    r = rw_respond(st, q, &st->view);
    if (r < 0)
        return r;
    r = wp_query_rename(q, st->name, st->type, st->cls);
    if (r < 0)
        return r;
    return wp_reply_rebuild(q, &st->view);
}

/* The core will write a bare error: for the client's own question, with the options owed. */
static int leave_unwritten(struct rw_state *st, struct wp_query *q)
{
    int r = st->p->has_local ? echo_local(st->p, q) : 0;

    if (st->edns_changed)
        q->msg.edns = st->edns;
    return r < 0 ? r : wp_query_rename(q, st->name, st->type, st->cls);
}

static int rewrite_reply(void *self, struct wp_query *q)
{
    struct rewrite *p = self;
    struct rw_state *st = wp_query_state(q);
    int r;

    if (q->reply.dropped)
        return wp_query_rename(q, st->name, st->type, st->cls);
    if (!q->reply.begun) {
        uint16_t rcode = q->reply.rcode;

        if (st->responses == NULL || !q->reply.unwritten)
            return leave_unwritten(st, q);
        r = wp_reply_begin(q, rcode, 0); /* rules may change it: we write the reply */
        if (r < 0)
            return r;
    }
    r = wp_reply_view(q, &st->view);
    if (r < 0)
        return r;
    if (p->has_cname) {
        r = rw_cname(st, q);
        if (r == WP_STEP_WAIT || r < 0)
            return r;
    }
    r = rw_finish(st, q);
    return r < 0 ? r : WP_STEP_NEXT;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_IGNORE, .help = "[continue|stop] RULE; all words of the rule are read at once"},
    {.name = "*", .kind = WP_OPT_IGNORE},
    {0},
};

const struct wp_plugin wp_plugin_rewrite = {
    .name = "rewrite",
    .size = sizeof(struct rewrite),
    .options = options,
    .repeat = WP_REPEAT_COMBINE,
    .new = rewrite_new,
    .begin = begin,
    .serve = rewrite_serve,
    .reply = rewrite_reply,
    .stop = rewrite_stop,
};
