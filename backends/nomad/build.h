/* From registrations, as they are decoded, to a service that can be published. One service at a time; the
 * memory is kept for the next one. One thread. */
#pragma once
#include "backends/nomad/decode.h"
#include "backends/nomad/store.h"
#include "backends/nomad/tags.h"

struct wp_nomad_build {
    bool tags, weights; /* set by the owner: what is kept of tags */
    /* Does a check of this instance fail? NULL: none does. */
    bool (*is_unhealthy)(void *arg, const struct wp_nomad_registration *r);
    void *arg;
    struct wp_nomad_bad_tags bad_tags;
    struct wp_nomad_instance *at;
    size_t n, cap;
    char *octets;
    size_t len, octets_cap;
};
enum { WP_NOMAD_INSTANCES_MAX = 1 << 20 }; /* of one service */

void wp_nomad_build_done(struct wp_nomad_build *b);
void wp_nomad_build_begin(struct wp_nomad_build *b);
/* As a wp_nomad_registration_fn: -ENOMEM; WP_ELIMIT past WP_NOMAD_INSTANCES_MAX. */
int wp_nomad_build_add(void *build, const struct wp_nomad_registration *r) WP_MUSTCHECK;
/* What was added, under this name; hash and digest are set. NULL: memory. */
struct wp_nomad_service *wp_nomad_build_end(struct wp_nomad_build *b, uint64_t hash, const char *name,
                                            size_t name_len, const char *namespace,
                                            size_t namespace_len);
