/* waypost query, in parts. Inside backends/forward/command. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "backends/common/client_tls.h"
#include "backends/common/upstream.h"
#include "waypost/base/arena.h"
#include "waypost/dns/edns.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/name.h"
#include "waypost/dns/rr.h"
#include "waypost/plugin/command.h"

/* As dig's. */
enum { QUERY_ANSWERED, QUERY_USAGE, QUERY_NO_REPLY = 9, QUERY_INTERNAL = 10 };
enum query_transport { QUERY_UDP, QUERY_TCP, QUERY_DOT, QUERY_DOH, QUERY_GRPC };
enum { QUERY_ADDRS_MAX = 16, QUERY_MSG_MAX = 2048 };

/* What the command line may say. */
struct query_options {
    const char *transport, *ca, *cert, *key, *tls_name, *path, *ecs, *reverse;
    bool tls, insecure, get;
    bool dnssec_ok, nsid, cookie, no_rd, ad, cd, ignore_tc, json, brief;
    int64_t bufsize, timeout_ns;
};

/* What it comes to. Strings are in the arena or part of the line. */
struct query {
    const struct query_options *o;
    struct wp_arena *arena;
    /* the question */
    struct wp_name name;
    uint16_t type, cls;
    /* the server */
    enum query_transport transport;
    bool secure;
    const char *host, *server_name, *path; /* server_name, path: as the word said, or NULL */
    const char *authority;                 /* HOST[:PORT] as written, for HTTP */
    uint16_t port;
    struct wp_addr addrs[QUERY_ADDRS_MAX];
    unsigned n_addrs;
    /* the message: two octets of id first */
    uint8_t msg[QUERY_MSG_MAX];
    size_t msg_len;
    uint8_t cookie[8];
    /* the answer */
    const uint8_t *wire;
    size_t wire_len;
    struct wp_addr from;
    enum query_transport came_over;
    uint64_t took_ns;
    struct query_reply {
        uint16_t id, flags, counts[4];
        unsigned rcode; /* 12 bits */
        bool has_question;
        struct wp_name qname;
        uint16_t qtype, qclass;
        struct wp_rr *rr; /* without the OPT */
        unsigned n;
        bool *spoilt; /* rr[i] has rdata that its type forbids: as it stands in the message */
        struct wp_edns edns;
        bool cut; /* it ends within a record */
    } reply;
};

/* "waypost query: text" on stderr. Returns WP_ECONFIG. */
int query_say(const char *fmt, ...) WP_PRINTF(1, 2);

/* query_line.c: the words and options. 0, or WP_ECONFIG, told; -ENOMEM. */
int query_read_line(struct query *q, const struct wp_command_line *line) WP_MUSTCHECK;
/* query_message.c: the message of the question; the same. */
int query_write(struct query *q) WP_MUSTCHECK;
/* The reply taken apart: 0, WP_EMALFORMED, -ENOMEM. */
int query_read_reply(struct query *q) WP_MUSTCHECK;
/* query_ask.c: each address of the server until one answers. An exit code, told. */
int query_ask(struct query *q, struct wp_loop *loop) WP_MUSTCHECK;

/* query_text.c and query_json.c */
void query_print(const struct query *q);
int query_print_json(const struct query *q); /* 0 or -ENOMEM */
/* Presentation form, in the arena; NULL: no memory. */
const char *query_rdata_text(const struct query *q, unsigned i);
/* "NSID", or NULL; what an option says, for people: in the arena, "" when nothing is known. */
const char *query_option_name(uint16_t code);
const char *query_option_text(const struct query *q, uint16_t code, const uint8_t *data,
                              size_t len);
const char *query_transport_name(const struct query *q);
const char *query_rcode_text(unsigned rcode, char buf[16]);

/* Calls fn with each option of the reply's OPT. */
typedef void query_option_fn(void *arg, const struct query *q, uint16_t code, const uint8_t *data,
                             size_t len);
void query_each_option(const struct query *q, query_option_fn *fn, void *arg);
