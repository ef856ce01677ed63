/* SRV: one record for each instance, all with the question name, in lower case, for target; beside them an
 * address for each. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/answer.h"
#include "backends/nomad/once.h"
#include "waypost/base/wr.h"

enum { SRV_FIXED = 6 /* priority, weight, port */ };

struct writer {
    struct nomad_answer *a;
    struct nomad_once said; /* with `duplicates drop` */
    bool is_full;
};

static int start(struct writer *w, enum nomad_record record)
{
    const struct nomad_answer *a = w->a;

    return !a->p->drop_duplicates || nomad_once_init(&w->said, a->q->arena, a->service, record,
                                                     a->n_picks)
               ? 0
               : -ENOMEM;
}

static bool is_again(struct writer *w, const struct wp_nomad_instance *i)
{
    return w->a->p->drop_duplicates && !nomad_once_add(&w->said, i);
}

/* The instance's own name, where its address is one; false: there is no target. */
static bool target_of(const struct nomad_answer *a, const struct wp_nomad_instance *i,
                      struct wp_name *host, const uint8_t **ret, size_t *ret_len)
{
    *ret = a->q->msg.qname.wire;
    *ret_len = a->q->msg.qname.len;
    if (WP_LIKELY(i->family != WP_NOMAD_HOST))
        return true;
    if (!nomad_host_name(a, i, host))
        return false;
    *ret = host->wire;
    *ret_len = host->len;
    return true;
}

static void put_answer(struct writer *w, const struct wp_nomad_instance *i)
{
    struct wp_query *q = w->a->q;
    struct wp_name host;
    const uint8_t *target;
    size_t len;
    uint32_t one = 1;
    uint8_t *to;

    if (!target_of(w->a, i, &host, &target, &len))
        return;
    to = nomad_room(q, NOMAD_RR_FIXED + SRV_FIXED + len, &one);
    if (to == NULL || one == 0) {
        w->is_full = true;
        return;
    }
    wp_put16(to, 0xc000 | WP_HEADER_LEN);
    wp_put16(to + 2, WP_TYPE_SRV);
    memcpy(to + 4, w->a->p->head[0] + 4, 6); /* class, TTL */
    wp_put16(to + 10, (unsigned)(SRV_FIXED + len));
    to += NOMAD_RR_FIXED;
    wp_put16(to, i->priority);
    wp_put16(to + 2, i->weight);
    wp_put16(to + 4, i->port);
    memcpy(to + SRV_FIXED, target, len);
    if (i->family != WP_NOMAD_HOST)
        nomad_lower_is_at(w->a, (unsigned)(to + SRV_FIXED - q->reply.buf));
    q->reply.len += (uint32_t)(NOMAD_RR_FIXED + SRV_FIXED + len);
    q->reply.count[WP_ANSWER]++;
}

static void put_glue(struct writer *w, const struct wp_nomad_instance *i)
{
    struct wp_query *q = w->a->q;
    bool is_v4 = i->family == WP_NOMAD_IPV4;
    size_t len = is_v4 ? 4 : 16;
    uint32_t one = 1;
    uint8_t *to;

    if (i->family == WP_NOMAD_HOST)
        return;
    to = nomad_room(q, NOMAD_RR_FIXED + len, &one);
    if (to == NULL || one == 0) {
        w->is_full = true;
        return;
    }
    memcpy(to, w->a->p->head[!is_v4], NOMAD_RR_FIXED);
    wp_put16(to, 0xc000u | nomad_lower_at(w->a));
    memcpy(to + NOMAD_RR_FIXED, i->addr, len);
    q->reply.len += (uint32_t)(NOMAD_RR_FIXED + len);
    q->reply.count[WP_ADDITIONAL]++;
}

static int walk(struct writer *w, enum nomad_record record,
                void (*put)(struct writer *w, const struct wp_nomad_instance *i))
{
    const struct nomad_answer *a = w->a;
    int r = start(w, record);

    for (uint32_t k = 0; r == 0 && !w->is_full && k < a->n_picks; k++)
        if (!is_again(w, a->pick[k]))
            put(w, a->pick[k]);
    return r;
}

int nomad_write_srv(struct nomad_answer *a)
{
    struct writer w = {.a = a};
    int r = walk(&w, NOMAD_RECORD_SRV, put_answer);

    if (r == 0 && a->broken)
        r = nomad_write_broken(a);
    return r == 0 && !w.is_full ? walk(&w, NOMAD_RECORD_ADDRESS, put_glue) : r;
}
