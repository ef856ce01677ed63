/* The body of a response taken apart, whatever it is encoded in: pieces go in, items come out, and
 * what is outside of them at the end. The one place that knows which encodings there are. One
 * owner, no locking. */
#pragma once
#include <stddef.h>
#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/split.h"
#include "waypost/base/arena.h"
#include "waypost/base/err.h"

enum wp_kube_encoding { WP_KUBE_JSON, WP_KUBE_PROTO };

enum {
    WP_KUBE_RUN_MAX = 2 * WP_KUBE_ITEM_MAX, /* octets without the end of an item */
    WP_KUBE_RV_MAX = WP_KUBE_TEXT_MAX,
    WP_KUBE_MESSAGE_MAX = 300,
};

/* What to offer in `Accept`. names_only: the metadata is enough. */
const char *wp_kube_accept(enum wp_kube_split_kind kind, bool names_only);
/* 0, or WP_EUNSUPPORTED: nothing that can be read. */
int wp_kube_encoding_of(const char *content_type, enum wp_kube_encoding *ret) WP_MUSTCHECK;

/* wp_kube_decode of an item as it came out of a body. */
int wp_kube_decode_as(enum wp_kube_encoding e, const struct wp_kube_decode_config *c,
                      enum wp_kube_collection collection, const char *text, size_t len,
                      struct wp_arena *arena, struct wp_kube_object *ret,
                      struct wp_kube_decode_error *ret_error) WP_MUSTCHECK;

/* What the server says instead of data: a `Status`, in the body of a refusal or as the object of an
 * event ERROR. */
struct wp_kube_status {
    int code;                          /* 0: it does not tell */
    bool expired;                      /* 410 in any of its forms */
    bool too_large;                    /* the resourceVersion is of the future */
    char message[WP_KUBE_MESSAGE_MAX]; /* without control characters; "": none */
};
/* WP_EMALFORMED: it is no Status. */
int wp_kube_status_read(enum wp_kube_encoding e, const char *text, size_t len,
                        struct wp_arena *arena, struct wp_kube_status *ret) WP_MUSTCHECK;

/* For the readers of both encodings. */
void wp_kube_status_message(struct wp_kube_status *s, const char *at, size_t len);
void wp_kube_status_settle(struct wp_kube_status *s);

struct wp_kube_body;

/* The callbacks get the body's items as they stand in it. NULL: no memory. */
struct wp_kube_body *wp_kube_body_new(enum wp_kube_encoding e, enum wp_kube_split_kind kind,
                                      const struct wp_kube_split_ops *ops, void *arg);
void wp_kube_body_free(struct wp_kube_body *b); /* accepts NULL */
/* As wp_kube_split_feed; WP_ELIMIT also for a line without an end. */
int wp_kube_body_feed(struct wp_kube_body *b, const void *data, size_t len) WP_MUSTCHECK;

/* What is outside of a list's items. Valid as long as the arena. */
struct wp_kube_list_head {
    const char *rv, *next; /* resourceVersion; `continue`, "": this was the last page */
};
/* The body has ended. 0; WP_ECLOSED: within something; WP_EMALFORMED: also, of a list, when it is
 * no list: without items nothing may be taken for empty. ret is of lists only, else NULL. */
int wp_kube_body_end(struct wp_kube_body *b, struct wp_arena *arena,
                     struct wp_kube_list_head *ret) WP_MUSTCHECK;
