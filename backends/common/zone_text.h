/* Zone text (RFC 1035 s5, RFC 2308 s4) record by record: $ORIGIN, $TTL, $INCLUDE, $GENERATE,
 * comments, parentheses, quoted strings, TTL and class in either order. Where masters differ
 * it reads as miekg/dns does, so that a file means here what it means to CoreDNS. Blocks on
 * files: for set-up and helper threads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include "waypost/base/arena.h"
#include "waypost/dns/name.h"

/* One record, valid during the call. */
struct wp_zone_rr {
    const struct wp_name *owner; /* absolute, case as written */
    const uint8_t *rdata;
    size_t rdlen;
    uint32_t ttl;
    uint16_t type, cls;
    const char *file;
    unsigned line; /* where the record begins */
};
/* Returns 0 to go on; anything else ends the reading and is returned. */
typedef int wp_zone_rr_fn(void *arg, const struct wp_zone_rr *rr);

/* A file that was read, for asking later whether it has changed. */
struct wp_zone_file {
    struct wp_zone_file *next;
    const char *path;
    uint64_t device, inode, size;
    int64_t mtime_ns;
};
void wp_zone_file_stat(struct wp_zone_file *f, const struct stat *st);

struct wp_zone_text {
    struct wp_arena *arena; /* of `files` and `error`; set by the caller */
    wp_zone_rr_fn *fn;
    void *arg;
    bool no_files;              /* refuse $INCLUDE */
    struct wp_zone_file *files; /* the main file and what it includes; NULL for memory */
    const char *error;          /* "PATH: dns: WHAT: "TOKEN" at line: N", after WP_EMALFORMED */
};

/* The text of an errno as Go words it: "no such file or directory". Returns out. */
const char *wp_zone_errno_text(int err, char *out, size_t cap);

enum {
    WP_ZONE_INCLUDE_DEPTH = 7,
    WP_ZONE_LINE_MAX = 1 << 20,   /* octets of one record's text */
    WP_ZONE_GENERATE_MAX = 65536, /* records of one $GENERATE */
};

/* Read a file. 0; what fn returned; WP_EMALFORMED with `error`; -errno: the main file cannot be
 * opened or read (-ENOMEM too). */
int wp_zone_text_read(struct wp_zone_text *t, const char *path,
                      const struct wp_name *origin) WP_MUSTCHECK;
/* The same from memory; `path` is for messages and the place that $INCLUDE starts from. */
int wp_zone_text_read_memory(struct wp_zone_text *t, const char *text, size_t len, const char *path,
                             const struct wp_name *origin) WP_MUSTCHECK;
