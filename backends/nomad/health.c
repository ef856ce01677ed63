#include "backends/nomad/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "backends/nomad/health_priv.h"
#include "backends/nomad/service.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"

enum { BUCKETS_FIRST = 64, ID_MAX = 64 };

/* --- the allocations ------------------------------------------------------------------------- */

static struct wp_nomad_alloc **place_of(const struct wp_nomad_health *h, uint64_t hash,
                                        struct wp_nomad_text id)
{
    struct wp_nomad_alloc **at = &h->buckets[hash & h->mask];

    while (*at != NULL && ((*at)->hash != hash || (*at)->id_len != id.len ||
                           memcmp((*at)->text, id.at, id.len) != 0))
        at = &(*at)->chain;
    return at;
}

/* Twice the buckets, and a heap that can hold as many. */
static int grow(struct wp_nomad_health *h)
{
    size_t n = h->buckets == NULL ? BUCKETS_FIRST : 2 * (h->mask + 1);
    struct wp_nomad_alloc **buckets = calloc(n, sizeof(*buckets));
    struct wp_nomad_alloc **heap = realloc(h->heap, n * sizeof(*heap));

    if (heap != NULL)
        h->heap = heap;
    if (buckets == NULL || heap == NULL) {
        free(buckets);
        return -ENOMEM;
    }
    for (size_t i = 0; h->buckets != NULL && i <= h->mask; i++)
        for (struct wp_nomad_alloc *a = h->buckets[i], *next; a != NULL; a = next) {
            next = a->chain;
            a->chain = buckets[a->hash & (n - 1)];
            buckets[a->hash & (n - 1)] = a;
        }
    free(h->buckets);
    h->buckets = buckets;
    h->mask = n - 1;
    return 0;
}

/* It becomes part of a path, and is a UUID: nothing else is asked for. */
static bool is_id(struct wp_nomad_text id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-')
            return false;
    }
    return id.len > 0 && id.len <= ID_MAX;
}

static struct wp_nomad_alloc *add_alloc(struct wp_nomad_health *h, uint64_t hash,
                                        const struct wp_nomad_registration *r)
{
    struct wp_nomad_alloc *a;

    if (h->n >= WP_NOMAD_CHECKS_MAX && !h->full_told)
        wp_log(WP_WARNING, "nomad", "checks of more than %d allocations: those of others do not count",
               WP_NOMAD_CHECKS_MAX);
    h->full_told |= h->n >= WP_NOMAD_CHECKS_MAX;
    if (h->n >= WP_NOMAD_CHECKS_MAX || (h->n > h->mask && grow(h) < 0))
        return NULL;
    a = calloc(1, sizeof(*a) + r->alloc_id.len + r->namespace.len);
    if (a == NULL)
        return NULL;
    a->hash = hash;
    a->id_len = (uint8_t)r->alloc_id.len;
    a->namespace_len = (uint8_t)r->namespace.len;
    memcpy(a->text, r->alloc_id.at, a->id_len);
    memcpy(a->text + a->id_len, r->namespace.at, a->namespace_len);
    a->chain = h->buckets[hash & h->mask];
    h->buckets[hash & h->mask] = a;
    h->n++;
    a->due_ns = h->c.h->now();
    wp_nomad_heap_push(h, a);
    return a;
}

static struct wp_nomad_checked *find_service(const struct wp_nomad_alloc *a,
                                             struct wp_nomad_text name)
{
    struct wp_nomad_checked *s = a->services;

    while (s != NULL && (s->len != name.len || memcmp(s->name, name.at, name.len) != 0))
        s = s->next;
    return s;
}

/* What its checks say of a service that was not known before has to be asked for. */
static void add_service(struct wp_nomad_health *h, struct wp_nomad_alloc *a,
                        struct wp_nomad_text name)
{
    struct wp_nomad_checked *s = calloc(1, sizeof(*s) + name.len);

    if (s == NULL)
        return;
    s->len = (uint8_t)name.len;
    memcpy(s->name, name.at, name.len);
    s->next = a->services;
    a->services = s;
    a->n_empty = 0;
    if (a->at == SIZE_MAX)
        return; /* it is asked right now; that answer may be older, the next one will not */
    wp_nomad_heap_remove(h, a);
    a->due_ns = h->c.h->now();
    wp_nomad_heap_push(h, a);
}

bool wp_nomad_health_is_unhealthy(void *health, const struct wp_nomad_registration *r)
{
    struct wp_nomad_health *h = health;
    struct wp_nomad_checked *s;
    struct wp_nomad_alloc *a;
    uint64_t hash;

    if (!is_id(r->alloc_id) || r->name.len == 0 || r->name.len > WP_NOMAD_NAME_MAX ||
        r->namespace.len > WP_NOMAD_NAMESPACE_MAX)
        return false;
    hash = wp_hash_bytes(r->alloc_id.at, r->alloc_id.len);
    a = *place_of(h, hash, r->alloc_id);
    if (a == NULL)
        a = add_alloc(h, hash, r);
    if (a == NULL)
        return false;
    a->idle_ns = 0;
    s = find_service(a, r->name);
    if (s != NULL)
        return s->fails;
    add_service(h, a, r->name);
    wp_nomad_health_wake(h);
    return false;
}

/* --- verdicts ---------------------------------------------------------------------------------- */

struct checking {
    struct wp_nomad_alloc *alloc;
    size_t n;
};

static int on_check(void *arg, struct wp_nomad_text service, bool ok)
{
    struct checking *c = arg;
    struct wp_nomad_checked *s = find_service(c->alloc, service);

    c->n++;
    if (s != NULL && !ok)
        s->fails_now = true;
    return 0;
}

static void take_verdicts(struct wp_nomad_health *h, struct wp_nomad_alloc *a)
{
    for (struct wp_nomad_checked *s = a->services; s != NULL; s = s->next) {
        if (s->fails == s->fails_now)
            continue;
        s->fails = s->fails_now;
        h->n_failing += s->fails ? 1 : (size_t)-1;
        h->c.changed(h->c.arg, (struct wp_nomad_text){a->text + a->id_len, a->namespace_len},
                     (struct wp_nomad_text){s->name, s->len});
    }
}

static void count_checks(struct wp_nomad_health *h, struct wp_nomad_alloc *a, bool has_checks)
{
    h->n_with_checks += (size_t)has_checks - (size_t)a->has_checks;
    a->has_checks = has_checks;
}

int wp_nomad_alloc_checked(struct wp_nomad_health *h, struct wp_nomad_alloc *a, const char *text,
                           size_t len, char why[256])
{
    struct checking c = {a, 0};
    int r;

    for (struct wp_nomad_checked *s = a->services; s != NULL; s = s->next)
        s->fails_now = false;
    r = wp_nomad_decode_checks(text, len, on_check, &c, why);
    if (r < 0)
        return r;
    count_checks(h, a, c.n > 0);
    a->n_empty = c.n > 0                              ? 0
                 : a->n_empty < WP_NOMAD_CHECKS_NEW ? (uint8_t)(a->n_empty + 1)
                                                    : a->n_empty;
    take_verdicts(h, a);
    return 0;
}

void wp_nomad_alloc_unknown(struct wp_nomad_health *h, struct wp_nomad_alloc *a)
{
    for (struct wp_nomad_checked *s = a->services; s != NULL; s = s->next)
        s->fails_now = false;
    count_checks(h, a, false);
    take_verdicts(h, a);
}

/* --- life -------------------------------------------------------------------------------------- */

static void free_alloc(struct wp_nomad_alloc *a)
{
    for (struct wp_nomad_checked *s = a->services, *next; s != NULL; s = next) {
        next = s->next;
        free(s);
    }
    free(a);
}

void wp_nomad_alloc_forget(struct wp_nomad_health *h, struct wp_nomad_alloc *a)
{
    struct wp_nomad_alloc **at = place_of(h, a->hash, (struct wp_nomad_text){a->text, a->id_len});

    *at = a->chain;
    h->n--;
    count_checks(h, a, false);
    for (const struct wp_nomad_checked *s = a->services; s != NULL; s = s->next)
        h->n_failing -= s->fails;
    free_alloc(a);
}

int wp_nomad_health_new(const struct wp_nomad_health_config *c, struct wp_nomad_health **ret)
{
    struct wp_nomad_health *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return -ENOMEM;
    h->c = *c;
    wp_arena_init(&h->scratch, 0);
    if (grow(h) < 0) {
        free(h->heap);
        free(h);
        return -ENOMEM;
    }
    for (size_t i = 0; i < WP_NOMAD_CHECKS_FLYING; i++)
        h->calls[i].health = h;
    *ret = h;
    return 0;
}

void wp_nomad_health_free(struct wp_nomad_health *h)
{
    if (h == NULL)
        return;
    h->c.h->timer_cancel(&h->timer);
    for (size_t i = 0; i < WP_NOMAD_CHECKS_FLYING; i++)
        h->c.h->drop(h->calls[i].http);
    for (size_t i = 0; i <= h->mask; i++)
        for (struct wp_nomad_alloc *a = h->buckets[i], *next; a != NULL; a = next) {
            next = a->chain;
            free_alloc(a);
        }
    free(h->buckets);
    free(h->heap);
    wp_arena_done(&h->scratch);
    free(h);
}

struct wp_nomad_health_figures wp_nomad_health_figures(const struct wp_nomad_health *h)
{
    return (struct wp_nomad_health_figures){h->n, h->n_with_checks, h->n_failing};
}
