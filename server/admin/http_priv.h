/* The parts of the admin server: http.c addresses and pages, conn.c one connection, answer.c the
 * octets of an answer. Everything runs on the admin loop's thread. */
#pragma once
#include <http_parser.h>
#include <stdint.h>
#include "waypost/plugin/http_admin.h"
#include "waypost/plugin/loop.h"

enum {
    HTTP_CONNS_MAX = 64,
    HTTP_HEAD_MAX = 8192,
    HTTP_BODY_MAX = 65536,
    HTTP_LINGER_MAX = 262144, /* octets thrown away after the last answer */
    HTTP_VALUE_MAX = 1024,
    HTTP_HOST_MAX = 300,
    HTTP_TARGET_MAX = 4096,
    HTTP_TIMEOUT_MS = 5000,
    HTTP_LINGER_MS = 1000,
};

struct http_conn;

struct wp_http_page {
    struct wp_http_page *next; /* newest first */
    struct http_listener *listener;
    wp_http_fn *fn;
    void *arg;
    const void *gen;
    bool below, takes_body;
    char path[];
};

struct http_listener {
    struct http_listener *next;
    struct wp_loop *loop;
    struct wp_addr asked, bound;
    struct wp_io io;
    struct wp_timer retry; /* accepting goes on after descriptors ran out */
    struct wp_tls_ctx *tls;
    struct wp_http_page *pages;
    struct http_conn *first, **last; /* connections, oldest first */
    unsigned n_conns, max_conns;
    bool is_local; /* a Unix socket: only root and the user of this process may ask */
};

/* http.c: a listener without pages on a socket that listens; takes the descriptor when it
 * succeeds. The other one closes it, and its connections. */
int wp_http_listener_new(struct wp_loop *loop, int fd, struct http_listener **ret) WP_MUSTCHECK;
void wp_http_listener_free(struct http_listener *l);
struct wp_http_page *wp_http_page_new(struct http_listener *l, const char *path, wp_http_fn *fn,
                                      void *arg, const void *gen);

/* local.c: may who is at the other end of this Unix socket ask? */
bool wp_http_peer_ok(int fd);

/* conn.c: takes the descriptor; closes it when memory is short. */
void wp_http_accepted(struct http_listener *l, int fd);
void wp_http_conn_free(struct http_conn *c);
struct http_conn *wp_http_conn_next(const struct http_conn *c);

/* answer.c: octets to send, from malloc; NULL when memory is short. */
struct http_asked {
    struct wp_http_request rq;
    bool keep_alive, gzip, head; /* head: the body is not sent */
};
/* The page of a path, the newest generation's first; NULL: none. len: of the path, which may go on. */
const struct wp_http_page *wp_http_find(const struct http_listener *l, const char *path, size_t len);
/* The page's answer in *a. */
void wp_http_ask(const struct http_listener *l, const struct http_asked *asked,
                 struct wp_http_answer *a);
/* *a as octets; frees what it holds. */
char *wp_http_answer(const struct http_asked *asked, struct wp_http_answer *a, size_t *ret_len);
/* For what never became a request. */
char *wp_http_error(int status, size_t *ret_len);
