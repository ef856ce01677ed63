/* Addresses of peers and networks. A v4-mapped IPv6 address is always stored as IPv4, so ACLs
 * and logs meet one form only. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "waypost/base/err.h"

/* A plain value: copied with =. */
struct wp_addr {
    uint8_t family; /* 4, 6, or 0: none */
    uint8_t ip[16]; /* 4 or 16 octets in network order, rest 0 */
    uint16_t port;  /* host order */
    uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
};

enum { WP_ADDR_TEXT_MAX = 80 };

struct wp_cidr {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;
    uint8_t ip[16]; /* host bits cleared */
};

void wp_addr_from_sockaddr(const struct sockaddr *sa, struct wp_addr *ret);
socklen_t wp_addr_to_sockaddr(const struct wp_addr *a, struct sockaddr_storage *ret);
/* An IP literal without port; "fe80::1%eth0" sets the scope. */
int wp_addr_parse_ip(const char *s, struct wp_addr *ret) WP_MUSTCHECK;
/* "IP", "IP:PORT", "[v6]:PORT", "v6"; a missing port is default_port. */
int wp_addr_parse(const char *s, uint16_t default_port, struct wp_addr *ret) WP_MUSTCHECK;
/* "192.0.2.1", "2001:db8::1" (with %scope); returns buf. */
const char *wp_addr_ip_text(const struct wp_addr *a, char buf[WP_ADDR_TEXT_MAX]);
/* "192.0.2.1:53", "[2001:db8::1]:53"; returns buf. */
const char *wp_addr_text(const struct wp_addr *a, char buf[WP_ADDR_TEXT_MAX]);
bool wp_addr_is_any(const struct wp_addr *a); /* 0.0.0.0 or :: */
bool wp_addr_equal_ip(const struct wp_addr *a, const struct wp_addr *b);
bool wp_addr_equal(const struct wp_addr *a, const struct wp_addr *b); /* ip, scope and port */

/* "10.0.0.0/8", or a bare IP as a host network. */
int wp_cidr_parse(const char *s, struct wp_cidr *ret) WP_MUSTCHECK;
bool wp_cidr_has(const struct wp_cidr *c, const struct wp_addr *a);
