/* Everything of one cluster that answers are made from, in memory. One thread writes; the
 * workers read without locks, within one turn of their loop (waypost/base/grace.h).
 *
 * The unit of reading is the place: whatever is known under one NAMESPACE/NAME, which is the
 * Service, the ServiceImport, and the slices of both. A place is immutable. A change of any part
 * builds a new one and swaps a pointer, so that a reader never meets half of an event; a plain
 * service costs one probe and one block of memory. Reverse look-ups go through three more
 * tables: addresses of services, addresses of endpoints, addresses of pods.
 *
 * A relist is applied as a difference to the live data: objects are marked when they are listed,
 * and what was not marked goes at the end. There is never a second copy. */
#pragma once
#include "backends/kubernetes/object.h"
#include "backends/kubernetes/place.h"
#include "backends/kubernetes/pod.h"
#include "backends/kubernetes/slice.h"
#include "waypost/base/err.h"
#include "waypost/plugin/change.h"

struct wp_kube_store;
struct wp_kube_table;
struct wp_kube_index;

/* source: for the keys of wp_changed. */
struct wp_kube_store_config {
    uint64_t source;
    bool labels; /* keep the labels of pods */
};
int wp_kube_store_new(const struct wp_kube_store_config *c,
                      struct wp_kube_store **ret) WP_MUSTCHECK;
void wp_kube_store_free(struct wp_kube_store *s); /* no reader left */

/* --- writer: one thread ---------------------------------------------------------------------- */

/* ADDED, MODIFIED, or an item of a listing. 1: something was stored. 0: the same resourceVersion,
 * nothing was looked at, or the object is not to be taken (a pod that is being deleted, a
 * bookmark).
 * -ENOMEM: nothing has changed. now_s: wall clock, for the serials. */
int wp_kube_store_put(struct wp_kube_store *s, const struct wp_kube_object *o,
                      uint32_t now_s) WP_MUSTCHECK;
/* DELETED: only collection, ns and name of the object are looked at. 1, 0 (it was not there),
 * -ENOMEM: nothing has changed. */
int wp_kube_store_remove(struct wp_kube_store *s, const struct wp_kube_object *o,
                         uint32_t now_s) WP_MUSTCHECK;

/* An item of a listing that is not put: it counts as listed if it is there. 1: it is there with the
 * same resourceVersion, and putting it would change nothing; else 0. */
int wp_kube_store_touch(struct wp_kube_store *s, const struct wp_kube_object *o);

/* A full listing of one collection: begin, put each object, then end, which removes what was not
 * put since, and counts it. -ENOMEM from end: part of it may be gone already, call it again. A
 * listing that breaks off needs no call: the next begin starts afresh, and nothing is removed. */
void wp_kube_store_list_begin(struct wp_kube_store *s, enum wp_kube_collection c);
int wp_kube_store_list_end(struct wp_kube_store *s, enum wp_kube_collection c, uint32_t now_s,
                           size_t *ret_removed) WP_MUSTCHECK;

/* Give the grace periods what was replaced, and free what no reader can see any more: after each
 * batch of events, and again later while it returns more than 0 blocks that wait. */
size_t wp_kube_store_reap(struct wp_kube_store *s);

/* --- figures: any thread --------------------------------------------------------------------- */

struct wp_kube_figures {
    size_t objects, octets; /* octets: of the heap; imports count under services */
};
struct wp_kube_figures wp_kube_store_figures(const struct wp_kube_store *s,
                                             enum wp_kube_collection c);
size_t wp_kube_store_endpoints(const struct wp_kube_store *s); /* addresses in both slice kinds */
size_t wp_kube_store_octets(const struct wp_kube_store *s);    /* everything */

/* Unix seconds of the last change, 0 before the first one. An object that comes or goes counts
 * for the internal serial; imports and their slices also for the multicluster one; services with
 * addresses outside also for the external one. What a modification must touch to count: */
enum wp_kube_serial {
    WP_KUBE_SERIAL_INTERNAL, /* Service: external name, ports. Slice: endpoints, ports. Pod: IPs */
    WP_KUBE_SERIAL_MULTICLUSTER, /* ServiceImport: type, ports. Its slices: endpoints, ports */
    WP_KUBE_SERIAL_EXTERNAL,     /* Service: external name, ports, external addresses */
    WP_KUBE_SERIALS
};
uint32_t wp_kube_store_serial(const struct wp_kube_store *s, enum wp_kube_serial which);

/* --- keys: what an answer depends on; wp_query_depends with them BEFORE the data is read ----- */

/* Of a place, there or not. ns and name as asked, in lower case. */
uint64_t wp_kube_place_hash(const char *ns, size_t ns_len, const char *name, size_t name_len);
uint64_t wp_kube_place_key(const struct wp_kube_store *s, uint64_t place_hash);
/* Of a namespace: is it present? */
uint64_t wp_kube_namespace_key(const struct wp_kube_store *s, const char *ns, size_t len);
/* Of the namespace of a place, without hashing its name. */
uint64_t wp_kube_place_namespace_key(const struct wp_kube_store *s, const struct wp_kube_place *p);
/* Of an address: services and endpoints that have it (reverse look-ups, own address). */
uint64_t wp_kube_addr_key(const struct wp_kube_store *s, const struct wp_kube_addr *a);
/* Of an address: pods that have it. */
uint64_t wp_kube_pod_key(const struct wp_kube_store *s, const struct wp_kube_addr *a);

/* --- readers: within one turn of a worker's loop --------------------------------------------- */

/* Bring what wp_kube_place_find will touch first nearer. */
void wp_kube_place_prefetch(const struct wp_kube_store *s, uint64_t hash);
/* Some time later: bring the place itself nearer. */
void wp_kube_place_prefetch_content(const struct wp_kube_store *s, uint64_t hash);
/* NULL: nothing under that name. ns and name in lower case, hash of both. */
const struct wp_kube_place *wp_kube_place_find(const struct wp_kube_store *s, uint64_t hash,
                                               const char *ns, size_t ns_len, const char *name,
                                               size_t name_len);
/* All places, in no order: start with *at 0; NULL at the end. Over several turns as long as
 * wp_kube_place_tables, looked at after each call, is even and the same: else begin again. What is there
 * all the time is met once; what comes and goes meanwhile may be met, also twice. */
const struct wp_kube_place *wp_kube_place_each(const struct wp_kube_store *s, size_t *at);
unsigned wp_kube_place_tables(const struct wp_kube_store *s);

/* Is it in the namespace collection? For one that was found, wp_kube_place_namespace_present. */
bool wp_kube_namespace_present(const struct wp_kube_store *s, const char *ns, size_t len);

/* Who has an address. Start with wp_kube_hits, then ask for the next one until NULL. Addresses
 * compare by text, as in CoreDNS: wp_kube_addr_from_text makes the comparable form. No order. */
struct wp_kube_hits {
    const struct wp_kube_store *store;
    const struct wp_kube_table *table;
    struct wp_kube_addr addr;
    uint64_t hash;
    size_t at;
    const struct wp_kube_index *index;
};
/* Services that have it among their cluster addresses. */
struct wp_kube_hits wp_kube_cluster_ip_hits(const struct wp_kube_store *s,
                                            const struct wp_kube_addr *a);
/* Services that have it among their external addresses. */
struct wp_kube_hits wp_kube_external_ip_hits(const struct wp_kube_store *s,
                                             const struct wp_kube_addr *a);
const struct wp_kube_place *wp_kube_hits_place(struct wp_kube_hits *h);
/* Slices of the Services' collection that have it as the address of a ready endpoint; each slice
 * comes once, *ret_i is its first endpoint with the address. */
struct wp_kube_hits wp_kube_endpoint_hits(const struct wp_kube_store *s,
                                          const struct wp_kube_addr *a);
const struct wp_kube_slice *wp_kube_hits_slice(struct wp_kube_hits *h, size_t *ret_i);
/* Pods that have it. */
struct wp_kube_hits wp_kube_pod_hits(const struct wp_kube_store *s, const struct wp_kube_addr *a);
const struct wp_kube_pod *wp_kube_hits_pod(struct wp_kube_hits *h);
/* `pods verified`: has a pod of the namespace this address? */
bool wp_kube_pod_has(const struct wp_kube_store *s, const char *ns, size_t ns_len,
                     const struct wp_kube_addr *a);
