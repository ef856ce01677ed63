/* A whole DoH or gRPC connection in process: what comes is a list of pieces with time between
 * them. Whatever a client does, output is bounded and well framed, the connection ends when its
 * deadlines say so, no query outlives it, and all memory comes back.
 *
 * Octet 0: low two bits the protocol, the rest how octets are cut. Then records: a length octet
 * (255: a second of silence, 254: half-close), and as many octets of input. */
#include <stdlib.h>
#include <string.h>

#include "tests/fake/conn.h"
#include "tests/fake/zone.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

enum { SILENCE = 255, HALF_CLOSE = 254, OUTPUT_MAX = 4 << 20 };

static const struct {
    const struct wp_listener_ops *ops;
    const char *alpn, *first; /* sent before the fuzzed octets */
    size_t first_len;
} modes[] = {
    {&wp_listener_doh, "h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0", 33},
    {&wp_listener_doh, "", "", 0},
    {&wp_listener_doh, "http/1.1", "", 0},
    {&wp_listener_grpc, "h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0", 33},
};

static void check_frames(const struct fake_conn *f)
{
    size_t i = 0;

    while (i < f->out_len) {
        size_t len;

        CHECK(f->out_len - i >= 9);
        len = (size_t)f->out[i] << 16 | (size_t)f->out[i + 1] << 8 | f->out[i + 2];
        CHECK(len <= 16384 && len <= f->out_len - i - 9 && f->out[i + 3] <= 9);
        i += 9 + len;
    }
}

static void feed(struct fake_conn *f, const uint8_t *data, size_t len, size_t step)
{
    while (len > 0 && !f->c.closed) {
        size_t n = len < step ? len : step;

        fake_feed(f, data, n);
        data += n;
        len -= n;
        CHECK(f->out_len < OUTPUT_MAX && f->left_len <= 65536);
    }
}

static void play(struct fake_conn *f, const uint8_t *data, size_t size, size_t step)
{
    size_t pos = 0;

    while (pos < size && !f->c.closed) {
        size_t n = data[pos++];

        if (n == SILENCE) {
            fake_wait(f, 1000000000u);
            continue;
        }
        if (n == HALF_CLOSE) {
            fake_eof(f);
            return;
        }
        if (n > size - pos)
            n = size - pos;
        feed(f, data + pos, n, step);
        pos += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_listener *l;
    struct fake_conn f;
    unsigned mode;
    bool h2;

    if (house.loop == NULL && zone_open(WP_SCHEME_HTTPS, "https://fuzz:443") < 0)
        abort();
    if (size < 1)
        return 0;
    mode = data[0] & 3;
    if (modes[mode].ops->open(&house.worker, &house.group, -1, &l) < 0)
        abort();
    fake_open(&f, l, modes[mode].alpn);
    feed(&f, (const uint8_t *)modes[mode].first, modes[mode].first_len, 64);
    play(&f, data + 1, size - 1, (size_t)(data[0] >> 2) + 1);
    h2 = f.out_len >= 9 && f.out[3] == 4;
    if (h2)
        check_frames(&f);
    /* DoH ends by itself; a gRPC channel may stay, but nothing may run on it. */
    for (int i = 0; i < 40 && !f.c.closed; i++)
        fake_wait(&f, 1000000000u);
    CHECK(f.c.closed || modes[mode].ops == &wp_listener_grpc);
    CHECK(zone_waiting == 0 || f.c.closed);
    fake_stop(&f);
    modes[mode].ops->close(l);
    CHECK(f.refs == 1 && zone_waiting == 0 && house.worker.http == NULL);
    return 0;
}
