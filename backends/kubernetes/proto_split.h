/* Bodies of the API server in protobuf (application/vnd.kubernetes.protobuf), taken apart as they
 * come: split.h for the other encoding, with its callbacks and limits.
 *
 *   envelope  the octets "k8s\0", then the message Unknown {typeMeta = 1 {apiVersion = 1, kind =
 * 2}, raw = 2} list      an envelope of kind "...List" whose raw is {metadata = 1, items = 2, items
 * = 2, ...} watch     frames: four octets of length, in network order, then the message WatchEvent
 * {type = 1, object = 2 {raw = 1}}, whose raw is the envelope of the object
 *
 * What is handed out is the message of an object, without envelope. A message lies where it came in
 * if it is in one piece; only one that is not is copied together, as far as it has come: lengths
 * that are promised cost nothing. At most one item is ever held. One owner, no locking. */
#pragma once
#include "backends/kubernetes/split.h"

struct wp_kube_proto_split;

/* NULL: no memory. */
struct wp_kube_proto_split *wp_kube_proto_split_new(enum wp_kube_split_kind kind,
                                                    const struct wp_kube_split_ops *ops, void *arg);
void wp_kube_proto_split_free(struct wp_kube_proto_split *s); /* accepts NULL */
/* Lower limits, for tests. */
void wp_kube_proto_split_limit(struct wp_kube_proto_split *s, size_t item_max, size_t outside_max);

/* The next piece. 0; WP_EMALFORMED: no envelope, no frame, lengths that do not fit into one
 * another; WP_ELIMIT: too much around the items; -ENOMEM; what a callback returned. Any error
 * stays. */
int wp_kube_proto_split_feed(struct wp_kube_proto_split *s, const char *data,
                             size_t len) WP_MUSTCHECK;

/* The body has ended. 0, the error that stays, or WP_ECLOSED: in the middle of something. Of a
 * list, *ret is what the envelope had beside the items: the message {metadata = 1} of a list, or a
 * whole object of another kind (Status). It is the splitter's; NULL when it is not wanted. */
struct wp_kube_proto_rest {
    const char *kind; /* "ServiceList", "Status"; NUL-terminated, "" without one */
    const char *msg;
    size_t len;
};
int wp_kube_proto_split_end(struct wp_kube_proto_split *s,
                            struct wp_kube_proto_rest *ret) WP_MUSTCHECK;

/* A body that is whole: is it an envelope? */
bool wp_kube_proto_is_wrapped(const char *msg, size_t len);
struct wp_proto; /* proto_pull.h */
/* Into the content of an envelope, of this kind; else WP_EMALFORMED. */
int wp_kube_proto_unwrap(struct wp_proto *p, const char *kind) WP_MUSTCHECK;
