/* What objects are held to, in whatever they were written: for the readers of JSON (decode.h) and
 * of protobuf (proto_decode.h), which have to agree. */
#pragma once
#include "backends/kubernetes/decode.h"

/* A list that grows in the arena. */
struct wp_kube_list {
    void *items;
    size_t n, cap, size; /* size: of one item */
};
/* Room for one more, zeroed; NULL: memory. */
void *wp_kube_list_grow(struct wp_kube_list *l, struct wp_arena *arena);

/* One endpoint as it stands in a slice: each address becomes an entry. */
struct wp_kube_endpoint_parts {
    struct wp_kube_list addrs; /* of texts */
    struct wp_kube_text hostname, pod, zone;
    bool ready;
};
/* A fault of one field: what of it, static texts. what NULL: none. */
struct wp_kube_fault {
    const char *field, *what;
    bool nomem;
};

/* An object without anything. */
void wp_kube_object_init(struct wp_kube_object *o, enum wp_kube_collection collection);
/* When all is read: has it a name under which it can be filed (a bookmark has none)? An empty list
 * of ports becomes one that is no port. */
struct wp_kube_fault wp_kube_object_settle(struct wp_kube_object *o);
/* One that may stand as a label of a domain name; else the empty text. */
struct wp_kube_text wp_kube_owner(struct wp_kube_text label);
/* Kind and addresses. ips: `clusterIPs`; one: `clusterIP`, which counts where ips are empty. */
struct wp_kube_fault wp_kube_service_settle(struct wp_kube_object *o, struct wp_kube_list *ips,
                                            struct wp_kube_text one, bool external_name,
                                            struct wp_arena *arena);
/* Into the list of the slice. */
struct wp_kube_fault wp_kube_endpoint_settle(struct wp_kube_list *l,
                                             const struct wp_kube_endpoint_parts *e,
                                             const struct wp_kube_decode_config *c,
                                             struct wp_arena *arena);
/* All but which object it was is forgotten. */
void wp_kube_object_strip(struct wp_kube_object *o);
/* "services shop/web: FIELD: WHAT" */
void wp_kube_describe(const struct wp_kube_object *o, const char *field, const char *what,
                      struct wp_kube_decode_error *ret);
