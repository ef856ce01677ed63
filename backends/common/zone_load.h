/* From a zone file to a zone. What is loaded is remembered process-wide as long as it is in use,
 * so that a reload of the Corefile, or a second block with the same file, takes the zone that is
 * there when its files have not changed. */
#pragma once
#include "backends/common/zone.h"

struct wp_zone_load {
    const char *path;
    const struct wp_name *origin;
    /* a first SOA with this serial means that there is nothing new; -1: take any */
    int64_t known_serial;
    const atomic_bool *cancel; /* set by another thread: give up soon; may be NULL */
    struct wp_arena *arena;    /* of the results below */

    struct wp_zone *zone;             /* one reference, the caller's */
    bool shared;                      /* it was loaded before */
    const struct wp_zone_file *files; /* what was read, also when there was nothing new */
    const char *error;                /* in CoreDNS's words, after WP_ECONFIG */
};
/* Any thread; blocks on files. 0; WP_EEXISTS: the serial is the known one; WP_ECONFIG with
 * `error`; WP_ECANCELLED; -errno: the file cannot be opened or read, or no memory. */
int wp_zone_load(struct wp_zone_load *l) WP_MUSTCHECK;
/* What answers from this file for this zone depend on (change.h). */
uint64_t wp_zone_source(const char *path, const struct wp_name *origin);
/* Are the files what they were? Also false when one is gone. */
bool wp_zone_files_same(const struct wp_zone_file *files);
/* The list, copied into an arena. */
int wp_zone_files_copy(struct wp_arena *a, const struct wp_zone_file *files,
                       const struct wp_zone_file **ret) WP_MUSTCHECK;
/* Called when the last reference is given up. */
void wp_zone_forget(struct wp_zone *z);
/* A file error in Go's words: "open PATH: no such file or directory". */
const char *wp_zone_file_error(struct wp_arena *a, const char *verb, const char *path, int err);
