/* Names. Input: one octet that says where to begin, then a message. Properties: the reader agrees
 * with a slow twin; text goes back to the same octets; the prepared form agrees with the plain
 * functions; the canonical order is an order. */
#include "fuzz.h"

#include "waypost/base/rd.h"
#include "waypost/dns/name.h"

/* The rule of name.h as plainly as it can be said, one label at a time. */
static int slow_read(const uint8_t *msg, size_t len, size_t at, struct wp_name *ret,
                     size_t *ret_end)
{
    size_t run = at, n = 0, end = 0;

    while (at < len) {
        uint8_t c = msg[at];

        if (c == 0) {
            ret->wire[n++] = 0;
            ret->len = (uint8_t)n;
            *ret_end = end != 0 ? end : at + 1;
            return 0;
        }
        if (c >= 0xc0) {
            size_t target;

            if (at + 1 >= len)
                return -1;
            target = (c & 0x3fu) * 256 + msg[at + 1];
            if (target >= run)
                return -1;
            end = end != 0 ? end : at + 2;
            at = run = target;
            continue;
        }
        if (c > 63 || at + 1 + c > len || n + 1 + c > 254)
            return -1;
        memcpy(ret->wire + n, msg + at, 1 + (size_t)c);
        n += 1 + (size_t)c;
        at += 1 + (size_t)c;
    }
    return -1;
}

static void check_plain(const struct wp_name *name)
{
    static struct wp_qname q;
    struct wp_name lower = *name, again;
    char text[WP_NAME_TEXT_MAX];

    CHECK(wp_name_len(name->wire, name->len) == name->len);
    CHECK(wp_name_len(name->wire, name->len - 1u) < 0);
    CHECK(strlen(wp_name_text(name->wire, text)) < sizeof(text));
    CHECK(wp_name_parse(text, &again) == 0);
    CHECK(again.len == name->len && memcmp(again.wire, name->wire, name->len) == 0);

    wp_name_lower(lower.wire, lower.len);
    CHECK(wp_qname_set(&q, name->wire, name->len) == name->len);
    CHECK(wp_qname_is(&q, lower.wire, lower.len));
    CHECK(q.n_labels == wp_name_labels(name->wire));
    for (int i = 0; i <= q.n_labels; i++) {
        CHECK(wp_name_parent(q.wire, i) == q.wire + q.at[i]);
        CHECK(wp_name_hash(wp_name_parent(name->wire, i)) == q.suffix[i]);
        CHECK(wp_name_within(name->wire, q.wire + q.at[i]));
    }
    CHECK(wp_name_equal(name->wire, lower.wire) && wp_name_compare(name->wire, lower.wire) == 0);
}

static void check_pair(const struct wp_name *a, const struct wp_name *b)
{
    int ab = wp_name_compare(a->wire, b->wire), ba = wp_name_compare(b->wire, a->wire);

    CHECK((ab < 0) == (ba > 0) && (ab == 0) == (ba == 0));
    CHECK((ab == 0) == wp_name_equal(a->wire, b->wire));
    if (ab != 0 && wp_name_within(b->wire, a->wire))
        CHECK(ab < 0); /* a parent sorts before what is below it */
}

static void check_text(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);
    struct wp_name name;

    CHECK(line != NULL);
    memcpy(line, data, size);
    line[size] = '\0';
    if (wp_name_parse(line, &name) == 0)
        check_plain(&name);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_name last = {.len = 1};
    struct wp_rd rd;
    size_t at;

    if (size == 0)
        return 0;
    at = data[0];
    data++;
    size--;
    check_text(data, size);
    rd = wp_rd_from(data, size);
    rd.pos = at < size ? at : size;
    for (;;) {
        struct wp_name name, slow;
        struct wp_rd skip = rd;
        size_t end = 0;
        int r;

        at = rd.pos;
        r = wp_name_read(&rd, &name);
        CHECK((r == 0) == (slow_read(data, size, at, &slow, &end) == 0));
        if (r < 0) {
            CHECK(rd.pos == at);
            break;
        }
        CHECK(slow.len == name.len && memcmp(slow.wire, name.wire, name.len) == 0);
        CHECK(rd.pos == end && wp_name_skip(&skip) == 0 && skip.pos == end);
        check_plain(&name);
        check_pair(&name, &last);
        last = name;
    }
    return 0;
}
