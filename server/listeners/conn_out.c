/* From the protocol to the socket. Output of one turn is gathered in a chunk of the worker and
 * leaves in one write; only what the socket does not take is copied to the connection. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "server/listeners/stream_priv.h"
#include "waypost/tls/tls.h"

/* --- chunks -------------------------------------------------------------------------------- */

static void chunk_put(struct wp_stream_conn *s)
{
    struct wp_stream_pool *p = s->c.worker->stream;

    if (s->chunk == NULL)
        return;
    s->chunk->next = p->free;
    p->free = s->chunk;
    s->chunk = NULL;
}

/* All chunks are taken: the connection that has waited longest for its flush gets it now. */
static void flush_oldest(struct wp_stream_pool *p)
{
    for (struct wp_link *l = p->touched.next; l != &p->touched; l = l->next) {
        struct wp_stream_conn *s = WP_CONTAINER(l, struct wp_stream_conn, touched);

        if (s->chunk != NULL) {
            wp_conn_flush(s);
            return;
        }
    }
}

static struct wp_out_chunk *chunk_get(struct wp_stream_pool *p)
{
    struct wp_out_chunk *k;

    if (p->free == NULL && p->n_chunks >= WP_STREAM_CHUNKS)
        flush_oldest(p);
    k = p->free;
    if (k != NULL) {
        p->free = k->next;
    } else {
        k = malloc(sizeof(*k));
        if (k == NULL)
            return NULL;
        p->n_chunks++;
    }
    k->len = 0;
    return k;
}

void wp_stream_pool_free_chunks(struct wp_stream_pool *p)
{
    while (p->free != NULL) {
        struct wp_out_chunk *k = p->free;

        p->free = k->next;
        free(k);
        p->n_chunks--;
    }
}

uint8_t *wp_conn_room_max(struct wp_conn *c, size_t min, size_t *ret_len)
{
    struct wp_stream_conn *s = wp_stream_conn_of(c);

    if (c->closed || min > WP_STREAM_CHUNK)
        return NULL;
    if (s->chunk != NULL && WP_STREAM_CHUNK - s->chunk->len < min)
        wp_conn_flush(s); /* gives the chunk back */
    if (s->chunk == NULL) {
        s->chunk = chunk_get(c->worker->stream);
        if (s->chunk == NULL)
            return NULL;
    }
    wp_conn_touch(s);
    *ret_len = WP_STREAM_CHUNK - s->chunk->len;
    return s->chunk->data + s->chunk->len;
}

uint8_t *wp_conn_room(struct wp_conn *c, size_t len)
{
    size_t got;

    return wp_conn_room_max(c, len, &got);
}

void wp_conn_commit(struct wp_conn *c, size_t len)
{
    wp_stream_conn_of(c)->chunk->len += len;
}

int wp_conn_write(struct wp_conn *c, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        size_t n = len < WP_STREAM_CHUNK ? len : WP_STREAM_CHUNK;
        uint8_t *room = wp_conn_room(c, n);

        if (room == NULL)
            return c->closed ? WP_ECLOSED : -ENOMEM;
        memcpy(room, p, n);
        wp_conn_commit(c, n);
        p += n;
        len -= n;
    }
    return 0;
}

bool wp_conn_is_congested(const struct wp_conn *c)
{
    return wp_stream_conn_of(c)->congested;
}

/* --- the socket ---------------------------------------------------------------------------- */

/* Octets the socket took; 0: it is full; negative: the connection is broken. */
static ssize_t send_some(struct wp_stream_conn *s, const uint8_t *p, size_t len)
{
    for (;;) {
        ssize_t n = send(s->io.fd, p, len, MSG_NOSIGNAL);

        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* The write deadline runs while something waits, anew whenever the peer takes some. */
static void note_unsent(struct wp_stream_conn *s, bool progress)
{
    size_t unsent = wp_conn_unsent(s);

    if (unsent == 0) {
        s->write_due_ns = 0;
        return;
    }
    if (s->write_due_ns == 0 || progress) {
        s->write_due_ns = wp_stream_now(s) + wp_conn_group(&s->c)->limits.write_ns;
        wp_conn_arm(s);
    }
    if (unsent > WP_STREAM_HIGH)
        s->congested = true;
}

static void flush_clear(struct wp_stream_conn *s)
{
    size_t sent = 0;
    ssize_t n = 0;

    if (s->unsent.len > 0) {
        n = send_some(s, wp_octets_view(&s->unsent), s->unsent.len);
        if (n > 0)
            wp_octets_drop(&s->unsent, (size_t)n);
    }
    if (n >= 0 && s->unsent.len == 0 && s->chunk != NULL && s->chunk->len > 0) {
        ssize_t m = send_some(s, s->chunk->data, s->chunk->len);

        sent = m > 0 ? (size_t)m : 0;
        n = m < 0 ? m : n + m;
    }
    if (n >= 0 && s->chunk != NULL && s->chunk->len > sent &&
        wp_octets_append(&s->unsent, s->chunk->data + sent, s->chunk->len - sent) < 0) {
        wp_guard_refused(wp_conn_group(&s->c), s->c.worker->index, WP_LIMIT_MEMORY);
        n = -ENOMEM;
    }
    if (n < 0)
        wp_conn_abort(&s->c);
    else
        note_unsent(s, n > 0);
}

static void flush_tls(struct wp_stream_conn *s)
{
    const uint8_t *p;
    size_t len;
    ssize_t n = 0;

    if (s->chunk != NULL && s->chunk->len > 0 &&
        wp_tls_write(s->tls, s->chunk->data, s->chunk->len) < 0) {
        wp_conn_abort(&s->c);
        return;
    }
    p = wp_tls_pending(s->tls, &len);
    if (len > 0)
        n = send_some(s, p, len);
    if (n < 0) {
        wp_conn_abort(&s->c);
        return;
    }
    if (n > 0)
        wp_tls_sent(s->tls, (size_t)n);
    note_unsent(s, n > 0);
}

void wp_conn_flush(struct wp_stream_conn *s)
{
    if (!s->abort) {
        if (s->tls != NULL)
            flush_tls(s);
        else
            flush_clear(s);
    }
    chunk_put(s);
}

size_t wp_conn_unsent(const struct wp_stream_conn *s)
{
    size_t len = s->unsent.len;

    if (s->tls != NULL)
        wp_tls_pending(s->tls, &len);
    return len;
}

void wp_conn_out_done(struct wp_stream_conn *s)
{
    chunk_put(s);
    wp_octets_clear(&s->unsent);
}
