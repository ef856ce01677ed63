/* The head of an HTTP/1.1 request: acceptance rows H53, H54, and what request smuggling
 * is made of. Each row comes whole, then octet by octet. */
#include "check.h"

#include "server/listeners/http1_head.h"

#define GET "GET /dns-query HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /dns-query HTTP/1.1\r\nHost: a\r\n"

static const struct {
    const char *what, *in;
    size_t len;
    unsigned status; /* 0: read */
    const char *target;
    size_t rest; /* octets after the head */
} cases[] = {
    {"plain", WIRE(GET "\r\n"), 0, "/dns-query", 0},
    {"body follows", WIRE(POST "Content-Length: 3\r\n\r\nabc"), 0, "/dns-query", 3},
    {"blank lines before", WIRE("\r\n\r\n" GET "\r\n"), 0, "/dns-query", 0},
    {"too many blank lines", WIRE("\r\n\r\n\r\n" GET "\r\n"), 400, "", 0},
    {"absolute form", WIRE("GET http://h:1/dns-query?x HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
     "/dns-query?x", 0},
    {"absolute form, upper case", WIRE("GET HTTPS://h/q HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "/q", 0},
    {"absolute form without path", WIRE("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "", 0},
    {"CONNECT", WIRE("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), 0, "", 0},
    {"upgrade is not for us", WIRE(GET "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"), 0,
     "/dns-query", 0},
    {"empty value", WIRE(GET "X:\r\n\r\n"), 0, "/dns-query", 0},
    {"high octets in a value", WIRE(GET "X: \xc3\xa4\r\n\r\n"), 0, "/dns-query", 0},
    {"HTTP/1.0 without Host", WIRE("GET / HTTP/1.0\r\n\r\n"), 0, "/", 0},
    {"no Host", WIRE("GET / HTTP/1.1\r\n\r\n"), 400, "", 0},
    {"two Hosts", WIRE(GET "Host: b\r\n\r\n"), 400, "", 0},
    {"HTTP/2.0", WIRE("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505, "", 0},
    {"HTTP/1.2", WIRE("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505, "", 0},
    {"no version", WIRE("GET /\r\n\r\n"), 505, "", 0},
    {"no method", WIRE("/ HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "", 0},
    {"octets of TLS", WIRE("\x16\x03\x01\x02\0\x01\0\r\n"), 400, "", 0},
    {"H53 length and coding", WIRE(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400, "", 0},
    {"H53 coding and length", WIRE(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
     400, "", 0},
    {"two lengths", WIRE(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"), 400, "", 0},
    {"the same length twice", WIRE(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"), 400, "",
     0},
    {"list of lengths", WIRE(POST "Content-Length: 3, 3\r\n\r\n"), 400, "", 0},
    {"signed length", WIRE(POST "Content-Length: +3\r\n\r\n"), 400, "", 0},
    {"negative length", WIRE(POST "Content-Length: -3\r\n\r\n"), 400, "", 0},
    {"empty length", WIRE(POST "Content-Length:\r\n\r\n"), 400, "", 0},
    {"hexadecimal length", WIRE(POST "Content-Length: 0x3\r\n\r\n"), 400, "", 0},
    {"length past 64 bits", WIRE(POST "Content-Length: 99999999999999999999\r\n\r\n"), 400, "", 0},
    {"unknown coding", WIRE(POST "Transfer-Encoding: gzip\r\n\r\n"), 501, "", 0},
    {"list of codings", WIRE(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501, "", 0},
    {"chunked twice", WIRE(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
     400, "", 0},
    {"chunked in HTTP/1.0", WIRE("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400, "",
     0},
    {"H54 LF alone", WIRE("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400, "", 0},
    {"H54 LF alone after a field", WIRE(GET "X: y\n\r\n"), 400, "", 0},
    {"H54 LF alone at the end", WIRE(GET "\n"), 400, "", 0},
    {"CR in a value", WIRE(GET "X: a\rb\r\n\r\n"), 400, "", 0},
    {"CR CR LF", WIRE(GET "X: a\r\r\n\r\n"), 400, "", 0},
    {"H54 folded", WIRE(GET "X: a\r\n b\r\n\r\n"), 400, "", 0},
    {"H54 folded with tab", WIRE(GET "X: a\r\n\tb\r\n\r\n"), 400, "", 0},
    {"H54 NUL in a value", WIRE(GET "X: a\0b\r\n\r\n"), 400, "", 0},
    {"NUL in a name", WIRE(GET "X\0: a\r\n\r\n"), 400, "", 0},
    {"space before the colon", WIRE(POST "Content-Length : 3\r\n\r\n"), 400, "", 0},
    {"space in a name", WIRE(GET "X Y: a\r\n\r\n"), 400, "", 0},
    {"line without colon", WIRE(GET "nonsense\r\n\r\n"), 400, "", 0},
    {"high octet in a name", WIRE(GET "\xc3: a\r\n\r\n"), 400, "", 0},
    {"other expectation", WIRE(POST "Expect: tea\r\n\r\n"), 417, "", 0},
};

static int feed(struct wp_head *h, const char *in, size_t len, size_t step, size_t *ret_used,
                bool *done)
{
    size_t pos = 0;
    int r = 0;

    *done = false;
    while (pos < len && !*done) {
        size_t n = len - pos < step ? len - pos : step;

        r = wp_head_read(h, (const uint8_t *)in + pos, n, done);
        if (r < 0)
            break;
        if (r == 0)
            return -1;
        pos += (size_t)r;
    }
    *ret_used = pos;
    return r < 0 ? r : 0;
}

static void test_head(void)
{
    struct wp_head h = {0};

    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t step = 1; step <= cases[i].len; step = step < 8 ? step + 1 : step * 2) {
            bool done;
            size_t used;
            int r;

            wp_head_reset(&h, 16384);
            CHECK_AT(cases[i].what, wp_head_is_empty(&h));
            r = feed(&h, cases[i].in, cases[i].len, step, &used, &done);
            CHECK_AT(cases[i].what, h.status == cases[i].status);
            CHECK_AT(cases[i].what, r == (cases[i].status == 0 ? 0 : WP_EMALFORMED));
            if (cases[i].status != 0)
                continue;
            CHECK_AT(cases[i].what, done && cases[i].len - used == cases[i].rest);
            CHECK_AT(cases[i].what, h.target_len == strlen(cases[i].target));
            CHECK_AT(cases[i].what, memcmp(h.target, cases[i].target, h.target_len) == 0);
        }
    }
    wp_head_done(&h);
}

/* A head that is cut is neither complete nor an error, wherever. */
static void test_head_cut(void)
{
    static const char in[] = POST "Content-Type: application/dns-message\r\nContent-Length: 34\r\n"
                                  "Expect: 100-continue\r\n\r\n";
    struct wp_head h = {0};

    for (size_t len = 0; len < sizeof(in) - 1; len++) {
        bool done;
        size_t used;

        wp_head_reset(&h, 16384);
        CHECK(feed(&h, in, len, 65536, &used, &done) == 0);
        CHECK(!done && used == len);
    }
    wp_head_done(&h);
}

static void test_head_fields(void)
{
    static const char in[] =
        "POST /q HTTP/1.1\r\nhOsT:a\r\nCONTENT-TYPE:\t Application/DNS-Message \t\r\n"
        "content-length:  34\r\nExpect: 100-Continue\r\n\r\n";
    struct wp_head h = {0};
    bool done;
    size_t used;

    wp_head_reset(&h, 16384);
    CHECK(feed(&h, in, sizeof(in) - 1, 3, &used, &done) == 0 && done);
    CHECK(h.method == HTTP_POST && h.minor == 1 && h.keep_alive);
    CHECK(h.has_type && h.type_len == 23 && memcmp(h.type, "Application/DNS-Message", 23) == 0);
    CHECK(h.has_length && h.length == 34 && !h.chunked && h.expect_continue);
    wp_head_reset(&h, 16384);
    CHECK(!h.has_type && !h.has_length && !h.expect_continue && h.target_len == 0);
    CHECK(feed(&h, WIRE(POST "Connection: close\r\nTransfer-Encoding: Chunked\r\n\r\n"), 5, &used,
               &done) == 0);
    CHECK(done && h.chunked && !h.keep_alive);
    wp_head_reset(&h, 16384);
    CHECK(feed(&h, WIRE("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 5, &used, &done) == 0);
    CHECK(done && h.minor == 0 && !h.keep_alive);
    wp_head_done(&h);
}

/* At the limit and one past it. */
static void test_head_limits(void)
{
    static char in[WP_HEAD_TARGET_MAX + 4096];
    struct wp_head h = {0};
    bool done;
    size_t used, n;

    n = (size_t)sprintf(in, "GET /");
    memset(in + n, 'a', WP_HEAD_TARGET_MAX);
    strcpy(in + n + WP_HEAD_TARGET_MAX - 1, " HTTP/1.1\r\nHost: a\r\n\r\n");
    wp_head_reset(&h, 16384);
    CHECK(feed(&h, in, strlen(in), 1000, &used, &done) == 0 && done);
    CHECK(h.target_len == WP_HEAD_TARGET_MAX);
    strcpy(in + n + WP_HEAD_TARGET_MAX - 1, "a HTTP/1.1\r\nHost: a\r\n\r\n");
    wp_head_reset(&h, 16384);
    CHECK(h.target_cap == 0); /* the long one is not kept */
    CHECK(feed(&h, in, strlen(in), 1000, &used, &done) == WP_EMALFORMED && h.status == 414);

    for (int past = 0; past <= 1; past++) {
        size_t want = 4096 + (size_t)past + 1; /* the target is not counted */

        n = (size_t)sprintf(in, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
        memset(in + n, 'x', want - n - 4);
        strcpy(in + want - 4, "\r\n\r\n");
        wp_head_reset(&h, 4096);
        CHECK(feed(&h, in, want, 100, &used, &done) == (past ? WP_EMALFORMED : 0));
        CHECK(done == !past && h.status == (past ? 431 : 0));
    }
    wp_head_done(&h);
}

RUN_TESTS(TEST(test_head), TEST(test_head_cut), TEST(test_head_fields), TEST(test_head_limits))
