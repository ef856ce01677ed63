/* Queries and reply buffers of a worker: taken from free lists, given back, never shared. */
#include "server/router/router_priv.h"

#include <stdlib.h>

/* Enough for a burst of large answers; more are freed instead of kept. */
enum { BIG_KEPT = 16, ARENA_CAP = 1 << 20, NOT_WAITING = 2048 };

struct big {
    struct big *next;
};

uint8_t *wp_worker_big_get(struct wp_worker *w)
{
    struct big *b = w->big_free;

    if (b == NULL)
        return malloc(WP_BIG_LEN);
    w->big_free = b->next;
    w->n_big--;
    return (uint8_t *)b;
}

void wp_worker_big_put(struct wp_worker *w, uint8_t *big)
{
    struct big *b = (struct big *)big;

    if (w->n_big >= BIG_KEPT) {
        free(big);
        return;
    }
    b->next = w->big_free;
    w->big_free = b;
    w->n_big++;
}

int wp_worker_init(struct wp_worker *w, struct wp_loop *loop, unsigned max_waiting)
{
    *w = (struct wp_worker){
        .loop = loop,
        .index = wp_loop_index(loop),
        .max_queries = max_waiting + NOT_WAITING,
        .max_waiting = max_waiting,
    };
    wp_loop_set_user(loop, w);
    return 0;
}

void wp_worker_done(struct wp_worker *w)
{
    struct wp_pooled *p = w->free;

    while (p != NULL) {
        struct wp_pooled *next = p->next;
        wp_arena_done(&p->arena);
        free(p);
        p = next;
    }
    for (struct big *b = w->big_free; b != NULL;) {
        struct big *next = b->next;
        free(b);
        b = next;
    }
    w->free = NULL;
    w->big_free = NULL;
    w->n_queries = w->n_big = 0;
}

void wp_query_reset(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);

    if (p->arena.last != NULL)
        wp_arena_reset(&p->arena);
    if (p->big != NULL) {
        wp_worker_big_put(p->worker, p->big);
        p->big = NULL;
    }
    q->tls_server_name = NULL;
    q->tls_peer = NULL;
    q->proxy_tlv = NULL;
    q->proxy_tlv_len = 0;
    q->encrypted = q->draining = q->many = q->sent = false;
    q->more = NULL;
    q->block = NULL;
    q->zone = NULL;
    q->at = q->depth = 0;
    q->is_read = q->cancelled = q->replying = q->waiting = false;
    q->cacheable = true;
    q->had_opt = q->had_do = q->has_cookie = false;
    q->had_size = 512;
    q->want = 0;
    q->parent = NULL;
    q->reply = (struct wp_reply){.buf = p->out, .cap = WP_QUERY_OUT};
    q->n_deps = 0;
    q->writer = NULL;
    q->meta = NULL;
    q->meta_on = false;
    q->deadline_ns = 0;
    q->elapsed_ns = 0;
    q->explain = NULL;
    q->out = NULL;
    q->out_len = 0;
}

struct wp_query *wp_query_get(struct wp_worker *w)
{
    struct wp_pooled *p = w->free;

    if (p == NULL) {
        if (w->n_queries >= w->max_queries)
            return NULL;
        p = malloc(sizeof(*p));
        if (p == NULL)
            return NULL;
        w->n_queries++;
        wp_arena_init(&p->arena, ARENA_CAP);
        p->worker = w;
        p->serial = 0;
        p->big = NULL;
        p->q.arena = &p->arena;
        p->q.loop = w->loop;
        p->q.worker = w->index;
    } else {
        w->free = p->next;
    }
    p->gen = NULL;
    p->lookup_fn = NULL;
    p->lookup_arg = NULL;
    p->first_child = p->next_sibling = NULL;
    p->task.queued = false;
    p->counted = false;
    p->q.done = NULL;
    p->q.owner = NULL;
    wp_query_reset(&p->q);
    return &p->q;
}

void wp_query_put(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);

    if (p->big != NULL) {
        wp_worker_big_put(p->worker, p->big);
        p->big = NULL;
    }
    p->serial++;
    p->next = p->worker->free;
    p->worker->free = p;
}
