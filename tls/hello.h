/* What a client says of itself in its first message (RFC 8446 s4.1.2), for providers that must know
 * it before they begin. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WP_TLS_HELLO_MAX = 16384, WP_TLS_SNI_MAX = 255 };

struct wp_tls_hello {
    char sni[WP_TLS_SNI_MAX]; /* host name as sent, sni_len octets; none: 0 */
    size_t sni_len;
    unsigned verifies; /* WP_TLS_SIGNS_*: whose signatures the client can verify */
    bool strange_12;   /* a ticket of TLS 1.2 that `known` does not know */
    bool strange_13;   /* one of TLS 1.3 at least */
};
typedef bool wp_tls_ticket_known_fn(const void *arg, const uint8_t *ticket, size_t len);

/* records: the connection's first octets. 1: read; 0: more are needed; WP_EMALFORMED: this is no
 * ClientHello, or one longer than WP_TLS_HELLO_MAX. */
int wp_tls_hello_read(const void *records, size_t len, wp_tls_ticket_known_fn *known,
                      const void *arg, struct wp_tls_hello *ret);
