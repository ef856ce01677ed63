/* Stream connections without sockets: the functions of conn_priv.h over memory, so that a
 * protocol can be driven in process by tests, fuzz targets and benchmarks. Include in one file of
 * a program. Octets go in with fake_feed, come out in f.out; time is the loop's virtual time. */
#pragma once
#include <stdlib.h>
#include <string.h>
#include "server/listeners/conn_priv.h"

/* What the fake itself needs never fails (tests/unit/failmalloc.h). */
#ifndef FAKE_MALLOC
#define FAKE_MALLOC malloc
#endif

enum { FAKE_CHUNK = 66 * 1024 };

struct fake_conn {
    struct wp_conn c; /* first */
    struct wp_listener l;
    uint8_t *out; /* written so far */
    size_t out_len, out_cap, committed;
    uint8_t *left; /* given, not consumed */
    size_t left_len;
    uint64_t due_ns;
    unsigned refs;
    bool paused, resumed, congested, aborted, started;
};

static struct fake_conn *fake_of(const struct wp_conn *c)
{
    return (struct fake_conn *)c;
}

const struct wp_group *wp_conn_group(const struct wp_conn *c)
{
    return c->listener->group;
}

uint8_t *wp_conn_room_max(struct wp_conn *c, size_t min, size_t *ret_len)
{
    struct fake_conn *f = fake_of(c);

    if (c->closed || min > FAKE_CHUNK)
        return NULL;
    if (f->out_cap - f->out_len < FAKE_CHUNK) {
        size_t cap = f->out_cap * 2 + 2 * FAKE_CHUNK;
        uint8_t *out = realloc(f->out, cap);

        if (out == NULL)
            return NULL;
        f->out = out;
        f->out_cap = cap;
    }
    *ret_len = FAKE_CHUNK;
    return f->out + f->out_len;
}

uint8_t *wp_conn_room(struct wp_conn *c, size_t len)
{
    size_t got;

    return wp_conn_room_max(c, len, &got);
}

void wp_conn_commit(struct wp_conn *c, size_t len)
{
    fake_of(c)->out_len += len;
}

int wp_conn_write(struct wp_conn *c, const void *data, size_t len)
{
    uint8_t *p = wp_conn_room(c, len);

    if (p == NULL)
        return WP_ECLOSED;
    memcpy(p, data, len);
    wp_conn_commit(c, len);
    return 0;
}

bool wp_conn_is_congested(const struct wp_conn *c)
{
    return fake_of(c)->congested;
}

void wp_conn_pause(struct wp_conn *c)
{
    fake_of(c)->paused = true;
}

void wp_conn_resume(struct wp_conn *c)
{
    struct fake_conn *f = fake_of(c);

    f->resumed |= f->paused;
    f->paused = false;
}

void wp_conn_want(struct wp_conn *c, size_t len)
{
    (void)c, (void)len;
}

void wp_conn_deadline(struct wp_conn *c, uint64_t due_ns)
{
    fake_of(c)->due_ns = due_ns;
}

void wp_conn_close(struct wp_conn *c)
{
    c->closed = true;
}

void wp_conn_abort(struct wp_conn *c)
{
    fake_of(c)->aborted = true;
    c->closed = true;
}

void wp_conn_ref(struct wp_conn *c)
{
    fake_of(c)->refs++;
}

void wp_conn_unref(struct wp_conn *c)
{
    fake_of(c)->refs--;
}

/* What open() of a transport was given: a fake listener hands its protocol to the test. */
static const struct wp_conn_proto *fake_proto;
int wp_stream_open(struct wp_worker *w, struct wp_group *g, int fd,
                   const struct wp_listener_ops *ops, const struct wp_conn_proto *proto,
                   struct wp_listener **ret)
{
    struct wp_listener *l = calloc(1, sizeof(*l));

    (void)fd;
    if (l == NULL)
        return -12;
    *l = (struct wp_listener){.ops = ops, .worker = w, .group = g};
    fake_proto = proto;
    *ret = l;
    return 0;
}

void wp_stream_swap(struct wp_listener *l, struct wp_group *g)
{
    l->group = g;
}

void wp_stream_drain(struct wp_listener *l, void (*closed)(void *arg), void *arg)
{
    (void)l;
    closed(arg);
}

void wp_stream_close(struct wp_listener *l)
{
    free(l);
}

/* --- for the test ------------------------------------------------------------------------------
 */

/* A connection that has negotiated `alpn` ("": none). */
static inline void fake_open(struct fake_conn *f, struct wp_listener *l, const char *alpn)
{
    static const struct wp_addr client = {.family = 4, .ip = {192, 0, 2, 50}, .port = 4242};
    static const struct wp_addr local = {.family = 4, .ip = {192, 0, 2, 1}, .port = 443};

    memset(f, 0, sizeof(*f));
    f->c.worker = l->worker;
    f->c.listener = l;
    f->c.proto = fake_proto;
    f->c.alpn = alpn;
    f->c.client = f->c.peer = client;
    f->c.local = local;
    f->refs = 1;
    f->started = f->c.proto->start(&f->c) >= 0;
    if (!f->started)
        wp_conn_close(&f->c);
}

/* The event loop's part: late answers, and what was kept for a paused protocol. */
static inline void fake_settle(struct fake_conn *f)
{
    do {
        wp_loop_turn(f->c.worker->loop, 0);
        if (!f->resumed || f->c.closed)
            return;
        f->resumed = false;
        if (f->left_len > 0) {
            int used = f->c.proto->input(&f->c, f->left, f->left_len);

            if (used < 0) {
                wp_conn_close(&f->c);
                return;
            }
            f->left_len -= (size_t)used;
            memmove(f->left, f->left + used, f->left_len);
        }
    } while (true);
}

static inline void fake_feed(struct fake_conn *f, const void *data, size_t len)
{
    uint8_t *all;
    int used;

    if (f->c.closed)
        return;
    all = FAKE_MALLOC(f->left_len + len + 1); /* of its own, so that reading past it is seen */
    if (all == NULL)
        abort();
    if (f->left_len > 0)
        memcpy(all, f->left, f->left_len);
    if (len > 0)
        memcpy(all + f->left_len, data, len);
    len += f->left_len;
    free(f->left);
    f->left = NULL;
    f->left_len = 0;
    used = f->paused ? 0 : f->c.proto->input(&f->c, all, len);
    if (used < 0) {
        wp_conn_close(&f->c);
        used = (int)len;
    }
    if (f->c.closed)
        used = (int)len;
    if ((size_t)used < len) {
        f->left_len = len - (size_t)used;
        memmove(all, all + used, f->left_len);
        f->left = all;
    } else {
        free(all);
    }
    fake_settle(f);
}

/* Virtual time goes on; deadlines fire. */
static inline void fake_wait(struct fake_conn *f, uint64_t ns)
{
    struct wp_loop *loop = f->c.worker->loop;
    uint64_t until = wp_loop_now(loop) + ns;

    while (f->due_ns != 0 && f->due_ns <= until && !f->c.closed) {
        uint64_t due = f->due_ns > wp_loop_now(loop) ? f->due_ns : wp_loop_now(loop);

        wp_loop_set_now(loop, due);
        fake_settle(f);
        if (f->due_ns == 0 || f->due_ns > due || f->c.closed)
            continue;
        f->due_ns = 0;
        f->c.proto->timeout(&f->c);
        fake_settle(f);
    }
    wp_loop_set_now(loop, until);
    fake_settle(f);
}

static inline void fake_eof(struct fake_conn *f)
{
    if (!f->c.closed)
        f->c.proto->eof(&f->c);
    fake_settle(f);
}

/* The connection is gone; queries that still run may keep a reference. */
static inline void fake_stop(struct fake_conn *f)
{
    f->c.closed = true;
    if (f->started)
        f->c.proto->stop(&f->c);
    f->started = false;
    f->c.listener = NULL;
    wp_loop_turn(f->c.worker->loop, 0);
    free(f->out);
    free(f->left);
    f->out = f->left = NULL;
    f->out_len = f->out_cap = f->left_len = 0;
}
