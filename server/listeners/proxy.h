/* The PROXY protocol, versions 1 (text) and 2 (binary): what a load balancer in front of us
 * says about the client. Pure parsing for streams and datagrams; no I/O, no state. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/plugin/block.h"

enum {
    WP_PROXY_V1_MAX = 107,  /* the longest line the protocol allows, CR LF included */
    WP_PROXY_V2_MAX = 4096, /* addresses and TLVs; real ones stay below 600 */
};

struct wp_proxy_header {
    uint8_t version; /* 1 or 2 */
    bool datagram;   /* the header names UDP: CoreDNS takes no other in datagrams */
    bool local;      /* LOCAL, UNKNOWN or an address family we cannot use: the socket's own
                        addresses stand, and no TLV counts */
    struct wp_addr client, dest; /* unset when local */
    const uint8_t *tlv;          /* into the octets given; NULL when there are none */
    uint16_t tlv_len;
};

/* The header at the start of data. Returns its length in octets (what follows is payload);
 * 0: the octets so far are the beginning of one, more are needed; WP_ENOTFOUND: no header
 * starts here; WP_EMALFORMED. ret is written on success only. A datagram that gives 0 is
 * malformed. */
int wp_proxy_parse(const uint8_t *data, size_t len, struct wp_proxy_header *ret) WP_MUSTCHECK;

/* What is done with a header from this peer. */
enum wp_proxy_default wp_proxy_policy(const struct wp_proxy_settings *s,
                                      const struct wp_addr *peer);
