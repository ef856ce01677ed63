/* minimal: answers without authority and additional records. */
#include "waypost/plugin/plugin.h"

static int minimal_serve(void *self, struct wp_query *q)
{
    (void)self;
    wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

struct ends {
    size_t answer;
};

static int last_answer(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    struct ends *e = arg;

    (void)buf;
    if (s != WP_ANSWER)
        return 1;
    e->answer = rr->end;
    return 0;
}

/* The sections stand one behind the other and pointers lead backwards: cutting the tail is all. */
static int minimal_reply(void *self, struct wp_query *q)
{
    struct ends e = {.answer = WP_HEADER_LEN + (size_t)q->question_len};

    (void)self;
    if (!q->reply.begun || wp_reply_kind(q) != WP_REPLY_NOERROR ||
        wp_reply_each(q, last_answer, &e) < 0)
        return WP_STEP_NEXT;
    q->reply.len = (uint32_t)e.answer;
    q->reply.count[WP_AUTHORITY] = q->reply.count[WP_ADDITIONAL] = 0;
    return WP_STEP_NEXT;
}

static const struct wp_option options[] = {{0}};

const struct wp_plugin wp_plugin_minimal = {
    .name = "minimal",
    .size = 1,
    .options = options,
    .repeat = WP_REPEAT_FIRST,
    .serve = minimal_serve,
    .reply = minimal_reply,
};
