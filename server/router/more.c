/* Replies of several messages (zone transfers): each is finished as any reply is, so that header,
 * OPT, cookies and padding are right in all of them. */
#include "server/router/router_priv.h"

static void count(struct wp_query *q, bool first)
{
    uint32_t size = wp_reply_size(q), so_far = first ? 0 : q->sent_size;

    q->sent_size = size > UINT32_MAX - so_far ? UINT32_MAX : so_far + size;
}

/* Between the messages, and for whoever looks at the end, the reply is one without records, in
 * memory of the query's own: the listener's is good for one call only. */
static void keep_empty(struct wp_query *q)
{
    q->reply.buf = wp_pooled_of(q)->out;
    q->reply.cap = WP_QUERY_OUT;
    if (wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA) < 0)
        q->reply.begun = false; /* cannot be: there is room for any question */
}

int wp_query_more(struct wp_query *q)
{
    const uint8_t *question = q->question;
    uint16_t question_len = q->question_len;
    bool sent = q->sent, has_opt = q->reply.has_opt;
    int step;

    /* the client compares it with its own, whatever became of it on the way (rewrite) */
    q->question = q->wire + WP_HEADER_LEN;
    q->question_len = q->msg.question_len;
    q->out_len = 0;
    q->reply.begun = q->sent = false;
    step = q->more(q);
    if (step >= 0 && q->reply.begun) {
        count(q, !sent);
        wp_query_finish(q);
        q->reply.has_opt = has_opt; /* what the router gives it does not count */
        sent = true;
    }
    q->sent = sent;
    q->question = question;
    q->question_len = question_len;
    keep_empty(q);
    if (step == WP_STEP_DONE)
        q->more = NULL;
    return step;
}
