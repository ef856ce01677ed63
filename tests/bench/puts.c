/* puts -e ETCD_PORT -p DNS_PORT [-r PUTS_PER_SECOND] [-l SECONDS] [-n NAMES] [-s
 * SAMPLES_PER_SECOND] Puts new addresses of names hNNNNNNN.bench.test into the etcd at 127.0.0.1,
 * one key a call, at a given pace, and asks the DNS server there for some of the names, over and
 * over, until it gives what was put. Prints one line of JSON: puts per second that were
 * acknowledged, and the milliseconds from a put, and from its acknowledgement, to the first reply
 * with the new address. tests/bench/etcd is what people call. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_FLIGHT = 1024, /* puts; etcd limits streams of a connection itself */
    WATCHED = 4096,   /* names that are asked for */
    SAMPLES_MAX = 1 << 20,
    BODY_MAX = 128,
    QUESTION = 37,
    ASK_AGAIN_US = 200,
    GIVE_UP_S = 10,
};

struct put {
    bool busy;
    uint32_t name, address;
    uint64_t sent_ns;
    size_t body_len, body_at;
    bool failed;
    uint8_t body[BODY_MAX];
};
struct watched { /* a name whose new address is waited for; its number is the question's id */
    bool busy;
    uint32_t name, address;
    uint64_t sent_ns, acked_ns, asked_ns;
};

static struct put puts_[IN_FLIGHT];
static struct watched watched[WATCHED];
static unsigned n_flying, n_watched;
static uint32_t from_put[SAMPLES_MAX], from_ack[SAMPLES_MAX]; /* microseconds */
static unsigned n_samples;
static uint64_t n_acked, n_failed, n_skipped, n_given_up;
static int etcd_fd, dns_fd;
static nghttp2_session *ng;
static char authority[32];
static double sample_every; /* puts */
static double next_sample;
static bool measuring;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "puts: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* --- asking ----------------------------------------------------------------------------------- */

static void ask(unsigned i, uint64_t now)
{
    uint8_t q[QUESTION + 1] = "\0\0\1\0\0\1\0\0\0\0\0\0\10h0000000\5bench\4test\0\0\1\0\1";
    uint32_t n = watched[i].name;

    q[0] = (uint8_t)(i >> 8);
    q[1] = (uint8_t)i;
    for (unsigned at = 20; n != 0; at--, n /= 10)
        q[at] = (uint8_t)('0' + n % 10);
    watched[i].asked_ns = now;
    (void)!send(dns_fd, q, QUESTION, 0); /* full: asked again */
}

static void watch(const struct put *p, uint64_t now)
{
    for (unsigned i = 0; i < WATCHED; i++) {
        if (watched[i].busy)
            continue;
        watched[i] = (struct watched){true, p->name, p->address, p->sent_ns, now, now};
        n_watched++;
        ask(i, now);
        return;
    }
    n_skipped++;
}

static void take_replies(uint64_t now)
{
    uint8_t r[512];

    for (ssize_t n; (n = recv(dns_fd, r, sizeof(r), MSG_DONTWAIT)) > 0;) {
        unsigned i = (unsigned)(r[0] << 8 | r[1]);
        uint32_t got;

        /* one answer: its owner is two octets, its data the last four */
        if (n != QUESTION + 16 || i >= WATCHED || !watched[i].busy)
            continue;
        got = (uint32_t)r[n - 3] << 16 | (uint32_t)r[n - 2] << 8 | r[n - 1];
        if (got != watched[i].address)
            continue;
        watched[i].busy = false;
        n_watched--;
        if (n_samples == SAMPLES_MAX)
            continue;
        from_put[n_samples] = (uint32_t)((now - watched[i].sent_ns) / 1000);
        from_ack[n_samples++] = (uint32_t)((now - watched[i].acked_ns) / 1000);
    }
}

static void ask_again(uint64_t now)
{
    for (unsigned i = 0, left = n_watched; left != 0 && i < WATCHED; i++) {
        if (!watched[i].busy)
            continue;
        left--;
        if (now - watched[i].acked_ns > (uint64_t)GIVE_UP_S * 1000000000u) {
            watched[i].busy = false;
            n_watched--;
            n_given_up++;
        } else if (now - watched[i].asked_ns > ASK_AGAIN_US * 1000u) {
            ask(i, now);
        }
    }
}

/* --- putting ---------------------------------------------------------------------------------- */

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *user)
{
    struct put *p = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);

    (void)flags, (void)user;
    if (p != NULL && name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        p->failed = len != 1 || value[0] != '0';
    return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
    struct put *p = nghttp2_session_get_stream_user_data(s, id);

    (void)user;
    if (p == NULL)
        return 0;
    p->busy = false;
    n_flying--;
    if (!measuring)
        return 0;
    if (code != NGHTTP2_NO_ERROR || p->failed) {
        n_failed++;
        return 0;
    }
    n_acked++;
    if (--next_sample <= 0) {
        next_sample += sample_every;
        watch(p, now_ns());
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *buf, size_t len, uint32_t *flags,
                         nghttp2_data_source *src, void *user)
{
    struct put *p = src->ptr;

    (void)s, (void)id, (void)user, (void)len; /* nghttp2 offers at least 16 kB */
    memcpy(buf, p->body, p->body_len);
    *flags = NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)p->body_len;
}

/* A PutRequest in its frame: key (field 1) and value (field 2), both shorter than 128 octets. */
static void write_body(struct put *p)
{
    char key[40], value[60];
    int k = snprintf(key, sizeof(key), "/skydns/test/bench/h%07u", p->name);
    int v = snprintf(value, sizeof(value), "{\"host\":\"10.%u.%u.%u\",\"ttl\":300}",
                     p->address >> 16, p->address >> 8 & 255, p->address & 255);
    uint8_t *b = p->body;

    memset(b, 0, 4);
    b[4] = (uint8_t)(k + v + 4);
    b[5] = 0x0a;
    b[6] = (uint8_t)k;
    memcpy(b + 7, key, (size_t)k);
    b[7 + k] = 0x12;
    b[8 + k] = (uint8_t)v;
    memcpy(b + 9 + k, value, (size_t)v);
    p->body_len = (size_t)(9 + k + v);
}

#define NV(name, value, len)                                                                       \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof(name) - 1, (len), NGHTTP2_NV_FLAG_NONE       \
    }
#define TEXT(name, value) NV(name, value, sizeof(value) - 1)

static bool put_one(uint32_t name, uint32_t address, uint64_t now)
{
    const nghttp2_nv head[] = {
        TEXT(":method", "POST"),
        TEXT(":scheme", "http"),
        NV(":authority", authority, strlen(authority)),
        TEXT(":path", "/etcdserverpb.KV/Put"),
        TEXT("content-type", "application/grpc"),
        TEXT("te", "trailers"),
    };
    struct put *p = NULL;

    for (unsigned i = 0; p == NULL && i < IN_FLIGHT; i++)
        if (!puts_[i].busy)
            p = &puts_[i];
    if (p == NULL)
        return false;
    *p = (struct put){.busy = true, .name = name, .address = address, .sent_ns = now};
    write_body(p);
    if (nghttp2_submit_request(ng, NULL, head, sizeof(head) / sizeof(head[0]),
                               &(nghttp2_data_provider){{.ptr = p}, read_body}, p) < 0)
        die("HTTP/2 request");
    n_flying++;
    return true;
}

static void exchange(void)
{
    static uint8_t in[1 << 16];
    const uint8_t *out;

    for (ssize_t n; (n = recv(etcd_fd, in, sizeof(in), MSG_DONTWAIT)) >= 0;) {
        if (n == 0) {
            errno = ECONNRESET;
            die("etcd");
        }
        if (nghttp2_session_mem_recv(ng, in, (size_t)n) < 0)
            die("HTTP/2 of etcd");
    }
    for (ssize_t n; (n = nghttp2_session_mem_send(ng, &out)) > 0;)
        for (ssize_t sent; n > 0; out += sent, n -= sent) {
            sent = send(etcd_fd, out, (size_t)n, MSG_NOSIGNAL);
            if (sent < 0)
                die("etcd");
        }
}

/* --- the run ---------------------------------------------------------------------------------- */

static int connected(int type, unsigned port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        die(type == SOCK_STREAM ? "connecting to etcd" : "UDP socket");
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void open_all(unsigned etcd_port, unsigned dns_port)
{
    static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_session_callbacks *cb = NULL;

    etcd_fd = connected(SOCK_STREAM, etcd_port);
    dns_fd = connected(SOCK_DGRAM, dns_port);
    snprintf(authority, sizeof(authority), "127.0.0.1:%u", etcd_port);
    if (nghttp2_session_callbacks_new(&cb) != 0)
        die("memory");
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    if (nghttp2_session_client_new(&ng, cb, NULL) != 0 ||
        nghttp2_submit_settings(ng, 0, settings, 1) != 0 ||
        nghttp2_session_set_local_window_size(ng, 0, 0, 1 << 30) != 0)
        die("HTTP/2 session");
    nghttp2_session_callbacks_del(cb);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double at(const uint32_t *sorted, double part)
{
    return n_samples == 0 ? -1 : sorted[(size_t)(part * (n_samples - 1))] / 1000.0;
}

static void run(double rate, double seconds, uint32_t names)
{
    uint64_t start = now_ns(), last = start + (uint64_t)(seconds * 1e9);
    double n_sent = 0;
    uint32_t name = 0, address = 0;

    for (uint64_t now = start; now < last || n_watched != 0; now = now_ns()) {
        struct pollfd p[] = {{etcd_fd, POLLIN, 0}, {dns_fd, POLLIN, 0}};

        measuring = now < last;
        while (measuring && n_sent < rate * (double)(now - start) / 1e9) {
            name = (uint32_t)(((uint64_t)name + 7919) % names);
            address = (address + 1) & 0xffffff;
            if (!put_one(name, address, now))
                break; /* etcd is behind: the pace is its own */
            n_sent++;
        }
        exchange();
        take_replies(now_ns());
        ask_again(now_ns());
        ppoll(p, 2, &(struct timespec){0, ASK_AGAIN_US * 500}, NULL);
    }
}

int main(int argc, char **argv)
{
    double rate = 10000, seconds = 10, samples = 1000, took;
    unsigned etcd_port = 0, dns_port = 0;
    uint32_t names = 10000;

    for (int c; (c = getopt(argc, argv, "e:p:r:l:n:s:")) != -1;)
        switch (c) {
        case 'e':
            etcd_port = (unsigned)atoi(optarg);
            break;
        case 'p':
            dns_port = (unsigned)atoi(optarg);
            break;
        case 'r':
            rate = atof(optarg);
            break;
        case 'l':
            seconds = atof(optarg);
            break;
        case 'n':
            names = (uint32_t)atol(optarg);
            break;
        case 's':
            samples = atof(optarg);
            break;
        default:
            return 2;
        }
    if (etcd_port == 0 || dns_port == 0 || rate <= 0 || seconds <= 0 || samples <= 0 ||
        names - 1 >= 9999999) {
        fprintf(stderr, "puts: see its source for the options and their ranges\n");
        return 2;
    }
    sample_every = rate / samples;
    open_all(etcd_port, dns_port);
    took = (double)now_ns();
    run(rate, seconds, names);
    took = ((double)now_ns() - took) / 1e9;
    qsort(from_put, n_samples, sizeof(from_put[0]), by_size);
    qsort(from_ack, n_samples, sizeof(from_ack[0]), by_size);
    printf(
        "{\"puts_per_s\": %.0f, \"failed\": %lu, \"samples\": %u, \"lost\": %lu, \"skipped\": %lu, "
        "\"seconds\": %.1f, \"put_p50\": %.3f, \"put_p99\": %.3f, \"put_max\": %.3f, "
        "\"ack_p50\": %.3f, \"ack_p99\": %.3f, \"ack_p999\": %.3f, \"ack_max\": %.3f}\n",
        (double)n_acked / seconds, (unsigned long)n_failed, n_samples, (unsigned long)n_given_up,
        (unsigned long)n_skipped, took, at(from_put, 0.5), at(from_put, 0.99), at(from_put, 1),
        at(from_ack, 0.5), at(from_ack, 0.99), at(from_ack, 0.999), at(from_ack, 1));
    return n_samples != 0 && n_given_up == 0 ? 0 : 1;
}
