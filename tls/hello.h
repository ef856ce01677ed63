/* What a client says of itself in its first message (RFC 8446 s4.1.2), for providers that must know
 * it before they begin. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { WP_TLS_HELLO_MAX = 16384, WP_TLS_SNI_MAX = 255 };

struct wp_tls_hello {
    char sni[WP_TLS_SNI_MAX]; /* host name as sent, sni_len octets; none: 0 */
    size_t sni_len;
    unsigned verifies; /* WP_TLS_SIGNS_*: whose signatures the client can verify */
};

/* records: the connection's first octets. 1: read; 0: more are needed; WP_EMALFORMED: this is no
 * ClientHello, or one longer than WP_TLS_HELLO_MAX. */
int wp_tls_hello_read(const void *records, size_t len, struct wp_tls_hello *ret);
