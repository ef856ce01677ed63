/* Denials: what is put beside the SOA so that a validator believes them (RFC 4035 s3.1.3). */
#include <string.h>
#include "backends/common/zone_priv.h"

void wp_zone_prove_entry(const struct wp_zone *z, struct wp_query *q, struct wp_zone_proof *p,
                         const struct wp_entry *e)
{
    if (z->n_nsec == 0 || !q->msg.edns.dnssec_ok || p->n == sizeof(p->given) / sizeof(p->given[0]))
        return;
    for (unsigned i = 0; i < p->n; i++) {
        if (p->given[i] == e)
            return;
    }
    p->given[p->n++] = e;
    if (wp_zone_put_type(q, WP_AUTHORITY, e, WP_TYPE_NSEC,
                         (struct wp_zone_owner){.name = wp_entry_name(e)}) < 0)
        q->reply.flags |= WP_FLAG_TC; /* a denial without its proof must be asked for again */
}

void wp_zone_prove_gap(const struct wp_zone *z, struct wp_query *q, struct wp_zone_proof *p,
                       const uint8_t *name)
{
    size_t from = 0, to = z->n_nsec;

    /* the last owner that is not behind the name */
    while (from < to) {
        size_t mid = from + (to - from) / 2;

        if (wp_name_compare(wp_entry_name(z->nsec[mid]), name) <= 0)
            from = mid + 1;
        else
            to = mid;
    }
    if (from > 0)
        wp_zone_prove_entry(z, q, p, z->nsec[from - 1]);
}
