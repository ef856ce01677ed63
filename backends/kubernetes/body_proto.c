/* Numbers of fields: generated.proto of k8s.io/apimachinery/pkg/apis/meta/v1. */
#include "backends/kubernetes/body_proto.h"

#include <string.h>
#include "backends/kubernetes/proto_pull.h"

enum { LIST_METADATA = 1, META_VERSION = 2, META_CONTINUE = 3 };
enum { STATUS_MESSAGE = 3, STATUS_REASON = 4, STATUS_DETAILS = 5, STATUS_CODE = 6 };
enum { DETAILS_CAUSES = 4, CAUSE_REASON = 1 };
enum { CODE_MAX = 999 };

static bool is(const struct wp_proto_field *f, const char *word)
{
    return f->len == strlen(word) && memcmp(f->at, word, f->len) == 0;
}

static int read_metadata(struct wp_proto p, struct wp_arena *arena, struct wp_kube_list_head *h)
{
    struct wp_proto_field f;

    while (wp_proto_next(&p, &f)) {
        const char **to = f.number == META_VERSION    ? &h->rv
                          : f.number == META_CONTINUE ? &h->next
                                                      : NULL;
        if (to == NULL)
            continue;
        if (f.wire != WP_PROTO_COUNTED)
            return WP_EMALFORMED;
        *to = wp_arena_strndup(arena, (const char *)f.at, f.len);
        if (*to == NULL)
            return -ENOMEM;
    }
    return p.bad ? WP_EMALFORMED : 0;
}

int wp_kube_proto_list_head(const struct wp_kube_proto_rest *rest, struct wp_arena *arena,
                            struct wp_kube_list_head *ret)
{
    struct wp_proto p = wp_proto_from(rest->msg, rest->len);
    struct wp_kube_list_head h = {.rv = "", .next = ""};
    size_t n = strlen(rest->kind);
    struct wp_proto_field f;
    int r = 0;

    if (n < 4 || strcmp(rest->kind + n - 4, "List") != 0)
        return WP_EMALFORMED; /* its second field is no item */
    while (r == 0 && wp_proto_next(&p, &f)) {
        if (f.number != LIST_METADATA)
            continue;
        r = f.wire == WP_PROTO_COUNTED ? read_metadata(wp_proto_from(f.at, f.len), arena, &h)
                                       : WP_EMALFORMED;
    }
    if (r == 0 && (p.bad || h.rv[0] == '\0' || strlen(h.rv) > WP_KUBE_RV_MAX))
        r = WP_EMALFORMED;
    if (r == 0)
        *ret = h;
    return r;
}

/* --- Status ---------------------------------------------------------------------------------- */

static bool read_causes(struct wp_proto details, struct wp_kube_status *s)
{
    struct wp_proto_field f, part;
    struct wp_proto cause;

    while (wp_proto_next(&details, &f)) {
        if (f.number != DETAILS_CAUSES || f.wire != WP_PROTO_COUNTED)
            continue;
        cause = wp_proto_from(f.at, f.len);
        while (wp_proto_next(&cause, &part))
            if (part.number == CAUSE_REASON)
                s->too_large |= is(&part, "ResourceVersionTooLarge");
        details.bad |= cause.bad;
    }
    return !details.bad;
}

int wp_kube_proto_status(const char *msg, size_t len, struct wp_kube_status *ret)
{
    struct wp_proto p = wp_proto_from(msg, len);
    struct wp_kube_status s = {0};
    struct wp_proto_field f;

    if (wp_kube_proto_is_wrapped(msg, len) && wp_kube_proto_unwrap(&p, "Status") < 0)
        return WP_EMALFORMED;
    while (wp_proto_next(&p, &f)) {
        if (f.number == STATUS_CODE && f.wire == WP_PROTO_VARINT)
            s.code = f.value <= CODE_MAX ? (int)f.value : 0;
        else if (f.number == STATUS_REASON)
            s.expired = is(&f, "Expired") || is(&f, "Gone");
        else if (f.number == STATUS_MESSAGE && f.wire == WP_PROTO_COUNTED)
            wp_kube_status_message(&s, (const char *)f.at, f.len);
        else if (f.number == STATUS_DETAILS && f.wire == WP_PROTO_COUNTED)
            p.bad |= !read_causes(wp_proto_from(f.at, f.len), &s);
    }
    if (p.bad)
        return WP_EMALFORMED;
    wp_kube_status_settle(&s);
    *ret = s;
    return 0;
}
