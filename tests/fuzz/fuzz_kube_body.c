/* A response of the API server: the first octet chooses list or watch, the encoding, and what is listed; the
 * second the size of the pieces. Properties: the size of the pieces changes neither the outcome nor what was
 * told; a list that is taken has a version, a Status a message that can be logged. */
#include "fuzz.h"

#include "backends/kubernetes/body.h"

struct heard {
    enum wp_kube_encoding encoding;
    enum wp_kube_collection collection;
    struct wp_arena arena;
    uint64_t sum; /* of everything */
};

static void add(struct heard *h, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        h->sum = (h->sum ^ ((const uint8_t *)data)[i]) * 1099511628211u;
    h->sum = (h->sum ^ len) * 1099511628211u;
}

static void read_status(struct heard *h, const char *text, size_t len)
{
    struct wp_kube_status s;

    wp_arena_reset(&h->arena);
    if (wp_kube_status_read(h->encoding, text, len, &h->arena, &s) < 0)
        return;
    CHECK(s.code >= 0 && s.code <= 999 && strlen(s.message) < sizeof(s.message));
    for (const char *c = s.message; *c != '\0'; c++)
        CHECK(*c >= ' ' && *c < 0x7f);
    add(h, s.message, strlen(s.message));
}

static int on_item(void *arg, const char *type, const char *text, size_t len)
{
    const struct wp_kube_decode_config c = {.zonal = true, .pod_names = true, .labels = true};
    struct heard *h = arg;
    struct wp_kube_decode_error e;
    struct wp_kube_object o;
    int r;

    add(h, type, strlen(type));
    add(h, text, len);
    wp_arena_reset(&h->arena);
    r = wp_kube_decode_as(h->encoding, &c, h->collection, text, len, &h->arena, &o, &e);
    CHECK(r == 0 || r == WP_EMALFORMED || r == -ENOMEM);
    if (r != -ENOMEM) { /* a refused one has its names, as far as they are known */
        add(h, o.ns.at, o.ns.len);
        add(h, o.name.at, o.name.len);
        add(h, o.resource_version.at, o.resource_version.len);
    }
    read_status(h, text, len);
    return 0;
}

static int on_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)len;
    (void)head_len;
    return on_item(arg, type, head, 0);
}

static int run(uint8_t how, const uint8_t *data, size_t size, size_t each, uint64_t *ret)
{
    static const struct wp_kube_split_ops ops = {.item = on_item, .skipped = on_skipped};
    enum wp_kube_split_kind kind = (how & 1) != 0 ? WP_KUBE_LIST : WP_KUBE_WATCH;
    struct heard h = {.encoding = (how & 2) != 0 ? WP_KUBE_PROTO : WP_KUBE_JSON,
                      .collection = (enum wp_kube_collection)((how >> 2) % WP_KUBE_COLLECTIONS)};
    struct wp_kube_list_head head = {0};
    struct wp_kube_body *b = wp_kube_body_new(h.encoding, kind, &ops, &h);
    int r = 0;

    CHECK(b != NULL);
    wp_arena_init(&h.arena, 8 << 20);
    for (size_t at = 0; r == 0 && at < size; at += each) {
        size_t n = size - at < each ? size - at : each;
        uint8_t *piece = malloc(n);
        CHECK(piece != NULL);
        memcpy(piece, data + at, n);
        r = wp_kube_body_feed(b, piece, n);
        free(piece);
    }
    wp_arena_reset(&h.arena);
    if (r == 0)
        r = wp_kube_body_end(b, &h.arena, kind == WP_KUBE_LIST ? &head : NULL);
    if (r == 0 && kind == WP_KUBE_LIST) {
        CHECK(head.rv[0] != '\0' && strlen(head.rv) <= WP_KUBE_RV_MAX);
        add(&h, head.rv, strlen(head.rv));
        add(&h, head.next, strlen(head.next));
    }
    CHECK(r == 0 || r == WP_EMALFORMED || r == WP_ECLOSED || r == WP_ELIMIT || r == -ENOMEM);
    wp_kube_body_free(b);
    wp_arena_done(&h.arena);
    *ret = h.sum;
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t whole, pieces;
    int r;

    if (size < 2)
        return 0;
    r = run(data[0], data + 2, size - 2, size, &whole);
    CHECK(run(data[0], data + 2, size - 2, data[1] + 1u, &pieces) == r);
    CHECK(whole == pieces);
    return 0;
}
