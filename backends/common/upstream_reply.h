/* Is it the reply to our query? Pure functions over octets from a stranger. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wp_reply_verdict {
    WP_REPLY_NOT_ONE = 0, /* not a reply at all: shorter than a header, or QR clear */
    WP_REPLY_OK,          /* the question is ours, every record is whole */
    WP_REPLY_CUT,         /* the question is ours, the message ends within a record */
    WP_REPLY_MALFORMED,   /* question or a record cannot be read */
    WP_REPLY_MISMATCH,    /* readable, but it answers another question, or none or several */
};

struct wp_reply_look {
    enum wp_reply_verdict verdict;
    uint16_t rcode;   /* 12 bits, with those of an OPT; OK and MISMATCH */
    uint16_t flags;   /* second header word */
    uint16_t answers; /* ANCOUNT */
};

/* query: our own message, well formed; ids are not compared. Names match in any ASCII case
 * (RFC 4343), as resolvers that mix it send it (draft-vixie-dnsext-dns0x20). Work is bounded by
 * the octets. */
struct wp_reply_look wp_reply_look(const uint8_t *query, size_t query_len, const uint8_t *reply,
                                   size_t len);
