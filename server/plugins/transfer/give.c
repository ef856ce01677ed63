/* One transfer, from the question to the last message. What runs is in the query's arena; its zone
 * is held by whoever has it. */
#include "server/plugins/transfer/transfer.h"

#include "waypost/plugin/explain.h"
#include "waypost/plugin/transfer.h"

enum {
    LINES = 100,
    LINES_S = 10, /* of the log, which clients can provoke */
    ROUNDS = 32,  /* calls of next() for one message */
};

enum phase { PREPARE, SOA_FIRST, RECORDS, SOA_LAST, ALL };

struct give {
    struct transfer *t;
    struct wp_transfer zone;
    enum phase phase;
    uint64_t n; /* records that were sent */
};

static void end(struct give *g)
{
    g->zone.end(g->zone.source);
    atomic_fetch_sub_explicit(&g->t->running, 1, memory_order_relaxed);
}

static void log_given(const struct give *g, const struct wp_query *q)
{
    char zone[WP_NAME_TEXT_MAX], to[WP_ADDR_TEXT_MAX];

    if (wp_log_allow(&g->t->log, LINES, LINES_S))
        wp_log(WP_INFO, "transfer",
               "Outgoing transfer of %llu records of zone \"%s\" to %s for %u SOA serial",
               (unsigned long long)g->n, wp_name_text(q->msg.qname.wire, zone),
               wp_addr_ip_text(&q->client, to), g->zone.serial);
}

static void log_failed(const struct give *g, const struct wp_query *q, const char *why)
{
    char zone[WP_NAME_TEXT_MAX], to[WP_ADDR_TEXT_MAX];

    if (wp_log_allow(&g->t->refused_log, LINES, LINES_S))
        wp_log(WP_WARNING, "transfer",
               "Outgoing transfer of zone \"%s\" to %s broken off after %llu records: %s",
               wp_name_text(q->msg.qname.wire, zone), wp_addr_ip_text(&q->client, to),
               (unsigned long long)g->n, why);
}

/* --- messages -------------------------------------------------------------------------------- */

static bool put_soa(struct give *g, const struct wp_query *q, struct wp_transfer_out *out)
{
    return wp_transfer_put(out, q->msg.qname.wire, WP_TYPE_SOA, g->zone.soa_ttl, g->zone.soa,
                           g->zone.soa_len);
}

/* As much as one message holds. */
static int fill(struct give *g, const struct wp_query *q, struct wp_transfer_out *out)
{
    int r = WP_STEP_NEXT;

    if (g->phase == SOA_FIRST && put_soa(g, q, out))
        g->phase = RECORDS;
    for (int i = 0; g->phase == RECORDS && !out->is_full && i < ROUNDS; i++) {
        r = g->zone.next(g->zone.source, out);
        if (r < 0)
            return r;
        if (r == WP_STEP_DONE)
            g->phase = SOA_LAST;
    }
    if (g->phase == SOA_LAST && put_soa(g, q, out))
        g->phase = ALL;
    return out->err;
}

static int prepare(struct give *g)
{
    int r = g->zone.prepare != NULL ? g->zone.prepare(g->zone.source) : WP_STEP_DONE;

    if (r == WP_STEP_DONE)
        g->phase = SOA_FIRST;
    return r;
}

/* As wp_query.more. */
static int give_more(struct wp_query *q)
{
    struct give *g = wp_query_state(q);
    struct wp_transfer_out out;
    int r = g->phase == PREPARE ? prepare(g) : WP_STEP_DONE;

    if (r == WP_STEP_NEXT)
        return r;
    if (r >= 0)
        r = wp_transfer_begin(q, &out);
    if (r == 0)
        r = fill(g, q, &out);
    if (r < 0) {
        log_failed(g, q, wp_strerror(r));
        g->phase = ALL; /* it is told of; cancel() follows */
        return r;
    }
    wp_transfer_finish(q, &out);
    g->n += out.n;
    if (g->phase != ALL)
        return WP_STEP_NEXT;
    log_given(g, q);
    end(g);
    return WP_STEP_DONE;
}

void transfer_give_up(struct transfer *t, struct wp_query *q)
{
    struct give *g = wp_query_state(q);

    (void)t;
    if (g->phase != ALL)
        log_failed(g, q, "the connection ended");
    end(g);
    wp_query_resume(q, wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL));
}

/* --- the beginning --------------------------------------------------------------------------- */

/* The client has what we have: it gets the SOA, and sees that (RFC 1995 s2, s4). Not for serial 0,
 * which the reference takes for no serial at all. */
static bool is_current(const struct wp_transfer *z, uint32_t serial)
{
    if (serial == 0)
        return false;
    return serial == z->serial || (z->newer_is_current && (int32_t)(serial - z->serial) > 0);
}

static int answer_soa(struct transfer *t, struct wp_query *q, const struct wp_transfer *z)
{
    char zone[WP_NAME_TEXT_MAX], to[WP_ADDR_TEXT_MAX];
    int r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);

    if (r == 0)
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_SOA, z->soa_ttl, z->soa, z->soa_len);
    if (r < 0)
        return r;
    if (wp_log_allow(&t->log, LINES, LINES_S))
        wp_log(WP_INFO, "transfer",
               "Outgoing noop, incremental transfer for up to date zone \"%s\" to %s for %u SOA "
               "serial",
               wp_name_text(q->msg.qname.wire, zone), wp_addr_ip_text(&q->client, to), z->serial);
    return WP_STEP_DONE;
}

/* The first of the chain that has exactly this zone. */
static int find_zone(struct wp_query *q, struct wp_transfer *ret)
{
    int r = WP_ENOTFOUND;

    for (unsigned i = 0; i < q->block->n_chain && r == WP_ENOTFOUND; i++) {
        const struct wp_node *n = &q->block->chain[i];

        if (n->plugin->transfer != NULL)
            r = n->plugin->transfer(n->self, q, ret);
    }
    return r;
}

int transfer_give(struct transfer *t, struct wp_query *q, uint32_t serial)
{
    struct give *g = wp_arena_zalloc(q->arena, sizeof(*g));
    int r = g == NULL ? -ENOMEM : find_zone(q, &g->zone);

    if (r == WP_ENOTFOUND)
        return WP_STEP_NEXT;
    if (r < 0)
        return wp_query_fail(q, WP_RCODE_SERVFAIL, r, "transfer: %s", wp_strerror(r));
    g->t = t;
    if (is_current(&g->zone, serial)) {
        r = answer_soa(t, q, &g->zone);
        g->zone.end(g->zone.source);
        return r;
    }
    if (atomic_fetch_add_explicit(&t->running, 1, memory_order_relaxed) >= TRANSFER_RUNNING_MAX) {
        end(g);
        return wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ELIMIT,
                             "transfer: %d of them are running already", TRANSFER_RUNNING_MAX);
    }
    wp_query_state_set(q, g);
    q->more = give_more;
    return WP_STEP_WAIT;
}
