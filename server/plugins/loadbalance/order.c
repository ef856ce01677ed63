/* The order of records in a section. */
#include <string.h>

#include "server/plugins/loadbalance/loadbalance.h"
#include "waypost/base/random.h"

enum { SECTION_MAX = 2048, RR_MAX = 64 };

bool lb_address(const struct wp_rr *rr, struct wp_addr *ret)
{
    size_t len = rr->type == WP_TYPE_A ? 4 : rr->type == WP_TYPE_AAAA ? 16 : 0;

    if (len == 0 || rr->rdlen != len)
        return false;
    *ret = (struct wp_addr){.family = len == 4 ? 4 : 6};
    memcpy(ret->ip, rr->rdata, len);
    return true;
}

static bool is_address(const struct wp_rr *rr)
{
    return rr->type == WP_TYPE_A || rr->type == WP_TYPE_AAAA;
}

/* Round robin's classes, in order. */
static int class_of(const struct wp_rr *rr)
{
    return rr->type == WP_TYPE_CNAME ? 0 : rr->type == WP_TYPE_MX ? 3 : is_address(rr) ? 2 : 1;
}

/* Stable: by class, each in the order it had. n is small: a reply's section. */
static void sort_by(struct wp_rr *rr, size_t n, int (*rank)(const struct loadbalance *, const struct wp_rr *),
                    const struct loadbalance *p)
{
    for (size_t i = 1; i < n; i++) {
        struct wp_rr x = rr[i];
        int rx = rank(p, &x);
        size_t k = i;

        for (; k > 0 && rank(p, &rr[k - 1]) > rx; k--)
            rr[k] = rr[k - 1];
        rr[k] = x;
    }
}

static int rank_class(const struct loadbalance *p, const struct wp_rr *rr)
{
    (void)p;
    return class_of(rr);
}

static void shuffle(struct wp_rr *rr, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = wp_random_below((uint32_t)i);
        struct wp_rr x = rr[i - 1];

        rr[i - 1] = rr[k];
        rr[k] = x;
    }
}

/* One address to the front, drawn by weight. */
static void draw(const struct loadbalance *p, struct wp_rr *rr, size_t n)
{
    const struct lb_weights *w = atomic_load_explicit(&p->weights, memory_order_acquire);
    uint32_t sum = 0, at;

    for (size_t i = 0; i < n; i++)
        sum += lb_weight_of(w, &rr[i]);
    if (sum == 0)
        return;
    at = wp_random_below(sum);
    for (size_t i = 0; i < n; i++) {
        uint32_t weight = lb_weight_of(w, &rr[i]);

        if (at < weight) {
            struct wp_rr x = rr[0];

            rr[0] = rr[i];
            rr[i] = x;
            return;
        }
        at -= weight;
    }
}

void lb_order(const struct loadbalance *p, struct wp_rr *rr, size_t n, bool weighted)
{
    size_t first, end;

    if (n < 2 || n > SECTION_MAX)
        return;
    sort_by(rr, n, rank_class, p);
    for (first = 0; first < n && class_of(&rr[first]) < 2; first++)
        ;
    for (end = first; end < n && class_of(&rr[end]) == 2; end++)
        ;
    if (weighted) {
        draw(p, rr + first, end - first);
        return;
    }
    shuffle(rr + first, end - first);
    shuffle(rr + end, n - end);
}

/* Aliases, addresses by the first network that has them, MX, others. */
static int rank_prefer(const struct loadbalance *p, const struct wp_rr *rr)
{
    int none = (int)p->n_prefer;
    struct wp_addr a;

    if (rr->type == WP_TYPE_CNAME)
        return 0;
    if (rr->type == WP_TYPE_MX)
        return none + 2;
    if (!lb_address(rr, &a))
        return none + 3;
    for (int i = 0; i < none; i++) {
        if (wp_cidr_has(&p->prefer[i], &a))
            return i + 1;
    }
    return none + 1;
}

void lb_prefer(const struct loadbalance *p, struct wp_rr *rr, size_t n)
{
    if (n >= 2 && n <= SECTION_MAX)
        sort_by(rr, n, rank_prefer, p);
}

/* --- in place ------------------------------------------------------------------------------ */

/* What a section must be for its addresses to change places in the wire: nothing before them
 * that would have to move, all of one size, owners that are pointers to before the first. */
struct run {
    enum wp_section section;
    size_t start, size, n;
    bool fits, started;
};

struct scan {
    struct run run[WP_SECTIONS];
};

static int look(void *arg, uint8_t *buf, const struct wp_rr_at *rr, enum wp_section s)
{
    struct run *r = &((struct scan *)arg)->run[s];
    bool address = rr->type == WP_TYPE_A || rr->type == WP_TYPE_AAAA;
    size_t size = rr->end - rr->pos;

    if (rr->type == WP_TYPE_MX || (r->started && !address) ||
        (rr->type != WP_TYPE_CNAME && !address && r->n == 0 && s == WP_ANSWER)) {
        r->fits = false;
        return 0;
    }
    if (!address)
        return 0;
    if (!r->started) {
        r->started = true;
        r->start = rr->pos;
        r->size = size;
    }
    if (size != r->size || size > RR_MAX || (buf[rr->pos] & 0xc0) != 0xc0 ||
        (size_t)(wp_be16(buf + rr->pos) & 0x3fff) >= r->start)
        r->fits = false;
    r->n++;
    return 0;
}

bool lb_shuffle_wire(struct wp_query *q)
{
    struct scan k = {0};

    for (unsigned s = 0; s < WP_SECTIONS; s++)
        k.run[s].fits = true;
    if (wp_reply_each(q, look, &k) < 0)
        return false;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        if (!k.run[s].fits && q->reply.count[s] > 1)
            return false;
    }
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        const struct run *r = &k.run[s];

        for (size_t i = r->n; i > 1; i--) {
            uint8_t *a = q->reply.buf + r->start + (i - 1) * r->size;
            uint8_t *b = q->reply.buf + r->start + wp_random_below((uint32_t)i) * r->size;
            uint8_t x[RR_MAX];

            memcpy(x, a, r->size);
            memmove(a, b, r->size);
            memcpy(b, x, r->size);
        }
    }
    return true;
}
