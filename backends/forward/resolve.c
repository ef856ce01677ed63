/* Host names among the upstreams: resolved once, while the configuration is set up, on the main
 * thread. The system's resolver, or the servers that the stanza names. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backends/common/upstream_reply.h"
#include "backends/forward/forward.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/rr.h"

enum { TIMEOUT_MS = 2000, REPLY_MAX = 4096 };

static void add(const struct wp_addr *a, struct wp_addr *ret, unsigned *n)
{
    for (unsigned i = 0; i < *n; i++) {
        if (wp_addr_equal_ip(&ret[i], a))
            return;
    }
    if (*n < FORWARD_UPSTREAMS_MAX)
        ret[(*n)++] = *a;
}

/* --- the system's resolver ----------------------------------------------------------------- */

/* The closing dot keeps the search list of the host out. */
static int ask_system(const char *name, int family, struct wp_addr *ret, unsigned *n)
{
    char absolute[WP_NAME_TEXT_MAX + 1];
    size_t len = strlen(name);
    const struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *list;
    int r;

    snprintf(absolute, sizeof(absolute), "%s%s", name, name[len - 1] == '.' ? "" : ".");
    r = getaddrinfo(absolute, NULL, &hints, &list);
    if (r != 0)
        return r;
    for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
        struct wp_addr a;

        wp_addr_from_sockaddr(i->ai_addr, &a);
        a.port = 0;
        add(&a, ret, n);
    }
    freeaddrinfo(list);
    return 0;
}

static int resolve_by_system(const char *name, struct wp_addr *ret, unsigned *n, char why[256])
{
    int r4 = ask_system(name, AF_INET, ret, n), r6 = ask_system(name, AF_INET6, ret, n);
    int r = r4 != 0 ? r4 : r6;

    if (*n > 0)
        return 0;
    snprintf(why, 256, "lookup %s.: %s", name,
             r == EAI_NONAME || r == EAI_NODATA ? "no such host" : gai_strerror(r));
    return WP_ENOTFOUND;
}

/* --- servers of our own choice ------------------------------------------------------------- */

static size_t write_query(uint8_t *buf, size_t cap, const struct wp_name *name, uint16_t type)
{
    struct wp_wr wr = wp_wr_to(buf, cap);
    uint16_t id;

    if (getrandom(&id, sizeof(id), 0) != sizeof(id))
        return 0;
    wp_wr_u16(&wr, id);
    wp_wr_u16(&wr, WP_FLAG_RD);
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, 0);
    wp_wr_bytes(&wr, name->wire, name->len);
    wp_wr_u16(&wr, type);
    wp_wr_u16(&wr, WP_CLASS_IN);
    return wr.bad ? 0 : wr.len;
}

static int64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The reply to the query, waiting past datagrams that are not it. Octets, or a negative error. */
static int receive(int fd, const uint8_t *query, size_t query_len, uint8_t *buf)
{
    int64_t until = clock_ms() + TIMEOUT_MS;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = until - clock_ms();
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return WP_ETIMEOUT;
        n = recv(fd, buf, REPLY_MAX, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n >= WP_HEADER_LEN && memcmp(buf, query, 2) == 0) {
            enum wp_reply_verdict v = wp_reply_look(query, query_len, buf, (size_t)n).verdict;
            if (v == WP_REPLY_OK || v == WP_REPLY_CUT)
                return (int)n;
        }
    }
}

/* Every address in the answer, behind whatever aliases. */
static void read_addresses(const uint8_t *msg, size_t len, uint16_t type, struct wp_addr *ret,
                           unsigned *n)
{
    struct wp_rd rd = wp_rd_from(msg, len);
    struct wp_rr_at at;

    rd.pos = WP_HEADER_LEN;
    if (wp_name_skip(&rd) < 0)
        return;
    wp_rd_skip(&rd, 4);
    for (unsigned i = wp_be16(msg + 6); i > 0 && wp_rr_next(&rd, &at) == 0; i--) {
        struct wp_addr a = {.family = type == WP_TYPE_A ? 4 : 6};
        size_t want = type == WP_TYPE_A ? 4 : 16;

        if (at.type != type || at.cls != WP_CLASS_IN || at.rdlen != want)
            continue;
        memcpy(a.ip, msg + at.rdata_pos, want);
        add(&a, ret, n);
    }
}

static int ask_server(const struct wp_addr *server, const struct wp_name *name, uint16_t type,
                      struct wp_addr *ret, unsigned *n)
{
    struct sockaddr_storage sa;
    socklen_t sa_len = wp_addr_to_sockaddr(server, &sa);
    uint8_t query[WP_NAME_MAX + 16], reply[REPLY_MAX];
    size_t len = write_query(query, sizeof(query), name, type);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int r = 0;

    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&sa, sa_len) < 0 || send(fd, query, len, 0) < 0)
        r = -errno;
    if (r == 0)
        r = receive(fd, query, len, reply);
    close(fd);
    if (r < 0)
        return r;
    read_addresses(reply, (size_t)r, type, ret, n);
    return 0;
}

/* The next server only when one does not answer. */
static int ask_servers(const struct wp_addr *servers, unsigned n_servers,
                       const struct wp_name *name, uint16_t type, struct wp_addr *ret, unsigned *n)
{
    int r = WP_ENOTFOUND;

    for (unsigned i = 0; i < n_servers; i++) {
        r = ask_server(&servers[i], name, type, ret, n);
        if (r == 0)
            return 0;
    }
    return r;
}

int forward_resolve(const char *name, const struct wp_addr *resolvers, unsigned n_resolvers,
                    struct wp_addr ret[FORWARD_UPSTREAMS_MAX], unsigned *ret_n, char why[256])
{
    struct wp_name wire;
    unsigned n = 0;
    int r4, r6;

    if (n_resolvers == 0) {
        r4 = resolve_by_system(name, ret, &n, why);
        *ret_n = n;
        return r4;
    }
    if (wp_name_parse(name, &wire) < 0) {
        snprintf(why, 256, "invalid name");
        return WP_EMALFORMED;
    }
    r4 = ask_servers(resolvers, n_resolvers, &wire, WP_TYPE_A, ret, &n);
    r6 = ask_servers(resolvers, n_resolvers, &wire, WP_TYPE_AAAA, ret, &n);
    *ret_n = n;
    if (n > 0)
        return 0;
    r4 = r4 != 0 ? r4 : r6;
    snprintf(why, 256, "no addresses found for \"%s\"%s%s", name, r4 != 0 ? ": " : "",
             r4 != 0 ? wp_strerror(r4) : "");
    return WP_ENOTFOUND;
}
