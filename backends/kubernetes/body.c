#include "backends/kubernetes/body.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "backends/common/json_pull.h"

struct wp_kube_body {
    struct wp_kube_split *split;
    struct wp_kube_split_ops ops;
    void *arg;
    size_t run; /* octets since the last item */
};

/* --- which encoding -------------------------------------------------------------------------- */

const char *wp_kube_accept(enum wp_kube_split_kind kind, bool names_only)
{
    if (!names_only)
        return "application/json";
    return kind == WP_KUBE_LIST
               ? "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, "
                 "application/json"
               : "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
}

int wp_kube_encoding_of(const char *content_type, enum wp_kube_encoding *ret)
{
    static const char json[] = "application/json";
    size_t len = strcspn(content_type, "; \t,");

    if (len != strlen(json) || strncasecmp(content_type, json, len) != 0)
        return WP_EUNSUPPORTED;
    *ret = WP_KUBE_JSON;
    return 0;
}

int wp_kube_decode_as(enum wp_kube_encoding e, const struct wp_kube_decode_config *c,
                      enum wp_kube_collection collection, const char *text, size_t len,
                      struct wp_arena *arena, struct wp_kube_object *ret,
                      struct wp_kube_decode_error *ret_error)
{
    (void)e;
    return wp_kube_decode(c, collection, text, len, arena, ret, ret_error);
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

    (void)e;
    if (b == NULL)
        return NULL;
    b->ops = *ops;
    b->arg = arg;
    b->split = wp_kube_split_new(kind, &ours, b);
    if (b->split == NULL) {
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
    free(b);
}

int wp_kube_body_feed(struct wp_kube_body *b, const void *data, size_t len)
{
    int r = wp_kube_split_feed(b->split, data, len);

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
    const char *text;
    size_t len;
    int r;

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

static void read_message(struct wp_json_pull *p, struct wp_kube_status *s)
{
    struct wp_json_slice m = wp_json_pull_string(p);
    size_t n = m.len < sizeof(s->message) - 1 ? m.len : sizeof(s->message) - 1;

    for (size_t i = 0; i < n; i++)
        s->message[i] = m.at[i] >= ' ' && m.at[i] < 0x7f ? m.at[i] : ' ';
    s->message[n] = '\0';
}

int wp_kube_status_read(enum wp_kube_encoding e, const char *text, size_t len,
                        struct wp_arena *arena, struct wp_kube_status *ret)
{
    struct wp_kube_status s = {0};
    struct wp_json_slice key, reason;
    struct wp_json_pull p;
    bool is_status = false;

    (void)e;
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
    s.expired |= s.code == 410;
    s.too_large |= s.code == 504 && strstr(s.message, "Too large resource version") != NULL;
    *ret = s;
    return 0;
}
