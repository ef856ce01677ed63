/* DoH in process: what only HTTP/1.1 has (H50 to H55). */
#include "doh_rig.h"

static void eat(size_t n)
{
    conn.out_len -= n;
    memmove(conn.out, conn.out + n, conn.out_len);
}

static void test_pipeline(void)
{
    struct response a;

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(SLOW_BASE64, "1.1") "\r\n" GET(NX_BASE64, "1.1") "\r\n" GET(
                         A_BASE64, "1.1") "\r\n"));
    CHECK_AT("H50", conn.out_len == 0 && conn.paused);
    fake_wait(&conn, 1100000000u);
    next_answer("H50 first", &a);
    CHECK_AT("H50 first", a.body[13] == 's' && (a.body[3] & 15) == 0);
    eat(next_answer("H50 first", &a));
    next_answer("H50 second", &a);
    CHECK_AT("H50 second", a.body[13] == 'n' && (a.body[3] & 15) == 3);
    eat(next_answer("H50 second", &a));
    next_answer("H50 third", &a);
    CHECK_AT("H50 third", a.body[13] == 'w');
    CHECK_AT("H50", !conn.c.closed && !conn.paused);
    fake_stop(&conn);
}

static void test_http1_forms(void)
{
    static const uint8_t chunked[] =
        "POST /dns-query HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct response a;
    uint8_t msg[64];
    size_t len = zone_query(msg, "www", 1), n;
    char size[20];

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, chunked, sizeof(chunked) - 1);
    fake_feed(&conn, size, (size_t)sprintf(size, "a\r\n"));
    fake_feed(&conn, msg, 10);
    fake_feed(&conn, size, (size_t)sprintf(size, "\r\n%zx\r\n", len - 10));
    fake_feed(&conn, msg + 10, len - 10);
    fake_feed(&conn, WIRE("\r\n0\r\n\r\n"));
    n = next_answer("H51", &a);
    CHECK_AT("H51", a.status == 200 && n == conn.out_len && !conn.c.closed);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, chunked, sizeof(chunked) - 1);
    fake_feed(&conn, WIRE("5\nhello"));
    read_h1("H51 bad", &a, false);
    CHECK_AT("H51 bad", a.status == 400 && conn.c.closed);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    n = (size_t)sprintf(size, "%zu", len);
    fake_feed(
        &conn,
        WIRE("POST /dns-query HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "));
    fake_feed(&conn, size, n);
    fake_feed(&conn, WIRE("\r\n\r\n"));
    CHECK_AT("H52",
             conn.out_len == 25 && memcmp(conn.out, "HTTP/1.1 100 Continue\r\n\r\n", 25) == 0);
    conn.out_len = 0;
    fake_feed(&conn, msg, len);
    next_answer("H52", &a);
    CHECK_AT("H52", a.status == 200);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE("POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: "
                          "3\r\nTransfer-Encoding: chunked\r\n\r\n"));
    read_h1("H53", &a, false);
    CHECK_AT("H53", a.status == 400 && conn.c.closed);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE("GET /dns-query HTTP/1.1\nHost: a\r\n\r\n"));
    read_h1("H54", &a, false);
    CHECK_AT("H54", a.status == 400 && conn.c.closed);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(A_BASE64, "1.0") "\r\n" GET(A_BASE64, "1.0") "\r\n"));
    n = next_answer("H55", &a);
    CHECK_AT("H55", a.status == 200 && conn.c.closed && n == conn.out_len);
    CHECK_AT("H55", memmem(conn.out, n, "\r\nConnection: close\r\n", 21) != NULL);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(A_BASE64, "1.1") "Connection: close\r\n\r\n"));
    next_answer("close", &a);
    CHECK_AT("close", conn.c.closed);
    fake_stop(&conn);

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"));
    read_h1("H28 CONNECT", &a, false);
    CHECK_AT("H28 CONNECT", a.status == 405);
    fake_stop(&conn);
}

/* GET with a body: not used, not kept, bounded; the next request is found behind it. */
static void test_body_of_get(void)
{
    struct response a;
    char junk[1000];

    memset(junk, 'x', sizeof(junk));
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(A_BASE64, "1.1") "Content-Length: 1000\r\n\r\n"));
    CHECK(conn.out_len == 0);
    fake_feed(&conn, junk, sizeof(junk));
    eat(next_answer("first", &a));
    fake_feed(&conn, WIRE(GET(NX_BASE64, "1.1") "\r\n"));
    next_answer("second", &a);
    CHECK((a.body[3] & 15) == 3);
    fake_stop(&conn);
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(A_BASE64, "1.1") "Transfer-Encoding: chunked\r\n\r\nffffff\r\n"));
    for (int i = 0; i < 67 && !conn.c.closed; i++)
        fake_feed(&conn, junk, sizeof(junk));
    read_h1("endless", &a, false);
    CHECK_AT("endless", a.status == 413 && conn.c.closed);
    fake_stop(&conn);
}

static int open_house(void **state)
{
    (void)state;
    return http_house_open(WP_SCHEME_HTTPS, "https://.:443");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pipeline),
        TEST(test_http1_forms),
        TEST(test_body_of_get),
    };

    return cmocka_run_group_tests(tests, open_house, http_house_close);
}
