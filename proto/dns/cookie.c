#include "waypost/dns/cookie.h"

#include <string.h>

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

enum { VERSION = 1, HASHED = WP_COOKIE_CLIENT + 8 /* version, reserved octets, time */ };

bool wp_cookie_len_ok(size_t len)
{
    return len == WP_COOKIE_CLIENT || (len >= WP_COOKIE_CLIENT + WP_COOKIE_SERVER_LEAST &&
                                       len <= WP_COOKIE_CLIENT + WP_COOKIE_SERVER_MOST);
}

/* Lowest octet first, as SipHash's authors write it. */
static void hash(const uint8_t *secret, const struct wp_addr *client, const uint8_t *cookie,
                 uint8_t ret[8])
{
    size_t ip = client->family == 4 ? 4 : sizeof(client->ip);
    uint8_t in[HASHED + sizeof(client->ip)];
    uint64_t h;

    memcpy(in, cookie, HASHED);
    memcpy(in + HASHED, client->ip, ip);
    h = wp_siphash(secret, in, HASHED + ip);
    for (unsigned i = 0; i < 8; i++)
        ret[i] = (uint8_t)(h >> (8 * i));
}

void wp_cookie_make(const uint8_t secret[WP_COOKIE_SECRET], const struct wp_addr *client,
                    uint32_t now_s, uint8_t cookie[WP_COOKIE_LEN])
{
    uint8_t *server = cookie + WP_COOKIE_CLIENT;

    memset(server, 0, 4);
    server[0] = VERSION;
    wp_put32(server + 4, now_s);
    hash(secret, client, cookie, server + 8);
}

bool wp_cookie_is_good(const uint8_t secret[WP_COOKIE_SECRET], const struct wp_addr *client,
                       uint32_t now_s, const uint8_t *cookie, size_t len, uint32_t *ret_age_s)
{
    uint8_t want[8], wrong = 0;
    int32_t age;

    if (len != WP_COOKIE_LEN || cookie[WP_COOKIE_CLIENT] != VERSION)
        return false;
    age = (int32_t)(now_s - wp_be32(cookie + WP_COOKIE_CLIENT + 4)); /* the clock may wrap */
    if (age > WP_COOKIE_LIFE_S || age < -WP_COOKIE_AHEAD_S)
        return false;
    hash(secret, client, cookie, want);
    for (unsigned i = 0; i < sizeof(want); i++) /* in the same time wherever they differ */
        wrong |= (uint8_t)(want[i] ^ cookie[HASHED + i]);
    if (wrong != 0)
        return false;
    *ret_age_s = age > 0 ? (uint32_t)age : 0;
    return true;
}
