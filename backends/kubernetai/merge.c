/* One name in several clusters: the answer is what all of them have. */
#include <string.h>

#include "backends/kubernetai/kubernetai.h"
#include "backends/kubernetes/answer.h"
#include "waypost/base/hash.h"

extern const struct wp_plugin wp_plugin_kubernetes;

/* What a cluster said, the best last. One that cannot be asked does not outweigh one that can. */
enum rank { NOTHING, TROUBLE, NO_NAME, NO_DATA, DATA };

struct join {
    struct wp_query *q;
    enum rank rank;
    bool unknown; /* of some cluster it is not known what it has */
    struct wp_kept_reply best; /* of the first with that rank; with DATA its header counts */
    struct wp_view all;        /* records of all that have data */
    uint32_t *slots;           /* of a table that tells records apart: index + 1 */
    size_t n_slots;
};

bool kubernetai_joins(uint16_t qtype)
{
    return qtype == WP_TYPE_A || qtype == WP_TYPE_AAAA || qtype == WP_TYPE_SRV ||
           qtype == WP_TYPE_PTR;
}

static enum rank rank_of(const struct wp_query *q)
{
    const struct wp_reply *r = &q->reply;

    if (!r->begun || (r->rcode != WP_RCODE_NOERROR && r->rcode != WP_RCODE_NXDOMAIN))
        return TROUBLE;
    if (r->count[WP_ANSWER] > 0)
        return DATA;
    return r->rcode == WP_RCODE_NXDOMAIN ? NO_NAME : NO_DATA;
}

/* --- records, each once ------------------------------------------------------------------------ */

static bool is_same(const struct wp_rr *a, const struct wp_rr *b)
{
    return a->type == b->type && a->section == b->section && a->rdlen == b->rdlen &&
           memcmp(a->rdata, b->rdata, a->rdlen) == 0 && wp_name_equal(a->owner, b->owner);
}

/* Where the record is, or would be. */
static uint32_t *slot_of(const struct join *j, const struct wp_rr *rr)
{
    size_t i = (size_t)wp_hash_bytes(rr->rdata, rr->rdlen) & (j->n_slots - 1);

    while (j->slots[i] != 0 && !is_same(&j->all.rr[j->slots[i] - 1], rr))
        i = (i + 1) & (j->n_slots - 1);
    return &j->slots[i];
}

/* Room for n more records, none of which needs to be new. */
static int grow(struct join *j, size_t n)
{
    struct wp_view v = {.n = j->all.n, .cap = 2 * (j->all.n + n)};

    if (j->all.n + n <= j->all.cap)
        return 0;
    v.rr = wp_arena_array(j->q->arena, v.cap, sizeof(*v.rr));
    for (j->n_slots = 16; j->n_slots < 2 * v.cap; j->n_slots *= 2)
        ;
    j->slots = wp_arena_array(j->q->arena, j->n_slots, sizeof(*j->slots));
    if (v.rr == NULL || j->slots == NULL)
        return -ENOMEM;
    if (v.n > 0)
        memcpy(v.rr, j->all.rr, v.n * sizeof(*v.rr));
    j->all = v;
    for (size_t i = 0; i < v.n; i++)
        *slot_of(j, &v.rr[i]) = (uint32_t)i + 1;
    return 0;
}

static int add_records(struct join *j)
{
    struct wp_view v;
    int r = wp_reply_view(j->q, &v);

    if (r == 0)
        r = grow(j, v.n);
    for (size_t i = 0; r == 0 && i < v.n; i++) {
        uint32_t *slot = slot_of(j, &v.rr[i]);

        if (*slot != 0)
            continue;
        j->all.rr[j->all.n++] = v.rr[i];
        *slot = (uint32_t)j->all.n;
    }
    return r;
}

/* --- replies ------------------------------------------------------------------------------------- */

static bool is_alias(struct wp_query *q)
{
    struct wp_view v;

    return wp_reply_view(q, &v) == 0 && v.n > 0 && v.rr[0].type == WP_TYPE_CNAME;
}

/* That some of the data is old is said of all of it. */
static void carry_options(struct wp_reply *to, const struct wp_reply *from)
{
    if (to->options_len > 0)
        return;
    to->options = from->options;
    to->options_len = from->options_len;
    to->has_opt = from->has_opt;
}

/* The reply of one cluster. DONE: it stands alone. NEXT: go on. */
static int take(struct join *j)
{
    enum rank rank = rank_of(j->q);
    uint16_t cut = j->q->reply.flags & WP_FLAG_TC;
    int r = 0;

    if (rank == DATA && is_alias(j->q)) /* an alias has nothing beside it: the first comes first */
        return j->rank == DATA ? WP_STEP_NEXT : WP_STEP_DONE;
    j->unknown |= rank == TROUBLE;
    if (rank > j->rank) {
        r = wp_reply_keep(j->q, &j->best);
        j->rank = rank;
    }
    if (r == 0 && rank == DATA) {
        j->best.reply.flags |= cut;
        carry_options(&j->best.reply, &j->q->reply);
        r = add_records(j);
    }
    return r < 0 ? r : WP_STEP_NEXT;
}

/* Would the stanza follow the name to another one, be it a service's external name or an endpoint's?
 * That may have to wait, and what comes of it stands alone. */
static bool leads_elsewhere(const struct kubernetai_stanza *st, struct wp_query *q,
                            const struct kubernetes_zone *zone)
{
    struct kubernetes_answer a = {.p = &st->k, .q = q, .zone = zone};
    struct wp_kube_entry e;
    uint8_t ip[16];
    bool host = false;

    kubernetes_resolve(&a, &q->msg.qname);
    if (a.found != KUBERNETES_ENTRIES)
        return a.found == KUBERNETES_ALIAS;
    while (wp_kube_entries_next(&a.entries, &e)) {
        if (wp_kube_addr_family(&e.addr, ip) != 0)
            return false;
        host = true;
    }
    return host;
}

/* Sections in their order, records within them as the clusters come. */
static int write_all(struct join *j)
{
    struct wp_query *q = j->q;
    struct wp_view v = {.n = 0, .cap = j->all.n + 1};

    v.rr = wp_arena_array(q->arena, v.cap, sizeof(*v.rr));
    if (v.rr == NULL)
        return -ENOMEM;
    for (unsigned s = 0; s < WP_SECTIONS; s++) {
        for (size_t i = 0; i < j->all.n; i++) {
            if (j->all.rr[i].section == s)
                v.rr[v.n++] = j->all.rr[i];
        }
    }
    return wp_reply_rebuild(q, &v);
}

static int finish(struct join *j)
{
    int r;

    if (j->rank == NOTHING)
        return WP_STEP_NEXT;
    r = wp_reply_give_back(j->q, &j->best);
    if (r == 0 && j->rank == DATA)
        r = write_all(j);
    else if (r == 0 && j->rank != TROUBLE && j->unknown)
        r = kubernetai_tell_unknown(j->q);
    return r < 0 ? r : WP_STEP_DONE;
}

/* What one cluster says is not the next one's. */
static void forget(struct wp_query *q)
{
    q->reply = (struct wp_reply){.buf = q->reply.buf, .cap = q->reply.cap};
}

int kubernetai_join(struct kubernetai_stanza *first, struct wp_query *q,
                    const struct kubernetes_zone *zone)
{
    struct join j = {.q = q};
    int r = 0, trouble = 0;

    for (struct kubernetai_stanza *s = first; s != NULL; s = s->next) {
        const struct kubernetes_zone *z =
            s->merge ? kubernetes_zone_match(&s->k, &q->msg.qname) : NULL;

        if (z == NULL || z->len != zone->len)
            continue;
        if (j.rank == DATA && leads_elsewhere(s, q, z))
            continue;
        forget(q);
        r = wp_plugin_kubernetes.serve(&s->k, q);
        if (r == WP_STEP_DONE)
            r = take(&j);
        if (r == WP_STEP_WAIT || r == WP_STEP_DONE)
            return r;
        trouble = r < 0 ? r : trouble;
    }
    r = finish(&j);
    if (r == WP_STEP_NEXT) /* nothing was said: the next plugin begins afresh */
        forget(q);
    return r == WP_STEP_NEXT && trouble < 0 ? trouble : r;
}
