#include "backends/kubernetes/packed.h"

#include <arpa/inet.h>
#include "waypost/base/hash.h"
#include "waypost/base/text.h"

enum { V4_TEXT_MAX = 15, V6_TEXT_MAX = WP_KUBE_IP_TEXT_MAX };

bool wp_kube_text_is_lower(struct wp_kube_text t, struct wp_kube_text lower)
{
    if (t.len != lower.len)
        return false;
    for (size_t i = 0; i < t.len; i++)
        if (wp_lower((uint8_t)t.at[i]) != (uint8_t)lower.at[i])
            return false;
    return true;
}

/* Dotted decimal has one spelling only: no leading zeros. */
static bool v4_from_text(const char *text, size_t len, uint8_t out[4])
{
    size_t at = 0;

    if (len > V4_TEXT_MAX)
        return false;
    for (int i = 0; i < 4; i++) {
        unsigned v = 0;
        size_t from = at;
        while (at < len && at - from < 3 && text[at] >= '0' && text[at] <= '9')
            v = v * 10 + (unsigned)(text[at++] - '0');
        if (at == from || v > 255 || (text[from] == '0' && at - from > 1))
            return false;
        if (i < 3 && (at >= len || text[at++] != '.'))
            return false;
        out[i] = (uint8_t)v;
    }
    return at == len;
}

static size_t v4_text(const uint8_t *ip, char *out)
{
    char *at = out;

    for (int i = 0; i < 4; i++) {
        unsigned v = ip[i];
        if (v >= 100)
            *at++ = (char)('0' + v / 100);
        if (v >= 10)
            *at++ = (char)('0' + v / 10 % 10);
        *at++ = (char)('0' + v % 10);
        if (i < 3)
            *at++ = '.';
    }
    return (size_t)(at - out);
}

static unsigned group(const uint8_t *ip, int i)
{
    return (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
}

/* RFC 5952, as Go prints it: never with a dotted tail. */
static size_t v6_text(const uint8_t *ip, char *out)
{
    static const char hex[] = "0123456789abcdef";
    int from = -1, longest = 1;
    char *at = out;

    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && group(ip, i + n) == 0)
            n++;
        if (n > longest) {
            from = i;
            longest = n;
        }
        i += n;
    }
    for (int i = 0; i < 8; i++) {
        unsigned v = group(ip, i);
        if (i == from) {
            *at++ = ':';
            *at++ = ':';
            i += longest - 1;
            continue;
        }
        if (i > 0 && i != from + longest)
            *at++ = ':';
        for (int shift = v > 0xfff ? 12 : v > 0xff ? 8 : v > 0xf ? 4 : 0; shift >= 0; shift -= 4)
            *at++ = hex[v >> shift & 15];
    }
    return (size_t)(at - out);
}

static bool v6_from_text(const char *text, size_t len, uint8_t out[16])
{
    char buf[V6_TEXT_MAX + 1];

    if (len > V6_TEXT_MAX || memchr(text, ':', len) == NULL || memchr(text, '\0', len) != NULL)
        return false;
    memcpy(buf, text, len);
    buf[len] = '\0';
    return inet_pton(AF_INET6, buf, out) == 1;
}

static bool is_v4_mapped(const uint8_t *ip)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

    return memcmp(ip, prefix, sizeof(prefix)) == 0;
}

struct wp_kube_addr wp_kube_addr_from_text(const char *text, size_t len, uint8_t room[16])
{
    char again[WP_KUBE_IP_TEXT_MAX + 1];

    if (v4_from_text(text, len, room))
        return (struct wp_kube_addr){4, 0, room};
    if (v6_from_text(text, len, room) && !is_v4_mapped(room) && v6_text(room, again) == len &&
        memcmp(again, text, len) == 0)
        return (struct wp_kube_addr){16, 0, room};
    return (struct wp_kube_addr){0, (uint8_t)len, (const uint8_t *)text};
}

static size_t octets(const struct wp_kube_addr *a)
{
    return a->len != 0 ? a->len : a->text_len;
}

bool wp_kube_addr_equal(const struct wp_kube_addr *a, const struct wp_kube_addr *b)
{
    return a->len == b->len && octets(a) == octets(b) && memcmp(a->at, b->at, octets(a)) == 0;
}

uint64_t wp_kube_addr_hash(const struct wp_kube_addr *a)
{
    return wp_hash_mix(wp_hash_bytes(a->at, octets(a)), a->len);
}

int wp_kube_addr_family(const struct wp_kube_addr *a, uint8_t ip[16])
{
    if (a->len != 0) {
        memcpy(ip, a->at, a->len);
        return a->len == 4 ? 4 : 6;
    }
    if (!v6_from_text((const char *)a->at, a->text_len, ip))
        return 0;
    if (!is_v4_mapped(ip))
        return 6;
    memmove(ip, ip + 12, 4);
    return 4;
}

size_t wp_kube_addr_text(const struct wp_kube_addr *a, char *out)
{
    if (a->len == 4)
        return v4_text(a->at, out);
    if (a->len == 16)
        return v6_text(a->at, out);
    memcpy(out, a->at, a->text_len);
    return a->text_len;
}

size_t wp_kube_addr_label(const struct wp_kube_addr *a, char out[WP_KUBE_NAME_MAX])
{
    size_t len = wp_kube_addr_text(a, out);
    bool dots = memchr(out, '.', len) != NULL;

    if (!dots && memchr(out, ':', len) == NULL)
        return 0;
    for (size_t i = 0; i < len; i++)
        if (out[i] == (dots ? '.' : ':'))
            out[i] = '-';
    if (!dots && out[len - 1] == '-')
        out[len++] = '0';
    return len;
}

/* --- lists --------------------------------------------------------------------------------------
 * An address: 4 or 16 and as many octets, or 0, a length, and a text. A port: its number in the
 * machine's order, a length and the name, a length and the protocol. */

bool wp_kube_addr_next(struct wp_kube_cursor *c, struct wp_kube_addr *ret)
{
    if (c->at == c->end)
        return false;
    ret->len = *c->at++;
    ret->text_len = ret->len == 0 ? *c->at++ : 0;
    ret->at = c->at;
    c->at += octets(ret);
    return true;
}

static size_t addr_size(struct wp_kube_text t)
{
    uint8_t room[16];
    struct wp_kube_addr a = wp_kube_addr_from_text(t.at, t.len, room);

    return 1 + (a.len == 0) + octets(&a);
}

size_t wp_kube_addrs_size(const struct wp_kube_text *addrs, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += addr_size(addrs[i]);
    return size;
}

uint8_t *wp_kube_addrs_write(const struct wp_kube_text *addrs, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t room[16];
        struct wp_kube_addr a = wp_kube_addr_from_text(addrs[i].at, addrs[i].len, room);
        *out++ = a.len;
        if (a.len == 0)
            *out++ = a.text_len;
        memcpy(out, a.at, octets(&a));
        out += octets(&a);
    }
    return out;
}

static struct wp_kube_text short_text(struct wp_kube_cursor *c)
{
    struct wp_kube_text t = {(const char *)c->at + 1, *c->at};

    c->at += 1 + t.len;
    return t;
}

static uint8_t *write_text(struct wp_kube_text t, uint8_t *out)
{
    *out = (uint8_t)t.len;
    memcpy(out + 1, t.at, t.len);
    return out + 1 + t.len;
}

bool wp_kube_port_next(struct wp_kube_cursor *c, struct wp_kube_port *ret)
{
    if (c->at == c->end)
        return false;
    memcpy(&ret->number, c->at, sizeof(ret->number));
    c->at += sizeof(ret->number);
    ret->name = short_text(c);
    ret->protocol = short_text(c);
    return true;
}

size_t wp_kube_ports_size(const struct wp_kube_port *ports, size_t n)
{
    size_t size = 0;

    for (size_t i = 0; i < n; i++)
        size += sizeof(ports[i].number) + 1 + ports[i].name.len + 1 + ports[i].protocol.len;
    return size;
}

uint8_t *wp_kube_ports_write(const struct wp_kube_port *ports, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(out, &ports[i].number, sizeof(ports[i].number));
        out = write_text(ports[i].name, out + sizeof(ports[i].number));
        out = write_text(ports[i].protocol, out);
    }
    return out;
}
