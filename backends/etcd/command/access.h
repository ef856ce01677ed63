/* Which cluster a command talks to: its options, else a Corefile's block, else what etcdctl would
 * take from the environment. */
#pragma once
#include "backends/etcd/mirror.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/command.h"

/* The first member of every command's options. */
struct etcd_access {
    struct wp_words endpoints;
    const char *path, *cacert, *cert, *key, *credentials_file, *zone;
    bool json;
};
extern const struct wp_arg etcd_access_args[];

/* What a command works with, in the arena; `who` names it in what is printed. */
struct etcd_place {
    const char *who;
    struct wp_arena *arena;
    struct wp_etcd_source src;
};
/* name: of several blocks of the Corefile the one that serves it, NULL: the first. 0, or a
 * negative error that has been told. */
int etcd_access_open(const struct etcd_access *a, const struct wp_command_line *line,
                     const struct wp_name *name, struct etcd_place *to) WP_MUSTCHECK;
/* A name of the line with --zone behind it, lower case. The same. */
int etcd_access_name(const struct etcd_access *a, const char *who, const char *text,
                     struct wp_name *ret) WP_MUSTCHECK;
/* "PREFIX/dev/web", the key of a name; NULL: no memory. */
char *etcd_access_key(const struct etcd_place *p, const struct wp_name *name);
/* "waypost WHO: text" on stderr. Returns WP_ECONFIG. */
int etcd_say(const char *who, const char *fmt, ...) WP_PRINTF(2, 3);
/* What this thread says from now on goes to `to`, without "waypost WHO: "; NULL: to stderr again. */
enum { ETCD_SAID = 512 };
void etcd_say_to(char to[ETCD_SAID]);
