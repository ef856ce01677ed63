/* The story of an explained query: a step for each time that a plugin was called, in the order in
 * which they began, those of internal look-ups among them. */
#include "waypost/server/explain.h"

#include <string.h>

#include "server/router/router_priv.h"
#include "waypost/plugin/loop.h"

struct wp_explain_step {
    struct wp_explain_step *next;
    const struct wp_query *q; /* only to know it again */
    uint32_t serial;          /* of q's memory, which may serve several look-ups */
    const char *plugin, *decision;
    uint8_t depth;
    bool is_reply, is_open;
    uint64_t began_ns, took_ns, waited_ns, left_ns; /* left: when it began to wait */
    const uint8_t *question;
    uint16_t qtype;
    struct wp_report details;
};

void wp_explain_init(struct wp_explain *e, struct wp_arena *arena, uint64_t now_ns)
{
    *e = (struct wp_explain){.arena = arena, .began_ns = now_ns};
    e->last = &e->first;
    wp_report_init(&e->sources, arena);
}

/* The newest step of the query, or NULL. */
static struct wp_explain_step *step_of(const struct wp_query *q)
{
    struct wp_explain_step *found = NULL;

    for (struct wp_explain_step *s = q->explain->first; s != NULL; s = s->next)
        if (s->q == q && s->serial == ((const struct wp_pooled *)q)->serial)
            found = s;
    return found;
}

struct wp_report *wp_explain_details(struct wp_query *q)
{
    struct wp_explain_step *s = q->explain != NULL ? step_of(q) : NULL;

    return s != NULL ? &s->details : NULL;
}

struct wp_report *wp_explain_sources(struct wp_query *q)
{
    return q->explain != NULL ? &q->explain->sources : NULL;
}

/* --- what the router tells --------------------------------------------------------------------- */

static struct wp_explain_step *begin(struct wp_query *q, const char *plugin, bool is_reply)
{
    struct wp_explain *e = q->explain;
    struct wp_explain_step *s =
        e->n < WP_EXPLAIN_STEPS ? wp_arena_zalloc(e->arena, sizeof(*s)) : NULL;

    if (s == NULL) {
        e->left_out++;
        return NULL;
    }
    s->q = q;
    s->serial = wp_pooled_of(q)->serial;
    s->plugin = plugin;
    s->depth = q->depth;
    s->is_reply = is_reply;
    s->is_open = true;
    s->question = q->question;
    s->qtype = q->msg.qtype;
    wp_report_init(&s->details, e->arena);
    *e->last = s;
    e->last = &s->next;
    e->n++;
    s->began_ns = wp_loop_clock(q->loop);
    return s;
}

static const char *decision(const struct wp_query *q, int step)
{
    if (step < 0)
        return "error";
    if (step == WP_STEP_NEXT)
        return "next";
    if (step == WP_STEP_AGAIN)
        return "again";
    if (q->reply.dropped)
        return "dropped";
    return q->reply.unwritten ? "failed" : "answered";
}

static void put_question(struct wp_report *r, const char *name, const struct wp_query *q)
{
    char text[WP_NAME_TEXT_MAX], type[16];

    wp_report_printf(r, name, "%s %s", wp_name_text(q->msg.qname.wire, text),
                     wp_type_text(q->msg.qtype, type));
}

static void end(struct wp_explain_step *s, const struct wp_query *q, int step)
{
    char rcode[16];

    s->is_open = false;
    s->decision = decision(q, step);
    if (step < 0)
        wp_report_text(&s->details, "error", wp_strerror(step));
    else if (step == WP_STEP_DONE && !s->is_reply && !q->reply.dropped)
        wp_report_text(&s->details, "rcode", wp_rcode_text(q->reply.rcode, rcode));
    if (step == WP_STEP_DONE && q->reply.error != NULL)
        wp_report_text(&s->details, "error", q->reply.error);
    if (s->question != q->question || s->qtype != q->msg.qtype)
        put_question(&s->details, "question", q);
}

int wp_explain_call(struct wp_query *q, const struct wp_node *n, bool is_reply)
{
    struct wp_explain_step *s = begin(q, n->plugin->name, is_reply);
    int step = is_reply ? n->plugin->reply(n->self, q) : n->plugin->serve(n->self, q);
    uint64_t now = wp_loop_clock(q->loop);

    if (s == NULL)
        return step;
    s->took_ns = now - s->began_ns;
    if (step == WP_STEP_WAIT)
        s->left_ns = now;
    else
        end(s, q, step);
    return step;
}

void wp_explain_resumed(struct wp_query *q, int step)
{
    struct wp_explain_step *s = step_of(q);

    if (s == NULL || !s->is_open)
        return;
    s->waited_ns = wp_loop_clock(q->loop) - s->left_ns;
    end(s, q, step);
}

/* --- the story --------------------------------------------------------------------------------- */

void wp_explain_tell(struct wp_explain *e, struct wp_report *r)
{
    wp_report_list(r, "steps");
    for (struct wp_explain_step *s = e->first; s != NULL; s = s->next) {
        wp_report_open(r, NULL);
        wp_report_text(r, "plugin", s->plugin);
        wp_report_text(r, "phase", s->is_reply ? "reply" : "question");
        wp_report_int(r, "depth", s->depth);
        wp_report_text(r, "decision", s->is_open ? "waiting" : s->decision);
        wp_report_ns(r, "at_ns", s->began_ns > e->began_ns ? s->began_ns - e->began_ns : 0);
        wp_report_ns(r, "took_ns", s->took_ns);
        wp_report_ns(r, "waited_ns", s->waited_ns);
        if (wp_report_is_empty(&s->details)) {
            wp_report_open(r, "details");
            wp_report_close(r);
        }
        wp_report_adopt(r, "details", &s->details, false);
        wp_report_close(r);
    }
    wp_report_close(r);
    if (e->left_out > 0)
        wp_report_int(r, "steps_left_out", e->left_out);
}
