#include "backends/etcd/path.h"

#include <string.h>

/* Octets that stand for themselves in presentation form and are no separator. */
static bool is_plain(uint8_t c)
{
    if (c <= ' ' || c > '~')
        return false;
    switch (c) {
    case '"':
    case '\'':
    case '(':
    case ')':
    case '.':
    case '/':
    case ';':
    case '@':
    case '\\':
        return false;
    default:
        return true;
    }
}

static bool is_star(const uint8_t *label, size_t len)
{
    return (len == 1 && label[0] == '*') || (len == 3 && memcmp(label, "any", 3) == 0);
}

/* One label as presentation text with "/" before it; empty elements vanish. Plain labels take
 * the first loop only. Returns whether the label was one plain element. */
static bool add_label(struct wp_etcd_path *p, const uint8_t *label, size_t len)
{
    uint8_t wire[WP_LABEL_MAX + 2];
    char text[WP_NAME_TEXT_MAX];
    size_t n = 0;

    p->text[p->len] = '/';
    while (n < len && is_plain(label[n])) {
        p->text[p->len + 1 + n] = (char)label[n];
        n++;
    }
    if (n == len) {
        p->len = (uint16_t)(p->len + 1 + len);
        return true;
    }
    wire[0] = (uint8_t)len;
    memcpy(wire + 1, label, len);
    wire[len + 1] = 0;
    wp_name_text(wire, text);
    n = strlen(text) - 1; /* the final dot */
    for (size_t i = 0; i < n; i++)
        if (text[i] != '/' && (i == 0 || text[i - 1] == '/'))
            p->text[p->len++] = '/', p->text[p->len++] = text[i];
        else if (text[i] != '/')
            p->text[p->len++] = text[i];
    return false;
}

void wp_etcd_path_set(struct wp_etcd_path *p, const struct wp_qname *q)
{
    bool plain = true;

    p->len = 0;
    p->star = false;
    for (int i = q->n_labels - 1; i >= 0; i--) {
        const uint8_t *label = q->wire + q->at[i];
        if (!p->star && is_star(label + 1, label[0])) {
            p->star = true;
            p->stem_len = p->len;
            p->stem_hash = q->suffix[i + 1];
        }
        plain &= add_label(p, label + 1, label[0]);
    }
    p->hash = plain ? q->suffix[0] : wp_etcd_path_hash(p->text, p->len, 0, wp_name_hash_root());
    if (!p->star) {
        p->stem_len = p->len;
        p->stem_hash = p->hash;
    } else if (!plain) {
        p->stem_hash = wp_etcd_path_hash(p->text, p->stem_len, 0, wp_name_hash_root());
    }
}

uint64_t wp_etcd_path_hash(const char *path, size_t len, size_t start, uint64_t hash)
{
    size_t at = start;

    while (at < len) {
        const char *slash = memchr(path + at + 1, '/', len - at - 1);
        size_t end = slash != NULL ? (size_t)(slash - path) : len;
        hash = wp_name_hash_label((const uint8_t *)path + at + 1, end - at - 1, hash);
        at = end;
    }
    return hash;
}

/* The element of a path that starts at `at`, which is on its "/". */
static size_t element_len(const char *path, size_t len, size_t at)
{
    const char *slash = memchr(path + at + 1, '/', len - at - 1);

    return slash != NULL ? (size_t)(slash - path) - at - 1 : len - at - 1;
}

bool wp_etcd_path_match(const struct wp_etcd_path *p, const char *key, size_t len)
{
    size_t a = p->stem_len, b = p->stem_len;

    while (a < p->len) {
        size_t want = element_len(p->text, p->len, a), have;
        if (b >= len)
            return false;
        have = element_len(key, len, b);
        if (!is_star((const uint8_t *)p->text + a + 1, want) &&
            (want != have || memcmp(p->text + a + 1, key + b + 1, want) != 0))
            return false;
        a += 1 + want;
        b += 1 + have;
    }
    return true;
}

/* Elements with a dot or an escape are text that may hold several labels. */
static int name_from_text(const char *key, size_t len, struct wp_name *ret)
{
    char text[WP_NAME_TEXT_MAX + 1];
    size_t n = 0;

    for (size_t end = len; end > 0;) {
        size_t at = end;
        while (key[at - 1] != '/')
            at--;
        if (end - at + 1 > sizeof(text) - 1 - n)
            return WP_EMALFORMED;
        memcpy(text + n, key + at, end - at);
        n += end - at;
        text[n++] = '.';
        end = at - 1;
    }
    text[n] = '\0';
    if (memchr(text, '\0', n) != NULL)
        return WP_EMALFORMED;
    return wp_name_parse(text, ret);
}

int wp_etcd_path_name(const char *key, size_t len, struct wp_name *ret)
{
    struct wp_name name;
    size_t n = 0;

    if (len > 0 && key[0] != '/')
        return WP_EMALFORMED;
    if (len > 0 && key[len - 1] == '/')
        len--;
    if (memchr(key, '.', len) != NULL || memchr(key, '\\', len) != NULL)
        return name_from_text(key, len, ret);
    for (size_t end = len; end > 0;) {
        size_t at = end;
        while (key[at - 1] != '/')
            at--;
        if (end == at || end - at > WP_LABEL_MAX || n + 1 + (end - at) + 1 > WP_NAME_MAX)
            return WP_EMALFORMED;
        name.wire[n] = (uint8_t)(end - at);
        memcpy(name.wire + n + 1, key + at, end - at);
        n += 1 + (end - at);
        end = at - 1;
    }
    name.wire[n] = 0;
    name.len = (uint8_t)(n + 1);
    *ret = name;
    return 0;
}

int wp_etcd_path_clean(const char *text, char *out, size_t cap)
{
    size_t n = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, "/");
        if (len == 2 && memcmp(text, "..", 2) == 0) {
            while (n > 0 && out[--n] != '/')
                ;
        } else if (len > 0 && !(len == 1 && text[0] == '.')) {
            if (len + 2 > cap - n)
                return WP_ESPACE;
            out[n++] = '/';
            memcpy(out + n, text, len);
            n += len;
        }
        text += len + (text[len] == '/');
    }
    if (n >= cap)
        return WP_ESPACE;
    out[n] = '\0';
    return 0;
}

/* Most keys are told good in one pass; the others are looked at closely. */
static bool is_surely_name(const char *key, size_t len)
{
    size_t label = 0;

    if (len == 0 || len > WP_NAME_MAX - 2 || key[0] != '/')
        return false;
    for (size_t i = 1; i < len; i++) {
        label = key[i] == '/' ? 0 : label + 1;
        if (label > WP_LABEL_MAX || key[i] == '\\' || key[i] == '.' ||
            (key[i] == '/' && key[i - 1] == '/'))
            return false;
    }
    return true;
}

const char *wp_etcd_path_flaw(const char *key, size_t len, size_t *ret_at)
{
    struct wp_name name;
    size_t begin = 1;

    if (is_surely_name(key, len) || wp_etcd_path_name(key, len, &name) == 0)
        return NULL;
    *ret_at = 0;
    for (size_t i = 1; i < len; i++) {
        if (key[i] != '/')
            continue;
        *ret_at = begin;
        if (i == begin)
            return "an empty label";
        if (i - begin > WP_LABEL_MAX)
            return "a label of more than 63 octets";
        begin = i + 1;
    }
    *ret_at = begin < len ? begin : 0;
    if (len - begin > WP_LABEL_MAX)
        return "a label of more than 63 octets";
    *ret_at = 0;
    return len > WP_NAME_MAX - 2 ? "more than 255 octets" : "no domain name";
}

const char *wp_etcd_path_show(const char *key, size_t len, char out[WP_ETCD_SHOWN])
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)key[i];
        if (n + 8 > WP_ETCD_SHOWN) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        if (c >= ' ' && c < 0x7f) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    out[n] = '\0';
    return out;
}
