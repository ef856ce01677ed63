/* The keys of a name as a command reads them, and what is printed of them. */
#pragma once
#include <stdio.h>
#include "backends/etcd/command/access.h"
#include "backends/etcd/command/client.h"
#include "backends/etcd/record.h"

struct etcd_key {
    const char *key; /* whole; NUL-terminated too */
    size_t len;
    const char *value;
    size_t value_len;
    int64_t lease, revision;
    int64_t left_s; /* of the lease; -1: not known or none */
};
struct etcd_keys {
    struct etcd_key *at;
    size_t n;
    size_t skip; /* octets of the prefix that begins each key */
};
/* Everything at and below the name, in the order of keys, at one revision. A gRPC status. */
int etcd_keys_read(struct wp_etcd_client *c, const struct etcd_place *p, const struct wp_name *name,
                   struct etcd_keys *ret) WP_MUSTCHECK;
/* What is left of every lease among them. A server that does not tell leaves -1. A gRPC status. */
int etcd_keys_ask_leases(struct wp_etcd_client *c, const struct etcd_place *p,
                         struct etcd_keys *keys) WP_MUSTCHECK;

/* A key's name and value taken apart. */
struct etcd_entry {
    char name[WP_NAME_TEXT_MAX]; /* "" when the key is no name */
    char host[WP_NAME_TEXT_MAX]; /* "" when there is none */
    struct wp_etcd_value v;
    struct wp_etcd_scratch scratch;
    bool is_bad; /* nothing can be served of it: */
    struct wp_etcd_flaw flaw;
    bool in_key; /* the flaw is the key's, not the value's */
};
/* 0, or -ENOMEM. Strings live until the entry is done. */
int etcd_entry_read(const struct etcd_keys *keys, const struct etcd_key *k,
                    struct etcd_entry *ret) WP_MUSTCHECK;
void etcd_entry_done(struct etcd_entry *e);

/* Octets in quotes. */
void etcd_put_json(FILE *out, const char *text, size_t len);
/* A member that is not the first; 0 is not told. */
void etcd_put_number(FILE *out, const char *name, int64_t n);
/* Octets that a terminal may see: others as \xNN. Returns the columns. */
int etcd_put_text(FILE *out, const char *text, size_t len);

enum { ETCD_EXIT_OK, ETCD_EXIT_NONE, ETCD_EXIT_USAGE, ETCD_EXIT_AWAY };
/* Opens the place of a command that looks at keys; text: the name, NULL: the zone or everything.
 * 0, or the exit code, told. */
int etcd_look(const struct etcd_access *a, const struct wp_command_line *line, const char *text,
              struct etcd_place *p, struct wp_name *ret_name, struct wp_etcd_client **ret);
/* A call failed: tell. ETCD_EXIT_AWAY. */
int etcd_failed(const struct etcd_place *p, const struct wp_etcd_client *c);
