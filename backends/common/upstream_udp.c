/* Queries over UDP: many connected sockets for each upstream, each with a random source port and
 * a short life; many queries in flight on a socket, told apart by random ids. The queries of one
 * turn share a socket, so that one system call sends them and few read the replies. */
#include "backends/common/upstream_priv.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/plugin/metric.h"

#define MS 1000000ull
enum {
    SOCKETS_USUAL = 16,   /* ports in use when the upstream keeps up */
    SOCKET_QUERIES = 512, /* then another port */
    SOCKET_AGE_S = 30,
    SOCKET_OPEN = 64, /* more in flight would overrun the receive buffer when all come at once */
    SEND_BATCH = 64,
    ROUNDS = 4,        /* batches read in one turn before others have theirs */
    FREE_SOCKETS = 32, /* kept for reuse of their memory */
    OTHER_MS = 500,    /* how long the true reply may lag behind one that does not fit */
    ERRORS = 32,       /* ICMP errors read in one go */
};

/* --- sockets ------------------------------------------------------------------------------- */

static void socket_free(struct wp_up_socket *s)
{
    struct wp_up_here *h = s->local->here;

    wp_io_del(&s->io);
    close(s->io.fd);
    if (h->n_free_sockets < FREE_SOCKETS) {
        s->next = h->free_sockets;
        h->free_sockets = s;
        h->n_free_sockets++;
        return;
    }
    free(s);
}

/* The last query of a retired socket is over. */
static void socket_done(struct wp_up_socket *s)
{
    struct wp_up_socket **at = &s->local->retired;

    if (!s->retired || s->open > 0 || s->busy)
        return;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    socket_free(s);
}

static void socket_retire(struct wp_up_local *l, unsigned i)
{
    struct wp_up_socket *s = l->socket[i];

    l->socket[i] = NULL;
    l->n_sockets--;
    if (l->current == s)
        l->current = NULL;
    s->retired = true;
    s->next = l->retired;
    l->retired = s;
    socket_done(s);
}

static void on_event(struct wp_io *io, uint32_t events);

static int socket_open(struct wp_up_local *l, unsigned i)
{
    struct wp_up_here *h = l->here;
    struct wp_up_socket *s = h->free_sockets;
    int r;

    if (s != NULL) {
        h->free_sockets = s->next;
        h->n_free_sockets--;
    } else {
        s = malloc(sizeof(*s));
        if (s == NULL)
            return -ENOMEM;
    }
    *s = (struct wp_up_socket){.local = l, .born_ns = wp_loop_now(h->loop)};
    s->io = (struct wp_io){.fd = wp_up_connect(l->up, SOCK_DGRAM), .fn = on_event};
    r = s->io.fd < 0 ? s->io.fd : wp_io_add(h->loop, &s->io, WP_IO_READ);
    if (r < 0) {
        if (s->io.fd >= 0)
            close(s->io.fd);
        free(s);
        return r;
    }
    l->socket[i] = s;
    l->n_sockets++;
    wp_up_sweep_later(l);
    return 0;
}

static bool is_old(const struct wp_up_local *l, const struct wp_up_socket *s, uint64_t now_ns)
{
    uint64_t age = now_ns - s->born_ns, max = (uint64_t)l->up->profile->max_age_ns;

    return s->asked >= SOCKET_QUERIES || age > SOCKET_AGE_S * 1000 * MS || (max > 0 && age > max) ||
           (s->open == 0 && now_ns - s->used_ns > (uint64_t)l->up->profile->expire_ns &&
            s->asked > 0);
}

static unsigned usual(const struct wp_up_local *l)
{
    int64_t max = l->up->profile->max_idle;

    return max > 0 && max < SOCKETS_USUAL ? (unsigned)max : SOCKETS_USUAL;
}

/* A place for this turn's queries: usually one of a few, at random; when those are full, the
 * emptiest of some of all. */
static unsigned pick(struct wp_up_local *l)
{
    unsigned i = wp_up_random(l->here) % usual(l);

    for (int n = 0; n < 4 && l->socket[i] != NULL && l->socket[i]->open >= SOCKET_OPEN; n++) {
        unsigned j = wp_up_random(l->here) % WP_UP_SOCKETS;

        if (l->socket[j] == NULL || l->socket[j]->open < l->socket[i]->open)
            i = j;
    }
    return i;
}

static void count(struct wp_up_local *l, struct wp_series *const series[WP_UP_PROTOS])
{
    if (l->here->index < l->up->set->n_loops - 1)
        wp_metric_add(series[WP_UP_UDP], l->here->index, 1);
}

static int socket_for(struct wp_up_local *l, struct wp_up_socket **ret)
{
    uint64_t now_ns = wp_loop_now(l->here->loop);
    struct wp_up_socket *s = l->current;
    unsigned i;
    int r;

    if (s != NULL && s->open < SOCKET_OPEN && s->asked < SOCKET_QUERIES) {
        count(l, l->up->hits);
        *ret = s;
        return 0;
    }
    i = pick(l);
    if (l->socket[i] != NULL && is_old(l, l->socket[i], now_ns))
        socket_retire(l, i);
    if (l->socket[i] == NULL) {
        r = socket_open(l, i);
        if (r < 0)
            return r;
        count(l, l->up->misses);
    } else {
        count(l, l->up->hits);
    }
    *ret = l->current = l->socket[i];
    return 0;
}

/* --- asking -------------------------------------------------------------------------------- */

static struct wp_up_try *find(struct wp_up_socket *s, uint16_t id)
{
    struct wp_up_try *x = s->bucket[id % WP_UP_ID_BUCKETS];

    while (x != NULL && x->id != id)
        x = x->next;
    return x;
}

static void enqueue(struct wp_up_local *l, struct wp_up_try *x)
{
    x->queue_next = NULL;
    x->queue_prev = l->queue_end;
    *l->queue_end = x;
    l->queue_end = &x->queue_next;
    wp_loop_defer(l->here->loop, &l->flush);
}

static void dequeue(struct wp_up_local *l, struct wp_up_try *x)
{
    if (x->queue_prev == NULL)
        return;
    *x->queue_prev = x->queue_next;
    if (x->queue_next != NULL)
        x->queue_next->queue_prev = x->queue_prev;
    else
        l->queue_end = x->queue_prev;
    x->queue_prev = NULL;
    x->queue_next = NULL;
}

static void on_timer(struct wp_timer *t);
static void flush(struct wp_task *task);

int wp_up_udp_ask(struct wp_up_local *l, struct wp_up_try *x, const char **ret_why)
{
    uint64_t wait_ns = x->wait_ns > 0 ? x->wait_ns : (uint64_t)l->up->profile->read_timeout_ns;
    struct wp_up_socket *s;
    int r = socket_for(l, &s);

    if (r < 0) {
        *ret_why = wp_up_why(l->up, "dial", "udp", -1, r);
        return r;
    }
    do
        x->id = wp_up_random(l->here);
    while (find(s, x->id) != NULL);
    wp_put16(x->msg, x->id);
    wp_up_try_link(&s->bucket[x->id % WP_UP_ID_BUCKETS], x);
    x->via = s;
    x->state = WP_TRY_SENT;
    s->open++;
    s->asked++;
    s->used_ns = x->asked_ns;
    l->flush.fn = flush;
    enqueue(l, x);
    x->due_ns = x->asked_ns + wait_ns;
    if (x->due_ns > x->deadline_ns)
        x->due_ns = x->deadline_ns;
    x->timer.fn = on_timer;
    /* half-way the query goes out again: a lost datagram must not cost the whole timeout */
    x->resent = x->once;
    wp_timer_set(x->loop, &x->timer,
                 x->once ? x->due_ns : x->asked_ns + (x->due_ns - x->asked_ns) / 2);
    return 0;
}

void wp_up_udp_cancel(struct wp_up_try *x)
{
    struct wp_up_socket *s = x->via;

    dequeue(s->local, x);
    wp_up_try_unlink(x);
    s->open--;
    socket_done(s);
}

static void on_timer(struct wp_timer *t)
{
    struct wp_up_try *x = (struct wp_up_try *)((char *)t - offsetof(struct wp_up_try, timer));
    struct wp_up_socket *s = x->via;

    if (x->send_error != 0) {
        wp_up_try_fail(x, x->send_error, wp_up_why(x->up, "write", "udp", s->io.fd, x->send_error));
    } else if (x->other.verdict != WP_REPLY_NOT_ONE) { /* the true one did not come */
        wp_up_try_end(x, &(struct wp_outcome){.look = x->other, .udp = true});
    } else if (!x->resent) {
        x->resent = true;
        if (x->queue_prev == NULL)
            enqueue(s->local, x);
        wp_timer_set(x->loop, t, x->due_ns);
    } else {
        wp_up_try_fail(x, WP_ETIMEOUT, wp_up_why(x->up, "read", "udp", s->io.fd, WP_ETIMEOUT));
    }
}

/* --- sending ------------------------------------------------------------------------------- */

/* The kernel said no to this datagram. What is only full now is made up for by sending again;
 * the rest is told by the timer: nobody is called back while the batch is walked. */
static void send_failed(struct wp_up_try *x, int err)
{
    if (err == EAGAIN || err == ENOBUFS || err == EINTR || err == ECONNREFUSED)
        return;
    x->send_error = -err;
    wp_timer_set(x->loop, &x->timer, wp_loop_now(x->loop));
}

/* n tries of one socket. An error of the socket (an ICMP message that came in) is reported
 * instead of sending: then the same call again works. */
static void send_some(struct wp_up_socket *s, struct wp_up_try *const *x, unsigned n)
{
    struct mmsghdr msg[SEND_BATCH];
    struct iovec iov[SEND_BATCH];
    unsigned at = 0, pending = 0;

    for (unsigned i = 0; i < n; i++) {
        iov[i] = (struct iovec){.iov_base = x[i]->msg, .iov_len = x[i]->len};
        msg[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    while (at < n) {
        int r = n - at == 1 ? (send(s->io.fd, x[at]->msg, x[at]->len, MSG_DONTWAIT) < 0 ? -1 : 1)
                            : sendmmsg(s->io.fd, msg + at, n - at, MSG_DONTWAIT);

        if (r > 0) {
            at += (unsigned)r;
            continue;
        }
        if (errno == ECONNREFUSED && pending++ < 2)
            continue;
        send_failed(x[at++], errno);
    }
}

static void flush(struct wp_task *task)
{
    struct wp_up_local *l =
        (struct wp_up_local *)((char *)task - offsetof(struct wp_up_local, flush));

    l->current = NULL;
    while (l->queue != NULL) {
        struct wp_up_try *x[SEND_BATCH];
        struct wp_up_socket *s = l->queue->via;
        unsigned n = 0;

        while (n < SEND_BATCH && l->queue != NULL && l->queue->via == s) {
            x[n] = l->queue;
            dequeue(l, x[n++]);
        }
        send_some(s, x, n);
    }
}

/* --- receiving ----------------------------------------------------------------------------- */

/* What the client said it takes is what the upstream may send: more is as good as cut. */
static size_t size_limit(const struct wp_up_try *x)
{
    size_t tail =
        WP_HEADER_LEN + (size_t)wp_name_len(x->msg + WP_HEADER_LEN, x->len - WP_HEADER_LEN) + 4;
    struct wp_rd rd = wp_rd_from(x->msg, x->len);
    size_t size = 512;

    rd.pos = tail;
    for (unsigned i = wp_be16(x->msg + 6) + wp_be16(x->msg + 8) + wp_be16(x->msg + 10); i > 0;
         i--) {
        struct wp_rr_at at;

        if (wp_rr_next(&rd, &at) < 0)
            break;
        if (at.type == WP_TYPE_OPT && at.cls > size)
            size = at.cls;
    }
    return size;
}

static void datagram(struct wp_up_socket *s, const uint8_t *data, size_t len, bool cut)
{
    struct wp_outcome o = {.reply = data, .len = len, .udp = true};
    struct wp_up_try *x;

    if (len < WP_HEADER_LEN)
        return;
    x = find(s, wp_be16(data));
    if (x == NULL)
        return;
    o.look = wp_reply_look(x->msg, x->len, data, len);
    switch (o.look.verdict) {
    case WP_REPLY_NOT_ONE:
        return;
    case WP_REPLY_MISMATCH:
    case WP_REPLY_MALFORMED:
        /* Perhaps forged: the true reply may follow. */
        if (x->other.verdict == WP_REPLY_NOT_ONE) {
            uint64_t soon = wp_loop_now(x->loop) + OTHER_MS * MS;

            wp_timer_set(x->loop, &x->timer, soon < x->due_ns ? soon : x->due_ns);
        }
        x->other = o.look;
        return;
    case WP_REPLY_OK:
    case WP_REPLY_CUT:
        break;
    }
    if (cut || (len > 512 && len > size_limit(x)))
        o.look.verdict = WP_REPLY_CUT;
    wp_up_try_end(x, &o);
}

/* n datagrams, or 0 when there are none, or an error that ICMP left behind was taken away. */
static unsigned read_some(struct wp_up_socket *s)
{
    struct wp_up_here *h = s->local->here;
    struct mmsghdr msg[WP_UP_RX];
    struct iovec iov[WP_UP_RX];
    int n;

    if (h->rx == NULL)
        h->rx = malloc((size_t)WP_UP_RX * WP_UP_RX_LEN); /* touched as far as it is used */
    if (h->rx == NULL)
        return 0;
    for (unsigned i = 0; i < WP_UP_RX; i++) {
        iov[i] =
            (struct iovec){.iov_base = h->rx + (size_t)i * WP_UP_RX_LEN, .iov_len = WP_MSG_MAX};
        msg[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    n = recvmmsg(s->io.fd, msg, s->open < WP_UP_RX ? s->open + 1 : WP_UP_RX, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    for (unsigned i = 0; i < (unsigned)n; i++)
        datagram(s, iov[i].iov_base, msg[i].msg_len, msg[i].msg_hdr.msg_flags & MSG_TRUNC);
    return (unsigned)n;
}

/* --- ICMP errors --------------------------------------------------------------------------- */

/* The errno of one message of the error queue, 0 if it says nothing about reachability. */
static int error_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        struct sock_extended_err e;

        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        return e.ee_errno == EMSGSIZE ? 0 : (int)e.ee_errno;
    }
    return 0;
}

static void unreachable(struct wp_up_socket *s, struct wp_up_try *x, int err)
{
    wp_up_try_fail(x, -err, wp_up_why(x->up, "read", "udp", s->io.fd, -err));
}

/* A router that quotes too little to tell which query it was speaks of the whole way. The next
 * tries go through other sockets, so this ends. */
static void all_unreachable(struct wp_up_socket *s, int err)
{
    for (unsigned i = 0; i < WP_UP_SOCKETS && !s->retired; i++) {
        if (s->local->socket[i] == s)
            socket_retire(s->local, i);
    }
    for (unsigned i = 0; i < WP_UP_ID_BUCKETS; i++) {
        while (s->bucket[i] != NULL)
            unreachable(s, s->bucket[i], err);
    }
}

static void read_errors(struct wp_up_socket *s)
{
    int ignored;
    socklen_t len = sizeof(ignored);

    for (int i = 0; i < ERRORS; i++) {
        uint8_t quoted[2], control[512];
        struct iovec iov = {.iov_base = quoted, .iov_len = sizeof(quoted)};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(s->io.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
        struct wp_up_try *x;
        int err;

        if (n < 0)
            break;
        err = error_of(&m);
        if (err == 0)
            continue;
        x = n == 2 ? find(s, wp_be16(quoted)) : NULL;
        if (x != NULL)
            unreachable(s, x, err);
        else if (n < 2)
            all_unreachable(s, err);
    }
    /* what is pending would come back from the next send or receive, and wake us until then */
    (void)getsockopt(s->io.fd, SOL_SOCKET, SO_ERROR, &ignored, &len);
}

static void on_event(struct wp_io *io, uint32_t events)
{
    struct wp_up_socket *s =
        (struct wp_up_socket *)((char *)io - offsetof(struct wp_up_socket, io));

    s->busy = true;
    /* replies first: they came before the error, or in spite of it */
    for (int i = 0; i < ROUNDS && read_some(s) == WP_UP_RX; i++)
        ;
    if (events & (WP_IO_ERROR | WP_IO_HANGUP))
        read_errors(s);
    s->busy = false;
    socket_done(s);
}

/* --- looking after ------------------------------------------------------------------------- */

bool wp_up_udp_sweep(struct wp_up_local *l, uint64_t now_ns)
{
    for (unsigned i = 0; i < WP_UP_SOCKETS; i++) {
        if (l->socket[i] != NULL && is_old(l, l->socket[i], now_ns))
            socket_retire(l, i);
    }
    return l->n_sockets > 0 || l->retired != NULL;
}

bool wp_up_udp_is_open(const struct wp_up_local *l)
{
    if (l->retired != NULL)
        return true;
    for (unsigned i = 0; i < WP_UP_SOCKETS; i++) {
        if (l->socket[i] != NULL && l->socket[i]->open > 0)
            return true;
    }
    return false;
}

void wp_up_udp_close(struct wp_up_local *l)
{
    for (unsigned i = 0; i < WP_UP_SOCKETS; i++) {
        if (l->socket[i] != NULL)
            socket_retire(l, i);
    }
    wp_task_cancel(l->here->loop, &l->flush);
}

void wp_up_udp_done(struct wp_up_here *h)
{
    while (h->free_sockets != NULL) {
        struct wp_up_socket *s = h->free_sockets;
        h->free_sockets = s->next;
        free(s);
    }
}
