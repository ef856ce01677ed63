/* Many records, each under a lease of its own, so that each comes and goes alone: granted, put,
 * kept alive on one stream, taken away. What is wanted may be said from any thread; everything is
 * done on the engine's, so much at a time. As with a keeper, a lease that may still be written
 * under by a call whose end is not known is not used for other keys: it is revoked first. */
#pragma once
#include "backends/etcd/command/keeper.h"

struct etcd_fleet;
struct etcd_fleet_item;

/* src and what it points at outlive the fleet. 0, -ENOMEM, or WP_EUNSUPPORTED with why. */
int etcd_fleet_new(const struct wp_etcd_source *src, bool json, char why[256],
                   struct etcd_fleet **ret) WP_MUSTCHECK;
/* Take all away, trying no longer than this; *ret_left: records that end with their leases.
 * False: gRPC's threads are still there, and the process must end by _exit. Accepts NULL. */
bool etcd_fleet_stop(struct etcd_fleet *f, unsigned timeout_ms, unsigned *ret_left);

/* What a record is. All is copied. */
struct etcd_fleet_record {
    const char *name; /* in what is told of it */
    const struct etcd_pair *pairs;
    unsigned n_pairs;
    int64_t ttl_s;
};
/* 0 or -ENOMEM. */
int etcd_fleet_add(struct etcd_fleet *f, const struct etcd_fleet_record *r, bool up,
                   struct etcd_fleet_item **ret) WP_MUSTCHECK;
/* Other keys in the place of the old ones: in one revision, but where another ttl wants another
 * lease. 0 or -ENOMEM. */
int etcd_fleet_replace(struct etcd_fleet_item *item,
                       const struct etcd_fleet_record *r) WP_MUSTCHECK;
void etcd_fleet_want(struct etcd_fleet_item *item, bool up);
/* The item must not be used any more. */
void etcd_fleet_remove(struct etcd_fleet_item *item);

struct etcd_fleet_look {
    bool standing; /* the keys are there */
    int64_t lease; /* 0: none */
    char why[200]; /* what failed last, "" when nothing does */
};
void etcd_fleet_look(const struct etcd_fleet_item *item, struct etcd_fleet_look *ret);
