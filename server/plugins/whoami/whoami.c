/* Tells a client how it is seen: its address and port, for any question. */
#include <string.h>
#include "waypost/base/wr.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

/* An SRV record at _udp.NAME or _tcp.NAME, port and nothing else. A question name too long for the
 * label in front goes without. */
static int put_port(struct wp_query *q)
{
    const char *proto = wp_query_proto(q);
    uint8_t label[8] = {4, '_'}, rdata[7] = {0};
    struct wp_rr rr = {.type = WP_TYPE_SRV,
                       .cls = q->msg.qclass,
                       .section = WP_ADDITIONAL,
                       .rdata = rdata,
                       .rdlen = sizeof(rdata)};
    struct wp_name owner;

    memcpy(label + 2, proto, 3);
    if (wp_name_join(label, 5, q->question, &owner) < 0)
        return 0;
    wp_put16(rdata + 4, q->client.port);
    rr.owner = owner.wire;
    return wp_reply_put(q, &rr);
}

static int whoami_serve(void *self, struct wp_query *q)
{
    bool v6 = q->client.family == 6;
    struct wp_rr rr = {.owner = q->question,
                       .type = v6 ? WP_TYPE_AAAA : WP_TYPE_A,
                       .cls = q->msg.qclass,
                       .section = WP_ADDITIONAL,
                       .rdata = q->client.ip,
                       .rdlen = v6 ? 16 : 4};
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    (void)self;
    if (r == 0)
        r = wp_reply_put(q, &rr);
    if (r == 0)
        r = put_port(q);
    q->cacheable = false; /* it is about this client only */
    return r < 0 ? r : WP_STEP_DONE;
}

const struct wp_plugin wp_plugin_whoami = {
    .name = "whoami",
    .repeat = WP_REPEAT_FIRST,
    .serve = whoami_serve,
};
