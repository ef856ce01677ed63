/* The UDP listener: datagrams in batches, a query object for each slot of the batch. Whatever
 * the chain answers at once is sent with one sendmmsg; a query that waits leaves its slot with
 * its memory and is sent when it is done. Replies leave from the address that was asked. */
#include "server/listeners/conn_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listeners/proxy_udp.h"
#include "waypost/plugin/metric.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

/* ROUNDS: batches taken in one turn before other descriptors have theirs. */
enum { BATCH = 64, ROUNDS = 4, CONTROL = 64, LATE_MAX = 64 };

/* Where a datagram came from and goes back to, as the kernel wants it. */
struct envelope {
    struct sockaddr_storage name;
    socklen_t name_len;
    uint8_t control[CONTROL]; /* the packet info that came is the one that goes */
    size_t control_len;
};

struct udp;

struct slot {
    struct wp_query *q;
    struct udp *u; /* while it waits */
    struct envelope env;
};

enum dropped { DROPPED_SOURCE, DROPPED_BUFFER, DROPPED_ERROR, DROPPED_PROXY, DROPPED_REASONS };
static const char *const dropped_text[DROPPED_REASONS] = {"source", "send buffer", "send error",
                                                          "proxy header"};

/* One for each worker that has a UDP socket; sockets of a worker take turns. */
struct batch {
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    struct slot *slot[BATCH];
};

struct udp {
    struct wp_listener l;
    struct wp_io io;
    struct wp_task task; /* sends what was done late */
    struct batch *batch;
    struct slot *late[LATE_MAX]; /* done, to be sent at the end of the turn */
    unsigned n_late;
    unsigned waiting;    /* queries that left their slot */
    bool closed;
    bool pktinfo;        /* bound to the wildcard: replies name their source */
    struct wp_addr local; /* what the socket is bound to */
    struct wp_proxy_sessions *sessions;
    struct wp_series *dropped[DROPPED_REASONS];
};

static const struct wp_family dropped_family = {
    .name = "waypost_udp_dropped_total",
    .help = "UDP datagrams that were not answered or whose answer could not be sent.",
    .kind = WP_COUNTER,
    .labels = {"server", "reason"},
};

static void count_dropped(const struct udp *u, enum dropped why)
{
    wp_metric_add(u->dropped[why], u->l.worker->index, 1);
}

static struct slot *slot_new(struct wp_worker *w)
{
    struct slot *s = malloc(sizeof(*s));

    if (s == NULL)
        return NULL;
    s->q = wp_query_get(w);
    if (s->q == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

static void slot_free(struct slot *s)
{
    wp_query_put(s->q);
    free(s);
}

static void udp_unref(struct udp *u)
{
    if (!u->closed || u->waiting > 0 || u->n_late > 0)
        return;
    for (unsigned i = 0; i < BATCH; i++) {
        if (u->batch->slot[i] != NULL)
            slot_free(u->batch->slot[i]);
    }
    wp_proxy_sessions_free(u->sessions);
    free(u->batch);
    free(u);
}

/* Point the header at the slot's reply. */
static void address(struct mmsghdr *m, struct iovec *v, struct slot *s)
{
    *v = (struct iovec){.iov_base = s->q->out, .iov_len = s->q->out_len};
    m->msg_hdr = (struct msghdr){
        .msg_name = &s->env.name,
        .msg_namelen = s->env.name_len,
        .msg_iov = v,
        .msg_iovlen = 1,
        .msg_control = s->env.control_len > 0 ? s->env.control : NULL,
        .msg_controllen = s->env.control_len,
    };
}

/* What the kernel does not take now is dropped: a resolver asks again, a queue only grows. */
static void send_all(struct udp *u, struct mmsghdr *m, unsigned n)
{
    unsigned at = 0;

    while (at < n) {
        int r = sendmmsg(u->io.fd, m + at, n - at, MSG_DONTWAIT);

        if (r > 0) {
            at += (unsigned)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        count_dropped(u, errno == EAGAIN ? DROPPED_BUFFER : DROPPED_ERROR);
        at++; /* this one cannot go; the next may */
    }
}

static void flush_late(struct wp_task *task)
{
    struct udp *u = (struct udp *)((char *)task - offsetof(struct udp, task));
    struct mmsghdr msg[LATE_MAX];
    struct iovec iov[LATE_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < u->n_late; i++) {
        if (u->late[i]->q->out_len == 0)
            continue;
        address(&msg[n], &iov[n], u->late[i]);
        n++;
    }
    if (n > 0 && !u->closed)
        send_all(u, msg, n);
    for (unsigned i = 0; i < u->n_late; i++)
        slot_free(u->late[i]);
    u->n_late = 0;
    udp_unref(u);
}

static void on_done(struct wp_query *q)
{
    struct slot *s = q->owner;
    struct udp *u = s->u;

    u->waiting--;
    if (u->n_late == LATE_MAX)
        flush_late(&u->task);
    u->late[u->n_late++] = s;
    wp_loop_defer(u->l.worker->loop, &u->task);
}

/* The address that was asked, from the packet info; it stays in the envelope for the reply. */
static void read_control(struct slot *s, const struct msghdr *h, struct wp_addr *local)
{
    s->env.control_len = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR((struct msghdr *)h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local->family = 4;
            memcpy(local->ip, &info.ipi_addr, 4);
            info.ipi_ifindex = 0;
            info.ipi_spec_dst = info.ipi_addr;
            memcpy(CMSG_DATA(c), &info, sizeof(info));
            s->env.control_len = h->msg_controllen;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local->family = 6;
            memcpy(local->ip, &info.ipi6_addr, 16);
            if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) {
                local->scope = info.ipi6_ifindex;
            } else {
                info.ipi6_ifindex = 0; /* routing decides, except where only the link does */
                memcpy(CMSG_DATA(c), &info, sizeof(info));
            }
            s->env.control_len = h->msg_controllen;
        }
    }
}

/* One datagram through the router. True: the reply stands in its slot. */
static bool serve(struct udp *u, unsigned i)
{
    const struct wp_group *g = u->l.group;
    struct slot *s = u->batch->slot[i];
    const struct msghdr *h = &u->batch->msg[i].msg_hdr;
    struct wp_query *q = s->q;
    struct slot *fresh;

    s->env.name_len = h->msg_namelen;
    q->wire = wp_query_in(q);
    q->wire_len = u->batch->msg[i].msg_len;
    wp_addr_from_sockaddr((struct sockaddr *)&s->env.name, &q->peer);
    q->client = q->peer;
    q->local = u->local;
    if (u->pktinfo)
        read_control(s, h, &q->local);
    else
        s->env.control_len = 0;
    if (WP_UNLIKELY(g->proxy.set) &&
        !wp_proxy_datagram(&u->sessions, &g->proxy, q, wp_loop_now(u->l.worker->loop))) {
        count_dropped(u, DROPPED_PROXY);
        return false;
    }
    if (WP_UNLIKELY(!wp_guard_source_ok(&q->client, &q->local))) {
        count_dropped(u, DROPPED_SOURCE);
        return false;
    }
    q->transport = WP_UDP;
    q->stream = false;
    q->route = g->route;
    q->start_ns = wp_loop_now(u->l.worker->loop);
    q->done = on_done;
    q->owner = s;
    if (WP_LIKELY(wp_query_run(q) == WP_STEP_DONE))
        return q->out_len > 0;
    u->waiting++;
    s->u = u;
    fresh = slot_new(u->l.worker);
    u->batch->slot[i] = fresh; /* NULL: the batch is shorter until memory or queries return */
    return false;
}

/* Slots in use to the front; refill what is missing. Returns how many there are. */
static unsigned ready_slots(struct udp *u)
{
    struct batch *b = u->batch;
    unsigned n = 0;

    for (unsigned i = 0; i < BATCH; i++) {
        struct slot *s = b->slot[i] != NULL ? b->slot[i] : slot_new(u->l.worker);

        if (s == NULL)
            continue;
        b->slot[i] = NULL;
        b->slot[n++] = s;
    }
    return n;
}

static void prepare(struct udp *u, unsigned n)
{
    struct batch *b = u->batch;

    for (unsigned i = 0; i < n; i++) {
        struct slot *s = b->slot[i];

        b->iov[i] = (struct iovec){.iov_base = wp_query_in(s->q), .iov_len = WP_QUERY_IN};
        b->msg[i].msg_hdr = (struct msghdr){
            .msg_name = &s->env.name,
            .msg_namelen = sizeof(s->env.name),
            .msg_iov = &b->iov[i],
            .msg_iovlen = 1,
            .msg_control = u->pktinfo ? s->env.control : NULL,
            .msg_controllen = u->pktinfo ? CONTROL : 0,
        };
    }
}

/* No query object left: the oldest datagrams are read and thrown away, so that newer ones are
 * met when there is room again. */
static void shed(struct udp *u)
{
    uint8_t none[1];

    for (unsigned i = 0; i < BATCH; i++) {
        if (recv(u->io.fd, none, sizeof(none), MSG_DONTWAIT | MSG_TRUNC) < 0)
            return;
        wp_guard_refused(u->l.group, u->l.worker->index, WP_LIMIT_IN_FLIGHT);
    }
}

static bool one_batch(struct udp *u)
{
    struct batch *b = u->batch;
    unsigned slots = ready_slots(u), out = 0;
    int n;

    if (WP_UNLIKELY(slots == 0)) {
        shed(u);
        return false;
    }
    prepare(u, slots);
    n = recvmmsg(u->io.fd, b->msg, slots, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return false; /* ICMP errors and the like concern one client, not the listener */
    for (unsigned i = 0; i < (unsigned)n; i++) {
        struct slot *s = b->slot[i];

        if (serve(u, i)) {
            /* `out` is never past i: that header has been read */
            address(&b->msg[out], &b->iov[out], s);
            out++;
        }
    }
    if (out > 0)
        send_all(u, b->msg, out);
    for (unsigned i = 0; i < (unsigned)n; i++) {
        if (b->slot[i] != NULL)
            wp_query_reset(b->slot[i]->q);
    }
    return (unsigned)n == slots;
}

static void on_readable(struct wp_io *io, uint32_t events)
{
    struct udp *u = (struct udp *)((char *)io - offsetof(struct udp, io));

    (void)events;
    for (unsigned i = 0; i < ROUNDS && one_batch(u); i++)
        ;
}

static int udp_open(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    struct udp *u = calloc(1, sizeof(*u));
    struct sockaddr_storage own;
    socklen_t own_len = sizeof(own);
    int r;

    if (u == NULL)
        return -ENOMEM;
    u->l = (struct wp_listener){.ops = &wp_listener_udp, .worker = w, .group = g};
    u->io = (struct wp_io){.fd = fd, .fn = on_readable};
    u->task.fn = flush_late;
    u->batch = calloc(1, sizeof(*u->batch));
    if (u->batch == NULL) {
        r = -ENOMEM;
        goto out;
    }
    if (getsockname(fd, (struct sockaddr *)&own, &own_len) < 0) {
        r = -errno;
        goto out;
    }
    wp_addr_from_sockaddr((struct sockaddr *)&own, &u->local);
    u->pktinfo = wp_addr_is_any(&u->local);
    for (unsigned i = 0; i < DROPPED_REASONS; i++) {
        const char *values[] = {g->label, dropped_text[i]};

        u->dropped[i] = wp_metric_series(&dropped_family, values);
    }
    r = wp_io_add(w->loop, &u->io, WP_IO_READ);
    if (r < 0)
        goto out;
    *ret = &u->l;
    return 0;
out:
    free(u->batch);
    free(u);
    return r;
}

static void udp_swap(struct wp_listener *l, struct wp_group *g)
{
    l->group = g;
}

static void udp_close(struct wp_listener *l)
{
    struct udp *u = (struct udp *)l;

    wp_io_del(&u->io);
    close(u->io.fd);
    u->closed = true;
    udp_unref(u);
}

const struct wp_listener_ops wp_listener_udp = {
    .name = "udp",
    .transport = WP_UDP,
    .datagram = true,
    .open = udp_open,
    .swap = udp_swap,
    .close = udp_close,
};
