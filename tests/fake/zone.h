/* A worker and one server block with the zone waypost.test. of the acceptance tables, answered
 * by a plugin of a page: no backend, no socket. Include in one file of a program. */
#pragma once
#include <stdlib.h>
#include <string.h>
#include "waypost/base/wr.h"
#include "waypost/plugin/block.h"
#include "waypost/server/gen.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

struct zone_slow {
    struct wp_timer timer;
    struct wp_query *q;
};
static unsigned zone_asked, zone_cancelled, zone_waiting;

static inline void zone_soa(struct wp_query *q)
{
    static const uint8_t rdata[] = "\2ns\7waypost\4test\0\1h\7waypost\4test\0"
                                   "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\74";
    static const uint8_t apex[] = "\7waypost\4test";

    if (wp_reply_rr(q, WP_AUTHORITY, apex, WP_TYPE_SOA, 300, rdata, sizeof(rdata) - 1) < 0)
        wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
}

static inline int zone_address(struct wp_query *q, const uint8_t *owner, uint32_t ttl, uint8_t last)
{
    uint8_t ip[4] = {192, 0, 2, last};

    return wp_reply_rr(q, WP_ANSWER, owner, WP_TYPE_A, ttl, ip, 4);
}

static inline int zone_text(struct wp_query *q, unsigned n)
{
    uint8_t txt[101] = {100};
    int r = 0;

    memset(txt + 1, 'x', 100);
    for (unsigned i = 0; i < n && r == 0; i++) {
        txt[1] = (uint8_t)i;
        txt[2] = (uint8_t)(i >> 8);
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_TXT, 300, txt, sizeof(txt));
    }
    return r;
}

static inline bool zone_is(const struct wp_query *q, const char *label)
{
    const uint8_t *name = q->msg.qname.wire;
    size_t n = strlen(label);

    return name[0] == n && memcmp(name + 1, label, n) == 0;
}

static inline int zone_answer(struct wp_query *q)
{
    static const uint8_t alias[] = "\3www\7waypost\4test";
    int r;

    if (wp_reply_begin(q, 0, WP_FLAG_AA) < 0)
        return WP_ESPACE;
    if (zone_is(q, "www") || zone_is(q, "slow")) {
        if (q->msg.qtype == WP_TYPE_A)
            r = zone_address(q, NULL, 300, 1);
        else
            r = (zone_soa(q), 0);
    } else if (zone_is(q, "zero")) {
        r = zone_address(q, NULL, 0, 9);
    } else if (zone_is(q, "long")) {
        r = zone_address(q, NULL, 86400, 2);
    } else if (zone_is(q, "big")) {
        r = zone_text(q, 20);
    } else if (zone_is(q, "huge")) {
        r = zone_text(q, 520);
    } else if (zone_is(q, "alias")) {
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_CNAME, 120, alias, sizeof(alias));
        if (r == 0)
            r = zone_address(q, alias, 300, 1);
    } else {
        r = wp_reply_begin(q, WP_RCODE_NXDOMAIN, WP_FLAG_AA);
        zone_soa(q);
    }
    return r < 0 ? r : WP_STEP_DONE;
}

static inline void zone_finish(struct zone_slow *s)
{
    struct wp_query *q = s->q;

    zone_waiting--;
    wp_timer_cancel(&s->timer);
    free(s);
    wp_query_resume(q, zone_answer(q));
}

static inline void zone_on_timer(struct wp_timer *t)
{
    zone_finish((struct zone_slow *)t);
}

static inline int zone_serve(void *self, struct wp_query *q)
{
    struct zone_slow *s;

    (void)self;
    zone_asked++;
    if (zone_is(q, "drop"))
        return wp_query_drop(q);
    if (zone_is(q, "dead"))
        return WP_EUNREACHABLE;
    if (!zone_is(q, "slow"))
        return zone_answer(q);
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return -12;
    zone_waiting++;
    s->q = q;
    s->timer.fn = zone_on_timer;
    wp_query_state_set(q, s);
    wp_timer_set(q->loop, &s->timer, wp_loop_now(q->loop) + 1000000000u);
    return WP_STEP_WAIT;
}

static inline void zone_cancel(void *self, struct wp_query *q)
{
    (void)self;
    zone_cancelled++;
    zone_finish(wp_query_state(q));
}

static const struct wp_plugin zone_plugin = {
    .name = "zone", .serve = zone_serve, .cancel = zone_cancel};

/* The house around it. */
static struct zone_house {
    struct wp_loop *loop;
    struct wp_worker worker;
    struct wp_arena arena;
    struct wp_group group;
    struct wp_gen gen;
    struct wp_gen_count counts[1];
    struct wp_key key;
    struct wp_node node;
    struct wp_block block;
    struct wp_route *route;
} house;

static inline int zone_open(enum wp_scheme scheme, const char *label)
{
    static const uint8_t apex[] = "\7waypost\4test";
    const struct wp_block *blocks[] = {&house.block};

    if (wp_loop_new(0, &house.loop) < 0)
        return -1;
    wp_loop_set_now(house.loop, 1000000000u);
    if (wp_worker_init(&house.worker, house.loop, 4096) < 0)
        return -1;
    wp_arena_init(&house.arena, 0);
    house.gen = (struct wp_gen){.counts = house.counts};
    house.group = (struct wp_group){
        .scheme = scheme,
        .port = 443,
        .label = label,
        .limits =
            {
                .read_ns = 3000000000u,
                .write_ns = 5000000000u,
                .idle_ns = 10000000000u,
                .max_streams = 250,
                .header_octets = 16384,
                .udp_cap = 1232,
            },
        .gen = &house.gen,
        .counts = wp_guard_counts_for(label),
    };
    house.key = (struct wp_key){.scheme = scheme, .port = 443, .zone = apex};
    house.node = (struct wp_node){.plugin = &zone_plugin};
    house.block = (struct wp_block){.keys = &house.key,
                                    .n_keys = 1,
                                    .chain = &house.node,
                                    .n_chain = 1,
                                    .all = &house.node,
                                    .n_all = 1};
    if (wp_route_new(&house.arena, &house.group, blocks, 1, &house.route) < 0)
        return -1;
    house.group.route = house.route;
    return 0;
}

static inline void zone_close(void)
{
    wp_worker_done(&house.worker);
    wp_loop_free(house.loop);
    wp_arena_done(&house.arena);
}

/* A query as the acceptance tables spell it: ID 0, RD. Returns its length. */
static inline size_t zone_query(uint8_t *to, const char *label, uint16_t type)
{
    static const uint8_t head[] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    static const uint8_t apex[] = "\7waypost\4test";
    size_t n = strlen(label), at = sizeof(head);

    memcpy(to, head, at);
    to[at++] = (uint8_t)n;
    memcpy(to + at, label, n);
    at += n;
    memcpy(to + at, apex, sizeof(apex));
    at += sizeof(apex);
    wp_put16(to + at, type);
    wp_put16(to + at + 2, 1);
    return at + 4;
}
