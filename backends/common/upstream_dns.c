/* DNS over a stream: messages with a length before each (RFC 1035 s4.2.2), several at a time and
 * answered in any order (RFC 7766 s6.2.1.1, RFC 7858). */
#include "backends/common/upstream_conn.h"

#include <errno.h>

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"

static struct wp_up_try *find(const struct wp_up_conn *c, uint16_t id)
{
    struct wp_up_try *x = c->bucket[id % WP_UP_ID_BUCKETS];

    while (x != NULL && x->id != id)
        x = x->next;
    return x;
}

static int dns_start(struct wp_up_conn *c)
{
    (void)c;
    return 0;
}

/* Ids go up from a random start: one whose query was given up is not used again soon, so a late
 * reply meets nobody. */
static int dns_send(struct wp_up_conn *c, struct wp_up_try *x)
{
    uint8_t *to = wp_octets_room(&c->out, x->len + 2);

    if (to == NULL)
        return -ENOMEM;
    do
        x->id = c->next_id++;
    while (find(c, x->id) != NULL);
    wp_put16(x->msg, x->id);
    wp_put16(to, x->len);
    memcpy(to + 2, x->msg, x->len);
    c->out.len += x->len + 2;
    wp_up_try_link(&c->bucket[x->id % WP_UP_ID_BUCKETS], x);
    return 0;
}

static void reply(struct wp_up_conn *c, const uint8_t *data, size_t len)
{
    struct wp_outcome o = {.reply = data, .len = len};
    struct wp_up_try *x = len >= WP_HEADER_LEN ? find(c, wp_be16(data)) : NULL;

    if (x == NULL)
        return; /* given up meanwhile */
    o.look = wp_reply_look(x->msg, x->len, data, len);
    if (o.look.verdict == WP_REPLY_NOT_ONE || o.look.verdict == WP_REPLY_CUT)
        o.look.verdict = WP_REPLY_MALFORMED; /* nothing cuts a message on a stream */
    c->replies++;
    wp_up_try_end(x, &o);
}

static int dns_input(struct wp_up_conn *c, const uint8_t *data, size_t len, const char **ret_why)
{
    size_t at = 0;

    (void)ret_why;
    while (len - at >= 2 && c->phase == WP_UP_OPEN) {
        size_t n = wp_be16(data + at);

        if (n > len - at - 2)
            break;
        reply(c, data + at + 2, n);
        at += 2 + n;
    }
    return (int)at;
}

const struct wp_up_conn_proto wp_up_dns_proto = {
    .start = dns_start,
    .send = dns_send,
    .input = dns_input,
};
