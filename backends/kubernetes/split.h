/* Bodies of the API server, taken apart as they come, by their brackets alone: a list into its items, a
 * watch into its events. Nobody has to hold a list of a gigabyte, or to parse a text twice. What is handed
 * out is JSON only as far as brackets and quotes tell; the reader of it finds what else is wrong.
 *
 *   list   {"kind":..., "metadata":{...}, "items":[ITEM, ITEM...]}; what is outside of the items is
 *          kept, as a small document with "items":[] in it
 *   watch  {"type":"ADDED","object":OBJECT} after one another, whatever white space is between them
 *
 * A text lies where it came in if it is in one piece; only one that is not is copied together. At most
 * one item is ever held. One owner, no locking. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/err.h"

enum {
    WP_KUBE_ITEM_MAX = 16 << 20,     /* octets; a larger one is left out and told */
    WP_KUBE_HEAD = 4096,             /* octets that are kept of one that is left out */
    WP_KUBE_OUTSIDE_MAX = 64 * 1024, /* of a list around its items, of an event around its object */
    WP_KUBE_DEPTH_MAX = 256,         /* of brackets, from the root on */
};

enum wp_kube_split_kind { WP_KUBE_LIST, WP_KUBE_WATCH };

/* Texts are valid during the callback. A negative result ends the splitting with it. */
struct wp_kube_split_ops {
    /* An item of a list, or the object of an event. type: the event's, as it stands between its quotes; ""
     * for lists and without one. An event without an object has len 0. */
    int (*item)(void *arg, const char *type, const char *text, size_t len);
    /* One of more than WP_KUBE_ITEM_MAX octets: its beginning and its length. */
    int (*skipped)(void *arg, const char *type, const char *head, size_t head_len, size_t len);
};

struct wp_kube_split;

/* NULL: no memory. */
struct wp_kube_split *wp_kube_split_new(enum wp_kube_split_kind kind,
                                        const struct wp_kube_split_ops *ops, void *arg);
void wp_kube_split_free(struct wp_kube_split *s); /* accepts NULL */
/* Lower limits, for tests. */
void wp_kube_split_limit(struct wp_kube_split *s, size_t item_max, size_t outside_max);

/* The next piece. 0; WP_EMALFORMED: brackets, or something that is no list and no watch; WP_ELIMIT: too deep,
 * too much around the items; -ENOMEM; what a callback returned. Any error stays. */
int wp_kube_split_feed(struct wp_kube_split *s, const char *data, size_t len) WP_MUSTCHECK;
/* The body has ended. 0, the error that stays, or WP_ECLOSED: in the middle of something. Of a list, *ret and
 * *ret_len are what is outside of the items, NUL-terminated, the splitter's; both may be NULL. */
int wp_kube_split_end(struct wp_kube_split *s, const char **ret, size_t *ret_len) WP_MUSTCHECK;
