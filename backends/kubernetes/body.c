#include "backends/kubernetes/body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "backends/common/json_pull.h"
#include "backends/kubernetes/body_proto.h"
#include "backends/kubernetes/proto_decode.h"

struct wp_kube_body {
    struct wp_kube_split *split; /* one of the two */
    struct wp_kube_proto_split *proto;
    struct wp_kube_split_ops ops;
    void *arg;
    size_t run; /* octets since the last item */
};

/* --- which encoding -------------------------------------------------------------------------- */

/* Protobuf costs a sixth to a tenth of JSON (tests/bench/micro_kube_proto.c). Custom resources have
 * none, and come as JSON. */
#define PROTO "application/vnd.kubernetes.protobuf"
#define JSON "application/json"
#define NAMES ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#define NAMES_LIST ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

const char *wp_kube_accept(enum wp_kube_split_kind kind, bool names_only)
{
    if (!names_only)
        return PROTO ", " JSON;
    return kind == WP_KUBE_LIST ? PROTO NAMES_LIST ", " JSON NAMES_LIST ", " JSON
                                : PROTO NAMES ", " JSON NAMES ", " JSON;
}

static bool is_type(const char *content_type, const char *wanted)
{
    size_t len = strcspn(content_type, "; \t,");

    return len == strlen(wanted) && strncasecmp(content_type, wanted, len) == 0;
}

int wp_kube_encoding_of(const char *content_type, enum wp_kube_encoding *ret)
{
    if (is_type(content_type, PROTO))
        *ret = WP_KUBE_PROTO;
    else if (is_type(content_type, JSON))
        *ret = WP_KUBE_JSON;
    else
        return WP_EUNSUPPORTED;
    return 0;
}

int wp_kube_decode_as(enum wp_kube_encoding e, const struct wp_kube_decode_config *c,
                      enum wp_kube_collection collection, const char *text, size_t len,
                      struct wp_arena *arena, struct wp_kube_object *ret,
                      struct wp_kube_decode_error *ret_error)
{
    return (e == WP_KUBE_PROTO ? wp_kube_proto_decode : wp_kube_decode)(c, collection, text, len,
                                                                        arena, ret, ret_error);
}

/* --- pieces into items ----------------------------------------------------------------------- */

static int on_item(void *arg, const char *type, const char *text, size_t len)
{
    struct wp_kube_body *b = arg;

    b->run = 0;
    return b->ops.item(b->arg, type, text, len);
}

static int on_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    struct wp_kube_body *b = arg;

    b->run = 0;
    return b->ops.skipped(b->arg, type, head, head_len, len);
}

struct wp_kube_body *wp_kube_body_new(enum wp_kube_encoding e, enum wp_kube_split_kind kind,
                                      const struct wp_kube_split_ops *ops, void *arg)
{
    static const struct wp_kube_split_ops ours = {.item = on_item, .skipped = on_skipped};
    struct wp_kube_body *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->ops = *ops;
    b->arg = arg;
    if (e == WP_KUBE_PROTO)
        b->proto = wp_kube_proto_split_new(kind, &ours, b);
    else
        b->split = wp_kube_split_new(kind, &ours, b);
    if (b->split == NULL && b->proto == NULL) {
        free(b);
        return NULL;
    }
    return b;
}

void wp_kube_body_free(struct wp_kube_body *b)
{
    if (b == NULL)
        return;
    wp_kube_split_free(b->split);
    wp_kube_proto_split_free(b->proto);
    free(b);
}

int wp_kube_body_feed(struct wp_kube_body *b, const void *data, size_t len)
{
    int r = b->proto != NULL ? wp_kube_proto_split_feed(b->proto, data, len)
                             : wp_kube_split_feed(b->split, data, len);

    b->run += len;
    return r == 0 && b->run > WP_KUBE_RUN_MAX ? WP_ELIMIT : r;
}

/* --- what is outside ------------------------------------------------------------------------- */

static bool is(struct wp_json_slice key, const char *name)
{
    return key.len == strlen(name) && memcmp(key.at, name, key.len) == 0;
}

static const char *read_word(struct wp_json_pull *p)
{
    struct wp_json_slice s = wp_json_pull_string(p);
    char *copy;

    if (p->error != 0)
        return "";
    copy = wp_arena_strndup(p->arena, s.at, s.len);
    if (copy == NULL)
        wp_json_pull_nomem(p);
    return copy != NULL ? copy : "";
}

static void read_metadata(struct wp_json_pull *p, struct wp_kube_list_head *h)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(p, '{'); wp_json_pull_member(p, &key);)
        if (is(key, "resourceVersion"))
            h->rv = read_word(p);
        else if (is(key, "continue"))
            h->next = read_word(p);
        else
            wp_json_pull_skip(p);
}

/* A Status, or whatever else some proxy has to say in JSON, is not an empty list. */
static int read_list_head(const char *text, size_t len, struct wp_arena *arena,
                          struct wp_kube_list_head *ret)
{
    struct wp_kube_list_head h = {.rv = "", .next = ""};
    struct wp_json_slice key;
    struct wp_json_pull p;
    const char *kind = "List";
    bool has_items = false;
    size_t n;

    wp_json_pull_init(&p, text, len, arena);
    for (wp_json_pull_enter(&p, '{'); wp_json_pull_member(&p, &key);)
        if (is(key, "metadata"))
            read_metadata(&p, &h);
        else if (is(key, "kind"))
            kind = read_word(&p);
        else {
            has_items |= is(key, "items");
            wp_json_pull_skip(&p);
        }
    wp_json_pull_end(&p);
    if (p.error != 0)
        return p.error;
    n = strlen(kind);
    if (!has_items || h.rv[0] == '\0' || strlen(h.rv) > WP_KUBE_RV_MAX || n < 4 ||
        strcmp(kind + n - 4, "List") != 0)
        return WP_EMALFORMED;
    *ret = h;
    return 0;
}

int wp_kube_body_end(struct wp_kube_body *b, struct wp_arena *arena, struct wp_kube_list_head *ret)
{
    struct wp_kube_proto_rest rest;
    const char *text;
    size_t len;
    int r;

    if (b->proto != NULL) {
        r = wp_kube_proto_split_end(b->proto, &rest);
        return r < 0 || ret == NULL ? r : wp_kube_proto_list_head(&rest, arena, ret);
    }
    if (ret == NULL)
        return wp_kube_split_end(b->split, NULL, NULL);
    r = wp_kube_split_end(b->split, &text, &len);
    return r < 0 ? r : read_list_head(text, len, arena, ret);
}

/* --- Status ---------------------------------------------------------------------------------- */

static void read_causes(struct wp_json_pull *p, struct wp_kube_status *s)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(p, '['); wp_json_pull_element(p);)
        for (wp_json_pull_enter(p, '{'); wp_json_pull_member(p, &key);)
            if (is(key, "reason"))
                s->too_large |= is(wp_json_pull_string(p), "ResourceVersionTooLarge");
            else
                wp_json_pull_skip(p);
}

static void read_details(struct wp_json_pull *p, struct wp_kube_status *s)
{
    struct wp_json_slice key;

    for (wp_json_pull_enter(p, '{'); wp_json_pull_member(p, &key);)
        if (is(key, "causes"))
            read_causes(p, s);
        else
            wp_json_pull_skip(p);
}

void wp_kube_status_message(struct wp_kube_status *s, const char *at, size_t len)
{
    size_t n = len < sizeof(s->message) - 1 ? len : sizeof(s->message) - 1;

    for (size_t i = 0; i < n; i++)
        s->message[i] = at[i] >= ' ' && at[i] < 0x7f ? at[i] : ' ';
    s->message[n] = '\0';
}

void wp_kube_status_settle(struct wp_kube_status *s)
{
    s->expired |= s->code == 410;
    s->too_large |= s->code == 504 && strstr(s->message, "Too large resource version") != NULL;
}

static void read_message(struct wp_json_pull *p, struct wp_kube_status *s)
{
    struct wp_json_slice m = wp_json_pull_string(p);

    wp_kube_status_message(s, m.at, m.len);
}

int wp_kube_status_read(enum wp_kube_encoding e, const char *text, size_t len,
                        struct wp_arena *arena, struct wp_kube_status *ret)
{
    struct wp_kube_status s = {0};
    struct wp_json_slice key, reason;
    struct wp_json_pull p;
    bool is_status = false;

    if (e == WP_KUBE_PROTO)
        return wp_kube_proto_status(text, len, ret);
    wp_json_pull_init(&p, text, len, arena);
    for (wp_json_pull_enter(&p, '{'); wp_json_pull_member(&p, &key);)
        if (is(key, "kind"))
            is_status = is(wp_json_pull_string(&p), "Status");
        else if (is(key, "code"))
            s.code = (int)wp_json_pull_int(&p, 0, 999);
        else if (is(key, "reason")) {
            reason = wp_json_pull_string(&p);
            s.expired = is(reason, "Expired") || is(reason, "Gone");
        } else if (is(key, "message"))
            read_message(&p, &s);
        else if (is(key, "details"))
            read_details(&p, &s);
        else
            wp_json_pull_skip(&p);
    wp_json_pull_end(&p);
    if (p.error != 0)
        return p.error;
    if (!is_status)
        return WP_EMALFORMED;
    wp_kube_status_settle(&s);
    *ret = s;
    return 0;
}
