#include "backends/kubernetes/name.h"

#include <string.h>

static struct wp_kube_text label(const struct wp_qname *q, unsigned i)
{
    const uint8_t *at = q->wire + q->at[i];

    return (struct wp_kube_text){(const char *)at + 1, *at};
}

static bool has_underscore(struct wp_kube_text t)
{
    return t.len > 0 && t.at[0] == '_';
}

static struct wp_kube_text without_underscore(struct wp_kube_text t)
{
    return has_underscore(t) ? (struct wp_kube_text){t.at + 1, t.len - 1} : t;
}

static bool parse_pair(const struct wp_qname *q, bool multicluster, struct wp_kube_name *r)
{
    struct wp_kube_text a = label(q, 0), b = label(q, 1);

    if (multicluster && !has_underscore(a) && !has_underscore(b)) {
        r->endpoint = a;
        r->cluster = b;
    } else {
        r->port = without_underscore(a);
        r->protocol = without_underscore(b);
    }
    return true;
}

/* ZONE....pin._zone with `n` labels left of the service. */
static bool parse_zone(const struct wp_qname *q, unsigned n, struct wp_kube_name *r)
{
    struct wp_kube_text word;

    if (n < 3 || !wp_kube_text_is(label(q, n - 1), "_zone"))
        return false;
    word = label(q, n - 2);
    if (wp_kube_text_is(word, "pin"))
        r->choice = WP_KUBE_ZONE_PIN;
    else if (wp_kube_text_is(word, "prefer"))
        r->choice = WP_KUBE_ZONE_PREFER;
    else
        return false;
    r->zone = (struct wp_kube_text){(const char *)q->wire, q->at[n - 2]};
    return true;
}

/* n labels left of the service. */
static bool parse_front(const struct wp_qname *q, unsigned n, struct wp_kube_name_rules rules,
                        struct wp_kube_name *r)
{
    if (n == 0)
        return true;
    if (rules.zonal && !rules.multicluster && !r->in_pod && parse_zone(q, n, r))
        return true;
    if (n == 1) {
        r->endpoint = label(q, 0);
        return true;
    }
    return n == 2 && parse_pair(q, rules.multicluster, r);
}

void wp_kube_name_parse(const struct wp_qname *q, unsigned n, struct wp_kube_name_rules rules,
                        struct wp_kube_name *ret)
{
    static const struct wp_kube_text none = {"", 0};

    *ret = (struct wp_kube_name){.kind = WP_KUBE_NAME_EMPTY,
                                 .ns = none,
                                 .service = none,
                                 .endpoint = none,
                                 .cluster = none,
                                 .port = none,
                                 .protocol = none,
                                 .zone = none};
    if (n == 0)
        return;
    ret->in_pod = wp_kube_text_is(label(q, n - 1), "pod");
    if (!ret->in_pod && !wp_kube_text_is(label(q, n - 1), "svc"))
        ret->kind = WP_KUBE_NAME_BAD;
    if (ret->kind == WP_KUBE_NAME_BAD || n == 1)
        return;
    ret->kind = WP_KUBE_NAME_NAMESPACE;
    ret->ns = label(q, n - 2);
    if (n == 2)
        return;
    ret->kind = ret->in_pod ? WP_KUBE_NAME_POD : WP_KUBE_NAME_SERVICE;
    ret->service = label(q, n - 3);
    if (!parse_front(q, n - 3, rules, ret))
        ret->kind = WP_KUBE_NAME_BAD;
}

size_t wp_kube_name_zone_text(const struct wp_kube_name *n, char *out)
{
    size_t next = 0;

    if (n->zone.len == 0)
        return 0;
    memcpy(out, n->zone.at + 1, n->zone.len - 1);
    for (next = 1u + (uint8_t)n->zone.at[0]; next < n->zone.len;
         next += 1u + (uint8_t)n->zone.at[next])
        out[next - 1] = '.';
    return n->zone.len - 1;
}

void wp_kube_pod_label_text(struct wp_kube_text l, char *out)
{
    unsigned dashes = 0;
    bool pair = false;

    for (size_t i = 0; i < l.len; i++) {
        dashes += l.at[i] == '-';
        pair |= i > 0 && l.at[i] == '-' && l.at[i - 1] == '-';
    }
    for (size_t i = 0; i < l.len; i++)
        out[i] = l.at[i] != '-' ? l.at[i] : dashes == 3 && !pair ? '.' : ':';
}

/* --- reverse names ------------------------------------------------------------------------------
 */

static const uint8_t arpa4[] = "\7in-addr\4arpa", arpa6[] = "\3ip6\4arpa";

/* Do the labels from the n-th on make up this name? */
static bool ends_in(const struct wp_qname *q, unsigned n, const uint8_t *arpa, size_t len)
{
    return (size_t)(q->len - q->at[n]) == len && memcmp(q->wire + q->at[n], arpa, len) == 0;
}

bool wp_kube_name_in_arpa(const struct wp_qname *q)
{
    return q->n_labels >= 2 && (ends_in(q, q->n_labels - 2u, arpa4, sizeof(arpa4)) ||
                                ends_in(q, q->n_labels - 2u, arpa6, sizeof(arpa6)));
}

/* Decimal without leading zeros. */
static bool read_octet(struct wp_kube_text t, uint8_t *ret)
{
    unsigned n = 0;

    if (t.len > 3 || (t.len > 1 && t.at[0] == '0'))
        return false;
    for (size_t i = 0; i < t.len; i++) {
        if (t.at[i] < '0' || t.at[i] > '9')
            return false;
        n = n * 10 + (unsigned)(t.at[i] - '0');
    }
    *ret = (uint8_t)n;
    return n <= 255;
}

static bool read_nibble(struct wp_kube_text t, unsigned *ret)
{
    char c = t.at[0];

    if (t.len != 1)
        return false;
    if (c >= '0' && c <= '9')
        *ret = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *ret = (unsigned)(c - 'a') + 10;
    else
        return false;
    return true;
}

static unsigned read_v6(const struct wp_qname *q, unsigned from, uint8_t ip[16])
{
    for (unsigned i = 0; i < 32; i++) {
        unsigned n;
        if (!read_nibble(label(q, from + i), &n))
            return 0;
        ip[15 - i / 2] = (uint8_t)(i % 2 == 0 ? n : ip[15 - i / 2] | n << 4);
    }
    return 16;
}

unsigned wp_kube_name_reverse(const struct wp_qname *q, uint8_t ip[16])
{
    enum { V4_LABELS = 4, V6_LABELS = 32, V6_SPARE = 3 };
    unsigned n;

    if (q->n_labels < V4_LABELS + 2)
        return 0;
    n = q->n_labels - 2u;
    if (n == V4_LABELS && ends_in(q, n, arpa4, sizeof(arpa4))) {
        for (unsigned i = 0; i < V4_LABELS; i++)
            if (!read_octet(label(q, i), &ip[3 - i]))
                return 0;
        return 4;
    }
    if (n < V6_LABELS || n > V6_LABELS + V6_SPARE || !ends_in(q, n, arpa6, sizeof(arpa6)))
        return 0;
    return read_v6(q, n - V6_LABELS, ip);
}
