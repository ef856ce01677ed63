/* The mirror of one range of keys: a list of records in key order that readers walk without a
 * lock, and an index from names to places in it. One thread writes.
 *
 * What a reader sees is one revision, however large the change. Each record carries the epoch in
 * which it came (birth) and the one in which it went (death); a change is a batch of records
 * linked in beside what they replace, and becomes visible all at once when the tree's epoch moves
 * on (wp_etcd_tree_publish). Readers take the epoch once (wp_etcd_snap) and skip what it does not
 * hold. The dead are taken out of the list when no reader can have an older epoch any more, and
 * freed a grace period later (wp_etcd_tree_reap).
 *
 * The index is one table of tagged pointers. The slot of a key leads to its newest record, the
 * slot of a path with keys below leads to the first of them; since the keys below a path are
 * neighbours, that is all a subtree needs, and a path costs one slot of eight octets. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/etcd/path.h"
#include "backends/etcd/record.h"
#include "waypost/base/grace.h"

struct wp_etcd_tree;

/* source: key of wp_changed for everything in it. drop(arg, lease): a record that is freed gives
 * its lease back. base: the shortest path that may be asked for; names above it are not marked
 * as changed. */
struct wp_etcd_tree_config {
    uint64_t source;
    const char *base;
    void (*drop)(void *arg, struct wp_etcd_lease *lease);
    void (*drop_check)(void *arg, struct wp_etcd_check *check); /* NULL: there are none */
    void *arg;
};
int wp_etcd_tree_new(const struct wp_etcd_tree_config *c, struct wp_etcd_tree **ret) WP_MUSTCHECK;
void wp_etcd_tree_free(struct wp_etcd_tree *t); /* no reader left */

/* --- writer: one thread -------------------------------------------------------------------- */

/* Changes of the batch that is open; nobody sees them before wp_etcd_tree_publish. A put takes over
 * the caller's references to lease and check when it returns 1. An event that is not newer than what
 * is there is ignored: 0. 1 when the batch has changed. -ENOMEM: nothing has changed.
 * Keys are below the prefix, with leading slash, at most WP_ETCD_KEY_MAX octets. */
int wp_etcd_tree_put(struct wp_etcd_tree *t, const char *key, size_t len,
                     const struct wp_etcd_value *v, struct wp_etcd_lease *lease,
                     int64_t mod_revision) WP_MUSTCHECK;
int wp_etcd_tree_del(struct wp_etcd_tree *t, const char *key, size_t len,
                     int64_t mod_revision) WP_MUSTCHECK;

/* A listing of [from, to) against what is there: between begin and end each key of the listing is
 * told, in order, with wp_etcd_tree_listed or, when that says that it is not the same, put.
 * What was not told dies at the end. A listing may be begun again at any time. */
void wp_etcd_tree_list_begin(struct wp_etcd_tree *t);
/* The key is there with this very revision and lease number: nothing to read. */
bool wp_etcd_tree_listed(struct wp_etcd_tree *t, const char *key, size_t len, int64_t mod_revision,
                         int64_t lease_id);
/* As wp_etcd_tree_put, whatever revision the record there has. */
int wp_etcd_tree_list_put(struct wp_etcd_tree *t, const char *key, size_t len,
                          const struct wp_etcd_value *v, struct wp_etcd_lease *lease,
                          int64_t mod_revision) WP_MUSTCHECK;
int wp_etcd_tree_list_end(struct wp_etcd_tree *t) WP_MUSTCHECK;

/* In the open batch, the newest record of a key in a copy that is not shown for these reasons (enum
 * wp_etcd_out), or is shown when there are none: it keeps its place against events and listings.
 * The record given dies. -ENOMEM: nothing has changed. */
int wp_etcd_tree_out(struct wp_etcd_tree *t, struct wp_etcd_rec *rec, unsigned out) WP_MUSTCHECK;
/* Has the open batch something in it? After the first publication. */
bool wp_etcd_tree_is_open(const struct wp_etcd_tree *t);

/* The open batch did not happen: what is published is all there is. -ENOMEM: nothing was done. */
int wp_etcd_tree_discard(struct wp_etcd_tree *t) WP_MUSTCHECK;

/* The newest state against a listing at `revision`, piece by piece: from, then each key that is
 * listed, in order, then the rest below a prefix. Nothing may change between the calls of a
 * piece. differs: listed or held is 0 where there is no such key. */
struct wp_etcd_compare {
    struct wp_etcd_tree *tree;
    int64_t revision;
    void (*differs)(void *arg, const char *key, size_t len, int64_t listed, int64_t held);
    void *arg;
    const struct wp_etcd_rec *at;
};
void wp_etcd_compare_from(struct wp_etcd_compare *c, const char *key, size_t len);
void wp_etcd_compare_listed(struct wp_etcd_compare *c, const char *key, size_t len,
                            int64_t mod_revision);
void wp_etcd_compare_self(struct wp_etcd_compare *c, const char *key, size_t len); /* not listed */
void wp_etcd_compare_rest(struct wp_etcd_compare *c, const char *prefix, size_t len);

struct wp_etcd_batch_size {
    size_t added, changed, removed;
};
/* Make the batch visible and mark every name whose answers may differ (wp_changed), unless
 * `quiet`: nothing was there to be remembered. */
void wp_etcd_tree_publish(struct wp_etcd_tree *t, bool quiet, struct wp_etcd_batch_size *ret);
struct wp_etcd_batch_size wp_etcd_tree_pending(const struct wp_etcd_tree *t);
/* Take out and free what no reader can see any more. Returns how many records still wait: call
 * again later. */
size_t wp_etcd_tree_reap(struct wp_etcd_tree *t);

/* Figures, of the newest state; writer's thread (octets and keys: any thread). */
size_t wp_etcd_tree_keys(const struct wp_etcd_tree *t);
size_t wp_etcd_tree_bad(const struct wp_etcd_tree *t);
/* Of the keys, those that are out for a reason. Any thread. */
size_t wp_etcd_tree_outs(const struct wp_etcd_tree *t, enum wp_etcd_out why);
size_t wp_etcd_tree_octets(const struct wp_etcd_tree *t);
/* While it is pinned no record leaves the list: a walk may go on after other work. */
void wp_etcd_tree_pin(struct wp_etcd_tree *t);
void wp_etcd_tree_unpin(struct wp_etcd_tree *t);
/* Of these, what goes when the batch is shown and readers have passed. */
size_t wp_etcd_tree_octets_dead(const struct wp_etcd_tree *t);
/* The newest record of a key, or NULL; and the records in order. Writer's thread. */
struct wp_etcd_rec *wp_etcd_tree_newest(struct wp_etcd_tree *t, const char *key, size_t len);
const struct wp_etcd_rec *wp_etcd_tree_after(const struct wp_etcd_tree *t,
                                             const struct wp_etcd_rec *r);

/* --- readers: within one turn of a worker's loop ---------------------------------------------- */

struct wp_etcd_snap {
    const struct wp_etcd_tree *tree;
    uint64_t epoch;
};
struct wp_etcd_snap wp_etcd_tree_snap(const struct wp_etcd_tree *t);
/* The same with the unwell. */
static inline struct wp_etcd_snap wp_etcd_snap_with_unwell(const struct wp_etcd_snap *s)
{
    return (struct wp_etcd_snap){s->tree, s->epoch | WP_ETCD_BIRTH_UNWELL};
}
uint64_t wp_etcd_tree_source(const struct wp_etcd_tree *t);

/* The record whose key is the path, or NULL. */
const struct wp_etcd_rec *wp_etcd_snap_key(const struct wp_etcd_snap *s, const char *path,
                                           size_t len, uint64_t hash);
/* All records, in key order, also those that are not shown: the one after r, the first one after
 * NULL. Writer's thread, or within one turn. */
const struct wp_etcd_rec *wp_etcd_snap_after(const struct wp_etcd_snap *s,
                                             const struct wp_etcd_rec *r);
/* Walk the records below a path, in key order. */
struct wp_etcd_walk {
    const struct wp_etcd_rec *at; /* next to look at */
    const char *path;
    uint64_t epoch;
    size_t len;
};
void wp_etcd_snap_walk(const struct wp_etcd_snap *s, const char *path, size_t len, uint64_t hash,
                       struct wp_etcd_walk *ret);
/* The next record, NULL at the end. Every record looked at takes one from *budget, seen or
 * not; NULL with *budget 0 means that the walk was cut short. */
const struct wp_etcd_rec *wp_etcd_walk_next(struct wp_etcd_walk *w, size_t *budget);
