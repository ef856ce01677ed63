#include "http_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Kept blocks hide a use after free from the address sanitizer: keep none there. */
#if defined(__SANITIZE_ADDRESS__)
#define KEEP_OCTETS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_OCTETS 0
#endif
#endif
#ifndef KEEP_OCTETS
#define KEEP_OCTETS 65536 /* of free blocks of one size: 250 streams' worth of the usual ones */
#endif

enum {
    STEP = 16,                     /* block sizes are multiples of it */
    CLASSES = WP_HTTP_CLASSES - 1, /* above 1 KiB malloc serves: rare large bodies */
    CLASS_LARGE,
    CLASS_FRAME,  /* pool->frame */
    CLASS_SPARE,  /* of the reserve */
    CLASS_REGION, /* of a region: goes with it */
    SPARES = 8,
    SPARE_OCTETS = 4096,
};

/* Goes before each block. Blocks are aligned to 8: nothing here needs more. */
struct http_block {
    uint32_t size_class;
    uint32_t size;             /* of one that has no class */
    struct http_block *next[]; /* in a free list: the payload's first octets */
};
static_assert(sizeof(struct http_block) == 8 && STEP >= sizeof(void *), "a link fits");

static int make_spares(struct wp_http_pool *p)
{
    size_t step = sizeof(struct http_block) + SPARE_OCTETS;

    p->spares = malloc(SPARES * step);
    if (p->spares == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < SPARES; i++) {
        struct http_block *b = (struct http_block *)(p->spares + i * step);

        b->size_class = CLASS_SPARE;
        b->size = SPARE_OCTETS;
        b->next[0] = p->spare;
        p->spare = b;
    }
    return 0;
}

/* malloc has failed. The library below does not get over that everywhere: it gets a block of the
 * reserve, and its session is ended before it can need many (p->starved). */
static void *take_spare(struct wp_http_pool *p, size_t len)
{
    struct http_block *b = p->spare;

    p->starved = true;
    if (b == NULL || len > SPARE_OCTETS)
        return NULL;
    p->spare = b->next[0];
    return b + 1;
}

struct wp_http_pool *wp_http_pool_get(struct wp_worker *w)
{
    struct wp_http_pool *p = w->http;

    if (p == NULL) {
        p = malloc(sizeof(*p));
        if (p == NULL)
            return NULL;
        memset(p, 0, offsetof(struct wp_http_pool, turn));
        if (make_spares(p) < 0) {
            free(p);
            return NULL;
        }
        p->worker = w;
        w->http = p;
    }
    p->refs++;
    return p;
}

void wp_http_pool_put(struct wp_http_pool *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    p->worker->http = NULL;
    if (p->h2 != NULL)
        p->h2_free(p->h2);
    for (int i = 0; i <= CLASSES; i++) {
        struct http_block *b = p->free[i];

        while (b != NULL) {
            struct http_block *next = b->next[0];

            free(b);
            b = next;
        }
    }
    wp_doh_counts_free(p->counts);
    wp_regions_done(&p->regions);
    free(p->spares);
    free(p);
}

int wp_http_listener_open(struct wp_worker *w, struct wp_group *g, int fd,
                          const struct wp_listener_ops *ops, const struct wp_conn_proto *proto,
                          struct wp_listener **ret)
{
    struct wp_http_pool *p = wp_http_pool_get(w);
    int r;

    if (p == NULL)
        return -ENOMEM;
    r = wp_stream_open(w, g, fd, ops, proto, ret);
    if (r < 0)
        wp_http_pool_put(p);
    return r;
}

void wp_http_listener_close(struct wp_listener *l)
{
    struct wp_http_pool *p;

    if (l == NULL)
        return;
    p = l->worker->http;
    wp_stream_close(l);
    wp_http_pool_put(p);
}

static struct http_block *block_of(void *payload)
{
    return (struct http_block *)((uint8_t *)payload - sizeof(struct http_block));
}

static void *alloc_large(struct wp_http_pool *p, size_t len)
{
    struct http_block *b;

    if (len > UINT32_MAX - sizeof(*b))
        return NULL;
    b = malloc(sizeof(*b) + len);
    if (b == NULL)
        return take_spare(p, len);
    b->size_class = CLASS_LARGE;
    b->size = (uint32_t)len;
    return b + 1;
}

/* For a session that is being made; NULL when this block must come from elsewhere. */
static void *alloc_lent(struct wp_http_pool *p, size_t len)
{
    struct http_block *b;

    if (p->lend_frame && len > 16384 && len + sizeof(*b) <= sizeof(p->frame)) {
        p->lend_frame = false;
        b = (struct http_block *)p->frame;
        b->size_class = CLASS_FRAME;
        return b + 1;
    }
    b = wp_region_alloc(p->lend, sizeof(*b) + len);
    if (b == NULL)
        return NULL;
    b->size_class = CLASS_REGION;
    b->size = (uint32_t)len;
    return b + 1;
}

void *wp_http_alloc(struct wp_http_pool *p, size_t len)
{
    size_t c = len == 0 ? 1 : (len + STEP - 1) / STEP;
    struct http_block *b;

    if (WP_UNLIKELY(p->lend != NULL)) {
        void *lent = alloc_lent(p, len);

        if (lent != NULL)
            return lent;
    }
    if (WP_UNLIKELY(c > CLASSES))
        return alloc_large(p, len);
    b = p->free[c];
    if (WP_LIKELY(b != NULL)) {
        p->free[c] = b->next[0];
        p->n_free[c]--;
        return b + 1;
    }
    b = malloc(sizeof(*b) + c * STEP);
    if (WP_UNLIKELY(b == NULL))
        return take_spare(p, len);
    b->size_class = (uint32_t)c;
    return b + 1;
}

void wp_http_free(struct wp_http_pool *p, void *payload)
{
    struct http_block *b;
    uint32_t c;

    if (payload == NULL)
        return;
    b = block_of(payload);
    c = b->size_class;
    if (WP_UNLIKELY(c == CLASS_FRAME || c == CLASS_REGION))
        return;
    if (WP_UNLIKELY(c == CLASS_SPARE)) {
        b->next[0] = p->spare;
        p->spare = b;
        return;
    }
    if (WP_UNLIKELY(c > CLASSES || (p->n_free[c] + 1u) * (c + 1) * STEP > KEEP_OCTETS)) {
        free(b);
        return;
    }
    b->next[0] = p->free[c];
    p->free[c] = b;
    p->n_free[c]++;
}

void *wp_http_realloc(struct wp_http_pool *p, void *payload, size_t len)
{
    struct http_block *b;
    size_t have;
    void *moved;

    if (payload == NULL)
        return wp_http_alloc(p, len);
    b = block_of(payload);
    assert(b->size_class != CLASS_FRAME);
    have = b->size_class <= CLASSES ? b->size_class * STEP : b->size;
    if (len <= have && have <= 2 * len + STEP)
        return payload;
    moved = wp_http_alloc(p, len);
    if (moved == NULL)
        return NULL;
    memcpy(moved, payload, len < have ? len : have);
    wp_http_free(p, payload);
    return moved;
}
