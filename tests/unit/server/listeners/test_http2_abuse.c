/* HTTP/2 from hostile clients, frame by frame: the acceptance rows H56 to H63 and the classes
 * of published attacks (rapid reset, made-you-reset, CONTINUATION, SETTINGS, PING, empty DATA,
 * HPACK bomb). Each attack must end in a bounded number of frames, be counted, and leave nothing.
 */
#include "check.h"

#include "tests/fake/http_house.h"
#include "waypost/plugin/metric.h"

/* --- frames
 * ---------------------------------------------------------------------------------------- */

enum { DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITY_FLAG = 0x20 };
enum {
    NO_ERROR = 0,
    PROTOCOL_ERROR = 1,
    FLOW_CONTROL_ERROR = 3,
    STREAM_CLOSED = 5,
    FRAME_SIZE_ERROR = 6,
    COMPRESSION_ERROR = 9,
    CALM = 11
};

static uint8_t wire[1 << 17];
static size_t n_wire;

static void frame(unsigned type, unsigned flags, uint32_t stream, const void *payload, size_t len)
{
    uint8_t *p = wire + n_wire;

    p[0] = (uint8_t)(len >> 16);
    p[1] = (uint8_t)(len >> 8);
    p[2] = (uint8_t)len;
    p[3] = (uint8_t)type;
    p[4] = (uint8_t)flags;
    wp_put32(p + 5, stream);
    if (len > 0)
        memcpy(p + 9, payload, len);
    n_wire += 9 + len;
}
#define FRAME(type, flags, stream, literal) frame(type, flags, stream, literal, sizeof(literal) - 1)

/* POST https /dns-query, from the static table and a literal. */
#define POST_FIELDS "\x83\x87\1\1a\x04\x0a/dns-query"

static void send_wire(void)
{
    fake_feed(&conn, wire, n_wire);
    n_wire = 0;
}

static void open_conn(void)
{
    fake_open(&conn, listener, "h2");
    memcpy(wire, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    n_wire = 24;
    FRAME(SETTINGS, 0, 0, "");
    FRAME(SETTINGS, ACK, 0, "");
    send_wire();
    conn.out_len = 0;
}

/* Code of the last GOAWAY in the output, -1: none. *ret_text: its debug data. */
static int goaway(char text[64])
{
    int code = -1;

    for (size_t i = 0; i + 9 <= conn.out_len;) {
        size_t len = (size_t)conn.out[i] << 16 | (size_t)conn.out[i + 1] << 8 | conn.out[i + 2];

        if (conn.out[i + 3] == GOAWAY) {
            code = (int)wp_be32(conn.out + i + 13);
            snprintf(text, 64, "%.*s", (int)len - 8, (char *)conn.out + i + 17);
        }
        i += 9 + len;
    }
    return code;
}

/* Code of RST_STREAM for the stream, -1: none. */
static int reset_of(uint32_t stream)
{
    int code = -1;

    for (size_t i = 0; i + 9 <= conn.out_len;) {
        size_t len = (size_t)conn.out[i] << 16 | (size_t)conn.out[i + 1] << 8 | conn.out[i + 2];

        if (conn.out[i + 3] == RST && wp_be32(conn.out + i + 5) == stream)
            code = (int)wp_be32(conn.out + i + 9);
        i += 9 + len;
    }
    return code;
}

/* A good request on this stream gets its answer: the connection lives. */
static bool answers(uint32_t stream)
{
    uint8_t msg[64];
    size_t len = zone_query(msg, "www", 1);

    if (conn.c.closed)
        return false;
    conn.out_len = 0;
    FRAME(HEADERS, END_HEADERS, stream, POST_FIELDS);
    frame(DATA, END_STREAM, stream, msg, len);
    send_wire();
    return memmem(conn.out, conn.out_len, "\300\14\0\1\0\1", 6) != NULL;
}

static uint64_t count_of(const char *limit)
{
    char key[128];
    size_t len;
    char *text = wp_metric_text(&len), *at;
    uint64_t n = 0;

    snprintf(key, sizeof(key), "waypost_refused_total{limit=\"%s\",server=\"%s\"} ", limit,
             house.group.label);
    at = text != NULL ? strstr(text, key) : NULL;
    if (at != NULL)
        n = strtoull(at + strlen(key), NULL, 10);
    free(text);
    return n;
}

/* --- floods
 * ------------------------------------------------------------------------------------------ */

/* One round of an attack; `i` counts from 0. */
static void pings(uint32_t i)
{
    (void)i;
    FRAME(PING, 0, 0, "\1\2\3\4\5\6\7\10");
}

static void settings(uint32_t i)
{
    (void)i;
    FRAME(SETTINGS, 0, 0, "\0\4\0\0\377\377");
}

static void rapid_reset(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS, 2 * i + 1, POST_FIELDS);
    FRAME(RST, 0, 2 * i + 1, "\0\0\0\10");
}

static void rapid_reset_of_running(uint32_t i)
{
    uint8_t msg[64];
    size_t len = zone_query(msg, "slow", 1);

    FRAME(HEADERS, END_HEADERS, 2 * i + 1, POST_FIELDS);
    frame(DATA, END_STREAM, 2 * i + 1, msg, len);
    FRAME(RST, 0, 2 * i + 1, "\0\0\0\10");
}

static void reset_without_error(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS, 2 * i + 1, POST_FIELDS);
    FRAME(RST, 0, 2 * i + 1, "\0\0\0\0");
}

static void made_by_overflow(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS, 2 * i + 1, POST_FIELDS);
    FRAME(WINDOW, 0, 2 * i + 1, "\177\377\377\377");
}

static void made_by_length(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS, 2 * i + 1, POST_FIELDS "\x0f\x0d\0012");
    FRAME(DATA, END_STREAM, 2 * i + 1, "abcdef");
}

static void made_by_bad_headers(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, POST_FIELDS "\x04\x01/");
}

static void made_by_upper_case(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, POST_FIELDS "\0\1X\1y");
}

static void empty_data(uint32_t i)
{
    if (i == 0)
        FRAME(HEADERS, END_HEADERS, 1, POST_FIELDS);
    FRAME(DATA, 0, 1, "");
}

static void window_updates(uint32_t i)
{
    (void)i;
    FRAME(WINDOW, 0, 0, "\0\0\0\1");
}

static void priorities(uint32_t i)
{
    FRAME(PRIORITY, 0, 2 * i + 1, "\0\0\0\0\17");
}

static void continuations(uint32_t i)
{
    if (i == 0)
        FRAME(HEADERS, 0, 1, POST_FIELDS);
    FRAME(CONTINUATION, 0, 1, "\0\1a\1b");
}

static void large_continuations(uint32_t i)
{
    static char field[6 + 15999 + 1] = "\0\1a\x7f\x80\x7c"; /* a value of 127 + 15872 octets */

    memset(field + 6, 'x', 15999);
    if (i == 0)
        FRAME(HEADERS, 0, 1, POST_FIELDS);
    frame(CONTINUATION, 0, 1, field, 6 + 15999);
}

static void streams_above_the_limit(uint32_t i)
{
    FRAME(HEADERS, END_HEADERS, 2 * i + 1, POST_FIELDS);
}

static const struct {
    const char *what;
    void (*round)(uint32_t i);
    unsigned most; /* rounds until the end */
    const char *limit, *text;
} floods[] = {
    {"H61 PING", pings, 210, "h2_pings", "too_many_pings"},
    {"H61 SETTINGS", settings, 60, "h2_settings", "too_many_settings"},
    {"H62 rapid reset", rapid_reset, 2040, "h2_resets", "too_many_resets"},
    {"H62 running queries", rapid_reset_of_running, 2040, "h2_resets", "too_many_resets"},
    {"H62 code 0", reset_without_error, 2040, "h2_resets", "too_many_resets"},
    {"CVE-2025-8671 window overflow", made_by_overflow, 2040, "h2_resets", "too_many_resets"},
    {"CVE-2025-8671 content-length", made_by_length, 2040, "h2_resets", "too_many_resets"},
    {"CVE-2025-8671 bad headers", made_by_bad_headers, 2040, "h2_resets", "too_many_resets"},
    {"CVE-2025-8671 upper case", made_by_upper_case, 2040, "h2_resets", "too_many_resets"},
    {"empty DATA", empty_data, 210, "h2_empty", "too_many_empty_frames"},
    {"WINDOW_UPDATE", window_updates, 4100, "h2_window", "too_many_control_frames"},
    {"PRIORITY", priorities, 4100, "h2_window", "too_many_control_frames"},
    {"H63 CONTINUATION", continuations, 10, "h2_continuation", ""},
    {"H63 large CONTINUATION", large_continuations, 5, "h2_continuation", "header_block_too_large"},
    {"streams above the limit", streams_above_the_limit, 2300, "streams", "too_many_streams"},
};

static void test_floods(void)
{
    for (size_t i = 0; i < COUNT(floods); i++) {
        const char *what = floods[i].what;
        uint64_t before = count_of(floods[i].limit);
        char text[64] = "";
        uint32_t n = 0;

        open_conn();
        while (!conn.c.closed && n < 10000) {
            floods[i].round(n++);
            send_wire();
        }
        CHECK_AT(what, conn.c.closed && n <= floods[i].most);
        CHECK_AT(what, goaway(text) == CALM);
        CHECK_AT(what, strcmp(text, floods[i].text) == 0);
        CHECK_AT(what, count_of(floods[i].limit) > before);
        CHECK_AT(what, conn.out_len < 100000);
        fake_stop(&conn);
        CHECK_AT(what, conn.refs == 1 && zone_waiting == 0);
    }
}

/* The same, slowly, is how clients behave. */
static void test_slow_enough(void)
{
    static const unsigned per_s[] = {8, 1, 40, 0, 0, 0, 0, 0, 0, 8, 150};

    for (size_t i = 0; i < COUNT(per_s); i++) {
        uint32_t n = 0;

        if (per_s[i] == 0)
            continue;
        open_conn();
        for (int s = 0; s < 8; s++) {
            for (unsigned j = 0; j < per_s[i]; j++) {
                floods[i].round(n++);
                send_wire();
            }
            fake_wait(&conn, i == 9 ? 100000000u : 1000000000u);
        }
        CHECK_AT(floods[i].what, !conn.c.closed);
        fake_stop(&conn);
    }
}

/* --- malformed
 * ------------------------------------------------------------------------------------------ */

static const struct {
    const char *what;
    unsigned type, flags;
    uint32_t stream;
    const char *payload;
    size_t len;
    int goaway; /* code, -1: none */
    int reset;  /* of the stream */
} bad[] = {
    {"H57 upper-case name", HEADERS, 5, 1, WIRE(POST_FIELDS "\0\1X\1y"), -1, PROTOCOL_ERROR},
    {"H58 two :path", HEADERS, 5, 1, WIRE(POST_FIELDS "\x04\x01/"), -1, PROTOCOL_ERROR},
    {"no :path", HEADERS, 5, 1, WIRE("\x83\x87\1\1a"), -1, PROTOCOL_ERROR},
    {"no :method", HEADERS, 5, 1, WIRE("\x84\x87\1\1a"), -1, PROTOCOL_ERROR},
    {"no :scheme", HEADERS, 5, 1, WIRE("\x83\x84\1\1a"), -1, PROTOCOL_ERROR},
    {"no :authority", HEADERS, 5, 1, WIRE("\x83\x84\x87"), -1, PROTOCOL_ERROR},
    {"unknown pseudo-header", HEADERS, 5, 1, WIRE(POST_FIELDS "\0\2:x\1y"), -1, PROTOCOL_ERROR},
    {"pseudo-header after a field", HEADERS, 5, 1, WIRE("\x83\x87\1\1a\0\1a\1b\x04\x0a/dns-query"),
     -1, PROTOCOL_ERROR},
    {"connection field", HEADERS, 5, 1, WIRE(POST_FIELDS "\0\12connection\5close"), -1,
     PROTOCOL_ERROR},
    {"transfer-encoding", HEADERS, 5, 1, WIRE(POST_FIELDS "\0\21transfer-encoding\7chunked"), -1,
     PROTOCOL_ERROR},
    {"te other than trailers", HEADERS, 5, 1, WIRE(POST_FIELDS "\0\2te\4gzip"), -1, PROTOCOL_ERROR},
    {"length that is no number", HEADERS, 5, 1, WIRE(POST_FIELDS "\x0f\x0d\2-1"), -1,
     PROTOCOL_ERROR},
    {"length without body", HEADERS, 5, 1, WIRE(POST_FIELDS "\x0f\x0d\0015"), -1, PROTOCOL_ERROR},
    {"H60 DATA on stream 0", DATA, 0, 0, WIRE("x"), PROTOCOL_ERROR, -1},
    {"H60 SETTINGS on stream 1", SETTINGS, 0, 1, WIRE(""), PROTOCOL_ERROR, -1},
    {"HEADERS on stream 0", HEADERS, 5, 0, WIRE(POST_FIELDS), PROTOCOL_ERROR, -1},
    {"HEADERS on an even stream", HEADERS, 5, 2, WIRE(POST_FIELDS), PROTOCOL_ERROR, -1},
    {"PUSH_PROMISE from a client", PUSH, 4, 1, WIRE("\0\0\0\2" POST_FIELDS), PROTOCOL_ERROR, -1},
    {"DATA on an idle stream", DATA, 0, 1, WIRE("x"), PROTOCOL_ERROR, -1},
    {"RST_STREAM on an idle stream", RST, 0, 1, WIRE("\0\0\0\10"), PROTOCOL_ERROR, -1},
    {"WINDOW_UPDATE on an idle stream", WINDOW, 0, 1, WIRE("\0\0\0\1"), PROTOCOL_ERROR, -1},
    {"WINDOW_UPDATE by 0", WINDOW, 0, 0, WIRE("\0\0\0\0"), PROTOCOL_ERROR, -1},
    {"CVE-2025-8671 WINDOW_UPDATE of a stream by 0", WINDOW, 0, 1, WIRE("\0\0\0\0"), PROTOCOL_ERROR,
     -1},
    {"window past 2^31-1", WINDOW, 0, 0, WIRE("\177\377\377\377"), FLOW_CONTROL_ERROR, -1},
    {"PING of 7 octets", PING, 0, 0, WIRE("1234567"), FRAME_SIZE_ERROR, -1},
    {"SETTINGS of 5 octets", SETTINGS, 0, 0, WIRE("12345"), FRAME_SIZE_ERROR, -1},
    {"ENABLE_PUSH 2", SETTINGS, 0, 0, WIRE("\0\2\0\0\0\2"), PROTOCOL_ERROR, -1},
    {"window setting past 2^31-1", SETTINGS, 0, 0, WIRE("\0\4\200\0\0\0"), FLOW_CONTROL_ERROR, -1},
    {"ACK with octets", SETTINGS, 1, 0, WIRE("\0\4\0\0\0\0"), FRAME_SIZE_ERROR, -1},
    {"RST_STREAM of 3 octets", RST, 0, 1, WIRE("\0\0\0"), FRAME_SIZE_ERROR, -1},
    {"CONTINUATION alone", CONTINUATION, 4, 1, WIRE(POST_FIELDS), PROTOCOL_ERROR, -1},
    {"index past the table", HEADERS, 5, 1, WIRE("\xff\x7f"), COMPRESSION_ERROR, -1},
    {"index 0", HEADERS, 5, 1, WIRE("\x80"), COMPRESSION_ERROR, -1},
    {"table size past the setting", HEADERS, 5, 1, WIRE("\x3f\xff\xff\x03" POST_FIELDS),
     COMPRESSION_ERROR, -1},
    {"padding longer than the frame", HEADERS, 13, 1, WIRE("\xff" POST_FIELDS), PROTOCOL_ERROR, -1},
};

static void test_malformed(void)
{
    for (size_t i = 0; i < COUNT(bad); i++) {
        const char *what = bad[i].what;
        char text[64];

        open_conn();
        frame(bad[i].type, bad[i].flags, bad[i].stream, bad[i].payload, bad[i].len);
        send_wire();
        CHECK_AT(what, goaway(text) == bad[i].goaway);
        CHECK_AT(what, reset_of(1) == bad[i].reset);
        CHECK_AT(what, conn.c.closed == (bad[i].goaway >= 0));
        if (bad[i].goaway < 0)
            CHECK_AT(what, answers(3));
        fake_stop(&conn);
    }
}

static void test_content_length(void)
{
    uint8_t msg[64];
    size_t len = zone_query(msg, "www", 1);

    open_conn();
    FRAME(HEADERS, END_HEADERS, 1, POST_FIELDS "\x0f\x0d\00210");
    frame(DATA, END_STREAM, 1, msg, len);
    send_wire();
    CHECK_AT("H59", reset_of(1) == PROTOCOL_ERROR && answers(3));
    fake_stop(&conn);
}

static void test_preface(void)
{
    static const struct {
        const char *what, *in;
        size_t len;
    } rows[] = {
        {"H56 other octets", WIRE("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")},
        {"H56 HTTP/1.1", WIRE("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
        {"H56 first frame is not SETTINGS",
         WIRE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\10\6\0\0\0\0\0abcdefgh")},
        {"H56 first frame is an ACK", WIRE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\1\0\0\0\0")},
    };
    char text[64];

    for (size_t i = 0; i < COUNT(rows); i++) {
        fake_open(&conn, listener, "h2");
        fake_feed(&conn, rows[i].in, rows[i].len);
        CHECK_AT(rows[i].what, goaway(text) == PROTOCOL_ERROR && conn.c.closed);
        fake_stop(&conn);
    }
}

/* --- bombs
 * ------------------------------------------------------------------------------------------------
 */

/* A field of 4000 octets in the table, then one octet for each use of it (CVE-2016-6581, and the
 * "bomb" of many small ones): a bounded multiple of the limit, then the end. */
static void test_header_bomb(void)
{
    static char block[16384];
    size_t n = 0;
    char text[64];

    open_conn();
    memcpy(block, POST_FIELDS, n = sizeof(POST_FIELDS) - 1);
    memcpy(block + n, "\x40\1a\x7f\xa1\x1e", 6); /* 127 + 3873 octets, indexed */
    memset(block + n + 6, 'x', 4000);
    n += 4006;
    block[n++] = '\xbe';
    frame(HEADERS, END_HEADERS | END_STREAM, 1, block, n);
    send_wire();
    CHECK_AT("within the limit", !conn.c.closed);
    CHECK_AT("the limit is per request", answers(3));
    n = sizeof(POST_FIELDS) - 1;
    memset(block + n, '\xbe', 10000); /* :path is not indexed: 62 is still the field */
    frame(HEADERS, END_HEADERS | END_STREAM, 5, block, n + 10);
    conn.out_len = 0;
    send_wire();
    CHECK_AT("431", !conn.c.closed && memmem(conn.out, conn.out_len,
                                             "\x48\x03"
                                             "431",
                                             5) != NULL);
    frame(HEADERS, END_HEADERS | END_STREAM, 7, block, n + 10000);
    send_wire();
    CHECK_AT("bomb",
             conn.c.closed && goaway(text) == CALM && strcmp(text, "header_list_too_large") == 0);
    fake_stop(&conn);
}

/* DATA after the answer, for a stream that we have ended: refused, not kept. */
static void test_upload_after_answer(void)
{
    static char junk[16000];
    size_t before;

    open_conn();
    FRAME(HEADERS, END_HEADERS, 1, "\x83\x87\1\1a\x04\x02/x"); /* 404 at once */
    send_wire();
    CHECK(reset_of(1) == NO_ERROR);
    before = house.worker.n_queries;
    for (int i = 0; i < 4; i++) {
        frame(DATA, 0, 1, junk, sizeof(junk));
        send_wire();
    }
    CHECK(!conn.c.closed && house.worker.n_queries == before);
    CHECK(answers(3));
    fake_stop(&conn);
}

static int open_house(void **state)
{
    (void)state;
    return http_house_open(WP_SCHEME_HTTPS, "https://abuse:443");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_floods),
        TEST(test_slow_enough),
        TEST(test_malformed),
        TEST(test_content_length),
        TEST(test_preface),
        TEST(test_header_bomb),
        TEST(test_upload_after_answer),
    };

    return cmocka_run_group_tests(tests, open_house, http_house_close);
}
