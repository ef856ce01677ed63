/* Names that mean something on this host or nothing anywhere: no upstream is asked for them, unless
 * FROM or the block's zone says that it is to be (RFC 6761 s6.3 and s6.4, RFC 7686, RFC 9462 s6.4).
 * What a private network may well have (test., home.arpa., reverse zones) is passed on. */
#include "backends/forward/forward.h"
#include "waypost/dns/types.h"

enum { TTL_S = 3600 };

enum answer { LOOPBACK, NO_NAME, NO_DATA };
static const struct {
    const uint8_t *zone;
    unsigned n_labels;
    enum answer answer;
} specials[] = {
    {(const uint8_t *)"\011localhost", 1, LOOPBACK},
    {(const uint8_t *)"\7invalid", 1, NO_NAME},
    {(const uint8_t *)"\5onion", 1, NO_NAME},
    /* a forwarded designation would lead clients past us */
    {(const uint8_t *)"\010resolver\4arpa", 2, NO_DATA},
};

/* Something to remember the denial by (RFC 2308 s5). */
static int soa(struct wp_query *q, const uint8_t *zone)
{
    static const uint8_t rdata[] = "\011localhost\0\6nobody\7invalid\0"
                                   "\0\0\0\1\0\0\x0e\x10\0\0\4\xb0\0\x09\x3a\x80\0\0\x0e\x10";

    return wp_reply_rr(q, WP_AUTHORITY, zone, WP_TYPE_SOA, TTL_S, rdata, sizeof(rdata) - 1);
}

static int answer(struct wp_query *q, const uint8_t *zone, enum answer a)
{
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    int r = wp_reply_begin(q, a == NO_NAME ? WP_RCODE_NXDOMAIN : WP_RCODE_NOERROR,
                           WP_FLAG_AA | WP_FLAG_RA);

    if (r == 0 && a == LOOPBACK && q->msg.qtype == WP_TYPE_A)
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, TTL_S, v4, sizeof(v4));
    else if (r == 0 && a == LOOPBACK && q->msg.qtype == WP_TYPE_AAAA)
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_AAAA, TTL_S, v6, sizeof(v6));
    else if (r == 0)
        r = soa(q, zone);
    return r < 0 ? r : WP_STEP_DONE;
}

int forward_special(const struct forward_stanza *st, struct wp_query *q)
{
    const struct wp_qname *name = &q->msg.qname;

    if (q->msg.qclass != WP_CLASS_IN)
        return WP_STEP_NEXT;
    for (size_t i = 0; i < WP_COUNT(specials); i++) {
        const uint8_t *zone = specials[i].zone;

        if (name->n_labels < specials[i].n_labels ||
            !wp_name_equal(name->wire + name->at[name->n_labels - specials[i].n_labels], zone))
            continue;
        if (wp_name_within(st->from, zone) || (q->zone != NULL && wp_name_within(q->zone, zone)))
            return WP_STEP_NEXT; /* it was asked for by name */
        return answer(q, zone, specials[i].answer);
    }
    return WP_STEP_NEXT;
}
