/* Taking a query apart, once: header, question, and what the additional section may hold.
 * This is the only code that decides whether octets are a query. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/dns/edns.h"
#include "waypost/dns/name.h"
#include "waypost/dns/types.h"

enum { WP_HEADER_LEN = 12, WP_MSG_MAX = 65535 };

/* What wp_msg_parse_query says of the octets (the rows I1-I14 of the message gate). */
enum wp_intake {
    WP_INTAKE_OK = 0,
    WP_INTAKE_IGNORE,       /* shorter than a header, or QR set: nothing may be sent */
    WP_INTAKE_NOTIMP,       /* opcode: header only */
    WP_INTAKE_FORMERR_HEAD, /* counts: header only, opcode QUERY */
    WP_INTAKE_FORMERR,      /* body: question echoed if it parsed */
    WP_INTAKE_BADVERS,      /* EDNS version above 0 */
    WP_INTAKE_NO_QUESTION,  /* 12 octets, QDCOUNT 1: SERVFAIL */
    /* of the guard, where cookies are on: */
    WP_INTAKE_COOKIE,       /* no question, but a cookie: NOERROR with ours */
    WP_INTAKE_BADCOOKIE,    /* not ours, and we insist: BADCOOKIE with ours */
};

/* Is it answered as DNS on transports that have errors of their own? */
static inline bool wp_intake_is_answered(enum wp_intake i)
{
    return i == WP_INTAKE_OK || i == WP_INTAKE_BADVERS || i >= WP_INTAKE_COOKIE;
}

/* A query in parts. Pointers lead into the message. */
struct wp_msg {
    uint16_t id, flags; /* flags: the second header word as received */
    uint16_t qtype, qclass;
    uint16_t question_len; /* octets of qname, qtype and qclass; 0: no question parsed */
    uint16_t tsig_at;      /* offset of a TSIG that is the last record, 0: none */
    bool tsig_misplaced;   /* a TSIG that is not the last record */
    struct wp_edns edns;
    struct wp_qname qname;
};

static inline unsigned wp_msg_opcode(const struct wp_msg *m)
{
    return (m->flags & WP_FLAG_OPCODE) >> 11;
}

/* Work is bounded by the octets: counts are judged before anything is read, names behind the
 * question are skipped with checks (compression pointers must lead back, none is followed),
 * octets after the last counted record are ignored. A message of 12 octets that passes the
 * counts is NO_QUESTION whatever else it promises.
 * opcodes: bit n set = opcode n admitted (QUERY and NOTIFY too); for those other than
 * QUERY and NOTIFY only QDCOUNT is judged.
 * `m` is written as far as the message could be read (without a question qname is the root); on
 * IGNORE it is not touched. */
enum wp_intake wp_msg_parse_query(const uint8_t *wire, size_t len, unsigned opcodes,
                                  struct wp_msg *m);
/* After FORMERR_HEAD: is it a QUERY without a question that has an OPT of version 0 and nothing
 * wrong besides (RFC 7873 s5.4)? m->edns is set then. */
bool wp_msg_parse_no_question(const uint8_t *wire, size_t len, struct wp_msg *m);
