/* loadbalance: the instance, and what its files share. */
#pragma once
#include <pthread.h>
#include "waypost/base/grace.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"

/* Weights of one domain; a file's worth is immutable once published. */
struct lb_domain {
    const uint8_t *name; /* as written: compared with case */
    struct lb_weight {
        struct wp_addr addr;
        uint8_t weight;
    } *weights;
    unsigned n;
};
struct lb_weights {
    struct wp_grace_item grace; /* first */
    struct wp_arena arena;
    struct lb_domain *domains;
    unsigned n;
};

struct loadbalance {
    const char *file;       /* weighted; NULL: round robin */
    int64_t reload_ns;
    struct wp_cidr *prefer;
    unsigned n_prefer;
    _Atomic(struct lb_weights *) weights;
    uint64_t digest;        /* of the file in use; admin thread */
    struct wp_timer timer;
    struct wp_env *env;
};

/* Read a weight file: 0, or negative with the reason in why. */
int lb_weights_read(const char *path, struct lb_weights **ret, uint64_t *ret_digest, char why[256]);
void lb_weights_free(struct lb_weights *w);
/* 1 when not listed. */
unsigned lb_weight_of(const struct lb_weights *w, const struct wp_rr *rr);
/* Address of an A or AAAA record; false: another type. */
bool lb_address(const struct wp_rr *rr, struct wp_addr *ret);

/* Order one section of a view by class: aliases, others, addresses, MX; addresses and MX
 * shuffled, or one address drawn by weight to the front. */
void lb_order(const struct loadbalance *p, struct wp_rr *rr, size_t n, bool weighted);
void lb_prefer(const struct loadbalance *p, struct wp_rr *rr, size_t n);
/* Shuffle addresses where they stand in the wire; false: it cannot be done in place. */
bool lb_shuffle_wire(struct wp_query *q);
