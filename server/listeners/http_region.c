#include "http_region.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SLAB_OCTETS = WP_REGION_OCTETS * WP_REGIONS_SLAB,
    GAP = 2, /* words as in the first that are cheaper kept than described */
};

struct wp_region_slab {
    struct wp_region_slab *next;
    uint8_t *at;
};

/* At the start of a free region. */
struct wp_region_free {
    struct wp_region_free *next;
};

/* A run of words that differ; its words follow. */
struct run {
    uint16_t at, n;
};
static_assert(WP_REGION_OCTETS / sizeof(uint64_t) <= UINT16_MAX, "a run is described by words");

static int add_slab(struct wp_regions *all)
{
    struct wp_region_slab *s = malloc(sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    s->at = mmap(NULL, SLAB_OCTETS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (s->at == MAP_FAILED) {
        free(s);
        return -ENOMEM;
    }
    /* A huge page would keep all of its regions in memory for the sake of one. */
    madvise(s->at, SLAB_OCTETS, MADV_NOHUGEPAGE);
    s->next = all->slabs;
    all->slabs = s;
    for (size_t i = 0; i < WP_REGIONS_SLAB; i++) {
        struct wp_region_free *f = (struct wp_region_free *)(void *)(s->at + i * WP_REGION_OCTETS);

        f->next = all->free;
        all->free = f;
    }
    return 0;
}

int wp_region_get(struct wp_regions *all, struct wp_region *ret)
{
    struct wp_region_free *f;

    if (all->free == NULL && add_slab(all) < 0)
        return -ENOMEM;
    f = all->free;
    all->free = f->next;
    f->next = NULL;
    *ret = (struct wp_region){.at = (uint8_t *)f};
    return 0;
}

void wp_region_put(struct wp_regions *all, struct wp_region *r)
{
    struct wp_region_free *f = (struct wp_region_free *)(void *)r->at;

    if (f == NULL)
        return;
    free(r->packed);
    madvise(f, WP_REGION_OCTETS, MADV_DONTNEED); /* zero again, too */
    f->next = all->free;
    all->free = f;
    *r = (struct wp_region){0};
}

void wp_regions_done(struct wp_regions *all)
{
    while (all->slabs != NULL) {
        struct wp_region_slab *s = all->slabs;

        all->slabs = s->next;
        munmap(s->at, SLAB_OCTETS);
        free(s);
    }
    free(all->like);
    *all = (struct wp_regions){0};
}

void *wp_region_alloc(struct wp_region *r, size_t len)
{
    size_t need = (len + 15) & ~(size_t)15;
    void *p;

    if (r->at == NULL || need < len || need > WP_REGION_OCTETS - r->used)
        return NULL;
    p = r->at + r->used;
    r->used += (uint32_t)need;
    return p;
}

/* What all of them are compared with. */
static int set_like(struct wp_regions *all, const struct wp_region *r)
{
    all->like = malloc(r->used + 1);
    if (all->like == NULL)
        return -ENOMEM;
    memcpy(all->like, r->at, r->used);
    all->like_words = (uint32_t)(r->used / sizeof(*all->like));
    return 0;
}

static uint64_t word_like(const struct wp_regions *all, size_t at)
{
    return at < all->like_words ? all->like[at] : 0;
}

/* The next run at or after word `at`; n 0: there is none. */
static struct run next_run(const struct wp_regions *all, const uint64_t *words, size_t at,
                           size_t end)
{
    struct run run = {0};
    size_t same = 0;

    while (at < end && words[at] == word_like(all, at))
        at++;
    run.at = (uint16_t)at;
    for (; at < end && same < GAP; at++)
        same = words[at] == word_like(all, at) ? same + 1 : 0;
    run.n = (uint16_t)(at - run.at - same);
    return run;
}

int wp_region_sleep(struct wp_regions *all, struct wp_region *r)
{
    const uint64_t *words = (const uint64_t *)(const void *)r->at;
    size_t end = r->used / sizeof(*words), len = 0;
    struct run run;
    uint8_t *p;

    assert(r->packed == NULL);
    if (all->like == NULL && set_like(all, r) < 0)
        return -ENOMEM;
    for (run = next_run(all, words, 0, end); run.n > 0;
         run = next_run(all, words, run.at + run.n, end))
        len += sizeof(run) + run.n * sizeof(*words);
    r->packed = p = malloc(len + 1);
    if (p == NULL)
        return -ENOMEM;
    for (run = next_run(all, words, 0, end); run.n > 0;
         run = next_run(all, words, run.at + run.n, end)) {
        memcpy(p, &run, sizeof(run));
        memcpy(p + sizeof(run), words + run.at, run.n * sizeof(*words));
        p += sizeof(run) + run.n * sizeof(*words);
    }
    r->packed_len = (uint32_t)len;
    madvise(r->at, WP_REGION_OCTETS, MADV_DONTNEED);
    return 0;
}

void wp_region_wake(const struct wp_regions *all, struct wp_region *r)
{
    const uint8_t *p = r->packed, *end;
    size_t like = all->like_words * sizeof(*all->like);

    if (p == NULL)
        return;
    memcpy(r->at, all->like, like < r->used ? like : r->used);
    for (end = p + r->packed_len; p < end;) {
        struct run run;

        memcpy(&run, p, sizeof(run));
        p += sizeof(run);
        memcpy(r->at + run.at * sizeof(uint64_t), p, run.n * sizeof(uint64_t));
        p += run.n * sizeof(uint64_t);
    }
    free(r->packed);
    r->packed = NULL;
}
