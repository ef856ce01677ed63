/* DoH in process: streams beside each other, deadlines, closed windows, the end of connections. */
#include "doh_rig.h"

static void test_streams_are_independent(void)
{
    struct h2_stream *slow, *fast;

    open_h2();
    slow = ask("slow");
    fast = ask("www");
    CHECK_AT("H45", fast->status == 200 && slow->status == 0);
    CHECK(conn.refs == 2);
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    CHECK_AT("H45", slow->status == 200 && slow->ended);
    close_h2();
}

static void test_cancel(void)
{
    struct h2_stream *slow;
    unsigned before = zone_cancelled;

    open_h2();
    slow = ask("slow");
    nghttp2_submit_rst_stream(client->ng, 0, slow->id, NGHTTP2_CANCEL);
    h2_exchange(client);
    CHECK_AT("H66", zone_cancelled == before + 1 && zone_waiting == 0);
    CHECK_AT("H66", ask("www")->status == 200);
    ask("slow");
    close_h2(); /* and with the connection */
    CHECK_AT("H66", zone_cancelled == before + 2);
}

static void test_many_streams(void)
{
    static uint8_t msg[64];
    size_t len = zone_query(msg, "slow", 1);
    struct h2_stream *first;
    unsigned served = 0, refused = 0;

    open_h2();
    CHECK_AT("H74", client->max_streams == 250);
    for (int i = 0; i < 250; i++)
        ask("slow");
    CHECK(zone_waiting == 250);
    /* A client that has been told and opens more all the same loses those streams only. */
    for (int i = 0; i < 50; i++) {
        uint8_t frame[] = {0, 0, 3, 1, 4, 0, 0, 0, 0, 0x83, 0x84, 0x86};

        wp_put32(frame + 5, (uint32_t)(2 * 250 + 1 + 2 * i));
        fake_feed(&conn, frame, sizeof(frame));
    }
    CHECK_AT("H46", !conn.c.closed && zone_waiting == 250);
    for (size_t i = 0; i + 13 <= conn.out_len; i += 13) {
        refused +=
            conn.out[i + 3] == NGHTTP2_RST_STREAM && conn.out[i + 12] == NGHTTP2_REFUSED_STREAM;
    }
    CHECK_AT("H46", refused == 50);
    conn.out_len = 0;
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    for (unsigned i = 0; i < client->n; i++)
        served += client->streams[i].status == 200;
    CHECK_AT("H46", served == 250);
    first = &client->streams[0];
    CHECK(first->ended && len > 0);
    close_h2();
}

static void test_max_streams_told(void)
{
    house.group.limits.max_streams = 7;
    open_h2();
    CHECK_AT("H73", client->max_streams == 7);
    close_h2();
    house.group.limits.max_streams = 250;
}

static void test_idle(void)
{
    open_h2();
    ask("www");
    fake_wait(&conn, 9500000000u);
    CHECK_AT("H65", !conn.c.closed);
    fake_wait(&conn, 1000000000u);
    h2_exchange(client);
    CHECK_AT("H65",
             conn.c.closed && client->goaway == NGHTTP2_NO_ERROR + 1 && client->goaway_last == 1);
    close_h2();
    /* a connection that says nothing at all */
    fake_open(&conn, listener, "h2");
    fake_wait(&conn, 3100000000u);
    CHECK(conn.c.closed);
    fake_stop(&conn);
    fake_open(&conn, listener, "");
    fake_wait(&conn, 3100000000u);
    CHECK(conn.c.closed);
    fake_stop(&conn);
    fake_open(&conn, listener, "http/1.1");
    fake_wait(&conn, 3100000000u);
    CHECK(conn.c.closed && conn.out_len == 0);
    fake_stop(&conn);
}

/* An idle session's memory is put aside after a second; whatever happens next wakes it. */
static void test_sleep(void)
{
    open_h2();
    for (int i = 0; i < 5; i++) {
        CHECK(ask("www")->status == 200 && ask("nx")->status == 200);
        fake_wait(&conn, 1500000000u);
    }
    nghttp2_submit_ping(client->ng, 0, NULL);
    h2_exchange(client);
    CHECK(ask("www")->status == 200 && !conn.c.closed);
    fake_wait(&conn, 1500000000u);
    start_drain();
    h2_exchange(client);
    CHECK(conn.c.closed && client->goaway == NGHTTP2_NO_ERROR + 1);
    close_h2();
    open_h2();
    ask("www");
    fake_wait(&conn, 1500000000u);
    fake_eof(&conn);
    CHECK(conn.c.closed);
    close_h2();
    open_h2();
    ask("www");
    fake_wait(&conn, 1500000000u);
    close_h2();
}

static void test_body_never_sent(void)
{
    struct h2_stream *s;
    struct response a;

    open_h2();
    s = h2_submit(client, "POST", "/dns-query", NULL, "", 0);
    client->keep_open = true;
    h2_exchange(client);
    fake_wait(&conn, 2900000000u);
    h2_exchange(client);
    CHECK_AT("H64", s->reset == 0);
    fake_wait(&conn, 200000000u);
    h2_exchange(client);
    CHECK_AT("H64", s->reset == NGHTTP2_CANCEL + 1 && !conn.c.closed);
    client->keep_open = false;
    CHECK_AT("H64", ask("www")->status == 200);
    close_h2();

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE("POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\nabc"));
    fake_wait(&conn, 3100000000u);
    read_h1("H64 h1", &a, false);
    CHECK_AT("H64 h1", a.status == 408 && conn.c.closed);
    fake_stop(&conn);
    /* a second request that drips: its deadline is its own */
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    conn.out_len = 0;
    fake_wait(&conn, 9000000000u);
    CHECK(!conn.c.closed);
    fake_feed(&conn, WIRE("G"));
    for (int i = 0; i < 6; i++) {
        fake_wait(&conn, 490000000u);
        fake_feed(&conn, &"GET /ab"[i + 1], 1);
    }
    CHECK(!conn.c.closed);
    fake_wait(&conn, 100000000u);
    CHECK(conn.c.closed);
    fake_stop(&conn);
}

static void test_closed_window(void)
{
    struct h2_stream *s, *t;
    uint8_t msg[64];

    fake_open(&conn, listener, "h2");
    client = h2_open(&conn, 1);
    h2_exchange(client);
    s = h2_ask(client, "POST", "/dns-query", NULL, msg, zone_query(msg, "www", 1));
    /* nghttp2 gives the octet back at once only when half the window is used: 1 of 1 */
    for (int i = 0; i < 100 && !s->ended; i++)
        h2_exchange(client);
    CHECK_AT("octet by octet", s->status == 200 && s->ended && s->len == 50);
    close_h2();

    fake_open(&conn, listener, "h2");
    client = h2_open(&conn, 0);
    nghttp2_settings_entry iv = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_submit_settings(client->ng, 0, &iv, 1);
    h2_exchange(client);
    s = ask("www");
    t = ask("nx");
    CHECK_AT("zero window", s->status == 200 && s->len == 0 && !t->ended);
    iv.value = 65535;
    nghttp2_submit_settings(client->ng, 0, &iv, 1);
    h2_exchange(client);
    CHECK_AT("opened", s->ended && s->len == 50 && t->ended && t->body[3] == 3);
    iv.value = 0;
    nghttp2_submit_settings(client->ng, 0, &iv, 1);
    h2_exchange(client);
    ask("www");
    fake_wait(&conn, 5100000000u);
    h2_exchange(client);
    CHECK_AT("stalled", conn.c.closed && client->goaway == NGHTTP2_ENHANCE_YOUR_CALM + 1);
    close_h2();
}

/* What a client may make us keep for it is bounded. */
static void test_held_back(void)
{
    unsigned reset = 0, kept = 0;
    uint8_t msg[64];
    size_t len = zone_query(msg, "huge", 16);

    fake_open(&conn, listener, "h2");
    client = h2_open(&conn, 0);
    nghttp2_settings_entry iv = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_submit_settings(client->ng, 0, &iv, 1);
    h2_exchange(client);
    for (int i = 0; i < 20; i++)
        h2_ask(client, "POST", "/dns-query", NULL, msg, len);
    for (unsigned i = 0; i < client->n; i++) {
        reset += client->streams[i].reset == NGHTTP2_ENHANCE_YOUR_CALM + 1;
        kept += client->streams[i].reset == 0;
    }
    CHECK(kept == 4 && reset == 16); /* 4 x 59 kB within 256 KiB */
    CHECK(!conn.c.closed);
    iv.value = 1 << 20;
    nghttp2_submit_settings(client->ng, 0, &iv, 1);
    nghttp2_session_set_local_window_size(client->ng, 0, 0, 1 << 24);
    h2_exchange(client);
    for (unsigned i = 0; i < 4; i++)
        CHECK(client->streams[i].ended && client->streams[i].len > 50000);
    close_h2();
}

static void test_congested(void)
{
    struct h2_stream *s[40];
    uint8_t msg[64];
    size_t len = zone_query(msg, "huge", 16);

    fake_open(&conn, listener, "h2");
    client = h2_open(&conn, 1 << 20);
    nghttp2_session_set_local_window_size(client->ng, 0, 0, 1 << 26);
    h2_exchange(client);
    conn.congested = true; /* the socket takes nothing more */
    for (int i = 0; i < 3; i++)
        s[i] = h2_ask(client, "POST", "/dns-query", NULL, msg, len);
    CHECK(conn.paused);
    conn.congested = false;
    conn.c.proto->writable(&conn.c);
    fake_settle(&conn);
    h2_exchange(client);
    for (int i = 0; i < 3; i++)
        CHECK(s[i]->ended && s[i]->len > 50000);
    close_h2();
}

static void test_eof(void)
{
    struct response a;

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE("GET /dns-q"));
    fake_eof(&conn);
    CHECK(conn.c.closed && conn.out_len == 0);
    fake_stop(&conn);
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(SLOW_BASE64, "1.1") "\r\n"));
    fake_eof(&conn);
    CHECK(!conn.c.closed);
    fake_wait(&conn, 1100000000u);
    next_answer("answer after FIN", &a);
    CHECK(conn.c.closed);
    fake_stop(&conn);
    open_h2();
    ask("slow");
    fake_eof(&conn);
    CHECK(!conn.c.closed);
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    CHECK(client->streams[0].status == 200 && conn.c.closed);
    close_h2();
}

static void test_drain(void)
{
    struct h2_stream *slow;
    struct response a;

    open_h2();
    slow = ask("slow");
    start_drain();
    h2_exchange(client);
    CHECK_AT("drain", client->n_goaway == 2 && client->goaway == NGHTTP2_NO_ERROR + 1);
    CHECK_AT("drain", client->goaway_last == slow->id && !conn.c.closed);
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    CHECK_AT("drain", slow->status == 200 && slow->ended && conn.c.closed);
    close_h2();
    /* idle: at once; with a client that does not answer the ping: after half a second */
    open_h2();
    start_drain();
    CHECK_AT("drain idle", !conn.c.closed);
    h2_exchange(client); /* answers the ping; nghttp2 itself looks at no second GOAWAY then */
    CHECK_AT("drain idle", conn.c.closed && client->n_goaway == 1);
    CHECK_AT("drain idle", client->goaway_last == INT32_MAX);
    close_h2();
    open_h2();
    start_drain();
    CHECK(!conn.c.closed);
    fake_wait(&conn, 600000000u);
    CHECK_AT("drain deaf", conn.c.closed);
    close_h2();
    fake_open(&conn, listener, "http/1.1");
    start_drain();
    CHECK_AT("drain h1 idle", conn.c.closed);
    fake_stop(&conn);
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, WIRE(GET(SLOW_BASE64, "1.1") "\r\n"));
    start_drain();
    CHECK(!conn.c.closed);
    fake_wait(&conn, 1100000000u);
    next_answer("drain h1", &a);
    CHECK_AT("drain h1",
             conn.c.closed && memmem(conn.out, conn.out_len, "Connection: close", 17) != NULL);
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
        TEST(test_streams_are_independent),
        TEST(test_cancel),
        TEST(test_many_streams),
        TEST(test_max_streams_told),
        TEST(test_idle),
        TEST(test_sleep),
        TEST(test_body_never_sent),
        TEST(test_closed_window),
        TEST(test_held_back),
        TEST(test_congested),
        TEST(test_eof),
        TEST(test_drain),
    };

    return cmocka_run_group_tests(tests, open_house, http_house_close);
}
