/* Names and key paths. A name's labels, reversed and joined with "/", are the path of its keys
 * below the configured prefix: svc.east.way.test is "/test/way/east/svc". Paths here are without
 * the prefix; the prefix itself (the root name) is "". Octets that presentation form escapes stand
 * in a path as they are escaped there, and a "/" inside a label separates like any other. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/dns/name.h"

enum { WP_ETCD_PATH_MAX = 1280 }; /* 255 octets, each escaped to four, and a "/" for each label */

struct wp_etcd_path {
    uint16_t len;
    uint16_t stem_len; /* the part before the first wildcard element; len without one */
    bool star;         /* a label is "*" or "any" */
    uint64_t hash;     /* of the path, see wp_etcd_path_hash */
    uint64_t stem_hash;
    char text[WP_ETCD_PATH_MAX];
};

/* The path of a name. Its hash is the name's own where each label is one plain element. */
void wp_etcd_path_set(struct wp_etcd_path *p, const struct wp_qname *q);

/* The hash of a path: that of the name it belongs to. `start` and its hash may be those of any
 * prefix of the path that ends before a "/"; 0 and wp_name_hash_root() for the whole. */
uint64_t wp_etcd_path_hash(const char *path, size_t len, size_t start, uint64_t hash);

/* Does a key at or below the stem lie at or below the path with its wildcard elements? */
bool wp_etcd_path_match(const struct wp_etcd_path *p, const char *key, size_t len);

/* The name that a key stands for: elements reversed, a trailing "/" tolerated, spelled as in the
 * key. WP_EMALFORMED when that is no name. */
int wp_etcd_path_name(const char *key, size_t len, struct wp_name *ret) WP_MUSTCHECK;

/* Why the key stands for no name, and at which of its octets; NULL: it stands for one. */
const char *wp_etcd_path_flaw(const char *key, size_t len, size_t *ret_at) WP_MUSTCHECK;
/* Octets of a key for a log line: what does not print is \xHH, and what is too long is cut. */
enum { WP_ETCD_SHOWN = 600 };
const char *wp_etcd_path_show(const char *key, size_t len, char out[WP_ETCD_SHOWN]);

/* Cleaned as Go's path.Join does, with one leading slash, "" for the root: how a prefix from
 * the configuration is used. out holds cap octets; WP_ESPACE. */
int wp_etcd_path_clean(const char *text, char *out, size_t cap) WP_MUSTCHECK;
