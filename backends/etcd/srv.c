/* SRV: a target and a port for each entry, weights as shares of 100 within a priority. */
#include <errno.h>
#include <math.h>

#include "backends/etcd/answer_priv.h"
#include "backends/etcd/set.h"

enum { TAG_PORT = 1 << 16, TAG_LOOKUP = 1 << 17 };
enum { WEIGHT_UNSET = 100, PORT_NONE = -1 };

/* The sum of weights of each priority; wraps as Go's integers do. */
struct sum {
    int64_t priority;
    uint64_t weight;
};
struct sums {
    struct wp_etcd_set of; /* keys: the priority of a struct sum */
    struct sum *spare;
};

static struct sum *sum_of(struct sums *s, struct wp_arena *arena, int64_t priority)
{
    bool is_new;
    int64_t at;

    if (s->spare == NULL)
        s->spare = wp_arena_zalloc(arena, sizeof(*s->spare));
    if (s->spare == NULL)
        return NULL;
    s->spare->priority = priority;
    at = wp_etcd_set_add(&s->of, arena, 0, &s->spare->priority, sizeof(priority), &is_new);
    if (at < 0)
        return NULL;
    if (is_new)
        s->spare = NULL;
    return (struct sum *)(uintptr_t)s->of.keys[at].key; /* its first member */
}

/* Division first, in doubles: a lone weight of 97 gives 99. What fits no 32 bits becomes 0 as
 * in the conversion of Go's compiler for this machine, and 0 becomes 1. */
static uint16_t share(int64_t weight, uint64_t sum)
{
    double w = 100.0 / (double)(int64_t)sum;
    uint16_t v = 0;

    w = floor(w * (weight == 0 ? (double)WEIGHT_UNSET : (double)weight));
    if (w >= INT32_MIN && w <= INT32_MAX)
        v = (uint16_t)(int32_t)w;
    return v == 0 ? 1 : v;
}

/* Was it said before of the target? `tag` tells what. */
static int say_once(struct wp_etcd_answer *a, struct wp_etcd_set *said, const uint8_t *target,
                    uint32_t tag, bool *ret_new)
{
    int64_t at = wp_etcd_set_add(said, a->arena, tag, target, wp_name_size(target), ret_new);

    return at < 0 ? (int)at : 0;
}

static int add_srv(struct wp_etcd_answer *a, const struct wp_etcd_rec *r,
                   const struct wp_etcd_wide *w, uint16_t weight, struct wp_etcd_set *said)
{
    struct wp_etcd_item item = {
        .type = WP_TYPE_SRV, .section = WP_ANSWER, .ttl = wp_etcd_ttl(a, r)};
    bool none, is_new = true;
    const uint8_t *target = wp_etcd_target_name(a, r, true, &none);
    int ret = 0;

    if (target == NULL)
        return none ? 0 : -ENOMEM;
    if (r->kind != WP_ETCD_ALIAS)
        ret = say_once(a, said, target, TAG_PORT | (uint16_t)w->port, &is_new);
    if (ret == 0 && is_new) {
        item.rdata = wp_etcd_srv_rdata(a, (uint16_t)w->priority, weight, (uint16_t)w->port, target,
                                       &item.rdlen);
        ret = item.rdata == NULL ? -ENOMEM : wp_etcd_add(a, &item);
    }
    if (ret < 0)
        return ret;
    if (r->kind != WP_ETCD_ALIAS)
        return wp_etcd_add_address_once(a, r, target, said);
    ret = say_once(a, said, target, TAG_LOOKUP, &is_new);
    return ret < 0 || !is_new ? ret : wp_etcd_glue(a, target);
}

int wp_etcd_answer_srv(struct wp_etcd_answer *a, const struct wp_etcd_target *t)
{
    struct wp_etcd_entries e;
    struct wp_etcd_set said = {0};
    struct sums sums = {0};
    const struct wp_etcd_rec *rec;
    struct wp_etcd_wide w;
    struct sum *sum;
    int r = wp_etcd_gather(a, &t->path, WP_ETCD_BELOW, WP_TYPE_SRV, &e);

    if (r < 0 || a->outcome != WP_ETCD_FOUND)
        return r;
    while ((rec = wp_etcd_next(a, &e)) != NULL) {
        if (rec->flags & WP_ETCD_REC_NAMELESS)
            continue; /* hidden, not half there */
        w = wp_etcd_rec_wide(rec);
        sum = sum_of(&sums, a->arena, wp_etcd_priority(&w));
        if (sum == NULL)
            return -ENOMEM;
        sum->weight += (uint64_t)(w.weight == 0 ? WEIGHT_UNSET : w.weight);
    }
    wp_etcd_rewind(&e);
    while (r == 0 && (rec = wp_etcd_next(a, &e)) != NULL) {
        w = wp_etcd_rec_wide(rec);
        w.priority = wp_etcd_priority(&w);
        if (w.port == PORT_NONE || rec->kind == WP_ETCD_TEXT)
            continue;
        if (a->octets > WP_ETCD_OCTETS_MAX) {
            a->truncated = true;
            break;
        }
        sum = sum_of(&sums, a->arena, w.priority);
        r = sum == NULL ? -ENOMEM : add_srv(a, rec, &w, share(w.weight, sum->weight), &said);
    }
    return r;
}
