/* EDNS(0): the OPT record and its options (RFC 6891). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_rr_at; /* waypost/dns/rr.h */
struct wp_wr;

enum wp_edns_option {
    WP_EDNS_NSID = 3,
    WP_EDNS_ECS = 8,
    WP_EDNS_EXPIRE = 9,
    WP_EDNS_COOKIE = 10,
    WP_EDNS_KEEPALIVE = 11,
    WP_EDNS_PADDING = 12,
    WP_EDNS_EDE = 15,
};

/* Extended DNS Errors (RFC 8914 s4). */
enum wp_ede {
    WP_EDE_OTHER = 0,
    WP_EDE_STALE = 3,
    WP_EDE_FORGED = 4,
    WP_EDE_NOT_READY = 14,
    WP_EDE_BLOCKED = 15,
    WP_EDE_FILTERED = 17,
    WP_EDE_PROHIBITED = 18,
    WP_EDE_STALE_NXDOMAIN = 19,
    WP_EDE_NOT_AUTHORITATIVE = 20,
    WP_EDE_NOT_SUPPORTED = 21,
    WP_EDE_NO_REACHABLE_AUTHORITY = 22,
    WP_EDE_NETWORK_ERROR = 23,
};

/* The OPT of a message. Options point into the message it was read from, or into an arena. */
struct wp_edns {
    bool present, dnssec_ok; /* DO */
    uint8_t version;
    uint8_t rcode_high; /* upper 8 bits of the 12-bit rcode */
    uint16_t udp_size;  /* as received, not yet raised to 512 */
    uint16_t flags;     /* the other 15 bits */
    const uint8_t *options;
    uint16_t options_len;
};

/* Check that the options fill their space exactly. 0 or WP_EMALFORMED. */
int wp_edns_options_check(const uint8_t *options, size_t len) WP_MUSTCHECK;
/* First option with the code: its data, or NULL; *ret_len is set on success only. */
const uint8_t *wp_edns_option_find(const struct wp_edns *e, uint16_t code, uint16_t *ret_len);
/* The OPT record that wp_rr_next found: its owner must be the root and its options well formed.
 * 0 or WP_EMALFORMED. */
int wp_edns_read(const uint8_t *msg, const struct wp_rr_at *at, struct wp_edns *ret) WP_MUSTCHECK;
/* The whole record, 11 octets and the options. */
void wp_edns_write(struct wp_wr *wr, const struct wp_edns *e);
