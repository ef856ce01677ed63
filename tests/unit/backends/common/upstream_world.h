/* One worker loop and an admin loop in the test's own thread, on virtual time, and fake servers on
 * the loopback that the test speaks for. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/common/upstream_priv.h"
#include "check.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/server/worker.h"

#define MS 1000000ull
#define SECOND 1000000000ull

static struct wp_loop *worker, *admin;
static struct wp_env env;
static struct wp_upstreams *set;
static struct wp_upstream_profile profile;
static uint64_t now;

/* Everything happens in one thread here. */
void wp_loop_call(struct wp_loop *loop, void (*fn)(void *arg, struct wp_loop *loop), void *arg)
{
    fn(arg, loop);
}

static inline void at(uint64_t ns)
{
    now = ns;
    wp_loop_set_now(worker, ns);
    wp_loop_set_now(admin, ns);
}

/* What is ready on both loops, and what follows from it at once. */
static inline void turn(void)
{
    for (int i = 0; i < 4; i++) {
        wp_loop_turn(worker, 0);
        wp_loop_turn(admin, 0);
    }
}

static inline void later(uint64_t ns)
{
    at(now + ns);
    turn();
}

static inline void world_new(void)
{
    static struct wp_loop *workers[1];

    CHECK(wp_loop_new(0, &worker) == 0 && wp_loop_new(1, &admin) == 0);
    workers[0] = worker;
    env = (struct wp_env){.workers = workers, .n_workers = 1, .admin = admin};
    at(1000 * SECOND);
    profile = (struct wp_upstream_profile){
        .asker = "forward",
        .expire_ns = 10 * (int64_t)SECOND,
        .read_timeout_ns = 2 * (int64_t)SECOND,
        .health_ns = 500 * (int64_t)MS,
        .health_rd = true,
        .health_name = {.len = 1},
    };
    CHECK(wp_upstreams_new(&env, &set) == 0);
}

static inline void world_free(void)
{
    wp_upstreams_free(set);
    set = NULL;
    wp_loop_free(worker);
    wp_loop_free(admin);
}

/* A bound socket on 127.0.0.1; type SOCK_DGRAM or SOCK_STREAM (listening). */
static inline int fake(int type, struct wp_addr *ret)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
    if (type == SOCK_STREAM)
        CHECK(listen(fd, 16) == 0);
    wp_addr_from_sockaddr((struct sockaddr *)&in, ret);
    return fd;
}

static inline bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

/* A query for `name` type A with a zero id. */
static inline size_t query(uint8_t *buf, const char *name)
{
    struct wp_wr wr = wp_wr_to(buf, 512);
    struct wp_name n;

    CHECK(wp_name_parse(name, &n) == 0);
    wp_wr_u16(&wr, 0);
    wp_wr_u16(&wr, WP_FLAG_RD);
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, 0);
    wp_wr_bytes(&wr, n.wire, n.len);
    wp_wr_u16(&wr, WP_TYPE_A);
    wp_wr_u16(&wr, WP_CLASS_IN);
    CHECK(!wr.bad);
    return wr.len;
}

/* The query with QR, an rcode and n address records. */
static inline size_t answer(uint8_t *buf, const uint8_t *q, size_t len, unsigned rcode, unsigned n)
{
    struct wp_wr wr = wp_wr_to(buf, 4096);

    wp_wr_bytes(&wr, q, len);
    wp_put16(buf + 2, WP_FLAG_QR | WP_FLAG_RA | WP_FLAG_RD | rcode);
    wp_put16(buf + 6, n);
    for (unsigned i = 0; i < n; i++) {
        wp_wr_u16(&wr, 0xc00c);
        wp_wr_u16(&wr, WP_TYPE_A);
        wp_wr_u16(&wr, WP_CLASS_IN);
        wp_wr_u32(&wr, 60);
        wp_wr_u16(&wr, 4);
        wp_wr_u32(&wr, 0xc0000200 + i);
    }
    CHECK(!wr.bad);
    return wr.len;
}

/* One try and how it ended. */
struct probe {
    struct wp_up_try x;
    uint8_t msg[512];
    int calls, err;
    bool again, udp;
    char why[200];
    struct wp_reply_look look;
    uint8_t reply[4096];
    size_t len;
};

static inline void on_probe(struct wp_up_try *x, const struct wp_outcome *o)
{
    struct probe *p = (struct probe *)x;

    p->calls++;
    p->err = o->err;
    p->again = o->again;
    p->udp = o->udp;
    p->look = o->look;
    snprintf(p->why, sizeof(p->why), "%s", o->why != NULL ? o->why : "");
    p->len = o->len < sizeof(p->reply) ? o->len : sizeof(p->reply);
    if (p->len > 0)
        memcpy(p->reply, o->reply, p->len);
}

static inline int ask(struct wp_upstream *u, struct probe *p, const char *name, bool tcp)
{
    const char *why = "";
    int r;

    *p = (struct probe){.x = {.tcp = tcp, .done = on_probe}};
    p->x.msg = p->msg;
    p->x.len = (uint32_t)query(p->msg, name);
    p->x.deadline_ns = now + 5 * SECOND;
    p->x.setup_ns = now + 2500 * MS;
    r = wp_upstream_ask(u, worker, &p->x, &why);
    if (r < 0)
        snprintf(p->why, sizeof(p->why), "%s", why);
    return r;
}
