/* The small HTTP/1.1 server of the admin thread: health, ready, metrics, status. Pages of several
 * server blocks on one address share one socket, also across a reload: the port is never closed
 * between two generations. Everything is bounded: 64 connections for each address (a new one
 * pushes out the oldest), 8 KiB of request head, 64 KiB of body (thrown away unless the page takes
 * it), 5 s for reading, writing and idling. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/addr.h"
#include "waypost/base/err.h"

struct wp_line;
struct wp_loop;
struct wp_setup;
struct wp_tls_ctx;
struct wp_http_page;

/* Valid while the page's function runs. */
struct http_conn;
struct wp_http_request {
    const char *method;        /* "GET" */
    const char *path;          /* without query */
    const char *query;         /* what follows "?", as it was sent; "" if nothing does */
    const char *authorization; /* value of the header, "" if absent */
    const char *host, *origin; /* the same; "?" if it is too long */
    const char *body;          /* of a page that takes it, closed by a NUL; else NULL */
    size_t body_len;
    struct http_conn *conn;    /* for wp_http_later */
};
/* What the function fills; status 200 and no body before. */
struct wp_http_answer {
    int status;
    const char *type;    /* Content-Type; NULL: "text/plain; charset=utf-8" */
    const char *headers; /* more lines, each closed by \r\n; NULL: none */
    const char *body;    /* NULL: none */
    size_t len;
    char *to_free;       /* freed once the answer is copied; may be NULL */
    bool compressible;   /* gzip, when the client takes it */
};
/* On the admin thread; must not block. Any method comes here. */
typedef void wp_http_fn(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a);

/* For a page's function that must wait for others: it leaves `a` alone and the answer is given with
 * wp_http_finish, exactly once, on the admin thread, not before the function has returned; within
 * WP_HTTP_LATER_MS, or the client is gone by then, which is nobody's concern. The page may
 * be closed meanwhile. NULL: no memory. */
struct wp_http_later;
enum { WP_HTTP_LATER_MS = 15000 };
struct wp_http_later *wp_http_later(const struct wp_http_request *rq);
void wp_http_finish(struct wp_http_later *later, struct wp_http_answer *a);

struct wp_http_site {
    const char *address; /* "HOST:PORT"; the host may be empty or a name */
    const char *path;    /* exact: "/health" */
    bool below;          /* the page has what lies below its path, too */
    bool takes_body;
    wp_http_fn *fn;
    void *arg;
    struct wp_tls_ctx *tls; /* NULL: cleartext; referenced while it is in use */
    const void *gen;        /* pages of one generation must agree about TLS on an address */
};
/* From a thread that is no loop's (start(), stop()). `why` is the reason in Go's words:
 * "listen tcp :8080: bind: address already in use". 0 or a negative error. */
int wp_http_open(struct wp_loop *admin, const struct wp_http_site *site, char why[256],
                 struct wp_http_page **ret) WP_MUSTCHECK;
/* The same on a stream socket of the caller's that listens, in place of the address: taken over when
 * it succeeds. conns: so many connections. wp_http_bound is not for its page. */
int wp_http_open_on(struct wp_loop *admin, int fd, unsigned conns, const struct wp_http_site *site,
                    struct wp_http_page **ret) WP_MUSTCHECK;
/* When it returns fn is not running and will not be called again. The socket goes with the last
 * page of its address, and with it the connections. Accepts NULL. */
void wp_http_close(struct wp_http_page *page);
/* What the socket is bound to: tells the port when 0 was asked for. */
void wp_http_bound(const struct wp_http_page *page, struct wp_addr *ret);
/* Is it HOST:PORT as Go's net.SplitHostPort wants it? */
bool wp_http_address_ok(const char *address);
/* The line of a directive that takes an address at most; *address stays when it has none. As an
 * option's `parse`. What is no HOST:PORT is told in Go's words. */
int wp_http_address_line(struct wp_setup *s, const struct wp_line *line,
                         const char **address) WP_MUSTCHECK;
