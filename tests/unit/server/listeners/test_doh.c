/* DoH in process: the acceptance rows (H01 and on) that need no socket, over HTTP/2 and HTTP/1.1.
 */
#include "doh_rig.h"

#include "waypost/plugin/metric.h"

static size_t base64url(const uint8_t *in, size_t len, char *out)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            out[n++] = set[bits >> (n_bits - 6) & 63];
    }
    if (n_bits > 0)
        out[n++] = set[bits << (6 - n_bits) & 63];
    out[n] = '\0';
    return n;
}

enum edit {
    AS_IS,
    ID_1234,
    QR,
    STATUS,
    UPDATE,
    NO_QUESTION,
    TWO_QUESTIONS,
    CUT,
    SHORT,
    EMPTY,
    VERSION_1,
    OPT_512,
    CLASS_CH,
    OTHER_ZONE
};

struct request {
    const char *what;
    const char *method, *path; /* path without `dns` for POST */
    const char *type;          /* content-type, NULL: none */
    const char *label;         /* first label of the question */
    enum edit edit;
    /* expected */
    int status;
    int rcode;                 /* -1: no DNS message */
    const char *cache_control; /* "" if none */
    unsigned qtype;            /* 0: A */
};

static const struct request requests[] = {
    {"H01", "GET", "/dns-query?dns=", NULL, "www", AS_IS, 200, 0, "max-age=300", 0},
    {"H02", "POST", "/dns-query", DNS, "www", AS_IS, 200, 0, "max-age=300", 0},
    {"H03", "HEAD", "/dns-query?dns=", NULL, "www", AS_IS, 200, 0, "max-age=300", 0},
    {"H04", "POST", "/dns-query", DNS, "www", ID_1234, 200, 0, "max-age=300", 0},
    {"H05", "POST", "/dns-query", DNS, "nx", AS_IS, 200, 3, "max-age=60", 0},
    {"H05 NODATA", "POST", "/dns-query", DNS, "www", AS_IS, 200, 0, "max-age=60", 15},
    {"H06", "POST", "/dns-query", DNS, "zero", AS_IS, 200, 0, "max-age=0", 0},
    {"H07", "POST", "/dns-query", DNS, "long", AS_IS, 200, 0, "max-age=3600", 0},
    {"H08", "POST", "/dns-query", DNS, "alias", AS_IS, 200, 0, "max-age=120", 0},
    {"H09", "POST", "/dns-query", DNS, "dead", AS_IS, 200, 2, "max-age=5", 0},
    {"H10", "POST", "/dns-query", DNS, "www", OTHER_ZONE, 200, 5, "max-age=5", 0},
    {"I15", "POST", "/dns-query", DNS, "www", CLASS_CH, 200, 5, "max-age=5", 0},
    {"H12", "GET", "/dns-query", NULL, NULL, AS_IS, 400, -1, "", 0},
    {"H13", "GET", "/dns-query?dns=", NULL, NULL, AS_IS, 400, -1, "", 0},
    {"H14", "GET", "/dns-query?dns=AAAB&dns=", NULL, "www", AS_IS, 400, -1, "", 0},
    {"H15 before", "GET", "/dns-query?ct=x&dns=", NULL, "www", AS_IS, 200, 0, "max-age=300", 0},
    {"H16", "GET", "/dns-query?dns=AAABAAABAAAAAAAAA3d3dw==", NULL, NULL, AS_IS, 400, -1, "", 0},
    {"H17", "GET", "/dns-query?dns=AAAB+/AB", NULL, NULL, AS_IS, 400, -1, "", 0},
    {"H18", "GET", "/dns-query?dns=!!!", NULL, "www", AS_IS, 400, -1, "", 0},
    {"H20 empty", "POST", "/dns-query", DNS, "www", EMPTY, 400, -1, "", 0},
    {"H20 short", "POST", "/dns-query", DNS, "www", SHORT, 400, -1, "", 0},
    {"H20 short GET", "GET", "/dns-query?dns=", NULL, "www", SHORT, 400, -1, "", 0},
    {"H21", "POST", "/dns-query", DNS, "www", QR, 400, -1, "", 0},
    {"H22", "POST", "/dns-query", DNS, "www", CUT, 400, -1, "", 0},
    {"H23 none", "POST", "/dns-query", DNS, "www", NO_QUESTION, 400, -1, "", 0},
    {"H23 two", "POST", "/dns-query", DNS, "www", TWO_QUESTIONS, 400, -1, "", 0},
    {"H24 STATUS", "POST", "/dns-query", DNS, "www", STATUS, 400, -1, "", 0},
    {"H24 UPDATE", "POST", "/dns-query", DNS, "www", UPDATE, 400, -1, "", 0},
    {"H25", "POST", "/dns-query", DNS, "www", VERSION_1, 200, 16, "max-age=5", 0},
    {"H26 root", "GET", "/?dns=", NULL, "www", AS_IS, 404, -1, "", 0},
    {"H26 slash", "GET", "/dns-query/?dns=", NULL, "www", AS_IS, 404, -1, "", 0},
    {"H26 below", "GET", "/dns-query/x?dns=", NULL, "www", AS_IS, 404, -1, "", 0},
    {"H26 case", "POST", "/DNS-QUERY", DNS, "www", AS_IS, 404, -1, "", 0},
    {"H26 slashes", "POST", "//dns-query", DNS, "www", AS_IS, 404, -1, "", 0},
    {"H27 dots", "POST", "/x/../dns-query", DNS, "www", AS_IS, 404, -1, "", 0},
    {"H27 escaped", "POST", "/dns%2Dquery", DNS, "www", AS_IS, 404, -1, "", 0},
    {"H28 PUT", "PUT", "/dns-query", DNS, "www", AS_IS, 405, -1, "", 0},
    {"H28 DELETE", "DELETE", "/dns-query?dns=", NULL, "www", AS_IS, 405, -1, "", 0},
    {"H28 PATCH", "PATCH", "/dns-query", DNS, "www", AS_IS, 405, -1, "", 0},
    {"H28 OPTIONS", "OPTIONS", "/dns-query", NULL, NULL, AS_IS, 405, -1, "", 0},
    {"H29", "POST", "/dns-query", "text/plain", "www", AS_IS, 415, -1, "", 0},
    {"H29 longer", "POST", "/dns-query", DNS "x", "www", AS_IS, 415, -1, "", 0},
    {"H29 shorter", "POST", "/dns-query", "application/dns", "www", AS_IS, 415, -1, "", 0},
    {"H30", "POST", "/dns-query", NULL, "www", AS_IS, 200, 0, "max-age=300", 0},
    {"H31", "POST", "/dns-query", "Application/DNS-Message", "www", AS_IS, 200, 0, "max-age=300",
     0},
    {"H32", "POST", "/dns-query", DNS "; charset=x", "www", AS_IS, 200, 0, "max-age=300", 0},
    {"POST with a dns parameter", "POST", "/dns-query?dns=AAAB", DNS, "www", AS_IS, 200, 0,
     "max-age=300", 0},
    {"H40", "GET", "/dns-query?name=www.waypost.test&type=A", NULL, NULL, AS_IS, 400, -1, "", 0},
    {"H44", "POST", "/dns-query", DNS, "big", OPT_512, 200, 0, "max-age=300", 16},
    {"huge", "POST", "/dns-query", DNS, "huge", AS_IS, 200, 0, "max-age=300", 16},
    {"H67", "POST", "/dns-query", DNS, "drop", AS_IS, 500, -1, "", 0},
};

static size_t message(const struct request *r, uint8_t *to)
{
    size_t len = zone_query(to, r->label, r->qtype != 0 ? (uint16_t)r->qtype : 1);

    switch (r->edit) {
    case AS_IS:
        break;
    case ID_1234:
        wp_put16(to, 0x1234);
        break;
    case QR:
        to[2] |= 0x80;
        break;
    case STATUS:
        to[2] |= 2 << 3;
        break;
    case UPDATE:
        to[2] |= 5 << 3;
        break;
    case NO_QUESTION:
        to[5] = 0;
        break;
    case TWO_QUESTIONS:
        to[5] = 2;
        break;
    case CUT:
        return 20;
    case SHORT:
        return 11;
    case EMPTY:
        return 0;
    case VERSION_1:
    case OPT_512:
        memcpy(to + len, "\0\0\x29\2\0\0\0\0\0\0\0", 11);
        to[len + 6] = r->edit == VERSION_1;
        to[11] = 1;
        return len + 11;
    case CLASS_CH:
        to[len - 1] = 3;
        break;
    case OTHER_ZONE:
        to[17] ^= 1; /* "vaypost" */
        break;
    }
    return len;
}

static void check_message(const struct request *r, const uint8_t *msg, size_t len,
                          const uint8_t *query)
{
    size_t question = 12 + 1 + strlen(r->label) + 14 + 4;
    int rcode = msg[3] & 15;

    CHECK_AT(r->what, len >= 12);
    CHECK_AT(r->what, memcmp(msg, query, 2) == 0);
    CHECK_AT(r->what, (msg[2] & 0x82) == 0x80); /* QR, no TC */
    CHECK_AT(r->what, memcmp(msg + 12, query + 12, question - 12) == 0);
    if (r->rcode == 16)
        rcode |= msg[len - 6] << 4;
    CHECK_AT(r->what, rcode == r->rcode);
}

static void check_response(const struct request *r, const struct response *a, const uint8_t *query)
{
    char date[WP_HTTP_DATE + 1];

    CHECK_AT(r->what, a->status == r->status);
    CHECK_AT(r->what, strcmp(a->cache, r->cache_control) == 0);
    CHECK_AT(r->what, strcmp(a->type, r->rcode >= 0 ? DNS : "text/plain; charset=utf-8") == 0);
    wp_http_date_text(wp_loop_unix_time(house.loop), date);
    CHECK_AT(r->what, strcmp(a->date, date) == 0);
    CHECK_AT(r->what, (a->allow[0] != '\0') == (r->status == 405));
    if (strcmp(r->method, "HEAD") == 0) {
        CHECK_AT(r->what, a->len == 0 && atoi(a->length) > 34);
        return;
    }
    CHECK_AT(r->what, (size_t)atoi(a->length) == a->len);
    if (r->rcode >= 0)
        check_message(r, a->body, a->len, query);
}

static void run_h2(const struct request *r)
{
    char path[512];
    uint8_t msg[512];
    size_t len = r->label != NULL ? message(r, msg) : 0;
    bool get = strchr(r->path, '?') != NULL && strncmp(r->method, "POST", 4) != 0;
    struct h2_field fields[2] = {{"content-type", r->type}, {NULL, NULL}};
    struct response a;
    struct h2_stream *s;
    size_t n = (size_t)snprintf(path, sizeof(path), "%s", r->path);

    if (r->type == NULL)
        fields[0].name = NULL;
    if (get && r->label != NULL)
        base64url(msg, len, path + n);
    open_h2();
    s = h2_ask(client, r->method, path, fields, r->label != NULL && !get ? msg : NULL, len);
    CHECK_AT(r->what, s->ended);
    CHECK_AT(r->what, !conn.c.closed);
    a = (struct response){s->status,
                          h2_get(s, "content-type"),
                          h2_get(s, "content-length"),
                          h2_get(s, "cache-control"),
                          h2_get(s, "allow"),
                          h2_get(s, "date"),
                          s->body,
                          s->len};
    check_response(r, &a, msg);
    close_h2();
}

static size_t write_h1(const struct request *r, char *to, const uint8_t *msg, size_t len)
{
    bool get = strchr(r->path, '?') != NULL && strncmp(r->method, "POST", 4) != 0;
    size_t n = (size_t)sprintf(to, "%s %s", r->method, r->path);

    if (get && r->label != NULL)
        n += base64url(msg, len, to + n);
    n += (size_t)sprintf(to + n, " HTTP/1.1\r\nHost: dns.test\r\n");
    if (r->type != NULL)
        n += (size_t)sprintf(to + n, "Content-Type: %s\r\n", r->type);
    if (!get && r->label != NULL)
        n += (size_t)sprintf(to + n, "Content-Length: %zu\r\n", len);
    n += (size_t)sprintf(to + n, "\r\n");
    if (!get && r->label != NULL) {
        memcpy(to + n, msg, len);
        n += len;
    }
    return n;
}

static void run_h1(const struct request *r, const char *alpn, size_t step)
{
    char in[2048];
    uint8_t msg[512];
    size_t len = r->label != NULL ? message(r, msg) : 0;
    size_t n = write_h1(r, in, msg, len);
    bool has_body = len > 0 && (strchr(r->path, '?') == NULL || strcmp(r->method, "POST") == 0);
    struct response a;

    fake_open(&conn, listener, alpn);
    for (size_t i = 0; i < n; i += step)
        fake_feed(&conn, in + i, n - i < step ? n - i : step);
    CHECK_AT(r->what, read_h1(r->what, &a, strcmp(r->method, "HEAD") == 0) == conn.out_len);
    check_response(r, &a, msg);
    /* An answer before the body was read ends the connection, everything else keeps it. */
    CHECK_AT(r->what, conn.c.closed == (r->status >= 404 && r->status < 500 && has_body));
    fake_stop(&conn);
}

static void test_rows_h2(void)
{
    for (size_t i = 0; i < COUNT(requests); i++)
        run_h2(&requests[i]);
}

static void test_rows_h1(void)
{
    for (size_t i = 0; i < COUNT(requests); i++) {
        run_h1(&requests[i], "http/1.1", 4096);
        run_h1(&requests[i], "", 4096); /* cleartext, or TLS without ALPN */
        run_h1(&requests[i], "", 1);
    }
}

/* A query of exactly len octets: padding of its OPT. */
static uint8_t *padded(size_t len)
{
    uint8_t *msg = malloc(len);
    size_t n = zone_query(msg, "www", 1), pad = len - n - 15;

    memcpy(msg + n, "\0\0\x29\4\xd0\0\0\0\0\0\0\0\x0c\0\0", 15);
    wp_put16(msg + n + 9, (unsigned)(pad + 4));
    wp_put16(msg + n + 13, (unsigned)pad);
    memset(msg + n + 15, 0, pad);
    msg[11] = 1;
    return msg;
}

static void test_body_limit(void)
{
    static const struct h2_field type[] = {{"content-type", DNS}, {NULL, NULL}};
    uint8_t *msg = padded(65535), *long_one = malloc(65536);
    struct h2_stream *s;
    struct response a;
    char head[200];

    open_h2();
    s = h2_ask(client, "POST", "/dns-query", type, msg, 65535);
    CHECK_AT("H34", s->status == 200 && s->ended);
    memcpy(long_one, msg, 65535);
    s = h2_ask(client, "POST", "/dns-query", type, long_one, 65536);
    CHECK_AT("H35", s->status == 413 && s->ended);
    s = h2_ask(client, "POST", "/dns-query", type, msg, 65535);
    CHECK_AT("H35 the connection lives", s->status == 200);
    close_h2();

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, head,
              (size_t)sprintf(
                  head, "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 65535\r\n\r\n"));
    for (size_t i = 0; i < 65535; i += 5000)
        fake_feed(&conn, msg + i, 65535 - i < 5000 ? 65535 - i : 5000);
    read_h1("H34 h1", &a, false);
    CHECK_AT("H34 h1", a.status == 200 && !conn.c.closed);
    fake_stop(&conn);
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, head,
              (size_t)sprintf(
                  head, "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n"));
    read_h1("H35 h1", &a, false);
    CHECK_AT("H35 h1 before the body", a.status == 413 && conn.c.closed);
    fake_stop(&conn);
    free(msg);
    free(long_one);
}

static void test_length_announced(void)
{
    static const struct h2_field fields[] = {
        {"content-type", DNS}, {"content-length", "10000000"}, {NULL, NULL}};
    struct h2_stream *s;

    open_h2();
    s = h2_submit(client, "POST", "/dns-query", fields, "", 0);
    client->keep_open = true;
    h2_exchange(client);
    CHECK_AT("H35", s->status == 413 && s->ended && s->reset == NGHTTP2_NO_ERROR + 1);
    close_h2();
}

static void test_header_limit(void)
{
    static char big[20001], many[300][16], path[16000];
    struct h2_field one[2] = {{"x-big", big}, {NULL, NULL}};
    struct h2_field some[37] = {{NULL, NULL}};
    struct h2_stream *s;
    struct response a;
    char head[100];
    uint8_t msg[64];
    size_t len = zone_query(msg, "www", 1), n;

    memset(big, 'x', sizeof(big) - 1);
    open_h2();
    s = h2_ask(client, "POST", "/dns-query", one, msg, len);
    CHECK_AT("H37", s->status == 431 && s->ended);
    s = h2_ask(client, "POST", "/dns-query", NULL, msg, len);
    CHECK_AT("H37 the next one decodes", s->status == 200);
    for (int i = 0; i < 36; i++) {
        sprintf(many[i], "x-field-%d", i);
        some[i] = (struct h2_field){many[i], "some value"};
    }
    s = h2_ask(client, "POST", "/dns-query", some, msg, len);
    CHECK_AT("H38", s->status == 200);
    n = (size_t)sprintf(path, "/dns-query?x=");
    memset(path + n, 'y', 2900);
    strcpy(path + n + 2900, "&dns=");
    base64url(msg, len, path + strlen(path));
    s = h2_ask(client, "GET", path, NULL, NULL, 0);
    CHECK_AT("long target", s->status == 200);
    close_h2();

    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, head, (size_t)sprintf(head, "GET /dns-query HTTP/1.1\r\nHost: a\r\nX: "));
    fake_feed(&conn, big, sizeof(big) - 1);
    read_h1("H37 h1", &a, false);
    CHECK_AT("H37 h1", a.status == 431 && conn.c.closed);
    fake_stop(&conn);
    fake_open(&conn, listener, "http/1.1");
    fake_feed(&conn, head, (size_t)sprintf(head, "GET /dns-query?dns="));
    for (int i = 0; i < 9 && !conn.c.closed; i++)
        fake_feed(&conn, big, 10000);
    read_h1("H36 h1", &a, false);
    CHECK_AT("H36 h1", a.status == 414 && conn.c.closed);
    fake_stop(&conn);
}

static bool metric_has(const char *line)
{
    size_t len;
    char *text = wp_metric_text(&len);
    bool has = text != NULL && memmem(text, len, line, strlen(line)) != NULL;

    free(text);
    return has;
}

static void test_counters(void)
{
    house.group.label = "https://counted:443";
    open_h2();
    ask("www");
    ask("nx");
    h2_ask(client, "GET", "/", NULL, NULL, 0);
    close_h2();
    house.group.label = "https://.:443";
    CHECK(metric_has(
        "coredns_dns_https_responses_total{server=\"https://counted:443\",status=\"200\"} 2"));
    CHECK(metric_has(
        "coredns_dns_https_responses_total{server=\"https://counted:443\",status=\"404\"} 1"));
}

/* No query left in the worker. */
static void test_overload(void)
{
    unsigned made = house.worker.n_queries, most = house.worker.max_queries;
    struct wp_pooled *kept = house.worker.free;
    struct h2_stream *s;

    house.worker.free = NULL;
    house.worker.max_queries = made;
    open_h2();
    s = ask("www");
    CHECK(s->status == 503 && strcmp(h2_get(s, "retry-after"), "1") == 0);
    house.worker.free = kept;
    house.worker.max_queries = most;
    CHECK(ask("www")->status == 200);
    close_h2();
}

static void test_preface_detected(void)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fake_open(&conn, listener, "");
    client = h2_open(&conn, 0);
    h2_exchange(client);
    CHECK_AT("prior knowledge", ask("www")->status == 200);
    close_h2();
    for (size_t cut = 1; cut < sizeof(preface) - 1; cut++) {
        fake_open(&conn, listener, "");
        fake_feed(&conn, preface, cut);
        CHECK(!conn.c.closed && conn.out_len == 0);
        fake_feed(&conn, preface + cut, sizeof(preface) - 1 - cut);
        CHECK(!conn.c.closed && conn.out_len > 9 && conn.out[3] == NGHTTP2_SETTINGS);
        fake_stop(&conn);
    }
}

static int open_house(void **state)
{
    (void)state;
    return http_house_open(WP_SCHEME_HTTPS, "https://.:443");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_rows_h2),          TEST(test_rows_h1),          TEST(test_body_limit),
        TEST(test_length_announced), TEST(test_header_limit),     TEST(test_counters),
        TEST(test_overload),         TEST(test_preface_detected),
    };

    return cmocka_run_group_tests(tests, open_house, http_house_close);
}
