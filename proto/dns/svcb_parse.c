/* SvcParams from presentation text (RFC 9460 s2.1, appendix A). */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "proto/dns/rdata_priv.h"
#include "proto/dns/svcb_priv.h"
#include "waypost/base/rd.h"

/* Items of a list whose octets are in `v`, parted by commas; `add` writes one. */
typedef int item_fn(const char *item, size_t len, struct wp_wr *wr);

static int each_item(const char *v, size_t len, item_fn *add, struct wp_wr *wr)
{
    while (true) {
        const char *comma = memchr(v, ',', len);
        size_t n = comma != NULL ? (size_t)(comma - v) : len;
        int r = add(v, n, wr);

        if (r < 0 || comma == NULL)
            return r;
        v += n + 1;
        len -= n + 1;
    }
}

static int add_key(const char *item, size_t len, struct wp_wr *wr)
{
    uint16_t key;
    int r = wp_svcb_key_parse(item, len, &key);

    wp_wr_u16(wr, key);
    return r;
}

static int add_ip(int family, const char *item, size_t len, struct wp_wr *wr)
{
    struct wp_token t = {.p = item, .len = len};
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];

    if (wp_token_copy(&t, text, sizeof(text)) < 0 || inet_pton(family, text, ip) != 1)
        return WP_EMALFORMED;
    wp_wr_bytes(wr, ip, family == AF_INET ? 4 : 16);
    return 0;
}

static int add_ipv4(const char *item, size_t len, struct wp_wr *wr)
{
    return add_ip(AF_INET, item, len, wr);
}

static int add_ipv6(const char *item, size_t len, struct wp_wr *wr)
{
    return add_ip(AF_INET6, item, len, wr);
}

static int add_alpn(const char *v, size_t len, struct wp_wr *wr)
{
    uint8_t item[255];
    size_t n = 0;

    for (size_t i = 0; i <= len; i++) {
        if (i == len || v[i] == ',') {
            wp_wr_u8(wr, (unsigned)n);
            wp_wr_bytes(wr, item, n);
            n = 0;
            continue;
        }
        if (v[i] == '\\' && ++i == len)
            return WP_EMALFORMED;
        if (n == sizeof(item))
            return WP_EMALFORMED;
        item[n++] = (uint8_t)v[i];
    }
    return 0;
}

/* The list of "mandatory" may be in any order in text, not on the wire. */
static void sort_keys(uint8_t *v, size_t len)
{
    for (size_t i = 2; i < len; i += 2) {
        unsigned key = wp_be16(v + i);
        size_t j = i;

        for (; j >= 2 && wp_be16(v + j - 2) > key; j -= 2)
            memcpy(v + j, v + j - 2, 2);
        wp_put16(v + j, key);
    }
}

static int parse_value(uint16_t key, const char *v, size_t len, struct wp_wr *wr)
{
    struct wp_token t = {.p = v, .len = len};
    struct wp_bits bits = {0};
    size_t start = wr->len;
    uint32_t port;
    int r;

    switch (key) {
    case KEY_MANDATORY:
        r = each_item(v, len, add_key, wr);
        if (r == 0 && !wr->bad)
            sort_keys(wr->buf + start, wr->len - start);
        return r;
    case KEY_ALPN:
        return add_alpn(v, len, wr);
    case KEY_PORT:
        r = wp_token_uint(&t, UINT16_MAX, &port);
        if (r == 0)
            wp_wr_u16(wr, port);
        return r;
    case KEY_IPV4HINT:
        return each_item(v, len, add_ipv4, wr);
    case KEY_IPV6HINT:
        return each_item(v, len, add_ipv6, wr);
    case KEY_ECH:
        r = wp_read_base64(&bits, &t, wr);
        return r < 0 ? r : wp_read_base64_done(&bits);
    default:
        wp_wr_bytes(wr, v, len);
        return 0;
    }
}

/* The value behind '=', with or without quotes, decoded into the arena. */
static int decode_value(const char *p, size_t len, struct wp_arena *a, const uint8_t **ret,
                        size_t *ret_len)
{
    bool quoted = len > 0 && p[0] == '"'; /* then the token ends with the closing quote */
    struct wp_token raw = {.p = p + quoted, .len = len - 2 * quoted};
    uint8_t *value = wp_arena_alloc(a, raw.len);
    int n = value != NULL ? wp_token_octets(&raw, value, raw.len) : -ENOMEM;

    if (n < 0)
        return n;
    *ret = value;
    *ret_len = (size_t)n;
    return 0;
}

/* One parameter, key[=value], onto wr. */
static int parse_param(const struct wp_token *t, struct wp_arena *a, struct wp_wr *wr)
{
    const char *eq = memchr(t->p, '=', t->len);
    size_t key_len = eq != NULL ? (size_t)(eq - t->p) : t->len, n = 0, at;
    const uint8_t *value = NULL;
    uint16_t key;

    if (t->quoted || wp_svcb_key_parse(t->p, key_len, &key) < 0)
        return WP_EMALFORMED;
    if (eq != NULL) {
        int r = decode_value(eq + 1, t->len - key_len - 1, a, &value, &n);

        if (r < 0)
            return r;
    }
    wp_wr_u16(wr, key);
    wp_wr_u16(wr, 0);
    at = wr->len;
    if (n > 0 && parse_value(key, (const char *)value, n, wr) < 0)
        return WP_EMALFORMED;
    if (wr->bad)
        return WP_EMALFORMED;
    wp_put16(wr->buf + at - 2, (unsigned)(wr->len - at));
    return 0;
}

/* Move the parameter that begins at `last` to its place among those before it. */
static void sort_in(uint8_t *params, size_t last, size_t len)
{
    uint8_t tmp[WP_RDATA_MAX];
    size_t pos = 0, n = len - last;

    while (pos < last && wp_be16(params + pos) < wp_be16(params + last))
        pos += 4 + (size_t)wp_be16(params + pos + 2);
    memcpy(tmp, params + last, n);
    memmove(params + pos + n, params + pos, last - pos);
    memcpy(params + pos, tmp, n);
}

int wp_svcb_parse(struct wp_tokens *tokens, struct wp_arena *a, struct wp_wr *wr)
{
    size_t start = wr->len;
    uint8_t *params = wr->buf + start;
    struct wp_token t;

    while (wp_token_next(tokens, &t)) {
        size_t last = wr->len - start;
        int r = parse_param(&t, a, wr);

        if (r < 0)
            return r;
        sort_in(params, last, wr->len - start); /* a twin ends up beside its twin: checked below */
    }
    if (wp_svcb_check(params, wr->len - start) < 0)
        return WP_EMALFORMED;
    /* not self-consistent (RFC 9460 s7.1.1): refused in text, borne on the wire */
    if (wp_svcb_find(params, wr->len - start, KEY_NO_DEFAULT_ALPN) != NULL &&
        wp_svcb_find(params, wr->len - start, KEY_ALPN) == NULL)
        return WP_EMALFORMED;
    return 0;
}
