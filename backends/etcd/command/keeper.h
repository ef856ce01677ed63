/* Keys under a lease, for as long as they are wanted: granted, put, kept alive by a thread. A lease
 * that is gone is replaced; one that lives is never left, so that no late write of an old call can
 * undo a new one: etcd refuses writes under a dead lease. */
#pragma once
#include "backends/etcd/command/client.h"
#include "backends/etcd/command/tell.h"

struct etcd_keeper;

struct etcd_pair {
    char *key, *value;
};
struct etcd_keeper_config {
    const struct wp_etcd_source *src;
    const struct etcd_pair *pairs; /* outlive the keeper, like everything here */
    unsigned n_pairs;
    int64_t ttl_s;
    const struct etcd_teller *teller;
};
/* Nothing is done before the first want. 0 or a negative error with why. */
int etcd_keeper_start(const struct etcd_keeper_config *config, char why[256],
                      struct etcd_keeper **ret) WP_MUSTCHECK;
/* Shall the keys be there? Any thread. */
void etcd_keeper_want(struct etcd_keeper *k, bool up);
/* They shall not, whatever is wanted from now on. Any thread. */
void etcd_keeper_close(struct etcd_keeper *k);
/* Take them away, trying no longer than this, and end. False: gRPC's threads are still there, not to
 * keep the process waiting, and it must end by _exit. Accepts NULL. */
bool etcd_keeper_stop(struct etcd_keeper *k, unsigned timeout_ms);
