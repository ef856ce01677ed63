/* The UDP listener. Datagrams are read in batches; where the kernel has joined those of one sender
 * (UDP_GRO) a message of the batch holds many. Each gets a query object; what the chain answers
 * at once is sent together (udp_send.c). A query that waits
 * keeps its object and is sent when it is done. Replies leave from the address that was asked. */
#include "server/listeners/udp_priv.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/listeners/proxy_udp.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

enum {
    ROUNDS = 4,     /* batches taken in one turn before other descriptors have theirs */
    AHEAD_STEP = 2, /* questions between the two steps of a prefetch */
};

static const char *const dropped_text[WP_UDP_DROPPED_REASONS] = {
    "source", "send buffer", "send error", "proxy header", "size"};

static const struct wp_family dropped_family = {
    .name = "waypost_udp_dropped_total",
    .help = "UDP datagrams that were not answered or whose answer could not be sent.",
    .kind = WP_COUNTER,
    .labels = {"server", "reason"},
};

static struct wp_udp_slot *slot_new(struct wp_worker *w)
{
    struct wp_udp_slot *s = malloc(sizeof(*s));

    if (s == NULL)
        return NULL;
    s->q = wp_query_get(w);
    if (s->q == NULL) {
        free(s);
        return NULL;
    }
    return s;
}

static void slot_free(struct wp_udp_slot *s)
{
    wp_query_put(s->q);
    free(s);
}

static void batch_free(struct wp_udp_batch *b)
{
    if (b == NULL)
        return;
    while (b->n_slots > 0)
        slot_free(b->slot[--b->n_slots]);
    if (b->data != MAP_FAILED)
        munmap(b->data, (size_t)WP_UDP_MESSAGES * WP_UDP_MESSAGE_LEN);
    free(b);
}

static struct wp_udp_batch *batch_new(void)
{
    struct wp_udp_batch *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return NULL;
    b->data = mmap(NULL, (size_t)WP_UDP_MESSAGES * WP_UDP_MESSAGE_LEN, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (b->data == MAP_FAILED) {
        free(b);
        return NULL;
    }
    b->used = WP_UDP_MESSAGES;
    return b;
}

static void udp_unref(struct wp_udp *u)
{
    if (!u->closed || u->waiting > 0 || u->n_late > 0)
        return;
    wp_proxy_sessions_free(u->sessions);
    batch_free(u->batch);
    free(u);
}

/* --- what was waited for -------------------------------------------------------------------- */

static void flush_late(struct wp_task *task)
{
    struct wp_udp *u = (struct wp_udp *)((char *)task - offsetof(struct wp_udp, task));
    struct wp_udp_slot *send[WP_UDP_LATE_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < u->n_late; i++) {
        if (u->late[i]->q->out_len > 0)
            send[n++] = u->late[i];
    }
    if (n > 0 && !u->closed)
        wp_udp_send(u, send, n);
    for (unsigned i = 0; i < u->n_late; i++)
        slot_free(u->late[i]);
    u->n_late = 0;
    udp_unref(u);
}

static void on_done(struct wp_query *q)
{
    struct wp_udp_slot *s = q->owner;
    struct wp_udp *u = s->u;

    u->waiting--;
    if (u->n_late == WP_UDP_LATE_MAX)
        flush_late(&u->task);
    u->late[u->n_late++] = s;
    wp_loop_defer(u->l.worker->loop, &u->task);
}

/* Send what is answered; the slots are free again. */
static void flush_batch(struct wp_udp *u)
{
    struct wp_udp_batch *b = u->batch;

    if (b->n_out == 0)
        return;
    wp_udp_send(u, b->out, b->n_out);
    for (unsigned i = 0; i < b->n_out; i++) {
        wp_query_reset(b->out[i]->q);
        b->slot[b->n_slots++] = b->out[i];
    }
    b->n_out = 0;
}

/* --- receiving ----------------------------------------------------------------------------- */

/* The query goes on without us: it takes its slot and the envelope along. */
static void let_wait(struct wp_udp *u, struct wp_udp_slot *s)
{
    s->own = *s->env;
    s->env = &s->own;
    s->u = u;
    u->waiting++;
}

/* One question through the router. */
static void run(struct wp_udp *u, struct wp_udp_slot *s)
{
    struct wp_udp_batch *b = u->batch;

    if (WP_UNLIKELY(wp_query_run(s->q) == WP_STEP_WAIT)) {
        let_wait(u, s);
    } else if (WP_LIKELY(s->q->out_len > 0)) {
        b->out[b->n_out++] = s;
    } else {
        wp_query_reset(s->q);
        b->slot[b->n_slots++] = s;
    }
}

static void run_oldest(struct wp_udp *u)
{
    struct wp_udp_batch *b = u->batch;
    struct wp_udp_slot *s = b->ahead[0];

    b->n_ahead--;
    memmove(b->ahead, b->ahead + 1, b->n_ahead * sizeof(*b->ahead));
    run(u, s);
}

static void run_ahead(struct wp_udp *u)
{
    while (u->batch->n_ahead > 0)
        run_oldest(u);
}

/* While others are answered the memory that this one needs comes near. */
static void run_soon(struct wp_udp *u, struct wp_udp_slot *s)
{
    struct wp_udp_batch *b = u->batch;

    if (b->n_ahead == WP_UDP_AHEAD)
        run_oldest(u);
    b->ahead[b->n_ahead++] = s;
    wp_query_prefetch(s->q, 0);
    if (b->n_ahead > AHEAD_STEP)
        wp_query_prefetch(b->ahead[b->n_ahead - 1 - AHEAD_STEP]->q, 1);
}

/* One datagram. */
static void serve(struct wp_udp *u, const struct wp_udp_envelope *env, const uint8_t *data,
                  size_t len)
{
    const struct wp_group *g = u->l.group;
    struct wp_udp_batch *b = u->batch;
    struct wp_udp_slot *s = b->slot[b->n_slots - 1];
    struct wp_query *q = s->q;

    if (WP_UNLIKELY(len > WP_QUERY_IN)) {
        wp_udp_count_dropped(u, WP_UDP_DROPPED_SIZE);
        return;
    }
    memcpy(wp_query_in(q), data, len); /* small, and it must live as long as the query */
    q->wire = wp_query_in(q);
    q->wire_len = (uint32_t)len;
    q->client = q->peer = env->peer;
    q->local = env->local;
    if (WP_UNLIKELY(g->proxy.set) &&
        !wp_proxy_datagram(&u->sessions, &g->proxy, q, wp_loop_now(u->l.worker->loop))) {
        wp_udp_count_dropped(u, WP_UDP_DROPPED_PROXY);
        wp_query_reset(q);
        return;
    }
    if (WP_UNLIKELY(!wp_guard_source_ok(&q->client, &q->local))) {
        wp_udp_count_dropped(u, WP_UDP_DROPPED_SOURCE);
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
    if (b->several)
        run_soon(u, s);
    else
        run(u, s);
}

/* A slot to serve with; answers are sent first when all are taken. False: the worker's limit. */
static bool have_slot(struct wp_udp *u)
{
    struct wp_udp_batch *b = u->batch;
    struct wp_udp_slot *s;

    if (WP_LIKELY(b->n_slots > 0))
        return true;
    run_ahead(u);
    if (b->n_slots > 0)
        return true;
    if (b->n_out == WP_UDP_SLOTS) {
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
static void serve_message(struct wp_udp *u, unsigned i)
{
    struct wp_udp_batch *b = u->batch;
    struct wp_udp_envelope *env = &b->env[i];
    struct msghdr *h = &b->msg[i].msg_hdr;
    const uint8_t *data = b->data + (size_t)i * WP_UDP_MESSAGE_LEN;
    size_t len = b->msg[i].msg_len, segment;

    env->name_len = h->msg_namelen;
    env->local = u->local;
    wp_addr_from_sockaddr((struct sockaddr *)&env->name, &env->peer);
    segment = wp_udp_read_control(env, h);
    if (segment == 0)
        segment = len;
    b->several = b->used > 1 || len > segment;
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
static void prepare(struct wp_udp_batch *b)
{
    for (unsigned i = 0; i < b->used; i++) {
        b->iov[i] = (struct iovec){.iov_base = b->data + (size_t)i * WP_UDP_MESSAGE_LEN,
                                   .iov_len = WP_UDP_MESSAGE_LEN};
        b->msg[i].msg_hdr = (struct msghdr){
            .msg_name = &b->env[i].name,
            .msg_namelen = sizeof(b->env[i].name),
            .msg_iov = &b->iov[i],
            .msg_iovlen = 1,
            .msg_control = b->env[i].control,
            .msg_controllen = WP_UDP_CONTROL,
        };
    }
}

static bool one_batch(struct wp_udp *u)
{
    struct wp_udp_batch *b = u->batch;
    int n;

    prepare(b);
    n = recvmmsg(u->io.fd, b->msg, WP_UDP_MESSAGES, MSG_DONTWAIT, NULL);
    if (n <= 0) {
        b->used = 0;
        return false; /* ICMP errors and the like concern one client, not the listener */
    }
    b->used = (unsigned)n;
    for (unsigned i = 0; i < b->used; i++)
        serve_message(u, i);
    run_ahead(u);
    flush_batch(u);
    return n == WP_UDP_MESSAGES;
}

static void on_readable(struct wp_io *io, uint32_t events)
{
    struct wp_udp *u = (struct wp_udp *)((char *)io - offsetof(struct wp_udp, io));

    (void)events;
    for (unsigned i = 0; i < ROUNDS && one_batch(u); i++)
        ;
}

static int udp_open(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    struct wp_udp *u = calloc(1, sizeof(*u));
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
    /* without it every datagram comes as a message of its own, as it does on older kernels */
    setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
    for (unsigned i = 0; i < WP_UDP_DROPPED_REASONS; i++) {
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
    struct wp_udp *u = (struct wp_udp *)l;

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
