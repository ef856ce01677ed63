/* A stream listener on a loopback socket of the system's choice, on a loop whose time is moved
 * by hand, with a query runner that does what the first octet after the header says:
 *
 *   'a' the message comes back with QR set       'z' nothing is sent
 *   's' it waits; rig_finish() answers it        'b' 60,000 octets are answered
 *   'n' it waits, and the oldest waiting query ends while it runs
 *   'm' the octet after it says how many messages of 60,000 octets are answered; 0: endless
 *
 * Included by one file of a program: it stands in for the router. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "check.h"
#include "server/listeners/conn_priv.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/server/guard.h"
#include "waypost/server/worker.h"

#define MS UINT64_C(1000000)
#define SEC UINT64_C(1000000000)

enum { RIG_BIG = 60000, RIG_WAITING = 512 };

struct rig {
    struct wp_loop *loop;
    struct wp_worker worker;
    struct wp_group group;
    struct wp_listener *listener;
    uint16_t port;
    uint64_t now;
    int closed; /* calls of the drain's closed() */
};

/* --- the router's place --------------------------------------------------------------------- */

static struct wp_query *rig_waiting[RIG_WAITING];
static unsigned rig_n_waiting, rig_queries, rig_max_queries = 1000, rig_cancelled, rig_runs;
static bool rig_cancel_later;    /* a cancelled query ends only with rig_finish */
static struct wp_query rig_last; /* as the last run saw it */
static unsigned rig_made;        /* messages of 'm' */
static int rig_broken;           /* what becomes of 'm' instead of the next message */

struct wp_query *wp_query_get(struct wp_worker *w)
{
    struct wp_pooled *p;

    if (rig_queries >= rig_max_queries)
        return NULL;
    p = calloc(1, sizeof(*p));
    if (p == NULL)
        return NULL;
    rig_queries++;
    wp_arena_init(&p->arena, 1 << 20);
    p->q.arena = &p->arena;
    p->q.loop = w->loop;
    p->worker = w;
    wp_query_reset(&p->q);
    return &p->q;
}

void wp_query_put(struct wp_query *q)
{
    struct wp_pooled *p = (struct wp_pooled *)q;

    rig_queries--;
    wp_arena_done(&p->arena);
    free(p->big);
    free(p);
}

void wp_query_reset(struct wp_query *q)
{
    struct wp_pooled *p = (struct wp_pooled *)q;

    wp_arena_reset(&p->arena);
    free(p->big);
    p->big = NULL;
    q->reply = (struct wp_reply){.buf = p->out, .cap = sizeof(p->out)};
    q->cancelled = q->waiting = q->sent = false;
    q->more = NULL;
    q->out = NULL;
    q->out_len = 0;
}

static inline void rig_answer(struct wp_query *q, size_t len)
{
    struct wp_pooled *p = (struct wp_pooled *)q;

    if (q->reply.cap < len) {
        p->big = malloc(len);
        if (p->big == NULL)
            return; /* nothing is sent */
        q->reply.buf = p->big;
    }
    memset(q->reply.buf, 0xbb, len);
    memcpy(q->reply.buf, q->wire, len < q->wire_len ? len : q->wire_len);
    q->reply.buf[2] |= 0x80;
    q->out = q->reply.buf;
    q->out_len = (uint32_t)len;
}

/* Answers the i-th of those that wait. */
static inline void rig_finish(unsigned i)
{
    struct wp_query *q = rig_waiting[i];
    char c = (char)q->wire[12];

    rig_waiting[i] = rig_waiting[--rig_n_waiting];
    q->reply.buf = ((struct wp_pooled *)q)->out;
    q->reply.cap = WP_QUERY_OUT;
    if (c == 'm')
        q->out_len = 0;
    else
        rig_answer(q, c == 'B' ? RIG_BIG : q->wire_len);
    q->done(q);
}

/* q->more only says that there is more here: wp_query_more does it all. Every other call makes a
 * message, the ones between are work on the way to it. */
static inline int rig_more(struct wp_query *q)
{
    (void)q;
    return WP_STEP_NEXT;
}

int wp_query_more(struct wp_query *q)
{
    struct wp_pooled *p = (struct wp_pooled *)q;
    uint8_t *left = &p->in[13];

    q->out_len = 0;
    if (rig_broken != 0)
        return rig_broken;
    q->state[0] = q->state[0] == NULL ? q : NULL;
    if (q->state[0] != NULL)
        return WP_STEP_NEXT;
    rig_answer(q, RIG_BIG);
    rig_made++;
    q->sent = true;
    if (*left == 0 || --*left > 0)
        return WP_STEP_NEXT;
    q->more = NULL;
    return WP_STEP_DONE;
}

void wp_query_resume(struct wp_query *q, int step)
{
    assert_int_equal(step, WP_STEP_DONE);
    for (unsigned i = 0; i < rig_n_waiting; i++)
        if (rig_waiting[i] == q)
            rig_waiting[i] = rig_waiting[--rig_n_waiting];
    q->out_len = 0;
    q->done(q);
}

int wp_query_run(struct wp_query *q)
{
    char c = q->wire_len > 12 ? (char)q->wire[12] : 'a';

    rig_runs++;
    rig_last = *q;
    if (q->wire[2] & 0x80) { /* a response: the gate ignores it */
        q->intake = WP_INTAKE_IGNORE;
        return WP_STEP_DONE;
    }
    switch (c) {
    case 'n':
        rig_finish(0);
        /* fallthrough */
    case 'B':
    case 'm':
    case 's':
        assert_true(rig_n_waiting < RIG_WAITING);
        rig_waiting[rig_n_waiting++] = q;
        q->waiting = true;
        q->more = c == 'm' ? rig_more : NULL;
        q->state[0] = NULL;
        q->reply.buf = ((struct wp_pooled *)q)->out;
        q->reply.cap = WP_QUERY_OUT;
        return WP_STEP_WAIT;
    case 'z':
        return WP_STEP_DONE;
    case 'b':
        rig_answer(q, RIG_BIG);
        return WP_STEP_DONE;
    default:
        rig_answer(q, q->wire_len);
        return WP_STEP_DONE;
    }
}

void wp_query_cancel(struct wp_query *q)
{
    if (q->cancelled)
        return;
    q->cancelled = true;
    rig_cancelled++;
    for (unsigned i = 0; i < rig_n_waiting && !rig_cancel_later; i++)
        if (rig_waiting[i] == q) {
            rig_finish(i);
            return;
        }
}

/* --- the rig -------------------------------------------------------------------------------- */

static inline void rig_closed(void *arg)
{
    ((struct rig *)arg)->closed++;
}

static inline void rig_limits(struct wp_limits *l)
{
    *l = (struct wp_limits){
        .read_ns = 3 * SEC,
        .write_ns = 5 * SEC,
        .idle_ns = 10 * SEC,
        .handshake_ns = 5 * SEC,
        .max_connections = 1000,
        .pipeline = 100,
        .max_queries = -1,
    };
}

/* Zeroed but for what the caller set in group: limits all zero means the defaults. */
static inline void rig_open(struct rig *r, const struct wp_listener_ops *ops)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    static unsigned serial;
    static char label[32];
    int fd;

    if (r->group.limits.pipeline == 0)
        rig_limits(&r->group.limits);
    snprintf(label, sizeof(label), "dns://test:%u", serial++);
    if (r->group.label == NULL)
        r->group.label = label;
    r->group.counts = wp_guard_counts_for(r->group.label);
    r->now = 1000 * SEC;
    assert_int_equal(wp_loop_new(0, &r->loop), 0);
    wp_loop_set_now(r->loop, r->now);
    r->worker.loop = r->loop;
    wp_loop_set_user(r->loop, &r->worker);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 512), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    r->port = ntohs(sa.sin_port);
    assert_int_equal(ops->open(&r->worker, &r->group, fd, &r->listener), 0);
}

static inline void rig_turns(struct rig *r, unsigned n)
{
    while (n-- > 0)
        wp_loop_turn(r->loop, 0);
}

/* Time goes on; the wheel is asked in between. */
static inline void rig_pass(struct rig *r, uint64_t ns)
{
    r->now += ns;
    wp_loop_set_now(r->loop, r->now);
    rig_turns(r, 3);
}

static inline void rig_close(struct rig *r)
{
    if (r->listener != NULL)
        r->listener->ops->close(r->listener);
    rig_turns(r, 2);
    while (rig_n_waiting > 0)
        rig_finish(0);
    assert_int_equal(rig_queries, 0);
    assert_int_equal(wp_guard_connections(&r->group), 0);
    assert_null(r->worker.stream);
    wp_loop_free(r->loop);
    rig_cancelled = rig_runs = rig_made = 0;
    rig_broken = 0;
    rig_max_queries = 1000;
    rig_cancel_later = false;
}

/* --- a client ------------------------------------------------------------------------------- */

static inline int rig_dial(struct rig *r)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons(r->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    assert_true(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    rig_turns(r, 2);
    return fd;
}

static inline void rig_send(struct rig *r, int fd, const void *data, size_t len)
{
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), (ssize_t)len);
    rig_turns(r, 3);
}

/* A framed message of 20 octets: length, ID, command. */
static inline size_t rig_message(uint8_t *out, uint16_t id, char command)
{
    memset(out, 0, 22);
    wp_put16(out, 20);
    wp_put16(out + 2, id);
    out[2 + 12] = (uint8_t)command;
    return 22;
}

static inline void rig_ask(struct rig *r, int fd, uint16_t id, char command)
{
    uint8_t m[22];

    rig_send(r, fd, m, rig_message(m, id, command));
}

/* What has come: octets, 0 when the server closed, -EAGAIN when there is nothing. */
static inline ssize_t rig_recv(struct rig *r, int fd, void *buf, size_t len)
{
    ssize_t n;

    rig_turns(r, 3);
    n = recv(fd, buf, len, MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

/* The ID of the next answer; -EAGAIN, or -1 for the end of the connection. */
static inline int rig_answer_id(struct rig *r, int fd)
{
    uint8_t head[2], msg[65536];
    ssize_t n = rig_recv(r, fd, head, 2);
    size_t got = 0, len;

    if (n <= 0)
        return n == 0 || n == -ECONNRESET ? -1 : (int)n;
    assert_int_equal(n, 2);
    len = wp_be16(head);
    for (unsigned turns = 0; got < len && turns < 200; turns++) {
        n = rig_recv(r, fd, msg + got, len - got);
        if (n > 0)
            got += (size_t)n;
    }
    assert_int_equal(got, len);
    assert_true(msg[2] & 0x80);
    return wp_be16(msg);
}
