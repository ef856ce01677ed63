#include "backends/kubernetes/slice.h"

static const uint8_t *octets(const struct wp_kube_slice *s)
{
    return (const uint8_t *)s + s->octets_at;
}

/* The k-th array of offsets that is there. */
static const uint32_t *offsets(const struct wp_kube_slice *s, size_t k)
{
    return (const uint32_t *)(s + 1) + k * s->n;
}

static struct wp_kube_text text_at(const struct wp_kube_slice *s, uint32_t offset)
{
    const uint8_t *at = octets(s) + offset;

    if (offset == 0)
        return (struct wp_kube_text){"", 0};
    return (struct wp_kube_text){(const char *)at + 1, *at};
}

struct wp_kube_text wp_kube_slice_namespace(const struct wp_kube_slice *s)
{
    return (struct wp_kube_text){(const char *)octets(s), s->ns_len};
}

struct wp_kube_text wp_kube_slice_service(const struct wp_kube_slice *s)
{
    return (struct wp_kube_text){(const char *)octets(s) + s->ns_len, s->service_len};
}

struct wp_kube_text wp_kube_slice_cluster(const struct wp_kube_slice *s)
{
    return (struct wp_kube_text){(const char *)octets(s) + s->ns_len + s->service_len,
                                 s->cluster_len};
}

struct wp_kube_text wp_kube_slice_object(const struct wp_kube_slice *s)
{
    return (struct wp_kube_text){
        (const char *)octets(s) + s->ns_len + s->service_len + s->cluster_len, s->name_len};
}

struct wp_kube_cursor wp_kube_slice_ports(const struct wp_kube_slice *s)
{
    const uint8_t *at = octets(s) + s->ns_len + s->service_len + s->cluster_len + s->name_len;

    return (struct wp_kube_cursor){at, at + s->ports_len};
}

static const uint8_t *addresses(const struct wp_kube_slice *s)
{
    return (const uint8_t *)offsets(s, (size_t)s->has_names + s->has_zones);
}

static struct wp_kube_text stored_name(const struct wp_kube_slice *s, size_t i)
{
    return text_at(s, s->has_names ? offsets(s, s->addr_len == 0)[i] : 0);
}

struct wp_kube_addr wp_kube_slice_addr(const struct wp_kube_slice *s, size_t i)
{
    struct wp_kube_text t;

    if (s->addr_len != 0)
        return wp_kube_addr_from_ip(addresses(s) + i * s->addr_len, s->addr_len);
    t = text_at(s, offsets(s, 0)[i]);
    return (struct wp_kube_addr){0, (uint8_t)t.len, (const uint8_t *)t.at};
}

struct wp_kube_text wp_kube_slice_name(const struct wp_kube_slice *s, size_t i,
                                       char buf[WP_KUBE_NAME_MAX])
{
    struct wp_kube_text t = stored_name(s, i);
    struct wp_kube_addr a;

    if (t.len > 0)
        return t;
    a = wp_kube_slice_addr(s, i);
    return (struct wp_kube_text){buf, wp_kube_addr_label(&a, buf)};
}

struct wp_kube_text wp_kube_slice_zone(const struct wp_kube_slice *s, size_t i)
{
    return text_at(s, s->has_zones ? offsets(s, (size_t)(s->addr_len == 0) + s->has_names)[i] : 0);
}

/* The loops that run over every endpoint of a large service: one comparison of a word each. */
static size_t find_v4(const uint8_t *at, size_t i, size_t n, const uint8_t *ip)
{
    uint32_t wanted, v;

    memcpy(&wanted, ip, 4);
    for (; i < n; i++) {
        memcpy(&v, at + 4 * i, 4);
        if (v == wanted)
            break;
    }
    return i;
}

static size_t find_ip(const struct wp_kube_slice *s, size_t i, const uint8_t *ip)
{
    const uint8_t *at = addresses(s);

    if (s->addr_len == 4)
        return find_v4(at, i, s->n, ip);
    while (i < s->n && memcmp(at + 16 * i, ip, 16) != 0)
        i++;
    return i;
}

size_t wp_kube_slice_find_addr(const struct wp_kube_slice *s, size_t i,
                               const struct wp_kube_addr *a)
{
    char text[WP_KUBE_TEXT_MAX];
    size_t len;

    if (s->addr_len != 0)
        return a->len == s->addr_len ? find_ip(s, i, a->at) : s->n;
    len = wp_kube_addr_text(a, text);
    for (; i < s->n; i++) {
        struct wp_kube_text t = text_at(s, offsets(s, 0)[i]);
        if (t.len == len && memcmp(t.at, text, len) == 0)
            break;
    }
    return i;
}

struct wp_kube_label wp_kube_label_from(const char *text, size_t len)
{
    struct wp_kube_label l = {.text = {text, len}};
    char again[WP_KUBE_NAME_MAX], addr[WP_KUBE_IP_TEXT_MAX + 1];
    static const char separators[] = ".:";

    if (len >= sizeof(addr))
        return l;
    /* "fd00--0" may stand for fd00::, whose dash at the end got a digit */
    for (int i = 0; i < 3 && len > (size_t)(i == 2); i++) {
        size_t n = len - (i == 2);
        struct wp_kube_addr a;
        for (size_t k = 0; k < n; k++)
            addr[k] = text[k] == '-' ? separators[i > 0] : text[k];
        a = wp_kube_addr_from_text(addr, n, l.ip);
        if (a.len != 0 && wp_kube_addr_label(&a, again) == len && memcmp(again, text, len) == 0) {
            l.ip_len = a.len;
            break;
        }
    }
    return l;
}

static bool has_name(const struct wp_kube_slice *s, size_t i, const struct wp_kube_label *l)
{
    struct wp_kube_text t = stored_name(s, i);
    char buf[WP_KUBE_NAME_MAX];

    if (t.len > 0 || s->addr_len == 0)
        return wp_kube_text_is_lower(wp_kube_slice_name(s, i, buf), l->text);
    return l->ip_len == s->addr_len &&
           memcmp(addresses(s) + i * s->addr_len, l->ip, s->addr_len) == 0;
}

size_t wp_kube_slice_find_name(const struct wp_kube_slice *s, size_t i,
                               const struct wp_kube_label *l)
{
    if (!s->has_names && s->addr_len != 0)
        return l->ip_len == s->addr_len ? find_ip(s, i, l->ip) : s->n;
    while (i < s->n && !has_name(s, i, l))
        i++;
    return i;
}
