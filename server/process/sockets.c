/* Opening and keeping listening sockets: one per worker for each address and protocol, so that
 * no accept queue or datagram queue is shared. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/process/process_priv.h"
#include "waypost/base/text.h"

enum { BACKLOG = 4096, RECEIVE_BUFFER = 4 << 20 };

static bool same_place(const struct wp_socket *a, const struct wp_socket *b)
{
    return a->ops == b->ops && a->family == b->family && a->worker == b->worker &&
           a->index == b->index && a->group->scheme == b->group->scheme &&
           strcmp(a->group->label, b->group->label) == 0;
}

static int set_options(int fd, const struct wp_socket *s, bool wildcard)
{
    int one = 1, buffer = RECEIVE_BUFFER, omit = IP_PMTUDISC_OMIT, zero = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
        return -errno;
    if (s->family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0)
        return -errno;
    if (!s->ops->datagram) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* inherited by accept */
        return 0;
    }
    /* as much as the system lets us have; SO_RCVBUFFORCE needs privileges */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    if (s->family == 4) {
        setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof(omit));
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &zero, sizeof(zero));
        if (wildcard && setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)) < 0)
            return -errno;
    } else {
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof(omit));
        if (wildcard && setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)) < 0)
            return -errno;
    }
    return 0;
}

static int open_one(struct wp_socket *s, const struct wp_addr *addr)
{
    int type = (s->ops->datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(s->family == 4 ? AF_INET : AF_INET6, type, 0);
    struct sockaddr_storage ss;
    socklen_t len = wp_addr_to_sockaddr(addr, &ss);
    int r;

    if (fd < 0)
        return -errno;
    r = set_options(fd, s, wp_addr_is_any(addr));
    if (r == 0 && bind(fd, (struct sockaddr *)&ss, len) < 0)
        r = -errno;
    if (r == 0 && !s->ops->datagram && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (r < 0) {
        close(fd);
        return r;
    }
    s->fd = fd;
    return 0;
}

/* The addresses of a group: its own, or both wildcards. */
static int addresses(const struct wp_group *g, struct wp_addr addr[2])
{
    if (g->host[0] != '\0') {
        if (wp_addr_parse_ip(g->host, &addr[0]) < 0)
            return 0;
        addr[0].port = g->port;
        return 1;
    }
    addr[0] = (struct wp_addr){.family = 4, .port = g->port};
    addr[1] = (struct wp_addr){.family = 6, .port = g->port};
    return 2;
}

static bool no_such_family(int r)
{
    return r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL;
}

struct opening {
    struct wp_socket *have, *made;
    struct wp_conf_report *report;
    int n_workers;
};

static struct wp_socket *find(struct wp_socket *list, const struct wp_socket *like)
{
    for (; list != NULL; list = list->next) {
        if (same_place(list, like))
            return list;
    }
    return NULL;
}

static int add(struct opening *o, struct wp_group *g, const struct wp_listener_ops *ops,
               const struct wp_addr *addr, int index, bool optional)
{
    struct wp_socket *s = calloc(1, sizeof(*s));
    int r = 0;

    if (s == NULL)
        return -ENOMEM;
    *s = (struct wp_socket){
        .ops = ops,
        .group = g,
        .worker = index % o->n_workers,
        .index = index,
        .family = addr->family,
        .fd = -1,
    };
    if (find(o->have, s) == NULL)
        r = open_one(s, addr);
    if (r < 0) {
        const char *why = wp_strerror(r);

        free(s);
        if (optional && no_such_family(r))
            return 0;
        return wp_conf_report_add(o->report, WP_CONF_PLAIN, NULL, NULL, 0,
                                  "%s: listen %s %s: bind: %c%s",
                                  ops->datagram ? "ListenPacket" : "Listen",
                                  ops->datagram ? "udp" : "tcp", g->address,
                                  wp_lower((uint8_t)why[0]), why + 1); /* Go's texts begin so */
    }
    s->next = o->made;
    o->made = s;
    return 0;
}

static int open_group(struct opening *o, struct wp_group *g)
{
    const struct wp_listener_ops *const *ops = wp_listeners_of(g->scheme);
    struct wp_addr addr[2];
    int n_addr = addresses(g, addr);
    int n = g->sockets > 0 ? (int)g->sockets : o->n_workers;

    if (n_addr == 0)
        return wp_conf_report_add(o->report, WP_CONF_PLAIN, NULL, NULL, 0,
                                  "Listen: listen tcp %s: not an address", g->address);
    for (; *ops != NULL; ops++) {
        for (int a = 0; a < n_addr; a++) {
            for (int i = 0; i < n; i++) {
                int r = add(o, g, *ops, &addr[a], i, n_addr == 2 && a == 1);

                if (r < 0)
                    return r;
            }
        }
    }
    return 0;
}

int wp_sockets_open(struct wp_gen *gen, int n_workers, struct wp_socket *have,
                    struct wp_conf_report *report, struct wp_socket **ret)
{
    struct opening o = {.have = have, .report = report, .n_workers = n_workers};
    int r = 0;

    for (unsigned i = 0; r == 0 && i < gen->n_groups; i++)
        r = open_group(&o, &gen->groups[i]);
    if (r < 0) {
        wp_sockets_free(o.made);
        return r;
    }
    /* now that nothing can fail: carry the listeners of kept sockets over */
    for (struct wp_socket *s = o.made; s != NULL; s = s->next) {
        struct wp_socket *old = s->fd < 0 ? find(have, s) : NULL;

        if (old != NULL) {
            s->listener = old->listener;
            old->listener = NULL;
        }
    }
    *ret = o.made;
    return 0;
}

void wp_sockets_free(struct wp_socket *list)
{
    while (list != NULL) {
        struct wp_socket *next = list->next;

        if (list->fd >= 0)
            close(list->fd);
        free(list);
        list = next;
    }
}
