#include "server/listeners/proxy.h"

#include <string.h>

#include "waypost/base/rd.h"
#include "waypost/base/text.h"

enum {
    V2_HEAD = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    FAMILY_IP4 = 1,
    FAMILY_IP6 = 2,
    TRANSPORT_DGRAM = 2,
    TLV_CRC32C = 0x03,
    IP4_LEN = 12, /* two addresses, two ports */
    IP6_LEN = 36,
};

static const uint8_t v1_start[6] = "PROXY ";
static const uint8_t v2_start[12] = "\r\n\r\n\0\r\nQUIT\n";

/* CRC-32C, bit by bit: once for each connection, over some hundred octets. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

/* The checksum is made with its own four octets as zero. */
static bool crc_ok(const uint8_t *header, size_t len, size_t at)
{
    static const uint8_t zero[4];
    uint32_t crc = crc32c(0xffffffffu, header, at);

    crc = crc32c(crc, zero, 4);
    crc = crc32c(crc, header + at + 4, len - at - 4);
    return (crc ^ 0xffffffffu) == wp_be32(header + at);
}

/* The list must fill its space exactly; a checksum in it must be right. */
static bool tlvs_ok(const uint8_t *header, size_t len, size_t at)
{
    struct wp_rd rd = wp_rd_from(header, len);

    rd.pos = at;
    while (!rd.bad && wp_rd_left(&rd) > 0) {
        uint8_t type = wp_rd_u8(&rd);
        uint16_t n = wp_rd_u16(&rd);
        size_t value = rd.pos;

        wp_rd_skip(&rd, n);
        if (!rd.bad && type == TLV_CRC32C && (n != 4 || !crc_ok(header, len, value)))
            return false;
    }
    return !rd.bad;
}

static void addr_of(const uint8_t *ip, size_t ip_len, const uint8_t *port, struct wp_addr *ret)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *ret = (struct wp_addr){.family = 6, .port = wp_be16(port)};
    if (ip_len == 16 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
        ip += 12;
        ip_len = 4;
    }
    if (ip_len == 4)
        ret->family = 4;
    memcpy(ret->ip, ip, ip_len);
}

static int parse_v2(const uint8_t *data, size_t len, struct wp_proxy_header *ret)
{
    struct wp_proxy_header h = {.version = 2};
    size_t total, addresses = 0;

    if (len < V2_HEAD)
        return 0;
    total = V2_HEAD + (size_t)wp_be16(data + 14);
    if ((data[12] != V2_LOCAL && data[12] != V2_PROXY) || total > V2_HEAD + WP_PROXY_V2_MAX)
        return WP_EMALFORMED;
    if (len < total)
        return 0;
    h.datagram = (data[13] & 0x0f) == TRANSPORT_DGRAM;
    if (data[12] == V2_LOCAL) { /* a health check: whatever follows is to be skipped */
        h.local = true;
        *ret = h;
        return (int)total;
    }
    switch (data[13] >> 4) {
    case FAMILY_IP4:
        addresses = IP4_LEN;
        break;
    case FAMILY_IP6:
        addresses = IP6_LEN;
        break;
    default: /* unspecified, unix: nothing we could use as a client address */
        h.local = true;
        *ret = h;
        return (int)total;
    }
    if (V2_HEAD + addresses > total || !tlvs_ok(data, total, V2_HEAD + addresses))
        return WP_EMALFORMED;
    addr_of(data + 16, addresses == IP4_LEN ? 4 : 16, data + V2_HEAD + addresses - 4, &h.client);
    addr_of(data + 16 + (addresses == IP4_LEN ? 4 : 16), addresses == IP4_LEN ? 4 : 16,
            data + V2_HEAD + addresses - 2, &h.dest);
    h.tlv_len = (uint16_t)(total - V2_HEAD - addresses);
    if (h.tlv_len > 0)
        h.tlv = data + V2_HEAD + addresses;
    *ret = h;
    return (int)total;
}

/* The next word of the line: up to one space or the end. Empty words are an error. */
static bool word(char **at, char **ret)
{
    char *space = strchr(*at, ' ');

    *ret = *at;
    if (space != NULL)
        *space = '\0';
    *at = space != NULL ? space + 1 : *at + strlen(*at);
    return **ret != '\0';
}

static bool v1_address(char **at, uint8_t family, struct wp_addr *ret)
{
    char *text;

    return word(at, &text) && strchr(text, '%') == NULL && wp_addr_parse_ip(text, ret) == 0 &&
           (family == 4) == (strchr(text, ':') == NULL);
}

static bool v1_port(char **at, struct wp_addr *ret)
{
    char *text;
    int64_t n;

    if (!word(at, &text) || text[0] < '0' || text[0] > '9' || (text[0] == '0' && text[1] != '\0') ||
        wp_int_parse(text, 0, 65535, &n) < 0)
        return false;
    ret->port = (uint16_t)n;
    return true;
}

/* The line without CR LF, NUL-terminated, taken apart in place. */
static int read_v1(char *line, struct wp_proxy_header *ret)
{
    struct wp_proxy_header h = {.version = 1};
    char *at = line + sizeof(v1_start), *proto;
    uint8_t family;

    if (!word(&at, &proto))
        return WP_EMALFORMED;
    if (strcmp(proto, "UNKNOWN") == 0) {
        h.local = true;
        *ret = h;
        return 0;
    }
    if (strcmp(proto, "TCP4") != 0 && strcmp(proto, "TCP6") != 0)
        return WP_EMALFORMED;
    family = proto[3] == '4' ? 4 : 6;
    if (!v1_address(&at, family, &h.client) || !v1_address(&at, family, &h.dest) ||
        !v1_port(&at, &h.client) || !v1_port(&at, &h.dest) || *at != '\0')
        return WP_EMALFORMED;
    *ret = h;
    return 0;
}

static int parse_v1(const uint8_t *data, size_t len, struct wp_proxy_header *ret)
{
    char line[WP_PROXY_V1_MAX + 1];
    size_t n = len < WP_PROXY_V1_MAX ? len : WP_PROXY_V1_MAX;
    const uint8_t *lf = memchr(data, '\n', n);
    int r;

    if (lf == NULL)
        return n < WP_PROXY_V1_MAX ? 0 : WP_EMALFORMED;
    n = (size_t)(lf - data) + 1;
    if (n < sizeof(v1_start) + 2 || lf[-2] == ' ' || lf[-1] != '\r' ||
        memchr(data, '\0', n) != NULL)
        return WP_EMALFORMED;
    memcpy(line, data, n - 2);
    line[n - 2] = '\0';
    r = read_v1(line, ret);
    return r < 0 ? r : (int)n;
}

/* 1: starts so; 0: could still; -1: does not. */
static int starts_with(const uint8_t *data, size_t len, const uint8_t *start, size_t start_len)
{
    size_t n = len < start_len ? len : start_len;

    if (memcmp(data, start, n) != 0)
        return -1;
    return len >= start_len;
}

int wp_proxy_parse(const uint8_t *data, size_t len, struct wp_proxy_header *ret)
{
    int v1, v2;

    if (len == 0)
        return 0;
    v1 = starts_with(data, len, v1_start, sizeof(v1_start));
    v2 = starts_with(data, len, v2_start, sizeof(v2_start));
    if (v1 > 0)
        return parse_v1(data, len, ret);
    if (v2 > 0)
        return parse_v2(data, len, ret);
    return v1 == 0 || v2 == 0 ? 0 : WP_ENOTFOUND;
}

enum wp_proxy_default wp_proxy_policy(const struct wp_proxy_settings *s, const struct wp_addr *peer)
{
    if (!s->set)
        return WP_PROXY_SKIP;
    for (unsigned i = 0; i < s->n_allow; i++)
        if (wp_cidr_has(&s->allow[i], peer))
            return WP_PROXY_USE;
    return s->deflt;
}
