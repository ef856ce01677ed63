/* rewrite edns0: options of the question that the next plugins, and upstreams, see. */
#include <string.h>

#include "server/plugins/rewrite/rewrite.h"
#include "waypost/base/wr.h"

enum { CREATED_SIZE = 4096, OPTIONS_MAX = 8192 };

static bool has(const struct wp_edns *e, uint16_t code)
{
    uint16_t len;

    return e->options_len > 0 && wp_edns_option_find(e, code, &len) != NULL;
}

/* Take every option with the code out; then, if data is given, add it at the end. */
static bool put_option(struct wp_query *q, uint16_t code, bool remove, const uint8_t *data, size_t len)
{
    struct wp_edns *e = &q->msg.edns;
    uint8_t *to = wp_arena_alloc(q->arena, e->options_len + len + 4);
    struct wp_wr wr = wp_wr_to(to, e->options_len + len + 4);

    if (to == NULL || e->options_len + len + 4 > OPTIONS_MAX)
        return false;
    for (size_t at = 0; at + 4 <= e->options_len;) {
        size_t n = 4u + wp_be16(e->options + at + 2);

        if (!remove || wp_be16(e->options + at) != code)
            wp_wr_bytes(&wr, e->options + at, n);
        at += n;
    }
    if (data != NULL) {
        wp_wr_u16(&wr, code);
        wp_wr_u16(&wr, (unsigned)len);
        wp_wr_bytes(&wr, data, len);
    }
    e->options = to;
    e->options_len = (uint16_t)wr.len;
    return !wr.bad;
}

static size_t put_address(const struct wp_addr *a, uint8_t *out)
{
    size_t n = a->family == 4 ? 4 : a->family == 6 ? 16 : 0;

    memcpy(out, a->ip, n);
    return n;
}

/* The octets of a variable; 0: it has no value, and the rule is passed over. */
static size_t variable(const struct rw_rule *r, const struct wp_query *q, uint8_t out[WP_NAME_TEXT_MAX])
{
    const char *v = r->variable, *text;

    if (strcmp(v, "{qname}") == 0)
        return strlen(wp_name_text(q->msg.qname.wire, (char *)out));
    if (strcmp(v, "{qtype}") == 0)
        return wp_put16(out, q->msg.qtype), 2;
    if (strcmp(v, "{client_ip}") == 0)
        return put_address(&q->client, out);
    if (strcmp(v, "{server_ip}") == 0)
        return put_address(&q->local, out);
    if (strcmp(v, "{client_port}") == 0)
        return wp_put16(out, q->client.port), 2;
    if (strcmp(v, "{server_port}") == 0)
        return wp_put16(out, q->local.port), 2;
    text = strcmp(v, "{protocol}") == 0 ? wp_query_proto(q) : NULL;
    if (text == NULL) {
        char label[256];
        size_t n = strlen(v);

        if (n < 3 || n - 2 >= sizeof(label))
            return 0;
        memcpy(label, v + 1, n - 2);
        label[n - 2] = '\0';
        text = wp_query_meta(q, label);
    }
    if (text == NULL || strlen(text) >= WP_NAME_TEXT_MAX)
        return 0;
    memcpy(out, text, strlen(text));
    return strlen(text);
}

/* Client subnet from the client's address (RFC 7871 s6). */
static size_t subnet(const struct rw_rule *r, const struct wp_query *q, uint8_t out[20])
{
    unsigned bits = q->client.family == 4 ? r->bits4 : r->bits6, octets = (bits + 7) / 8;

    if (q->client.family == 0)
        return 0;
    wp_put16(out, q->client.family == 4 ? 1 : 2);
    out[2] = (uint8_t)bits;
    out[3] = 0;
    memcpy(out + 4, q->client.ip, octets);
    if (bits % 8 != 0)
        out[4 + octets - 1] &= (uint8_t)(0xff << (8 - bits % 8));
    return 4 + octets;
}

/* Append: a literal local option and NSID are added beside an existing one; the others only
 * when absent (as the reference does). */
static bool may_put(const struct rw_rule *r, bool present)
{
    switch (r->action) {
    case RW_APPEND:
        return !present || r->edns == RW_LOCAL || r->edns == RW_NSID;
    case RW_REPLACE:
        return present;
    case RW_SET:
        return true;
    case RW_UNSET:
        break;
    }
    return false;
}

bool rw_edns_apply(const struct rw_rule *r, struct wp_query *q)
{
    struct wp_edns *e = &q->msg.edns;
    uint8_t buf[WP_NAME_TEXT_MAX];
    const uint8_t *data = buf;
    size_t len = 0;
    bool present;

    if (!e->present)
        *e = (struct wp_edns){.present = true, .udp_size = CREATED_SIZE};
    present = has(e, r->code);
    if (r->action == RW_UNSET)
        return present && put_option(q, r->code, true, NULL, 0);
    if (!may_put(r, present))
        return false;
    if (r->edns == RW_LOCAL) {
        data = r->data;
        len = r->data_len;
    } else if (r->edns == RW_LOCAL_VARIABLE) {
        len = variable(r, q, buf);
        if (len == 0)
            return false;
    } else if (r->edns == RW_SUBNET) {
        len = subnet(r, q, buf);
        if (len == 0)
            return false;
    }
    return put_option(q, r->code, r->action != RW_APPEND, data != NULL ? data : buf, len);
}
