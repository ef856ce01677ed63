/* Tags that say what SRV has of an instance: "dns-priority=5", "dns-weight=20", 0 to 65535; of several the last
 * one counts. One whose number is none is passed over, and logged once for each registration: a registration is
 * what has this ID and ModifyIndex. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/nomad/decode.h"

enum { WP_NOMAD_BAD_TAGS_MAX = 256 }; /* registrations; beyond that none is logged any more */

/* Which registrations have been told of. Zeroed: none. */
struct wp_nomad_bad_tags {
    uint64_t *told; /* a hash set; 0: free */
    size_t n;
};
void wp_nomad_bad_tags_done(struct wp_nomad_bad_tags *b);

/* Priority and weight are as before where no tag says better. */
void wp_nomad_tags_weigh(struct wp_nomad_bad_tags *b, const struct wp_nomad_registration *r,
                         uint16_t *priority, uint16_t *weight);
