#include "waypost/base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "waypost/base/text.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:0:0/96 */

static void set_v6(struct wp_addr *a, const uint8_t ip[16], uint32_t scope)
{
    if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
        a->family = 4;
        memcpy(a->ip, ip + 12, 4);
        return;
    }
    a->family = 6;
    memcpy(a->ip, ip, 16);
    a->scope = scope;
}

void wp_addr_from_sockaddr(const struct sockaddr *sa, struct wp_addr *ret)
{
    *ret = (struct wp_addr){0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        ret->family = 4;
        ret->port = ntohs(in.sin_port);
        memcpy(ret->ip, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        ret->port = ntohs(in6.sin6_port);
        set_v6(ret, in6.sin6_addr.s6_addr, in6.sin6_scope_id);
    }
}

socklen_t wp_addr_to_sockaddr(const struct wp_addr *a, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (a->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(ret, &in, sizeof(in));
        return sizeof(in);
    }
    if (a->family == 6) {
        struct sockaddr_in6 in6 = {
            .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(ret, &in6, sizeof(in6));
        return sizeof(in6);
    }
    return 0;
}

/* "eth0" or "2"; 0 when there is no such interface. */
static uint32_t parse_scope(const char *s)
{
    uint32_t index = if_nametoindex(s);
    int64_t n;

    if (index == 0 && wp_int_parse(s, 1, UINT32_MAX, &n) == 0)
        index = (uint32_t)n;
    return index;
}

/* The first len octets of s as an IP literal. */
static int parse_ip(const char *s, size_t len, struct wp_addr *ret)
{
    struct wp_addr a = {0};
    char text[WP_ADDR_TEXT_MAX];
    uint8_t ip[16];
    char *percent;
    uint32_t scope = 0;

    if (len >= sizeof(text))
        return WP_EMALFORMED;
    memcpy(text, s, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, a.ip) == 1) {
        a.family = 4;
        *ret = a;
        return 0;
    }
    percent = strchr(text, '%');
    if (percent != NULL) {
        *percent = '\0';
        scope = parse_scope(percent + 1);
        if (scope == 0)
            return WP_EMALFORMED;
    }
    if (inet_pton(AF_INET6, text, ip) != 1)
        return WP_EMALFORMED;
    set_v6(&a, ip, scope);
    if (scope != 0 && a.scope == 0)
        return WP_EMALFORMED;
    *ret = a;
    return 0;
}

int wp_addr_parse_ip(const char *s, struct wp_addr *ret)
{
    return parse_ip(s, strlen(s), ret);
}

int wp_addr_parse(const char *s, uint16_t default_port, struct wp_addr *ret)
{
    const char *colon = strchr(s, ':'), *port = NULL;
    size_t len = strlen(s);
    int64_t n = default_port;
    struct wp_addr a;
    int r;

    if (s[0] == '[') {
        const char *close = strchr(s, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return WP_EMALFORMED;
        port = close[1] == ':' ? close + 2 : NULL;
        s++;
        len = (size_t)(close - s);
        if (memchr(s, ':', len) == NULL) /* brackets are for IPv6 */
            return WP_EMALFORMED;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        port = colon + 1;
        len = (size_t)(colon - s);
    }
    if (port != NULL && (*port == '+' || *port == '-' || wp_int_parse(port, 0, 65535, &n) < 0))
        return WP_EMALFORMED;
    r = parse_ip(s, len, &a);
    if (r < 0)
        return r;
    a.port = (uint16_t)n;
    *ret = a;
    return 0;
}

static char *put_decimal(char *out, unsigned v)
{
    char digits[10];
    int n = 0;

    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    while (n > 0)
        *out++ = digits[--n];
    return out;
}

/* RFC 5952: lower case, the longest run of two or more zero groups as "::". */
static char *put_v6(char *out, const uint8_t ip[16])
{
    static const char hex[] = "0123456789abcdef";
    int best = -1, best_len = 1;

    for (int i = 0, len; i<8; i += len> 0 ? len : 1) {
        for (len = 0; i + len < 8 && ip[2 * (i + len)] == 0 && ip[2 * (i + len) + 1] == 0;)
            len++;
        if (len > best_len) {
            best = i;
            best_len = len;
        }
    }
    for (int i = 0; i < 8; i++) {
        unsigned v = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
        if (i == best) {
            *out++ = ':';
            *out++ = ':';
            i += best_len - 1;
            continue;
        }
        if (i > 0 && i != best + best_len)
            *out++ = ':';
        for (int shift = v > 0xfff ? 12 : v > 0xff ? 8 : v > 0xf ? 4 : 0; shift >= 0; shift -= 4)
            *out++ = hex[v >> shift & 15];
    }
    return out;
}

/* Hand-written: the query log calls this for every line, and inet_ntop costs more than all
 * the rest of the line. */
static char *put_ip(char *out, const struct wp_addr *a)
{
    char name[IF_NAMESIZE];

    if (a->family == 4) {
        for (int i = 0; i < 4; i++) {
            if (i > 0)
                *out++ = '.';
            out = put_decimal(out, a->ip[i]);
        }
    } else if (a->family == 6) {
        out = put_v6(out, a->ip);
        if (a->scope != 0) {
            *out++ = '%';
            if (if_indextoname(a->scope, name) != NULL)
                out = stpcpy(out, name);
            else
                out = put_decimal(out, a->scope);
        }
    }
    return out;
}

const char *wp_addr_ip_text(const struct wp_addr *a, char buf[WP_ADDR_TEXT_MAX])
{
    *put_ip(buf, a) = '\0';
    return buf;
}

const char *wp_addr_text(const struct wp_addr *a, char buf[WP_ADDR_TEXT_MAX])
{
    char *out = buf;

    if (a->family == 6)
        *out++ = '[';
    out = put_ip(out, a);
    if (a->family == 6)
        *out++ = ']';
    *out++ = ':';
    *put_decimal(out, a->port) = '\0';
    return buf;
}

bool wp_addr_equal_ip(const struct wp_addr *a, const struct wp_addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool wp_addr_equal(const struct wp_addr *a, const struct wp_addr *b)
{
    return wp_addr_equal_ip(a, b) && a->scope == b->scope && a->port == b->port;
}

static void clear_host_bits(uint8_t *ip, size_t octets, unsigned bits)
{
    for (size_t i = 0; i < octets; i++) {
        if (bits >= 8) {
            bits -= 8;
            continue;
        }
        ip[i] &= (uint8_t)(0xff00 >> bits);
        bits = 0;
    }
}

int wp_cidr_parse(const char *s, struct wp_cidr *ret)
{
    const char *slash = strchr(s, '/');
    size_t len = slash != NULL ? (size_t)(slash - s) : strlen(s);
    struct wp_cidr c = {0};
    struct wp_addr a;
    int64_t bits;
    bool v6 = memchr(s, ':', len) != NULL;
    int r = parse_ip(s, len, &a);

    if (r < 0 || a.scope != 0)
        return WP_EMALFORMED;
    bits = a.family == 4 ? 32 : 128;
    if (slash != NULL) {
        if (slash[1] == '+' || slash[1] == '-' ||
            wp_int_parse(slash + 1, 0, v6 ? 128 : 32, &bits) < 0)
            return WP_EMALFORMED;
        if (v6 && a.family == 4) { /* v4-mapped: the length counts from ::/0 */
            if (bits < 96)
                return WP_EMALFORMED;
            bits -= 96;
        }
    }
    c.family = a.family;
    c.bits = (uint8_t)bits;
    memcpy(c.ip, a.ip, sizeof(c.ip));
    clear_host_bits(c.ip, c.family == 4 ? 4 : 16, c.bits);
    *ret = c;
    return 0;
}

bool wp_cidr_has(const struct wp_cidr *c, const struct wp_addr *a)
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->family != a->family || memcmp(c->ip, a->ip, whole) != 0)
        return false;
    return rest == 0 || ((c->ip[whole] ^ a->ip[whole]) & (0xff00 >> rest & 0xff)) == 0;
}

bool wp_addr_is_any(const struct wp_addr *a)
{
    static const uint8_t none[16];

    return memcmp(a->ip, none, sizeof(none)) == 0;
}
