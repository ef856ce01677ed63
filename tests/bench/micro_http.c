/* CPU of one DoH or gRPC answer without sockets and TLS: requests as h2load and gRPC clients make
 * them go through a whole session, the router and a zone of one plugin. With "idle", the memory
 * that a connection keeps between requests.
 *   micro_http doh|grpc|h1 [REQUESTS_PER_TURN [TURNS]]     micro_http idle */
#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <time.h>
#include "tests/fake/conn.h"
#include "tests/fake/zone.h"
#include "waypost/dns/grpc_frame.h"

static uint8_t body[128];
static size_t body_len;

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                         nghttp2_data_source *src, void *user)
{
    (void)s, (void)id, (void)len, (void)src, (void)user;
    memcpy(buf, body, body_len);
    *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)body_len;
}

#define NV(name, value)                                                                            \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, sizeof(value) - 1, 0              \
    }

struct client {
    nghttp2_session *ng;
    const nghttp2_nv *nv;
    size_t n_nv;
};

static void client_open(struct client *c, bool grpc)
{
    static const nghttp2_nv doh[] = {
        NV(":method", "POST"),
        NV(":scheme", "https"),
        NV(":authority", "127.0.0.1:443"),
        NV(":path", "/dns-query"),
        NV("user-agent", "h2load nghttp2/1.52.0"),
        NV("accept", "application/dns-message"),
        NV("content-type", "application/dns-message"),
        NV("content-length", "34"),
    };
    static const nghttp2_nv rpc[] = {
        NV(":method", "POST"),
        NV(":scheme", "http"),
        NV(":path", "/coredns.dns.DnsService/Query"),
        NV(":authority", "127.0.0.1:443"),
        NV("content-type", "application/grpc"),
        NV("user-agent", "grpc-go/1.60.1"),
        NV("te", "trailers"),
        NV("grpc-timeout", "4998700u"),
    };
    nghttp2_session_callbacks *cb;
    nghttp2_settings_entry iv[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30}};

    c->nv = grpc ? rpc : doh;
    c->n_nv = 8;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_client_new(&c->ng, cb, NULL);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(c->ng, 0, iv, 1);
    nghttp2_session_set_local_window_size(c->ng, 0, 0, INT32_MAX);
}

static size_t client_turn(struct client *c, unsigned n, uint8_t *to)
{
    nghttp2_data_provider p = {.read_callback = read_body};
    const uint8_t *data;
    ssize_t got;
    size_t len = 0;

    for (unsigned i = 0; i < n; i++)
        nghttp2_submit_request(c->ng, NULL, c->nv, c->n_nv, &p, NULL);
    while ((got = nghttp2_session_mem_send(c->ng, &data)) > 0) {
        memcpy(to + len, data, (size_t)got);
        len += (size_t)got;
    }
    return len;
}

/* The client is part of neither the time nor the memory: its octets are taken back. */
static void client_read(struct client *c, struct fake_conn *f)
{
    if (nghttp2_session_mem_recv(c->ng, f->out, f->out_len) < 0)
        abort();
    f->out_len = 0;
}

static size_t h1_turn(unsigned n, uint8_t *to)
{
    static const char head[] =
        "POST /dns-query HTTP/1.1\r\nHost: 127.0.0.1:443\r\nUser-Agent: curl/7.88.1\r\n"
        "Accept: */*\r\nContent-Type: application/dns-message\r\n"
        "Content-Length: 34\r\n\r\n";
    size_t len = 0;

    for (unsigned i = 0; i < n; i++) {
        memcpy(to + len, head, sizeof(head) - 1);
        len += sizeof(head) - 1;
        memcpy(to + len, body, body_len);
        len += body_len;
    }
    return len;
}

static int run(const char *what, unsigned per_turn, unsigned turns)
{
    static uint8_t in[1 << 20];
    bool grpc = strcmp(what, "grpc") == 0, h1 = strcmp(what, "h1") == 0;
    const struct wp_listener_ops *ops = grpc ? &wp_listener_grpc : &wp_listener_doh;
    struct wp_listener *l;
    struct fake_conn f;
    struct client c;
    uint64_t spent = 0, octets = 0;

    body_len = 0;
    if (grpc)
        body_len = wp_dns_packet_head(body, 34);
    body_len += zone_query(body + body_len, "www", 1);
    if (ops->open(&house.worker, &house.group, -1, &l) < 0)
        return 1;
    client_open(&c, grpc);
    fake_open(&f, l, h1 ? "http/1.1" : "h2");
    client_read(&c, &f);
    for (unsigned i = 0; i < turns; i++) {
        size_t len = h1 ? h1_turn(per_turn, in) : client_turn(&c, per_turn, in);
        uint64_t t = cpu_ns();

        fake_feed(&f, in, len);
        spent += cpu_ns() - t;
        octets += f.out_len;
        if (h1)
            f.out_len = 0;
        else
            client_read(&c, &f);
    }
    printf("%s x%u: %.0f ns and %.1f octets an answer\n", what, per_turn,
           (double)spent / turns / per_turn, (double)octets / turns / per_turn);
    fake_stop(&f);
    ops->close(l);
    nghttp2_session_del(c.ng);
    return 0;
}

static int run_idle(void)
{
    enum { N = 200 };
    static uint8_t in[1 << 16];
    static struct fake_conn f[N];
    struct wp_listener *l;
    size_t before = 0;

    body_len = zone_query(body, "www", 1);
    if (wp_listener_doh.open(&house.worker, &house.group, -1, &l) < 0)
        return 1;
    for (unsigned i = 0; i < N; i++) {
        struct client c;
        size_t len;

        client_open(&c, false);
        fake_open(&f[i], l, "h2");
        client_read(&c, &f[i]);
        len = client_turn(&c, 1, in);
        fake_feed(&f[i], in, len);
        client_read(&c, &f[i]);
        nghttp2_session_del(c.ng);
        free(f[i].out);
        f[i].out = NULL;
        f[i].out_cap = 0;
        malloc_trim(0);
        if (i == 0)
            before = mallinfo2().uordblks;
    }
    printf("idle: %zu octets a connection\n", (mallinfo2().uordblks - before) / (N - 1));
    for (unsigned i = 0; i < N; i++)
        fake_stop(&f[i]);
    wp_listener_doh.close(l);
    return 0;
}

int main(int argc, char **argv)
{
    unsigned per_turn = argc > 2 ? (unsigned)atoi(argv[2]) : 32;
    unsigned turns = argc > 3 ? (unsigned)atoi(argv[3]) : 10000;
    int r;

    if (argc < 2 || zone_open(WP_SCHEME_HTTPS, "https://.:443") < 0)
        return 2;
    r = strcmp(argv[1], "idle") == 0 ? run_idle() : run(argv[1], per_turn, turns);
    zone_close();
    return r;
}
