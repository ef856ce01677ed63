/* A `forward` in the real router, on virtual time, with UDP upstreams that the test speaks for.
 * Include in one file of a program. */
#pragma once
#include "backends/common/upstream_world.h"
/* */
#include "backends/forward/flight.h"
#include "server/config/conf_load.h"
#include "waypost/server/gen.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"

extern const struct wp_plugin wp_plugin_forward;

static struct wp_worker house;
static struct wp_gen_count counts[1];
static struct wp_gen gen = {.counts = counts};
static struct wp_group group = {.scheme = WP_SCHEME_DNS, .port = 1053, .label = "dns://:1053", .limits = {.udp_cap = 1232}, .gen = &gen};
static struct loaded conf;
static struct forward *forward;
static int up_fd[3];
static struct wp_addr up_addr[3];

/* "$1" to "$3" in the body are the upstreams' addresses. False: the set-up failed. */
static inline bool house_conf(const char *body)
{
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof(text), ".:1053 {\n");

    for (const char *c = body; *c != '\0'; c++) {
        char addr[WP_ADDR_TEXT_MAX];

        if (*c == '$')
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", wp_addr_text(&up_addr[*++c - '1'], addr));
        else
            text[n++] = *c;
    }
    snprintf(text + n, sizeof(text) - n, "\n}\n");
    conf_load(&conf, text);
    return conf.r == 0;
}

static inline int house_start(void)
{
    forward = wp_block_plugin(&conf.blocks[0], "forward");
    env.block = &conf.blocks[0];
    env.arena = &conf.arena;
    env.report = &conf.report;
    env.plugin = "forward";
    return wp_plugin_forward.start(forward, &env);
}

/* The rest of the house: what is there whether forward has memory or not. */
static inline void house_route(void)
{
    const struct wp_block *blocks[] = {&conf.blocks[0]};
    struct wp_route *route;

    CHECK(wp_route_new(&conf.arena, &group, blocks, 1, &route) == 0);
    group.route = route;
    group.counts = wp_guard_counts_for(group.label);
    wp_query_put(wp_query_get(&house));
}

static inline void house_open(void)
{
    world_new();
    wp_upstreams_free(set); /* the instance has its own */
    set = NULL;
    for (int i = 0; i < 3; i++)
        up_fd[i] = fake(SOCK_DGRAM, &up_addr[i]);
    CHECK(wp_worker_init(&house, worker, 100) == 0);
}

static inline void house_new(const char *body)
{
    house_open();
    CHECK(house_conf(body));
    CHECK(house_start() == 0);
    house_route();
}

static inline void house_free(void)
{
    conf_unload(&conf);
    wp_worker_done(&house);
    wp_loop_free(worker);
    wp_loop_free(admin);
    for (int i = 0; i < 3; i++)
        close(up_fd[i]);
}

/* --- questions ----------------------------------------------------------------------------- */

struct client {
    struct wp_query *q;
    int done;
    uint16_t id;
};

static inline void client_done(struct wp_query *q)
{
    ((struct client *)q->owner)->done++;
}

/* WAIT or DONE. */
static inline int client_ask(struct client *c, const char *name, bool edns)
{
    static uint16_t ids;
    struct wp_query *q = wp_query_get(&house);
    uint8_t *wire = wp_query_in(q);
    size_t len = query(wire, name);
    int r;

    *c = (struct client){.q = q, .id = ++ids};
    wp_put16(wire, c->id);
    if (edns) {
        memcpy(wire + len, "\0\0\x29\x04\xd0\0\0\0\0\0\0", 11);
        len += 11;
        wire[11] = 1;
    }
    q->wire = wire;
    q->wire_len = (uint32_t)len;
    q->transport = WP_UDP;
    q->stream = false;
    q->route = group.route;
    q->start_ns = now;
    q->done = client_done;
    q->owner = c;
    CHECK(wp_addr_parse("192.0.2.7:5353", 0, &q->client) == 0);
    r = wp_query_run(q);
    if (r == WP_STEP_DONE)
        c->done++;
    return r;
}

static inline unsigned client_rcode(const struct client *c)
{
    CHECK(c->done == 1 && c->q->out_len >= 12 && wp_be16(c->q->out) == c->id);
    return c->q->out[3] & 15u;
}

/* Last octet of the first address in the answer; 0: none. */
static inline unsigned client_address(const struct client *c)
{
    CHECK(client_rcode(c) == 0);
    return wp_be16(c->q->out + 6) > 0 ? c->q->out[12 + c->q->question_len + 15] : 0;
}

static inline void client_free(struct client *c)
{
    wp_query_put(c->q);
}

/* --- upstreams ----------------------------------------------------------------------------- */

static struct sockaddr_storage up_peer[3];
static uint8_t up_got[3][600];

/* Octets of the next query there; 0: none. */
static inline size_t up_receive(int i)
{
    socklen_t len = sizeof(up_peer[i]);
    ssize_t n = recvfrom(up_fd[i], up_got[i], sizeof(up_got[i]), MSG_DONTWAIT, (struct sockaddr *)&up_peer[i], &len);

    return n > 0 ? (size_t)n : 0;
}

/* To the query that was received last: n addresses 192.0.2.N. */
static inline void up_answer(int i, unsigned rcode, unsigned last)
{
    uint8_t buf[4096];
    size_t question = WP_HEADER_LEN + (size_t)wp_name_len(up_got[i] + WP_HEADER_LEN, 255) + 4, len;

    up_got[i][11] = 0; /* no OPT in replies */
    len = answer(buf, up_got[i], question, rcode, last > 0);
    if (last > 0)
        buf[len - 1] = (uint8_t)last;
    CHECK(sendto(up_fd[i], buf, len, 0, (struct sockaddr *)&up_peer[i], sizeof(struct sockaddr_in)) == (ssize_t)len);
    turn();
}

static inline unsigned flights(void)
{
    return forward->workers[0]->n_flights;
}
