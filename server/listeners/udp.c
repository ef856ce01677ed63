/* The UDP listener. Datagrams are read in batches; where the kernel has joined those of one sender
 * (UDP_GRO) a message of the batch holds many. Each gets a query object; what the chain answers
 * at once is sent together, neighbours of one size to one client as one segmented message
 * (UDP_SEGMENT): most of a datagram's price is its way through the kernel. A query that waits
 * keeps its object and is sent when it is done. Replies leave from the address that was asked. */
#include "server/listeners/conn_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/listeners/proxy_udp.h"
#include "waypost/plugin/metric.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

/* MESSAGES and SLOTS: messages of a batch, answers that are sent together. ROUNDS: batches taken
 * in one turn before other descriptors have theirs. SEGMENTS_LEN: no segmented message is made
 * of answers that might not fit a link's frame. */
enum {
    MESSAGES = 64,
    SLOTS = 64,
    ROUNDS = 4,
    CONTROL = 96,
    LATE_MAX = 64,
    MESSAGE_LEN = 65536,
    SEGMENTS_MAX = 60,
    SEGMENT_LEN = 1232,
};

/* Where datagrams came from and replies go to, as the kernel wants it. */
struct envelope {
    struct sockaddr_storage name;
    socklen_t name_len;
    struct wp_addr peer, local;
    size_t control_len;       /* of the packet info that came and is the one that goes; 0: none */
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
};

struct udp;

struct slot {
    struct wp_query *q;
    const struct envelope *env; /* the batch's, or own while it waits */
    struct udp *u;              /* while it waits */
    struct envelope own;
};

enum dropped { DROPPED_SOURCE, DROPPED_BUFFER, DROPPED_ERROR, DROPPED_PROXY, DROPPED_SIZE, DROPPED_REASONS };
static const char *const dropped_text[DROPPED_REASONS] = {"source", "send buffer", "send error",
                                                          "proxy header", "size"};

/* What is read and sent in one go; every socket has one. */
struct batch {
    struct mmsghdr msg[MESSAGES];
    struct iovec iov[MESSAGES];
    struct envelope env[MESSAGES];
    unsigned used;              /* messages that the last read has written to */
    uint8_t *data;              /* MESSAGES * MESSAGE_LEN; only what is used is ever touched */
    struct slot *slot[SLOTS];   /* free ones first to last */
    unsigned n_slots;
    struct slot *out[SLOTS];    /* answered, to be sent */
    unsigned n_out;
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
    bool no_segments;    /* the way to the clients takes no segmented messages */
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

static void batch_free(struct batch *b)
{
    if (b == NULL)
        return;
    while (b->n_slots > 0)
        slot_free(b->slot[--b->n_slots]);
    if (b->data != MAP_FAILED)
        munmap(b->data, (size_t)MESSAGES * MESSAGE_LEN);
    free(b);
}

static struct batch *batch_new(void)
{
    struct batch *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->data = mmap(NULL, (size_t)MESSAGES * MESSAGE_LEN, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b->data == MAP_FAILED) {
        free(b);
        return NULL;
    }
    b->used = MESSAGES;
    return b;
}

static void udp_unref(struct udp *u)
{
    if (!u->closed || u->waiting > 0 || u->n_late > 0)
        return;
    wp_proxy_sessions_free(u->sessions);
    batch_free(u->batch);
    free(u);
}

/* --- sending ------------------------------------------------------------------------------- */

/* Messages to be sent, with room for the control data of each. */
struct outgoing {
    struct mmsghdr msg[SLOTS];
    struct iovec iov[SLOTS];
    struct {
        _Alignas(struct cmsghdr) uint8_t octets[CONTROL + CMSG_SPACE(sizeof(uint16_t))];
    } control[SLOTS];
    unsigned n_msg, n_iov;
};

static bool may_join(const struct udp *u, const struct slot *a, const struct slot *b, unsigned n)
{
    return !u->no_segments && a->env == b->env && a->q->out_len == b->q->out_len &&
           a->q->out_len <= SEGMENT_LEN && n < SEGMENTS_MAX;
}

/* One message of n answers of one size to one client. */
static void address(struct outgoing *o, struct slot *const *s, unsigned n)
{
    struct msghdr *h = &o->msg[o->n_msg].msg_hdr;
    const struct envelope *env = s[0]->env;
    uint8_t *control = o->control[o->n_msg].octets;
    size_t len = env->control_len;

    *h = (struct msghdr){
        .msg_name = (void *)&env->name,
        .msg_namelen = env->name_len,
        .msg_iov = &o->iov[o->n_iov],
        .msg_iovlen = n,
    };
    for (unsigned i = 0; i < n; i++)
        o->iov[o->n_iov++] = (struct iovec){.iov_base = s[i]->q->out, .iov_len = s[i]->q->out_len};
    if (len > 0)
        memcpy(control, env->control, len);
    if (n > 1) {
        struct cmsghdr *c = (struct cmsghdr *)(control + len);
        uint16_t size = (uint16_t)s[0]->q->out_len;

        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(size));
        memcpy(CMSG_DATA(c), &size, sizeof(size));
        len += CMSG_SPACE(sizeof(size));
    }
    h->msg_control = len > 0 ? control : NULL;
    h->msg_controllen = len;
    o->n_msg++;
}

/* A segmented message that this way does not take: its answers one by one, and no more of them. */
static void send_apart(struct udp *u, struct msghdr *h)
{
    struct iovec *v = h->msg_iov;
    size_t n = h->msg_iovlen;

    u->no_segments = true;
    h->msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
    if (h->msg_controllen == 0)
        h->msg_control = NULL;
    h->msg_iovlen = 1;
    for (size_t i = 0; i < n; i++) {
        h->msg_iov = &v[i];
        if (sendmsg(u->io.fd, h, MSG_DONTWAIT) < 0)
            count_dropped(u, errno == EAGAIN ? DROPPED_BUFFER : DROPPED_ERROR);
    }
}

/* What the kernel does not take now is dropped: a resolver asks again, a queue only grows. */
static void send_all(struct udp *u, struct outgoing *o)
{
    unsigned at = 0;

    while (at < o->n_msg) {
        int r = sendmmsg(u->io.fd, o->msg + at, o->n_msg - at, MSG_DONTWAIT);

        if (r > 0) {
            at += (unsigned)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (o->msg[at].msg_hdr.msg_iovlen > 1 && errno != EAGAIN)
            send_apart(u, &o->msg[at].msg_hdr);
        else
            count_dropped(u, errno == EAGAIN ? DROPPED_BUFFER : DROPPED_ERROR);
        at++; /* this one cannot go; the next may */
    }
}

static void send_slots(struct udp *u, struct slot *const *s, unsigned n)
{
    struct outgoing o;

    o.n_msg = o.n_iov = 0;
    for (unsigned i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && may_join(u, s[i], s[k], k - i); k++)
            ;
        address(&o, s + i, k - i);
    }
    send_all(u, &o);
}

static void flush_late(struct wp_task *task)
{
    struct udp *u = (struct udp *)((char *)task - offsetof(struct udp, task));
    struct slot *send[LATE_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < u->n_late; i++) {
        if (u->late[i]->q->out_len > 0)
            send[n++] = u->late[i];
    }
    if (n > 0 && !u->closed)
        send_slots(u, send, n);
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

/* Send what is answered; the slots are free again. */
static void flush_batch(struct udp *u)
{
    struct batch *b = u->batch;

    if (b->n_out == 0)
        return;
    send_slots(u, b->out, b->n_out);
    for (unsigned i = 0; i < b->n_out; i++) {
        wp_query_reset(b->out[i]->q);
        b->slot[b->n_slots++] = b->out[i];
    }
    b->n_out = 0;
}

/* --- receiving ----------------------------------------------------------------------------- */

/* Keep a packet info for the reply: the address asked becomes the source. */
static void keep_info(struct envelope *env, const struct cmsghdr *c)
{
    size_t len = CMSG_SPACE(c->cmsg_len - CMSG_LEN(0));

    if (len <= sizeof(env->control)) {
        memmove(env->control, c, len);
        env->control_len = len;
    }
}

/* The address that was asked; where the kernel has joined datagrams, the size of each. */
static unsigned read_control(struct envelope *env, struct msghdr *h)
{
    unsigned segment = 0;
    struct cmsghdr *info = NULL;

    env->control_len = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;

            memcpy(&size, CMSG_DATA(c), sizeof(size));
            segment = size > 0 ? (unsigned)size : 0;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo i;

            memcpy(&i, CMSG_DATA(c), sizeof(i));
            env->local.family = 4;
            memcpy(env->local.ip, &i.ipi_addr, 4);
            i.ipi_ifindex = 0;
            i.ipi_spec_dst = i.ipi_addr;
            memcpy(CMSG_DATA(c), &i, sizeof(i));
            info = c;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo i;

            memcpy(&i, CMSG_DATA(c), sizeof(i));
            env->local.family = 6;
            memcpy(env->local.ip, &i.ipi6_addr, 16);
            if (IN6_IS_ADDR_LINKLOCAL(&i.ipi6_addr))
                env->local.scope = i.ipi6_ifindex;
            else
                i.ipi6_ifindex = 0; /* routing decides, except where only the link does */
            memcpy(CMSG_DATA(c), &i, sizeof(i));
            info = c;
        }
    }
    if (info != NULL)
        keep_info(env, info);
    return segment;
}

/* The query goes on without us: it takes its slot and the envelope along. */
static void let_wait(struct udp *u, struct slot *s)
{
    s->own = *s->env;
    s->env = &s->own;
    s->u = u;
    u->waiting++;
}

/* One datagram through the router. */
static void serve(struct udp *u, const struct envelope *env, const uint8_t *data, size_t len)
{
    const struct wp_group *g = u->l.group;
    struct batch *b = u->batch;
    struct slot *s = b->slot[b->n_slots - 1];
    struct wp_query *q = s->q;

    if (WP_UNLIKELY(len > WP_QUERY_IN)) {
        count_dropped(u, DROPPED_SIZE);
        return;
    }
    memcpy(wp_query_in(q), data, len); /* small, and it must live as long as the query */
    q->wire = wp_query_in(q);
    q->wire_len = (uint32_t)len;
    q->client = q->peer = env->peer;
    q->local = env->local;
    if (WP_UNLIKELY(g->proxy.set) &&
        !wp_proxy_datagram(&u->sessions, &g->proxy, q, wp_loop_now(u->l.worker->loop))) {
        count_dropped(u, DROPPED_PROXY);
        wp_query_reset(q);
        return;
    }
    if (WP_UNLIKELY(!wp_guard_source_ok(&q->client, &q->local))) {
        count_dropped(u, DROPPED_SOURCE);
        wp_query_reset(q);
        return;
    }
    q->transport = WP_UDP;
    q->stream = false;
    q->route = g->route;
    q->start_ns = wp_loop_now(u->l.worker->loop);
    q->done = on_done;
    q->owner = s;
    s->env = env;
    b->n_slots--;
    if (WP_UNLIKELY(wp_query_run(q) == WP_STEP_WAIT)) {
        let_wait(u, s);
    } else if (WP_LIKELY(q->out_len > 0)) {
        b->out[b->n_out++] = s;
    } else {
        wp_query_reset(q);
        b->slot[b->n_slots++] = s;
    }
}

/* A slot to serve with; answers are sent first when all are taken. False: the worker's limit. */
static bool have_slot(struct udp *u)
{
    struct batch *b = u->batch;
    struct slot *s;

    if (WP_LIKELY(b->n_slots > 0))
        return true;
    if (b->n_out == SLOTS) {
        flush_batch(u);
        return true;
    }
    s = slot_new(u->l.worker);
    if (s != NULL)
        b->slot[b->n_slots++] = s;
    else
        flush_batch(u);
    return b->n_slots > 0;
}

/* All datagrams of one message. */
static void serve_message(struct udp *u, unsigned i)
{
    struct batch *b = u->batch;
    struct envelope *env = &b->env[i];
    struct msghdr *h = &b->msg[i].msg_hdr;
    const uint8_t *data = b->data + (size_t)i * MESSAGE_LEN;
    size_t len = b->msg[i].msg_len, segment;

    env->name_len = h->msg_namelen;
    env->local = u->local;
    wp_addr_from_sockaddr((struct sockaddr *)&env->name, &env->peer);
    segment = read_control(env, h);
    if (segment == 0)
        segment = len;
    do {
        size_t n = len < segment ? len : segment;

        if (have_slot(u))
            serve(u, env, data, n);
        else
            wp_guard_refused(u->l.group, u->l.worker->index, WP_LIMIT_IN_FLIGHT);
        data += n;
        len -= n;
    } while (len > 0);
}

/* The kernel writes to the headers of what it has received: only those are made anew. */
static void prepare(struct batch *b)
{
    for (unsigned i = 0; i < b->used; i++) {
        b->iov[i] = (struct iovec){.iov_base = b->data + (size_t)i * MESSAGE_LEN, .iov_len = MESSAGE_LEN};
        b->msg[i].msg_hdr = (struct msghdr){
            .msg_name = &b->env[i].name,
            .msg_namelen = sizeof(b->env[i].name),
            .msg_iov = &b->iov[i],
            .msg_iovlen = 1,
            .msg_control = b->env[i].control,
            .msg_controllen = CONTROL,
        };
    }
}

static bool one_batch(struct udp *u)
{
    struct batch *b = u->batch;
    int n;

    prepare(b);
    n = recvmmsg(u->io.fd, b->msg, MESSAGES, MSG_DONTWAIT, NULL);
    if (n <= 0) {
        b->used = 0;
        return false; /* ICMP errors and the like concern one client, not the listener */
    }
    b->used = (unsigned)n;
    for (unsigned i = 0; i < b->used; i++)
        serve_message(u, i);
    flush_batch(u);
    return n == MESSAGES;
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
    int r, one = 1;

    if (u == NULL)
        return -ENOMEM;
    u->l = (struct wp_listener){.ops = &wp_listener_udp, .worker = w, .group = g};
    u->io = (struct wp_io){.fd = fd, .fn = on_readable};
    u->task.fn = flush_late;
    u->batch = batch_new();
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
    /* without it every datagram comes as a message of its own, as it does on older kernels */
    setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
    for (unsigned i = 0; i < DROPPED_REASONS; i++) {
        const char *values[] = {g->label, dropped_text[i]};

        u->dropped[i] = wp_metric_series(&dropped_family, values);
    }
    r = wp_io_add(w->loop, &u->io, WP_IO_READ);
    if (r < 0)
        goto out;
    wp_io_urgent(&u->io);
    *ret = &u->l;
    return 0;
out:
    batch_free(u->batch);
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
