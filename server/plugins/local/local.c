/* local: names that never leave the host: localhost and its reverse zones (RFC 6761 s6.3,
 * RFC 6303 s4.2). */
#include <string.h>

#include "waypost/base/wr.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/plugin.h"

enum { LOCAL_TTL_S = 604800 };

static const uint8_t localhost[] = "\011localhost";
static const uint8_t reverse_1[] = "\0011\0010\0010\003127\7in-addr\4arpa";
static const uint8_t *const reverse_zones[] = {
    (const uint8_t *)"\0010\7in-addr\4arpa",
    (const uint8_t *)"\003127\7in-addr\4arpa",
    (const uint8_t *)"\003255\7in-addr\4arpa",
};

static const struct wp_family requests_family = {
    .name = "coredns_local_localhost_requests_total",
    .help = "Counter of localhost.<domain> requests.",
    .kind = WP_COUNTER,
    .labels = {NULL},
};

struct local {
    bool no_prefix;
    struct wp_series *requests;
};

static int parse_prefix(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct local *p = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    if (strcmp(l->words[1], "on") != 0 && strcmp(l->words[1], "off") != 0)
        return wp_setup_error(s, l, "localhost_prefix must be 'on' or 'off', got '%s'", l->words[1]);
    p->no_prefix = strcmp(l->words[1], "off") == 0;
    return 0;
}

static int local_start(void *self, struct wp_env *env)
{
    (void)env;
    ((struct local *)self)->requests = wp_metric_series(&requests_family, NULL);
    return 0;
}

static int soa(struct wp_query *q, enum wp_section s, const uint8_t *owner)
{
    uint8_t rdata[64];
    struct wp_wr wr = wp_wr_to(rdata, sizeof(rdata));

    wp_wr_bytes(&wr, localhost, sizeof(localhost));
    wp_wr_bytes(&wr, "\4root", 5);
    wp_wr_bytes(&wr, localhost, sizeof(localhost));
    wp_wr_u32(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u32(&wr, 0);
    wp_wr_u32(&wr, 0);
    wp_wr_u32(&wr, LOCAL_TTL_S);
    return wp_reply_rr(q, s, owner, WP_TYPE_SOA, LOCAL_TTL_S, rdata, wr.len);
}

static int address(struct wp_query *q)
{
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

    if (q->msg.qtype == WP_TYPE_A)
        return wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, LOCAL_TTL_S, v4, sizeof(v4));
    return wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_AAAA, LOCAL_TTL_S, v6, sizeof(v6));
}

static bool is_address(const struct wp_query *q)
{
    return q->msg.qtype == WP_TYPE_A || q->msg.qtype == WP_TYPE_AAAA;
}

/* A name at which all ends here: its own records, or NODATA. */
static int at_apex(struct wp_query *q, const uint8_t *apex, bool addresses)
{
    if (addresses && is_address(q))
        return address(q);
    if (q->msg.qtype == WP_TYPE_SOA)
        return soa(q, WP_ANSWER, NULL);
    if (q->msg.qtype == WP_TYPE_NS)
        return wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_NS, LOCAL_TTL_S, localhost, sizeof(localhost));
    return soa(q, WP_AUTHORITY, apex);
}

static int done(int r)
{
    return r < 0 ? r : WP_STEP_DONE;
}

static int serve_localhost(struct wp_query *q, bool apex)
{
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, 0);

    if (r < 0)
        return r;
    if (apex)
        return done(at_apex(q, localhost, true));
    return done(is_address(q) ? address(q) : soa(q, WP_AUTHORITY, NULL));
}

static int serve_reverse(struct wp_query *q, const uint8_t *zone)
{
    bool apex = wp_name_equal(q->msg.qname.wire, zone);
    bool one = wp_name_equal(q->msg.qname.wire, reverse_1);
    int r = wp_reply_begin(q, apex || one ? WP_RCODE_NOERROR : WP_RCODE_NXDOMAIN, 0);

    if (r < 0)
        return r;
    if (apex)
        return done(at_apex(q, zone, false));
    if (one && q->msg.qtype == WP_TYPE_PTR)
        return done(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_PTR, LOCAL_TTL_S, localhost, sizeof(localhost)));
    return done(soa(q, WP_AUTHORITY, zone));
}

static int local_serve(void *self, struct wp_query *q)
{
    const struct local *p = self;
    const struct wp_qname *n = &q->msg.qname;

    if (q->msg.qclass != WP_CLASS_IN)
        return WP_STEP_NEXT;
    if (wp_name_within(n->wire, localhost))
        return serve_localhost(q, n->n_labels == 1);
    if (!p->no_prefix && n->n_labels > 1 && memcmp(n->wire, localhost, 10) == 0) {
        wp_metric_add(p->requests, q->worker, 1);
        return serve_localhost(q, false);
    }
    for (size_t i = 0; i < WP_COUNT(reverse_zones); i++) {
        if (wp_name_within(n->wire, reverse_zones[i]))
            return serve_reverse(q, reverse_zones[i]);
    }
    return WP_STEP_NEXT;
}

static const struct wp_option options[] = {
    {.name = "localhost_prefix", .kind = WP_OPT_CALL, .parse = parse_prefix, .help = "on|off: localhost.ANYTHING"},
    {0},
};

const struct wp_plugin wp_plugin_local = {
    .name = "local",
    .size = sizeof(struct local),
    .options = options,
    .repeat = WP_REPEAT_LAST,
    .start = local_start,
    .serve = local_serve,
};
