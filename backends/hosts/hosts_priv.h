/* Inside hosts: from the text of a hosts file to a table that answers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include "backends/common/job.h"
#include "waypost/base/addr.h"
#include "waypost/base/grace.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/catalog.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"

/* --- text.c: lines of any length, field by field, in a fixed amount of memory ------------------
 */

enum { HOSTS_FIELD_MAX = 1024 }; /* octets; a longer field cannot be a name */

struct hosts_text {
    /* each pair of address and name, in order; a negative return ends the reading */
    int (*fn)(void *arg, const struct wp_addr *addr, const char *name);
    void *arg;
    const char *source; /* "Hosts file "PATH"": what log lines begin with */
    bool quiet;         /* what it complains of was said before */

    char field[HOSTS_FIELD_MAX + 1];
    size_t len;
    bool oversized, comment, has_addr;
    unsigned index; /* fields seen on this line */
    unsigned line;
    struct wp_addr addr;
};
void hosts_text_init(struct hosts_text *t);
/* More octets of the text. 0, or what fn returned. */
int hosts_text_feed(struct hosts_text *t, const char *p, size_t len) WP_MUSTCHECK;
int hosts_text_end(struct hosts_text *t) WP_MUSTCHECK;

/* --- reverse.c ------------------------------------------------------------------------------- */

/* The address a full reverse name stands for (a v4-mapped one as IPv4). */
bool hosts_reverse_address(const struct wp_qname *q, struct wp_addr *ret);

/* --- table.c -----------------------------------------------------------------------------------
 */

/* Names with their addresses, wildcards included, and reverse names. Immutable. */
struct hosts_table {
    struct wp_grace_item grace;
    struct wp_catalog *catalog;
    size_t entries; /* addresses and reverse names */
};
void hosts_table_free(struct hosts_table *t);
/* The name's entry, or that of "*" in place of its first label; NULL: unknown. */
const struct wp_entry *hosts_table_find(const struct hosts_table *t, const struct wp_qname *q);
const struct wp_entry *hosts_table_find_address(const struct hosts_table *t,
                                                const struct wp_addr *a);

struct hosts_maker;
enum hosts_source { HOSTS_FILE, HOSTS_INLINE }; /* added in this order */
struct hosts_maker_config {
    const struct wp_zones *zones; /* names outside are left out */
    uint32_t ttl;
    bool no_reverse;
    uint64_t source; /* of the catalog */
};
int hosts_maker_new(const struct hosts_maker_config *config, struct hosts_maker **ret) WP_MUSTCHECK;
void hosts_maker_free(struct hosts_maker *m);
/* A name that is none is left out. 0 or -ENOMEM. */
int hosts_maker_add(struct hosts_maker *m, enum hosts_source source, const struct wp_addr *addr,
                    const char *name) WP_MUSTCHECK;
int hosts_maker_finish(struct hosts_maker *m, struct hosts_table **ret) WP_MUSTCHECK;

/* --- the instance, and load.c ----------------------------------------------------------------- */

struct wp_series;

struct hosts {
    const char *path;
    struct wp_zones zones;
    struct wp_fall fall;
    bool fall_unsupported, no_reverse, debug;
    uint32_t ttl;
    int64_t reload_ns;
    const char **lines; /* of the Corefile */
    unsigned n_lines, cap_lines;
    uint64_t source;

    struct hosts_table *_Atomic table;
    bool was_read; /* the file; its mtime and size: */
    struct timespec mtime;
    off_t size;
    struct wp_job job;
    struct hosts_table *fresh; /* the job's */
    struct wp_timer timer;
    int64_t loaded_ms, loaded_mtime_ms; /* of the table in use; Unix time */
    struct wp_series *entries_metric, *reload_metric;
};

/* Log what is wrong with the Corefile's lines, once; later reading is silent about them. */
void hosts_tell_lines(const struct hosts *h);
/* Read file and lines: a new table, or NULL when there is nothing new (a file that went away
 * leaves what there was). At start on the main thread, then on the job's. 0 or -ENOMEM. */
int hosts_load(struct hosts *h, struct hosts_table **ret) WP_MUSTCHECK;
