#include "waypost/dns/name.h"

#include <string.h>

#include "waypost/base/rd.h"
#include "waypost/base/text.h"

int wp_name_len(const uint8_t *wire, size_t len)
{
    size_t room = len < WP_NAME_MAX ? len : WP_NAME_MAX;
    size_t pos = 0;

    while (pos < room) {
        if (wire[pos] == 0)
            return (int)pos + 1;
        if (wire[pos] > WP_LABEL_MAX)
            return WP_EMALFORMED;
        pos += 1 + (size_t)wire[pos];
    }
    return WP_EMALFORMED;
}

/* One run of labels from `at`, up to a root or a pointer. *ret_end is the first octet after the
 * run (after its pointer), *ret_target the pointer's offset, or SIZE_MAX at a root.
 * Returns the octets of its labels (root and pointer not counted), or WP_EMALFORMED. */
static inline int run_walk(const struct wp_rd *rd, size_t at, size_t *ret_end, size_t *ret_target)
{
    size_t pos = at;

    for (;;) {
        size_t c, target;

        if (pos >= rd->end)
            return WP_EMALFORMED;
        c = rd->buf[pos];
        if (c == 0) {
            *ret_end = pos + 1;
            *ret_target = SIZE_MAX;
            return (int)(pos - at);
        }
        if (c >= 0xc0) {
            if (rd->end - pos < 2)
                return WP_EMALFORMED;
            target = (c & 0x3f) << 8 | rd->buf[pos + 1];
            if (target >= at)
                return WP_EMALFORMED;
            *ret_end = pos + 2;
            *ret_target = target;
            return (int)(pos - at);
        }
        /* a root follows the labels in any case */
        if (c > WP_LABEL_MAX || pos - at + 1 + c >= WP_NAME_MAX)
            return WP_EMALFORMED;
        pos += 1 + c;
    }
}

int wp_name_skip(struct wp_rd *rd)
{
    size_t end, target;
    int r = rd->bad ? WP_EMALFORMED : run_walk(rd, rd->pos, &end, &target);

    if (r < 0)
        return r;
    rd->pos = end;
    return 0;
}

int wp_name_read(struct wp_rd *rd, struct wp_name *ret)
{
    struct wp_name name;
    size_t at = rd->pos, after = 0, len = 0;

    if (rd->bad)
        return WP_EMALFORMED;
    for (;;) {
        size_t end, target;
        int n = run_walk(rd, at, &end, &target);

        if (n < 0)
            return n;
        if (len + (size_t)n >= WP_NAME_MAX)
            return WP_EMALFORMED;
        memcpy(name.wire + len, rd->buf + at, (size_t)n);
        len += (size_t)n;
        if (after == 0)
            after = end;
        if (target == SIZE_MAX)
            break;
        at = target; /* strictly falling, so this ends */
    }
    name.wire[len++] = 0;
    memcpy(ret->wire, name.wire, len);
    ret->len = (uint8_t)len;
    rd->pos = after;
    return 0;
}

void wp_name_lower(uint8_t *wire, size_t len)
{
    /* length octets are below 'A': they pass unchanged */
    for (size_t i = 0; i < len; i++)
        wire[i] = wp_lower(wire[i]);
}

bool wp_name_equal(const uint8_t *a, const uint8_t *b)
{
    for (;;) {
        unsigned n = *a;

        if (n != *b)
            return false;
        if (n == 0)
            return true;
        do {
            a++, b++;
            if (wp_lower(*a) != wp_lower(*b))
                return false;
        } while (--n > 0);
        a++, b++;
    }
}

int wp_name_labels(const uint8_t *wire)
{
    int n = 0;

    for (; *wire != 0; wire += 1 + *wire)
        n++;
    return n;
}

const uint8_t *wp_name_parent(const uint8_t *wire, int n)
{
    for (; n > 0 && *wire != 0; n--)
        wire += 1 + *wire;
    return wire;
}

bool wp_name_within(const uint8_t *name, const uint8_t *apex)
{
    int above = wp_name_labels(name) - wp_name_labels(apex);

    return above >= 0 && wp_name_equal(wp_name_parent(name, above), apex);
}

static int label_compare(const uint8_t *a, const uint8_t *b)
{
    unsigned n = *a < *b ? *a : *b;

    for (unsigned i = 1; i <= n; i++) {
        int d = wp_lower(a[i]) - wp_lower(b[i]);
        if (d != 0)
            return d;
    }
    return *a - *b;
}

static int label_list(const uint8_t *wire, const uint8_t *at[WP_LABELS_MAX])
{
    int n = 0;

    for (; *wire != 0 && n < WP_LABELS_MAX; wire += 1 + *wire)
        at[n++] = wire;
    return n;
}

int wp_name_compare(const uint8_t *a, const uint8_t *b)
{
    const uint8_t *la[WP_LABELS_MAX], *lb[WP_LABELS_MAX];
    int na = label_list(a, la), nb = label_list(b, lb);

    while (na > 0 && nb > 0) {
        int d = label_compare(la[--na], lb[--nb]);
        if (d != 0)
            return d;
    }
    return na - nb;
}

int wp_name_join(const uint8_t *labels, size_t len, const uint8_t *suffix, struct wp_name *ret)
{
    int tail = wp_name_len(suffix, WP_NAME_MAX);

    if (tail < 0 || len > WP_NAME_MAX - (size_t)tail)
        return WP_EMALFORMED;
    memmove(ret->wire + len, suffix, (size_t)tail); /* suffix may lie in *ret */
    memmove(ret->wire, labels, len);
    ret->len = (uint8_t)(len + (size_t)tail);
    return 0;
}
