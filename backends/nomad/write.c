/* Address records, and room for many of a kind. */
#include <string.h>

#include "backends/nomad/answer.h"

uint8_t *nomad_room(struct wp_query *q, size_t len, uint32_t *n)
{
    size_t most = (WP_MSG_MAX - q->reply.len) / len;

    if (WP_UNLIKELY(*n > most)) {
        *n = (uint32_t)most;
        q->reply.flags |= WP_FLAG_TC;
    }
    return wp_reply_room(q, *n * len);
}

int nomad_write_addresses(struct nomad_answer *a)
{
    struct wp_query *q = a->q;
    bool is_v4 = q->msg.qtype == WP_TYPE_A;
    size_t len = is_v4 ? 4 : 16;
    uint32_t n = a->n_picks;
    uint8_t *to = nomad_room(q, NOMAD_RR_FIXED + len, &n);

    if (to == NULL)
        return WP_ESPACE;
    for (uint32_t k = 0; k < n; k++) {
        memcpy(to, a->p->head[!is_v4], NOMAD_RR_FIXED);
        memcpy(to + NOMAD_RR_FIXED, a->pick[k]->addr, len);
        to += NOMAD_RR_FIXED + len;
    }
    q->reply.len += (uint32_t)(n * (NOMAD_RR_FIXED + len));
    q->reply.count[WP_ANSWER] = (uint16_t)n;
    return a->broken ? nomad_write_broken(a) : 0;
}
