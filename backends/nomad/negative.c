/* Replies without data: the SOA of the zone in authority (RFC 2308), or CoreDNS's shape: the SOA of the
 * question name in the answer section. */
#include <string.h>

#include "backends/nomad/answer.h"
#include "waypost/base/wr.h"

static const uint8_t ns1[] = {3, 'n', 's', '1'};
static const uint8_t hostmaster[] = {10, 'h', 'o', 's', 't', 'm', 'a', 's', 't', 'e', 'r'};

enum {
    REFRESH_S = 3600,
    RETRY_S = 600,
    EXPIRE_S = 86400,
    MINIMUM_S = 30,
    POINTER = 2,
    POINTER_MAX = 0x3fff,
    RR_REST = 10, /* type, class, TTL, length */
    SOA_NUMBERS = 20,
    SOA_MOST = RR_REST + sizeof(ns1) + sizeof(hostmaster) + 2 * POINTER + SOA_NUMBERS,
};

/* What follows the owner: names that are labels and a pointer. */
static uint8_t *put_soa(const struct nomad *p, uint8_t *to, unsigned mname, bool no_ns1, unsigned rname)
{
    uint8_t *rdata = to + RR_REST;
    size_t ns1_len = no_ns1 ? 0 : sizeof(ns1);

    wp_put16(to, WP_TYPE_SOA);
    memcpy(to + 2, p->head[0] + 4, 6); /* class, TTL */
    memcpy(rdata, ns1, ns1_len);
    wp_put16(rdata + ns1_len, 0xc000u | mname);
    to = rdata + ns1_len + POINTER;
    memcpy(to, hostmaster, sizeof(hostmaster));
    wp_put16(to + sizeof(hostmaster), 0xc000u | rname);
    to += sizeof(hostmaster) + POINTER;
    wp_put32(to, 0);
    wp_put32(to + 4, REFRESH_S);
    wp_put32(to + 8, RETRY_S);
    wp_put32(to + 12, EXPIRE_S);
    wp_put32(to + 16, MINIMUM_S);
    to += SOA_NUMBERS;
    wp_put16(rdata - 2, (unsigned)(to - rdata));
    return to;
}

/* --- the zone's, in authority ------------------------------------------------------------------- */

/* The zone is a tail of the question: pointers into it spell it as it was asked. */
static int write_zone_soa(const struct nomad_answer *a)
{
    struct wp_query *q = a->q;
    unsigned zone = WP_HEADER_LEN + (unsigned)(q->msg.qname.len - a->name.zone->len);
    uint8_t *from = wp_reply_room(q, POINTER + SOA_MOST);

    if (from == NULL)
        return WP_ESPACE;
    wp_put16(from, 0xc000u | zone);
    q->reply.len += (uint32_t)(put_soa(a->p, from + POINTER, zone, false, zone) - from);
    q->reply.count[WP_AUTHORITY]++;
    return 0;
}

/* --- the question's, in the answer section ----------------------------------------------------- */

/* The first label from which on the question is spelled in lower case. */
static unsigned lower_from(const struct wp_query *q)
{
    const struct wp_qname *name = &q->msg.qname;
    unsigned end = name->len, label = name->n_labels;

    while (end > 0 && q->question[end - 1] == name->wire[end - 1])
        end--;
    while (label > 0 && name->at[label - 1] >= end)
        label--;
    return label;
}

unsigned nomad_lower_at(const struct nomad_answer *a)
{
    return a->lower_at != 0 ? a->lower_at : WP_HEADER_LEN;
}

void nomad_lower_is_at(struct nomad_answer *a, unsigned at)
{
    if (a->lower_at == 0 && at <= POINTER_MAX)
        a->lower_at = lower_from(a->q) == 0 ? WP_HEADER_LEN : at;
}

/* The name in lower case: its last labels are the question's where they are spelled so, as CoreDNS's
 * compression has it. */
static uint8_t *put_lower(struct nomad_answer *a, uint8_t *to)
{
    const struct wp_qname *name = &a->q->msg.qname;
    unsigned label = lower_from(a->q), len = name->at[label];

    if (a->lower_at != 0 || label == 0) {
        wp_put16(to, 0xc000u | nomad_lower_at(a));
        return to + POINTER;
    }
    nomad_lower_is_at(a, (unsigned)(to - a->q->reply.buf));
    if (label == name->n_labels) { /* nothing of it */
        memcpy(to, name->wire, name->len);
        return to + name->len;
    }
    memcpy(to, name->wire, len);
    wp_put16(to + len, 0xc000u | (WP_HEADER_LEN + len));
    return to + len + POINTER;
}

static unsigned lower_zone_at(const struct nomad_answer *a)
{
    const struct wp_qname *name = &a->q->msg.qname;
    unsigned zone = (unsigned)(name->len - a->name.zone->len);
    bool is_lower = memcmp(a->q->question + zone, name->wire + zone, a->name.zone->len) == 0;

    return (is_lower ? WP_HEADER_LEN : nomad_lower_at(a)) + zone;
}

static int write_name_soa(struct nomad_answer *a)
{
    struct wp_query *q = a->q;
    bool is_too_long = q->msg.qname.len + sizeof(ns1) > WP_NAME_MAX;
    uint8_t *from = wp_reply_room(q, WP_NAME_MAX + SOA_MOST), *to;

    if (from == NULL)
        return WP_ESPACE;
    to = put_lower(a, from);
    to = put_soa(a->p, to, nomad_lower_at(a), is_too_long, lower_zone_at(a));
    q->reply.len += (uint32_t)(to - from);
    q->reply.count[WP_ANSWER]++;
    return 0;
}

/* --- replies ------------------------------------------------------------------------------------ */

static int write_soa(struct nomad_answer *a)
{
    return a->p->negative == NOMAD_RFC2308 ? write_zone_soa(a) : write_name_soa(a);
}

int nomad_deny(struct nomad_answer *a, uint16_t rcode)
{
    int r = wp_reply_begin(a->q, rcode, WP_FLAG_AA);

    if (r == 0)
        r = write_soa(a);
    return r < 0 ? r : WP_STEP_DONE;
}

/* CoreDNS has an empty answer there. */
int nomad_no_data(struct nomad_answer *a)
{
    int r;

    if (a->p->negative == NOMAD_RFC2308)
        return nomad_deny(a, WP_RCODE_NOERROR);
    r = wp_reply_begin(a->q, WP_RCODE_NOERROR, WP_FLAG_AA);
    return r < 0 ? r : WP_STEP_DONE;
}

int nomad_write_broken(struct nomad_answer *a)
{
    a->q->reply.rcode = WP_RCODE_NXDOMAIN;
    return write_soa(a);
}
