/* The n-th allocation of a connection's life fails, for every n: what was asked is answered or
 * the connection ends; nothing is lost and nothing leaks. */
#define FAKE_MALLOC __real_malloc
#include "check.h"
#include "failmalloc.h"

#include "tests/fake/conn.h"
#include "tests/fake/zone.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
#define WWW "\0\0\1\0\0\1\0\0\0\0\0\0\3www\7waypost\4test\0\0\1\0\1"
#define SLOW "\0\0\1\0\0\1\0\0\0\0\0\0\4slow\7waypost\4test\0\0\1\0\1"
#define DOH_FIELDS "\x83\x87\1\1a\x44\x0a/dns-query"
#define GRPC_FIELDS                                                                                \
    "\x83\x87\1\1a\4\35/coredns.dns.DnsService/Query\x0f\x10\20application/"                       \
    "grpc\0\14grpc-timeout\0029S"

static const struct {
    const char *what, *alpn;
    const struct wp_listener_ops *ops;
    const char *in;
    size_t len;
} rows[] = {
    {"DoH over HTTP/2", "h2", &wp_listener_doh,
     WIRE(PREFACE "\0\0\21\1\4\0\0\0\1" DOH_FIELDS "\0\0\42\0\1\0\0\0\1" WWW
                  "\0\0\21\1\4\0\0\0\3" DOH_FIELDS "\0\0\43\0\1\0\0\0\3" SLOW)},
    {"DoH, detected", "", &wp_listener_doh,
     WIRE(PREFACE "\0\0\21\1\4\0\0\0\1" DOH_FIELDS "\0\0\42\0\1\0\0\0\1" WWW)},
    {"DoH over HTTP/1.1", "", &wp_listener_doh,
     WIRE("GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwd3YXlwb3N0BHRlc3QAAAEAAQ HTTP/1.1\r\nHost: "
          "a\r\n\r\n"
          "POST /dns-query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n23\r\n" SLOW
          "\r\n0\r\n\r\n")},
    {"gRPC", "h2", &wp_listener_grpc,
     WIRE(PREFACE "\0\0\110\1\4\0\0\0\1" GRPC_FIELDS "\0\0\51\0\1\0\0\0\1\0\0\0\0\44\12\42" WWW
                  "\0\0\110\1\4\0\0\0\3" GRPC_FIELDS "\0\0\52\0\1\0\0\0\3\0\0\0\0\45\12\43" SLOW)},
};

/* Answers with an address in the output. */
static unsigned answers(const struct fake_conn *f)
{
    static const uint8_t rr[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1};
    unsigned n = 0;

    for (size_t i = 0; i + sizeof(rr) <= f->out_len; i++)
        n += memcmp(f->out + i, rr, sizeof(rr)) == 0;
    return n;
}

static void run(size_t row, long n, bool *ret_failed)
{
    struct wp_listener *l = NULL;
    struct fake_conn f;
    unsigned got;

    failmalloc_after(n);
    if (rows[row].ops->open(&house.worker, &house.group, -1, &l) < 0) {
        CHECK_AT(rows[row].what, failmalloc_stop() && house.worker.http == NULL);
        *ret_failed = true;
        return;
    }
    fake_open(&f, l, rows[row].alpn);
    fake_feed(&f, rows[row].in, rows[row].len);
    fake_wait(&f, 3500000000u); /* the slow answer; then the session falls asleep */
    *ret_failed = failmalloc_stop();
    got = answers(&f);
    if (!*ret_failed)
        CHECK_AT(rows[row].what, !f.c.closed && got == (row == 1 ? 1 : 2));
    fake_stop(&f);
    rows[row].ops->close(l);
    CHECK_AT(rows[row].what, f.refs == 1 && zone_waiting == 0 && house.worker.http == NULL);
}

static void test_nomem(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool failed = true;
        long n = 0;

        for (; failed; n++)
            run(i, n, &failed);
        CHECK_AT(rows[i].what, n > 5 && n < 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_nomem)};

    if (zone_open(WP_SCHEME_HTTPS, "https://nomem:443") < 0)
        return 1;
    if (cmocka_run_group_tests(tests, NULL, NULL) != 0)
        return 1;
    zone_close();
    return 0;
}
