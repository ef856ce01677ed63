/* CoreDNS's gRPC service in process: the acceptance rows (G01 and on) that need no socket. */
#include "check.h"

#include "tests/fake/h2_client.h"
#include "tests/fake/http_house.h"
#include "waypost/dns/grpc_frame.h"

#define QUERY "/coredns.dns.DnsService/Query"

static struct h2_client *client;

static const struct h2_field grpc[] = {
    {"content-type", "application/grpc"}, {"te", "trailers"}, {NULL, NULL}};

static void open_client(void)
{
    fake_open(&conn, listener, "h2");
    client = h2_open(&conn, 0);
    h2_exchange(client);
}

static void close_client(void)
{
    h2_close(client);
    fake_stop(&conn);
    CHECK(conn.refs == 1 && zone_waiting == 0);
}

/* --- rows
 * ------------------------------------------------------------------------------------------ */

struct row {
    const char *what;
    const char *path;
    const struct h2_field *fields;
    const char *frame; /* the body as it is; NULL: a query for label */
    size_t frame_len;
    const char *label;
    unsigned qtype;
    int at, value; /* octet of the DNS message to set; at < 0: none */
    int cut;       /* length of the DNS message, 0: whole */
    /* expected */
    int http;
    int status; /* grpc-status, -1: none */
    int rcode;
};

static const struct h2_field json[] = {{"content-type", "application/json"}, {NULL, NULL}};
static const struct h2_field web[] = {{"content-type", "application/grpc-web"}, {NULL, NULL}};
static const struct h2_field none[] = {{NULL, NULL}};
static const struct h2_field proto[] = {{"content-type", "application/grpc+proto"}, {NULL, NULL}};
static const struct h2_field charset[] = {{"content-type", "application/grpc;x=y"}, {NULL, NULL}};
static const struct h2_field gzip[] = {
    {"content-type", "application/grpc"}, {"grpc-encoding", "gzip"}, {NULL, NULL}};
static const struct h2_field identity[] = {
    {"content-type", "application/grpc"}, {"grpc-encoding", "identity"}, {NULL, NULL}};
static const struct h2_field no_time[] = {
    {"content-type", "application/grpc"}, {"grpc-timeout", "0m"}, {NULL, NULL}};
static const struct h2_field bad_time[] = {
    {"content-type", "application/grpc"}, {"grpc-timeout", "soon"}, {NULL, NULL}};

#define Q QUERY, grpc, NULL, 0
#define FRAME(s) QUERY, grpc, WIRE(s), NULL, 0, -1, 0, 0
#define A_FRAME "\0\0\0\0\44\12\42\0\0\1\0\0\1\0\0\0\0\0\0\3www\7waypost\4test\0\0\1\0\1"
static const struct row rows[] = {
    {"G01", Q, "www", 1, -1, 0, 0, 200, 0, 0},
    {"G01 ID", Q, "www", 1, 0, 0x12, 0, 200, 0, 0},
    {"G01 +proto", QUERY, proto, NULL, 0, "www", 1, -1, 0, 0, 200, 0, 0},
    {"G01 parameter", QUERY, charset, NULL, 0, "www", 1, -1, 0, 0, 200, 0, 0},
    {"G02 NX", Q, "nx", 1, -1, 0, 0, 200, 0, 3},
    {"G02 dead", Q, "dead", 1, -1, 0, 0, 200, 0, 2},
    {"G03 no field", FRAME("\0\0\0\0\0"), 200, 3, 0},
    {"G03 empty field", FRAME("\0\0\0\0\2\12\0"), 200, 3, 0},
    {"G04 11 octets", Q, "www", 1, -1, 0, 11, 200, 3, 0},
    {"G04 QR", Q, "www", 1, 2, 0x81, 0, 200, 3, 0},
    {"G04 QDCOUNT 0", Q, "www", 1, 5, 0, 0, 200, 3, 0},
    {"G04 QDCOUNT 2", Q, "www", 1, 5, 2, 0, 200, 3, 0},
    {"G04 UPDATE", Q, "www", 1, 2, 5 << 3, 0, 200, 3, 0},
    {"G04 STATUS", Q, "www", 1, 2, 2 << 3, 0, 200, 3, 0},
    {"G04 cut", Q, "www", 1, -1, 0, 20, 200, 3, 0},
    {"G07", FRAME("\0\100\0\0\0"), 200, 8, 0},
    {"G07 one octet past", FRAME("\0\0\1\0\4"), 200, 8, 0},
    {"G08", FRAME("\0\0\0\0\4\377\377\377\377"), 200, 13, 0},
    {"G08 field 1 a number", FRAME("\0\0\0\0\2\10\1"), 200, 13, 0},
    {"G09", FRAME("\0\0\0\0\46\12\42\0\0\1\0\0\1\0\0\0\0\0\0\3www\7waypost\4test\0\0\1\0\1\20\7"),
     200, 0, 0},
    {"G10 method", "/coredns.dns.DnsService/Nope", grpc, NULL, 0, "www", 1, -1, 0, 0, 200, 12, 0},
    {"G10 service", "/x.Y/Query", grpc, NULL, 0, "www", 1, -1, 0, 0, 200, 12, 0},
    {"G10 case", "/coredns.dns.DnsService/query", grpc, NULL, 0, "www", 1, -1, 0, 0, 200, 12, 0},
    {"G10 query string", QUERY "?x", grpc, NULL, 0, "www", 1, -1, 0, 0, 200, 12, 0},
    {"G11", QUERY, json, NULL, 0, "www", 1, -1, 0, 0, 415, -1, 0},
    {"G11 web", QUERY, web, NULL, 0, "www", 1, -1, 0, 0, 415, -1, 0},
    {"G11 none", QUERY, none, NULL, 0, "www", 1, -1, 0, 0, 415, -1, 0},
    {"G12", QUERY, gzip, WIRE("\1\0\0\0\4abcd"), NULL, 0, -1, 0, 0, 200, 12, 0},
    {"G12 not compressed", QUERY, gzip, WIRE(A_FRAME), "www", 0, -1, 0, 0, 200, 0, 0},
    {"G13", FRAME("\1\0\0\0\4abcd"), 200, 13, 0},
    {"G13 identity", QUERY, identity, WIRE("\1\0\0\0\4abcd"), NULL, 0, -1, 0, 0, 200, 13, 0},
    {"other flag", FRAME("\2\0\0\0\4abcd"), 200, 13, 0},
    {"G14 no time at all", QUERY, no_time, NULL, 0, "www", 1, -1, 0, 0, 200, 4, 0},
    {"malformed timeout", QUERY, bad_time, NULL, 0, "www", 1, -1, 0, 0, 200, 13, 0},
    {"G18", Q, "big", 16, -1, 0, 0, 200, 0, 0},
    {"huge", Q, "huge", 16, -1, 0, 0, 200, 0, 0},
    {"G21", Q, "drop", 1, -1, 0, 0, 200, 14, 0},
    {"G22", FRAME(A_FRAME A_FRAME), 200, 13, 0},
    {"octet after the message", FRAME(A_FRAME "x"), 200, 13, 0},
    {"no message", FRAME(""), 200, 13, 0},
    {"head cut", FRAME("\0\0\0"), 200, 13, 0},
    {"message cut", FRAME("\0\0\0\0\44\12\42\0\0"), 200, 13, 0},
};

static size_t frame_of(const uint8_t *msg, size_t len, uint8_t *to)
{
    size_t n = wp_dns_packet_head(to, len);

    memcpy(to + n, msg, len);
    return n + len;
}

static void check_packet(const struct row *r, const struct h2_stream *s, const uint8_t *query)
{
    const uint8_t *msg;
    size_t len;

    CHECK_AT(r->what, s->len > 5 && s->body[0] == 0 && wp_be32(s->body + 1) == s->len - 5);
    CHECK_AT(r->what, wp_dns_packet_read(s->body + 5, s->len - 5, &msg, &len) == 0);
    CHECK_AT(r->what, len >= 12 && msg[0] == query[0] && msg[1] == query[1]);
    CHECK_AT(r->what, (msg[2] & 0x82) == 0x80); /* QR, no TC */
    CHECK_AT(r->what, (msg[3] & 15) == r->rcode);
    if (r->qtype == 16)
        CHECK_AT(r->what, len > 2000);
}

static void check_row(const struct row *r, const struct h2_stream *s, const uint8_t *query)
{
    const char *status = h2_get(s, "grpc-status");

    CHECK_AT(r->what, s->status == r->http && s->ended);
    CHECK_AT(r->what, (status[0] == '\0' ? -1 : atoi(status)) == r->status);
    if (r->status >= 0)
        CHECK_AT(r->what, strcmp(h2_get(s, "content-type"), "application/grpc") == 0);
    if (r->status == 0)
        check_packet(r, s, query);
    if (r->status > 0)
        CHECK_AT(r->what, s->len == 0 && h2_get(s, "grpc-message")[0] != '\0');
    if (r->status == 12 && r->fields == gzip)
        CHECK_AT(r->what, strcmp(h2_get(s, "grpc-accept-encoding"), "identity") == 0);
}

static void test_rows(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *r = &rows[i];
        uint8_t msg[128] = {0}, frame[256];
        size_t len = 0, n = r->frame_len;
        struct h2_stream *s;

        if (r->frame != NULL) {
            memcpy(frame, r->frame, n);
        } else {
            len = zone_query(msg, r->label, (uint16_t)r->qtype);
            if (r->at >= 0)
                msg[r->at] = (uint8_t)r->value;
            n = frame_of(msg, r->cut > 0 ? (size_t)r->cut : len, frame);
        }
        open_client();
        s = h2_ask(client, "POST", r->path, r->fields, frame, n);
        check_row(r, s, msg);
        CHECK_AT(r->what, !conn.c.closed);
        s = h2_ask(client, "GET", r->path, grpc, NULL, 0);
        CHECK_AT(r->what, s->status == 405 && strcmp(h2_get(s, "allow"), "POST") == 0);
        close_client();
    }
}

/* --- sizes
 * ------------------------------------------------------------------------------------------ */

static void test_sizes(void)
{
    uint8_t *msg = calloc(1, 65600), *frame = malloc(65700);
    size_t n = zone_query(msg, "www", 1), pad = 65535 - n - 15;
    struct h2_stream *s;

    memcpy(msg + n, "\0\0\x29\4\xd0\0\0\0\0\0\0\0\x0c\0\0", 15);
    wp_put16(msg + n + 9, (unsigned)(pad + 4));
    wp_put16(msg + n + 13, (unsigned)pad);
    msg[11] = 1;
    open_client();
    s = h2_ask(client, "POST", QUERY, grpc, frame, frame_of(msg, 65535, frame));
    CHECK_AT("G05", strcmp(h2_get(s, "grpc-status"), "0") == 0);
    s = h2_ask(client, "POST", QUERY, grpc, frame, frame_of(msg, 65536, frame));
    CHECK_AT("G06", strcmp(h2_get(s, "grpc-status"), "8") == 0);
    s = h2_ask(client, "POST", QUERY, grpc, frame, frame_of(msg, 65535, frame));
    CHECK_AT("G06 the connection lives", strcmp(h2_get(s, "grpc-status"), "0") == 0);
    close_client();
    free(msg);
    free(frame);
}

/* --- time
 * -------------------------------------------------------------------------------------------- */

static struct h2_stream *call(const char *label, const struct h2_field *fields)
{
    static uint8_t frame[512][128]; /* a call may wait for its turn */
    static unsigned at;
    uint8_t msg[64], *f = frame[at++ % 512];

    return h2_ask(client, "POST", QUERY, fields, f, frame_of(msg, zone_query(msg, label, 1), f));
}

static void test_deadline(void)
{
    static const struct h2_field soon[] = {
        {"content-type", "application/grpc"}, {"grpc-timeout", "100m"}, {NULL, NULL}};
    static const struct h2_field later[] = {
        {"content-type", "application/grpc"}, {"grpc-timeout", "2S"}, {NULL, NULL}};
    unsigned cancelled = zone_cancelled;
    struct h2_stream *s, *t;

    open_client();
    s = call("slow", soon);
    t = call("slow", later);
    fake_wait(&conn, 90000000u);
    h2_exchange(client);
    CHECK_AT("G14", s->status == 0 && zone_cancelled == cancelled);
    fake_wait(&conn, 20000000u);
    h2_exchange(client);
    CHECK_AT("G14", strcmp(h2_get(s, "grpc-status"), "4") == 0 && s->ended);
    CHECK_AT("G14", zone_cancelled == cancelled + 1);
    fake_wait(&conn, 1000000000u);
    h2_exchange(client);
    CHECK_AT("G14 in time", strcmp(h2_get(t, "grpc-status"), "0") == 0);
    CHECK_AT("G14", strcmp(h2_get(call("www", grpc), "grpc-status"), "0") == 0);
    close_client();
    /* while the message is not complete */
    open_client();
    s = h2_submit(client, "POST", QUERY, soon, "", 0);
    client->keep_open = true;
    h2_exchange(client);
    fake_wait(&conn, 110000000u);
    h2_exchange(client);
    CHECK(strcmp(h2_get(s, "grpc-status"), "4") == 0 && s->ended);
    CHECK(s->reset == NGHTTP2_NO_ERROR + 1);
    close_client();
}

static void test_cancel(void)
{
    unsigned cancelled = zone_cancelled;
    struct h2_stream *s;

    open_client();
    s = call("slow", grpc);
    nghttp2_submit_rst_stream(client->ng, 0, s->id, NGHTTP2_CANCEL);
    h2_exchange(client);
    CHECK_AT("G15", zone_cancelled == cancelled + 1);
    CHECK_AT("G15", strcmp(h2_get(call("www", grpc), "grpc-status"), "0") == 0);
    close_client();
}

static void test_many_calls(void)
{
    open_client();
    for (int i = 0; i < 300; i++)
        call("slow", grpc);
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    for (unsigned i = 0; i < 300; i++)
        CHECK_AT("G16", strcmp(h2_get(&client->streams[i], "grpc-status"), "0") == 0);
    close_client();
}

/* --- pings and idleness
 * --------------------------------------------------------------------------- */

static void ping(void)
{
    nghttp2_submit_ping(client->ng, 0, NULL);
    h2_exchange(client);
}

static void test_pings(void)
{
    open_client();
    ping();
    ping();
    ping();
    CHECK_AT("G26 strikes", !conn.c.closed);
    ping();
    CHECK_AT("G26", conn.c.closed && client->goaway == NGHTTP2_ENHANCE_YOUR_CALM + 1);
    CHECK_AT("G26", strcmp(client->goaway_text, "too_many_pings") == 0);
    close_client();
    open_client();
    for (int i = 0; i < 20; i++) { /* keepalive of a well-behaved client */
        ping();
        fake_wait(&conn, 5000000000u);
        h2_exchange(client);
    }
    CHECK(!conn.c.closed);
    for (int i = 0; i < 50; i++) { /* and its measuring beside answers */
        call("www", grpc);
        ping();
        ping();
    }
    CHECK(!conn.c.closed);
    call("slow", grpc);
    for (int i = 0; i < 90; i++)
        ping();
    CHECK_AT("with a call", !conn.c.closed);
    for (int i = 0; i < 300; i++)
        ping();
    CHECK_AT("flood beside a call",
             conn.c.closed && strcmp(client->goaway_text, "too_many_pings") == 0);
    close_client();
}

static void test_idle_channel(void)
{
    open_client();
    call("www", grpc);
    for (int i = 0; i < 10; i++) { /* kept for as long as the client answers */
        fake_wait(&conn, 60500000000u);
        h2_exchange(client);
    }
    CHECK(!conn.c.closed);
    CHECK(strcmp(h2_get(call("www", grpc), "grpc-status"), "0") == 0);
    fake_wait(&conn, 60500000000u); /* the probe gets no answer */
    fake_wait(&conn, 60500000000u);
    CHECK(conn.c.closed);
    close_client();
}

static void test_drain(void)
{
    struct h2_stream *s;

    open_client();
    s = call("slow", grpc);
    conn.c.draining = true;
    conn.c.proto->drain(&conn.c);
    fake_settle(&conn);
    h2_exchange(client);
    CHECK_AT("G23", client->n_goaway == 2 && !conn.c.closed);
    fake_wait(&conn, 1100000000u);
    h2_exchange(client);
    CHECK_AT("G23", strcmp(h2_get(s, "grpc-status"), "0") == 0 && conn.c.closed);
    close_client();
}

static void test_overload(void)
{
    unsigned most = house.worker.max_queries;
    struct wp_pooled *kept = house.worker.free;

    house.worker.free = NULL;
    house.worker.max_queries = house.worker.n_queries;
    open_client();
    CHECK(strcmp(h2_get(call("www", grpc), "grpc-status"), "8") == 0);
    house.worker.free = kept;
    house.worker.max_queries = most;
    close_client();
}

static int open_house(void **state)
{
    int r = http_house_open(WP_SCHEME_GRPC, "grpc://.:443");

    (void)state;
    house.group.limits.max_streams = 256;
    return r;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows),         TEST(test_sizes),      TEST(test_deadline),
        TEST(test_cancel),       TEST(test_many_calls), TEST(test_pings),
        TEST(test_idle_channel), TEST(test_drain),      TEST(test_overload),
    };

    return cmocka_run_group_tests(tests, open_house, http_house_close);
}
