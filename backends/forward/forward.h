/* Inside backends/forward. One instance serves a server block and holds its `forward` stanzas in
 * Corefile order. */
#pragma once
#include <stdatomic.h>
#include "backends/common/client_tls.h"
#include "backends/common/upstream.h"
#include "waypost/base/grace.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/plugin.h"

enum {
    FORWARD_TO_MAX = 15,        /* words after FROM, as in CoreDNS */
    FORWARD_UPSTREAMS_MAX = 64, /* what they may stand for together */
    FORWARD_RESOLVERS_MAX = 15,
    FORWARD_WINDOW_S = 5,     /* of one query, all tries together */
    FORWARD_WATCH_S = 1,      /* how often files of name servers are looked at */
    FORWARD_TLS_WATCH_S = 10, /* and certificate files */
};

enum forward_policy { FORWARD_RANDOM, FORWARD_ROUND_ROBIN, FORWARD_SEQUENTIAL };

/* One word after FROM. */
enum forward_to_kind { FORWARD_TO_ADDR, FORWARD_TO_FILE, FORWARD_TO_NAME };
struct forward_to {
    enum forward_to_kind kind;
    enum wp_upstream_kind transport;
    struct wp_addr addr;     /* ADDR; NAME: only the port */
    const char *server_name; /* after '%', or NULL */
    const char *name;        /* NAME: host; FILE: path */
    const char *word;        /* as written */
};

/* A server that was found, before an upstream is made of it. */
struct forward_found {
    enum wp_upstream_kind transport;
    struct wp_addr addr;
    const char *server_name;
};

/* What a worker picks from; replaced as a whole when a file changes. */
struct forward_list {
    struct wp_grace_item grace;
    unsigned n;
    struct wp_upstream *up[FORWARD_UPSTREAMS_MAX];
};

struct forward_stanza {
    struct forward *forward;
    struct forward_stanza *next;
    unsigned index;
    const struct wp_line *line;
    const uint8_t *from;
    uint8_t from_len;
    struct wp_zones except;
    struct forward_to to[FORWARD_TO_MAX];
    unsigned n_to;
    unsigned n_words; /* TO arguments as written */
    bool has_files;
    /* options */
    bool force_tcp, prefer_udp, next_on_nodata, failfast;
    uint32_t max_fails;
    int64_t attempts; /* max_connect_attempts; WP_UNSET: twice the upstreams */
    enum forward_policy policy;
    uint32_t next_rcodes, failover_rcodes; /* a bit for each rcode up to 23 */
    int64_t max_concurrent;
    const char *max_concurrent_text;
    struct wp_addr resolver[FORWARD_RESOLVERS_MAX];
    unsigned n_resolvers;
    struct wp_client_tls client_tls;
    const char *tls_servername;
    struct wp_upstream_profile profile;
    struct wp_tls_ctx *tls, *https;
    /* from check() on: addresses and resolved names; files stand in `to` */
    struct forward_found *found;
    unsigned *found_of; /* which word each came from */
    unsigned n_found;
    /* running */
    _Atomic(struct forward_list *) list;
    _Atomic uint32_t position; /* round_robin */
    _Atomic int64_t concurrent;
};

struct forward_worker;
struct forward_watch;

struct forward {
    struct forward_stanza *first, **last, *current;
    unsigned n;
    struct wp_env *env;
    struct wp_upstreams *set;
    struct forward_worker **workers;
    struct forward_watch *watch; /* admin's, or NULL */
    struct wp_series *broken, *rejects;
};

extern const struct wp_option forward_options[];

/* --- to.c: what the words after FROM mean -------------------------------------------------- */
/* 0, or WP_ECONFIG after the reason was given. */
int forward_to_parse(struct forward_stanza *st, struct wp_setup *s, const char *word);
/* HOST[%NAME][:PORT], HOST:PORT%NAME, [V6[%NAME]][:PORT][%NAME] into host, name and port texts, in
 * place; NULL: none. A bare IPv6 address has colons and no port. */
void forward_split(char *text, char **ret_host, char **ret_name, char **ret_port);
/* Names are resolved here unless s->check_only. */
int forward_to_find(struct forward_stanza *st, struct wp_setup *s);
/* All servers in the order of the words, without duplicates: those found at set-up and what the
 * files say now. The number. Reads files. */
unsigned forward_to_list(const struct forward_stanza *st,
                         struct forward_found found[FORWARD_UPSTREAMS_MAX]);

/* --- resolve.c: host names at set-up ------------------------------------------------------- */
/* Blocks. Addresses, IPv4 first; 0 or a negative error with `why`. */
int forward_resolve(const char *name, const struct wp_addr *resolvers, unsigned n_resolvers,
                    struct wp_addr ret[FORWARD_UPSTREAMS_MAX], unsigned *ret_n, char why[256]);

/* --- resolv_conf.c ------------------------------------------------------------------------- */
/* Name servers of a file in resolv.conf form, port 53; lines that name none are skipped. The
 * number, or a negative error. */
int forward_resolv_conf(const char *path, struct wp_addr *ret, unsigned max);

/* --- special.c ----------------------------------------------------------------------------- */
/* Answers a name that no upstream is to be asked for; NEXT: it is none. */
int forward_special(const struct forward_stanza *st, struct wp_query *q);

/* --- flight.c: asking ---------------------------------------------------------------------- */
int forward_workers_new(struct forward *f); /* flights.c */
void forward_workers_free(struct forward *f);
/* The first stanza from `st` on that is responsible, or the next plugin. A wp_step. */
int forward_from(struct forward *f, struct forward_stanza *st, struct wp_query *q);
void forward_cancel(void *self, struct wp_query *q);

/* --- watch.c: files of name servers, certificates ------------------------------------------ */
int forward_watch_start(struct forward *f);
void forward_watch_stop(struct forward *f);
/* The list of what is found now, of upstreams that are there already or made. */
int forward_list_new(struct forward_stanza *st, const struct forward_list *old,
                     struct forward_list **ret);
