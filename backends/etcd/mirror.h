/* What is kept of an etcd cluster. A mirror is one connection: the endpoints, the prefix, the
 * credentials, the TLS files; a range is what a zone needs of it, with a tree of its own. Both
 * are shared by every block that names the same, live as long as somebody holds them, and so
 * survive a reload. All work is done on the gRPC engine's thread; a question reads the tree. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/health_probe.h"
#include "backends/etcd/endpoint.h"
#include "backends/etcd/tree.h"
#include "waypost/base/err.h"

struct wp_etcd_mirror;

/* What makes one mirror different from another. */
struct wp_etcd_source {
    const char *prefix; /* cleaned: "/skydns", "" for none */
    const struct wp_etcd_endpoint *endpoints;
    unsigned n_endpoints;
    const char *discovery, *discovery_name; /* domain: endpoints come from DNS; NULL: those above */
    bool discovery_secure;                  /* only those with TLS */
    bool tls;
    const char *ca_file, *cert_file, *key_file; /* NULL: system roots, none, none */
    const char *user, *password;                /* both or none */
    const char *state_dir;                      /* NULL: nothing is saved */
    bool keep_lapsed;    /* keys stay when their lease ends while etcd is away */
    bool health;         /* the field `health` counts: */
    struct wp_probe_terms terms;
    struct wp_loop *admin; /* where probes are made; no difference */
    uint64_t max_octets; /* no difference: the last one named counts; 0: none */
};

enum {
    WP_ETCD_STALE_S = 30, /* out of step for longer: answers say so */
    WP_ETCD_START_WAIT_MS = 2000,
    WP_ETCD_SAVED_WAIT_MS = 500, /* the same when there is saved data */
    WP_ETCD_SAVED_TTL_S = 30,    /* of answers made from it, at most */
    WP_ETCD_REPLACE_WAIT_MS = 30000, /* while another mirror's data is served */
    WP_ETCD_MESSAGE_MAX = 64 << 20,
};

struct wp_etcd_range {
    struct wp_etcd_tree *tree;
    atomic_bool loaded; /* once true it stays */
    atomic_bool saved;  /* data of an earlier run is there: served until `loaded` */
    _Atomic int64_t saved_known_ns; /* when it was last known to be good, on the loops' clock */
    bool replaces;      /* when it was made, another mirror served this zone of the server */
    struct wp_etcd_mirror *mirror;
    struct wp_etcd_range_own *own; /* mirror_priv.h */
};

/* The range that holds everything at and below `base` (a path, "" for the root); `server` labels
 * the metric of who uses it. Main thread. 0, -ENOMEM, or WP_EUNSUPPORTED with errbuf: no gRPC
 * module. */
int wp_etcd_range_get(const struct wp_etcd_source *src, const char *base, const char *server,
                      char errbuf[256], struct wp_etcd_range **ret) WP_MUSTCHECK;
/* No query holds a view of it any more. Main thread; waits until it is gone. Accepts NULL. */
void wp_etcd_range_put(struct wp_etcd_range *r);
/* Wait until the range is loaded, or saved data is there and etcd takes longer than
 * WP_ETCD_SAVED_WAIT_MS, or every endpoint has failed once (unless it replaces another:
 * the data of that one is served meanwhile), or the time is over, or the process is told to end.
 * Main thread. */
void wp_etcd_range_wait(struct wp_etcd_range *r, unsigned timeout_ms);

/* Key of wp_changed that changes when the range becomes loaded or stale, or stops being stale. */
uint64_t wp_etcd_range_state_key(const struct wp_etcd_range *r);
static inline bool wp_etcd_range_is_loaded(const struct wp_etcd_range *r)
{
    return atomic_load_explicit(&((struct wp_etcd_range *)(uintptr_t)r)->loaded,
                                memory_order_acquire);
}
/* Loaded, or saved data is there. */
static inline bool wp_etcd_range_has_data(const struct wp_etcd_range *r)
{
    return wp_etcd_range_is_loaded(r) ||
           atomic_load_explicit(&((struct wp_etcd_range *)(uintptr_t)r)->saved,
                                memory_order_acquire);
}
/* "loading", "saved", "in step", "behind" (for less than WP_ETCD_STALE_S), "stale". Any thread. */
const char *wp_etcd_range_state_text(const struct wp_etcd_range *r, uint64_t now_ns);
/* Seconds since the data was last in step with etcd; 0 while it is. Any thread. */
uint64_t wp_etcd_range_behind_s(const struct wp_etcd_range *r, uint64_t now_ns);
