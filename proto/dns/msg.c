#include "waypost/dns/msg.h"

#include "waypost/base/rd.h"
#include "waypost/dns/rr.h"

/* The shortest record: root owner, type, class, TTL, RDLENGTH. */
enum { RR_MIN = 11 };

/* What the header alone decides (I3, I4, I6-I9). An admitted opcode other than QUERY and NOTIFY
 * is judged by its handler: there only QDCOUNT counts (I3a). */
static enum wp_intake judge_counts(unsigned opcode, unsigned qd, const unsigned count[WP_SECTIONS])
{
    if (qd != 1)
        return WP_INTAKE_FORMERR_HEAD;
    if (opcode != WP_OPCODE_QUERY && opcode != WP_OPCODE_NOTIFY)
        return WP_INTAKE_OK;
    if (count[WP_ANSWER] > (opcode == WP_OPCODE_NOTIFY) ||
        count[WP_AUTHORITY] > (opcode == WP_OPCODE_QUERY) || count[WP_ADDITIONAL] > 2)
        return WP_INTAKE_FORMERR_HEAD;
    return WP_INTAKE_OK;
}

/* One record behind the question. */
static int take_record(struct wp_msg *m, const uint8_t *wire, const struct wp_rr_at *rr,
                       enum wp_section section, bool last)
{
    switch (rr->type) {
    case WP_TYPE_OPT:
        if (section != WP_ADDITIONAL || m->edns.present)
            return WP_EMALFORMED;
        return wp_edns_read(wire, rr, &m->edns);
    case WP_TYPE_TSIG:
        if (section == WP_ADDITIONAL && last)
            m->tsig_at = (uint16_t)rr->pos;
        else
            m->tsig_misplaced = true;
        return 0;
    default:
        /* a query's authority section holds the client's SOA of an IXFR (RFC 1995 s3) or nothing */
        if (section == WP_AUTHORITY && wp_msg_opcode(m) == WP_OPCODE_QUERY &&
            (m->qtype != WP_TYPE_IXFR || rr->type != WP_TYPE_SOA))
            return WP_EMALFORMED;
        return 0;
    }
}

static int take_records(struct wp_msg *m, struct wp_rd *rd, const unsigned count[WP_SECTIONS])
{
    size_t total = (size_t)count[0] + count[1] + count[2];

    if (total > wp_rd_left(rd) / RR_MIN)
        return WP_EMALFORMED;
    for (int s = WP_ANSWER; s < WP_SECTIONS; s++) {
        for (unsigned i = 0; i < count[s]; i++) {
            struct wp_rr_at rr;

            if (wp_rr_next(rd, &rr) < 0 ||
                take_record(m, rd->buf, &rr, (enum wp_section)s, i + 1 == count[s]) < 0)
                return WP_EMALFORMED;
        }
    }
    return 0;
}

static enum wp_intake take_body(struct wp_msg *m, const uint8_t *wire, size_t len,
                                const unsigned count[WP_SECTIONS])
{
    struct wp_rd rd = wp_rd_from(wire, len);
    size_t at = WP_HEADER_LEN;
    int n = wp_qname_set(&m->qname, wire + at, len - at);

    if (n < 0 || len - at - (size_t)n < 4) {
        wp_qname_root(&m->qname);
        return WP_INTAKE_FORMERR;
    }
    at += (size_t)n;
    m->qtype = wp_be16(wire + at);
    m->qclass = wp_be16(wire + at + 2);
    m->question_len = (uint16_t)(n + 4);
    if ((count[0] | count[1] | count[2]) == 0)
        return WP_INTAKE_OK;
    rd.pos = at + 4;
    if (take_records(m, &rd, count) < 0)
        return WP_INTAKE_FORMERR;
    return m->edns.version > 0 ? WP_INTAKE_BADVERS : WP_INTAKE_OK;
}

enum wp_intake wp_msg_parse_query(const uint8_t *wire, size_t len, unsigned opcodes,
                                  struct wp_msg *m)
{
    enum wp_intake verdict;
    unsigned opcode, count[WP_SECTIONS];

    if (len < WP_HEADER_LEN || (wire[2] & 0x80) != 0)
        return WP_INTAKE_IGNORE;
    if (len > WP_MSG_MAX)
        len = WP_MSG_MAX; /* nothing can be framed longer: the rest is trailing octets */
    m->id = wp_be16(wire);
    m->flags = wp_be16(wire + 2);
    m->qtype = m->qclass = m->question_len = m->tsig_at = 0;
    m->tsig_misplaced = false;
    m->edns = (struct wp_edns){0};
    count[WP_ANSWER] = wp_be16(wire + 6);
    count[WP_AUTHORITY] = wp_be16(wire + 8);
    count[WP_ADDITIONAL] = wp_be16(wire + 10);
    opcode = wp_msg_opcode(m);
    if ((opcodes >> opcode & 1) == 0)
        verdict = WP_INTAKE_NOTIMP;
    else
        verdict = judge_counts(opcode, wp_be16(wire + 4), count);
    if (verdict == WP_INTAKE_OK && len == WP_HEADER_LEN)
        verdict = WP_INTAKE_NO_QUESTION;
    if (verdict != WP_INTAKE_OK) {
        wp_qname_root(&m->qname);
        return verdict;
    }
    return take_body(m, wire, len, count);
}

bool wp_msg_parse_no_question(const uint8_t *wire, size_t len, struct wp_msg *m)
{
    struct wp_rd rd = wp_rd_from(wire, len < WP_MSG_MAX ? len : WP_MSG_MAX);
    const unsigned count[WP_SECTIONS] = {[WP_ADDITIONAL] = wp_be16(wire + 10)};

    if (wp_msg_opcode(m) != WP_OPCODE_QUERY || wp_be16(wire + 4) != 0 || wp_be32(wire + 6) != 0 ||
        count[WP_ADDITIONAL] > 2)
        return false;
    rd.pos = WP_HEADER_LEN;
    return take_records(m, &rd, count) == 0 && m->edns.present && m->edns.version == 0;
}
