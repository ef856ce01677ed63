/* Lists of addresses and ports as the store keeps them: packed octets, walked by a cursor. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/kubernetes/object.h"

/* Is it `lower` but for the case of letters? */
bool wp_kube_text_is_lower(struct wp_kube_text t, struct wp_kube_text lower);

/* An address in the form that compares as the API's texts do: the canonical spelling of an IP as
 * its octets, every other text (another spelling, a host name) as it is. */
struct wp_kube_addr {
    uint8_t len;       /* 4 or 16 octets of an IP, 0: text */
    uint8_t text_len;  /* of a text */
    const uint8_t *at; /* octets of either */
};
enum { WP_KUBE_NAME_MAX = WP_KUBE_TEXT_MAX + 1 }; /* of an endpoint, made from an address */

/* The form of a text of 1..255 octets; octets of an IP go to `room`, a text stays where it is. */
struct wp_kube_addr wp_kube_addr_from_text(const char *text, size_t len, uint8_t room[16]);
static inline struct wp_kube_addr wp_kube_addr_from_ip(const uint8_t *ip, uint8_t len)
{
    return (struct wp_kube_addr){len, 0, ip};
}
bool wp_kube_addr_equal(const struct wp_kube_addr *a, const struct wp_kube_addr *b);
uint64_t wp_kube_addr_hash(const struct wp_kube_addr *a);
/* What records are made of it: 4 or 6 with the octets in ip, 0 when it is a host name. */
int wp_kube_addr_family(const struct wp_kube_addr *a, uint8_t ip[16]);
/* The text as the object had it; not terminated; at most WP_KUBE_TEXT_MAX octets. */
size_t wp_kube_addr_text(const struct wp_kube_addr *a, char *out);
/* The endpoint name made from it: 10-0-0-1, fd00--1, fd00--0. */
size_t wp_kube_addr_label(const struct wp_kube_addr *a, char out[WP_KUBE_NAME_MAX]);

struct wp_kube_cursor {
    const uint8_t *at, *end;
};
/* False at the end. */
bool wp_kube_addr_next(struct wp_kube_cursor *c, struct wp_kube_addr *ret);
bool wp_kube_port_next(struct wp_kube_cursor *c, struct wp_kube_port *ret);

/* Writers: octets that the lists take, and the lists at `out`, whose end is returned. */
size_t wp_kube_addrs_size(const struct wp_kube_text *addrs, size_t n);
uint8_t *wp_kube_addrs_write(const struct wp_kube_text *addrs, size_t n, uint8_t *out);
size_t wp_kube_ports_size(const struct wp_kube_port *ports, size_t n);
uint8_t *wp_kube_ports_write(const struct wp_kube_port *ports, size_t n, uint8_t *out);
