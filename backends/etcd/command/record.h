/* What `register` writes: keys and values. */
#pragma once
#include "backends/etcd/command/access.h"
#include "backends/etcd/command/keeper.h"

struct etcd_record {
    const char *address;             /* as given */
    uint16_t port;                   /* 0: the name has none, and is left out of SRV */
    int64_t priority, weight, ttl_s; /* 0: not told */
    const char *text;                /* or NULL */
    struct wp_words tags;
};
/* Is it one? An error has been told. */
int etcd_record_check(const struct etcd_record *r, const char *who) WP_MUSTCHECK;
/* May it be registered? An error has been told. */
int etcd_record_name_check(const struct wp_name *name, const char *who) WP_MUSTCHECK;
/* The pairs, in the place's arena: one for each tag, or one; one more for a text. Each key ends in
 * a label that no other replica has. -ENOMEM, -errno of the random numbers, or WP_ECONFIG, told. */
int etcd_record_pairs(const struct etcd_record *r, const struct etcd_place *p,
                      const struct wp_name *name, struct etcd_pair **ret,
                      unsigned *ret_n) WP_MUSTCHECK;
