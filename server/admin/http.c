/* Addresses and their pages. */
#include "server/admin/http_priv.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "waypost/base/text.h"
#include "waypost/plugin/plugin.h"
#include "waypost/tls/tls.h"

enum { BACKLOG = 128, ACCEPT_BURST = 16, RETRY_MS = 100 };

static struct http_listener *listeners; /* the admin thread's */

/* --- addresses ------------------------------------------------------------------------------- */

/* "HOST:PORT" into its parts; the brackets of IPv6 are taken off. */
static bool split(const char *address, char host[256], char port[32])
{
    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t)(colon - address) : 0;

    if (colon == NULL || strlen(colon + 1) >= 32)
        return false;
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len) != NULL || memchr(address, ']', len) != NULL) {
        return false;
    }
    if (len >= 256)
        return false;
    memcpy(host, address, len);
    host[len] = '\0';
    strcpy(port, colon + 1);
    return true;
}

bool wp_http_address_ok(const char *address)
{
    char host[256], port[32];

    return split(address, host, port);
}

/* What Go says of an address that is none: "address 8080: missing port in address". */
static const char *address_error(const char *address, char *buf, size_t cap)
{
    const char *colon = strchr(address, ':');
    bool many = address[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL;

    snprintf(buf, cap, "address %s: %s", address,
             many ? "too many colons in address" : "missing port in address");
    return buf;
}

int wp_http_address_line(struct wp_setup *s, const struct wp_line *line, const char **address)
{
    char why[300];

    if (line->n_words > 2)
        return wp_setup_arg_error(s, line);
    if (line->n_words < 2)
        return 0;
    *address = line->words[1];
    if (!wp_http_address_ok(*address))
        return wp_setup_error(s, line, "%s", address_error(*address, why, sizeof(why)));
    return 0;
}

/* An empty host is every address of both families. A name gives its first IPv4 address, or its
 * first one, as Go chooses when it listens. */
static int resolve(const char *address, char why[256], struct wp_addr *ret)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *all, *best;
    char host[256], port[32];
    int r;

    if (!split(address, host, port)) {
        snprintf(why, 256, "listen tcp: %s", address_error(address, host, sizeof(host)));
        return WP_ECONFIG;
    }
    r = getaddrinfo(host[0] != '\0' ? host : NULL, port[0] != '\0' ? port : "0", &hints, &all);
    if (r != 0) {
        snprintf(why, 256, "listen tcp: lookup %s: %s", address, gai_strerror(r));
        return WP_ECONFIG;
    }
    best = all;
    for (struct addrinfo *i = all; i != NULL; i = i->ai_next)
        if (i->ai_family == (host[0] != '\0' ? AF_INET : AF_INET6)) {
            best = i;
            break;
        }
    wp_addr_from_sockaddr(best->ai_addr, ret);
    freeaddrinfo(all);
    return 0;
}

static int listen_on(const struct wp_addr *a)
{
    struct sockaddr_storage ss;
    socklen_t len = wp_addr_to_sockaddr(a, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, off = 0;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (a->family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* --- accepting ------------------------------------------------------------------------------- */

static void on_retry(struct wp_timer *t)
{
    struct http_listener *l =
        (struct http_listener *)((char *)t - offsetof(struct http_listener, retry));

    wp_io_set(&l->io, WP_IO_READ);
}

static void on_accept(struct wp_io *io, uint32_t events)
{
    struct http_listener *l =
        (struct http_listener *)((char *)io - offsetof(struct http_listener, io));

    (void)events;
    for (int i = 0; i < ACCEPT_BURST; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && l->is_local && !wp_http_peer_ok(fd)) {
            close(fd);
        } else if (fd >= 0) {
            wp_http_accepted(l, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            wp_io_set(io, 0); /* or the loop would spin until one is closed */
            wp_timer_set(l->loop, &l->retry, wp_loop_now(l->loop) + (uint64_t)RETRY_MS * 1000000);
            return;
        } else {
            return;
        }
    }
}

void wp_http_listener_free(struct http_listener *l)
{
    struct http_listener **at = &listeners;

    while (l->first != NULL)
        wp_http_conn_free(l->first);
    while (*at != NULL && *at != l)
        at = &(*at)->next;
    if (*at == l)
        *at = l->next;
    wp_timer_cancel(&l->retry);
    wp_io_del(&l->io);
    if (l->io.fd >= 0)
        close(l->io.fd);
    wp_tls_ctx_unref(l->tls);
    free(l);
}

int wp_http_listener_new(struct wp_loop *loop, int fd, struct http_listener **ret)
{
    struct http_listener *l = calloc(1, sizeof(*l));
    int r;

    if (l == NULL)
        return -ENOMEM;
    l->loop = loop;
    l->last = &l->first;
    l->max_conns = HTTP_CONNS_MAX;
    l->retry.fn = on_retry;
    l->io = (struct wp_io){.fd = fd, .fn = on_accept};
    r = wp_io_add(loop, &l->io, WP_IO_READ);
    if (r < 0) {
        free(l);
        return r;
    }
    l->next = listeners;
    listeners = l;
    *ret = l;
    return 0;
}

static int new_listener(struct wp_loop *loop, const struct wp_addr *a, struct http_listener **ret)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int fd = listen_on(a), r;

    if (fd == -EAFNOSUPPORT && a->family == 6 && a->ip[15] == 0) { /* no IPv6 here: all of IPv4 */
        struct wp_addr any = {.family = 4, .port = a->port};
        fd = listen_on(&any);
    }
    if (fd < 0)
        return fd;
    r = wp_http_listener_new(loop, fd, ret);
    if (r < 0) {
        close(fd);
        return r;
    }
    getsockname(fd, (struct sockaddr *)&ss, &len);
    (*ret)->asked = *a;
    wp_addr_from_sockaddr((struct sockaddr *)&ss, &(*ret)->bound);
    return 0;
}

/* --- pages ----------------------------------------------------------------------------------- */

struct open_call {
    const struct wp_http_site *site;
    struct wp_addr addr;
    char *why;
    struct wp_http_page *page;
    int r;
};

static struct http_listener *find_listener(struct wp_loop *loop, const struct wp_addr *a)
{
    for (struct http_listener *l = listeners; l != NULL; l = l->next)
        if (l->loop == loop && a->port != 0 && !l->is_local &&
            (wp_addr_equal(&l->asked, a) || wp_addr_equal(&l->bound, a)))
            return l;
    return NULL;
}

/* The newest generation decides about TLS; within one, all must agree. */
static bool tls_agrees(const struct http_listener *l, const struct wp_http_site *site)
{
    for (const struct wp_http_page *p = l->pages; p != NULL; p = p->next)
        if (p->gen == site->gen && l->tls != site->tls &&
            (l->tls == NULL || site->tls == NULL || wp_tls_ctx_differs(l->tls, site->tls) != NULL))
            return false;
    return true;
}

struct wp_http_page *wp_http_page_new(struct http_listener *l, const char *path, wp_http_fn *fn,
                                      void *arg, const void *gen)
{
    struct wp_http_page *page = malloc(sizeof(*page) + strlen(path) + 1);

    if (page == NULL)
        return NULL;
    page->listener = l;
    page->fn = fn;
    page->arg = arg;
    page->gen = gen;
    page->below = page->takes_body = false;
    strcpy(page->path, path);
    page->next = l->pages;
    l->pages = page;
    return page;
}

static void refuse(struct open_call *call)
{
    int n = snprintf(call->why, 256, "listen tcp %s: bind: ", call->site->address);

    if (n > 0 && n < 255) {
        snprintf(call->why + n, 256 - (size_t)n, "%s", wp_strerror(call->r));
        call->why[n] = (char)wp_lower((uint8_t)call->why[n]); /* Go's texts begin so */
    }
}

static void open_page(void *arg, struct wp_loop *loop)
{
    struct open_call *call = arg;
    const struct wp_http_site *site = call->site;
    struct http_listener *l = find_listener(loop, &call->addr);

    call->r = l == NULL ? new_listener(loop, &call->addr, &l) : 0;
    if (call->r < 0) {
        refuse(call);
        return;
    }
    if (!tls_agrees(l, site)) {
        snprintf(call->why, 256, "listen tcp %s: other TLS settings than another server block",
                 site->address);
        call->r = WP_ECONFIG;
        return;
    }
    if (l->tls != site->tls) {
        wp_tls_ctx_unref(l->tls);
        l->tls = site->tls != NULL ? wp_tls_ctx_ref(site->tls) : NULL;
    }
    call->page = wp_http_page_new(l, site->path, site->fn, site->arg, site->gen);
    if (call->page == NULL) {
        call->r = -ENOMEM;
        refuse(call);
        if (l->pages == NULL)
            wp_http_listener_free(l);
        return;
    }
    call->page->below = site->below;
    call->page->takes_body = site->takes_body;
}

int wp_http_open(struct wp_loop *admin, const struct wp_http_site *site, char why[256],
                 struct wp_http_page **ret)
{
    struct open_call call = {.site = site, .why = why};
    int r = resolve(site->address, why, &call.addr);

    if (r < 0)
        return r;
    wp_loop_call(admin, open_page, &call);
    if (call.r == 0)
        *ret = call.page;
    return call.r;
}

struct open_on_call {
    struct open_call call;
    int fd;
    unsigned conns;
};

static void open_page_on(void *arg, struct wp_loop *loop)
{
    struct open_on_call *on = arg;
    const struct wp_http_site *site = on->call.site;
    struct http_listener *l;

    on->call.r = wp_http_listener_new(loop, on->fd, &l);
    if (on->call.r < 0)
        return;
    l->max_conns = on->conns;
    on->call.page = wp_http_page_new(l, site->path, site->fn, site->arg, site->gen);
    if (on->call.page == NULL) {
        on->call.r = -ENOMEM;
        l->io.fd = -1; /* the caller's again */
        wp_http_listener_free(l);
        return;
    }
    on->call.page->below = site->below;
    on->call.page->takes_body = site->takes_body;
}

int wp_http_open_on(struct wp_loop *admin, int fd, unsigned conns, const struct wp_http_site *site,
                    struct wp_http_page **ret)
{
    struct open_on_call on = {.call = {.site = site}, .fd = fd, .conns = conns};

    wp_loop_call(admin, open_page_on, &on);
    if (on.call.r == 0)
        *ret = on.call.page;
    return on.call.r;
}

static void close_page(void *arg, struct wp_loop *loop)
{
    struct wp_http_page *page = arg, **at = &page->listener->pages;

    (void)loop;
    while (*at != page)
        at = &(*at)->next;
    *at = page->next;
    if (page->listener->pages == NULL)
        wp_http_listener_free(page->listener);
    free(page);
}

void wp_http_close(struct wp_http_page *page)
{
    if (page != NULL)
        wp_loop_call(page->listener->loop, close_page, page);
}

void wp_http_bound(const struct wp_http_page *page, struct wp_addr *ret)
{
    *ret = page->listener->bound; /* does not change while the page is there */
}
