/* What a resolver says, and in which order to try it. */
#include <string.h>

#include "backends/etcd/discover.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/rr.h"

/* Host names only: they become part of a URL. False: not one. */
static bool host_of(const struct wp_name *n, char out[WP_ETCD_HOST_MAX])
{
    size_t at = 0, to = 0;

    if (n->len <= 1)
        return false; /* "." says that there is no such service */
    while (n->wire[at] != 0) {
        size_t len = n->wire[at++];
        for (size_t i = 0; i < len; i++) {
            char c = (char)n->wire[at + i];
            if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_'))
                return false;
            out[to++] = c;
        }
        at += len;
        out[to++] = '.';
    }
    out[to - 1] = '\0';
    return true;
}

static int read_one(struct wp_rd *rd, const struct wp_rr_at *at, struct wp_etcd_found *to)
{
    struct wp_rd in = *rd;
    struct wp_etcd_found_one one;
    struct wp_name target;

    in.pos = at->rdata_pos;
    one.priority = wp_rd_u16(&in);
    one.weight = wp_rd_u16(&in);
    one.port = wp_rd_u16(&in);
    if (in.bad || wp_name_read(&in, &target) < 0 || in.pos != at->end)
        return WP_EMALFORMED;
    if (one.port == 0 || !host_of(&target, one.host) || to->n == WP_ETCD_FOUND_MAX) {
        to->n_left_out++;
        return 0;
    }
    if (to->n == 0 || at->ttl < to->ttl_s)
        to->ttl_s = at->ttl;
    to->one[to->n++] = one;
    return 0;
}

int wp_etcd_found_read(const uint8_t *msg, size_t len, struct wp_etcd_found *to)
{
    struct wp_rd rd = wp_rd_from(msg, len);
    unsigned n_questions, n_answers;
    struct wp_etcd_found all = *to;

    wp_rd_skip(&rd, 4);
    n_questions = wp_rd_u16(&rd);
    n_answers = wp_rd_u16(&rd);
    wp_rd_skip(&rd, 4);
    if (rd.bad)
        return WP_EMALFORMED;
    while (n_questions-- > 0) {
        if (wp_name_skip(&rd) < 0)
            return WP_EMALFORMED;
        wp_rd_skip(&rd, 4);
    }
    while (n_answers-- > 0) {
        struct wp_rr_at at;
        if (rd.bad || wp_rr_next(&rd, &at) < 0)
            return WP_EMALFORMED;
        if (at.type == WP_TYPE_SRV && at.cls == WP_CLASS_IN && read_one(&rd, &at, &all) < 0)
            return WP_EMALFORMED;
    }
    if (rd.bad)
        return WP_EMALFORMED;
    *to = all;
    return 0;
}

/* --- order -------------------------------------------------------------------------------------- */

static void swap(struct wp_etcd_found_one *a, struct wp_etcd_found_one *b)
{
    struct wp_etcd_found_one c = *a;

    *a = *b;
    *b = c;
}

/* Of those from `first` on with its priority: one, by weight. One without weight has a small chance. */
static unsigned draw(const struct wp_etcd_found *f, unsigned first, uint64_t random)
{
    uint64_t sum = 0, at;
    unsigned i;

    for (i = first; i < f->n && f->one[i].priority == f->one[first].priority; i++)
        sum += 16u * f->one[i].weight + 1;
    at = random % sum;
    for (i = first; at >= 16u * f->one[i].weight + 1; i++)
        at -= 16u * f->one[i].weight + 1;
    return i;
}

void wp_etcd_found_order(struct wp_etcd_found *f, uint64_t (*random)(void *arg), void *arg)
{
    for (unsigned i = 0; i < f->n; i++) /* few */
        for (unsigned k = i + 1; k < f->n; k++)
            if (f->one[k].priority < f->one[i].priority)
                swap(&f->one[i], &f->one[k]);
    for (unsigned i = 0; i < f->n; i++)
        swap(&f->one[i], &f->one[draw(f, i, random(arg))]);
}
