/* DNS cookies (RFC 7873): the server's part, made and checked so that every server with the same
 * secret knows those of the others (RFC 9018). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/base/siphash.h"

enum {
    WP_COOKIE_CLIENT = 8,  /* octets */
    WP_COOKIE_SERVER = 16, /* of ours */
    WP_COOKIE_LEN = WP_COOKIE_CLIENT + WP_COOKIE_SERVER,
    WP_COOKIE_SERVER_LEAST = 8, /* of anybody's (RFC 7873 s4) */
    WP_COOKIE_SERVER_MOST = 32,
    WP_COOKIE_SECRET = WP_SIPHASH_KEY,
    WP_COOKIE_LIFE_S = 3600,   /* it is good for so long, */
    WP_COOKIE_AHEAD_S = 300,   /* and if made by a clock that is ahead by so much; */
    WP_COOKIE_RENEW_S = 1800,  /* past this the client gets the next one (RFC 9018 s4.3) */
};

/* Client and server part of an option of this length, or the client's alone? */
bool wp_cookie_len_ok(size_t len);
/* cookie: the client's part on entry; the server's is written behind it. */
void wp_cookie_make(const uint8_t secret[WP_COOKIE_SECRET], const struct wp_addr *client,
                    uint32_t now_s, uint8_t cookie[WP_COOKIE_LEN]);
/* Is this option of ours, made for this client, and in time? *ret_age_s: of a good one, 0 if it
 * is from the future. */
bool wp_cookie_is_good(const uint8_t secret[WP_COOKIE_SECRET], const struct wp_addr *client,
                       uint32_t now_s, const uint8_t *cookie, size_t len, uint32_t *ret_age_s);
