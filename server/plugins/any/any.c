/* any: a minimal answer to questions of type ANY (RFC 8482 s4.2). */
#include "waypost/plugin/plugin.h"

enum { ANY_TTL_S = 8482 };

static int any_serve(void *self, struct wp_query *q)
{
    static const uint8_t rdata[] = "\015ANY obsoleted\014See RFC 8482";
    int r;

    (void)self;
    if (q->msg.qtype != WP_TYPE_ANY)
        return WP_STEP_NEXT;
    r = wp_reply_begin(q, WP_RCODE_NOERROR, 0);
    if (r == 0)
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_HINFO, ANY_TTL_S, rdata, sizeof(rdata) - 1);
    return r < 0 ? r : WP_STEP_DONE;
}

static const struct wp_option options[] = {{0}};

const struct wp_plugin wp_plugin_any = {
    .name = "any",
    .size = 1,
    .options = options,
    .repeat = WP_REPEAT_FIRST,
    .serve = any_serve,
};
