/* A body of the API server in protobuf. The first octet chooses list or watch, the second the size of the pieces.
 * Properties: the size of the pieces changes nothing; what was handed out of a list, and what is beside it, put
 * together again as a list, gives the same; an item lies within the body; an event put together again does too. */
#include "fuzz.h"

#include "backends/kubernetes/proto_split.h"
#include "waypost/base/wr.h"

enum { MOST = 1 << 16 };

/* What was handed out: each as its type, NUL, length, octets. */
struct heard {
    uint8_t at[2 * MOST];
    size_t len, n;
};

static void note(struct heard *h, const char *type, const char *text, size_t len, size_t whole)
{
    size_t n = strlen(type) + 1;

    CHECK(n + sizeof(whole) + len <= sizeof(h->at) - h->len);
    memcpy(h->at + h->len, type, n);
    memcpy(h->at + h->len + n, &whole, sizeof(whole));
    memcpy(h->at + h->len + n + sizeof(whole), text, len);
    h->len += n + sizeof(whole) + len;
    h->n++;
}

static int hear(void *arg, const char *type, const char *text, size_t len)
{
    note(arg, type, text, len, len);
    return 0;
}

static int hear_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    CHECK(head_len <= WP_KUBE_HEAD && len > 3000);
    note(arg, type, head, head_len, len);
    return 0;
}

struct rest {
    int ret;
    char kind[80];
    uint8_t msg[WP_KUBE_OUTSIDE_MAX];
    size_t len;
};

static void run(enum wp_kube_split_kind kind, const uint8_t *data, size_t size, size_t each,
                struct heard *h, struct rest *rest)
{
    static const struct wp_kube_split_ops ops = {.item = hear, .skipped = hear_skipped};
    struct wp_kube_proto_split *s = wp_kube_proto_split_new(kind, &ops, h);
    struct wp_kube_proto_rest what = {0};
    int r = 0;

    CHECK(s != NULL);
    wp_kube_proto_split_limit(s, 3000, WP_KUBE_OUTSIDE_MAX);
    h->len = h->n = 0;
    for (size_t at = 0; r == 0 && at < size; at += each) {
        size_t n = size - at < each ? size - at : each;
        char *piece = malloc(n);
        CHECK(piece != NULL);
        memcpy(piece, data + at, n);
        r = wp_kube_proto_split_feed(s, piece, n);
        free(piece);
    }
    if (r == 0)
        r = wp_kube_proto_split_end(s, &what);
    CHECK(r == 0 || r == WP_EMALFORMED || r == WP_ELIMIT || r == WP_ECLOSED);
    *rest = (struct rest){.ret = r, .len = what.len};
    if (r == 0 && kind == WP_KUBE_LIST) {
        CHECK(strlen(what.kind) < sizeof(rest->kind) && what.len <= sizeof(rest->msg));
        strcpy(rest->kind, what.kind);
        memcpy(rest->msg, what.msg, what.len);
    }
    wp_kube_proto_split_free(s);
}

/* --- together again --------------------------------------------------------------------------- */

struct body {
    uint8_t at[8 * MOST];
    size_t len;
};

static void put_varint(struct body *b, uint64_t v)
{
    for (; v > 0x7f; v >>= 7)
        b->at[b->len++] = (uint8_t)(v | 0x80);
    b->at[b->len++] = (uint8_t)v;
}

static void put(struct body *b, const void *at, size_t len)
{
    CHECK(len < sizeof(b->at) - b->len - 64);
    memcpy(b->at + b->len, at, len);
    b->len += len;
}

static void put_counted(struct body *b, unsigned field, const void *at, size_t len)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, len);
    put(b, at, len);
}

/* The items, before what is beside them. */
static void rebuild(const struct heard *h, const struct rest *rest)
{
    static struct body inside, type, whole;
    static struct heard again;
    static struct rest rest2;

    inside.len = type.len = whole.len = 0;
    for (size_t at = 0; at < h->len;) {
        size_t len;
        at += strlen((const char *)h->at + at) + 1;
        memcpy(&len, h->at + at, sizeof(len));
        at += sizeof(len);
        put_counted(&inside, 2, h->at + at, len);
        at += len;
    }
    put(&inside, rest->msg, rest->len);
    put_counted(&type, 2, rest->kind, strlen(rest->kind));
    put(&whole, "k8s\0", 4);
    put_counted(&whole, 1, type.at, type.len);
    put_counted(&whole, 2, inside.at, inside.len);
    run(WP_KUBE_LIST, whole.at, whole.len, 7, &again, &rest2);
    CHECK(rest2.ret == 0 && strcmp(rest2.kind, rest->kind) == 0);
    CHECK(rest2.len == rest->len && memcmp(rest2.msg, rest->msg, rest->len) == 0);
    CHECK(again.len == h->len && memcmp(again.at, h->at, h->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct heard whole, pieces;
    static struct rest rest, rest2;
    enum wp_kube_split_kind kind;
    size_t each, listed;

    if (size < 2 || size > 8192)
        return 0;
    kind = data[0] & 1 ? WP_KUBE_WATCH : WP_KUBE_LIST;
    each = data[1] % 32 + 1;
    data += 2;
    size -= 2;
    run(kind, data, size, size + 1, &whole, &rest);
    run(kind, data, size, each, &pieces, &rest2);
    CHECK(rest.ret == rest2.ret && rest.len == rest2.len && memcmp(rest.msg, rest2.msg, rest.len) == 0);
    CHECK(whole.len == pieces.len && memcmp(whole.at, pieces.at, whole.len) == 0);
    listed = kind == WP_KUBE_LIST && rest.ret == 0 && size < 3000 ? whole.n : 0;
    if (listed > 0)
        rebuild(&whole, &rest);
    return 0;
}
