/* What the DoH tests share: a listener, a connection, clients of both HTTP. */
#pragma once
#include "check.h"

#include "server/listeners/http_priv.h"
#include "tests/fake/h2_client.h"
#include "tests/fake/http_house.h"

#define DNS "application/dns-message"

static struct h2_client *client;

static inline void open_h2(void)
{
    fake_open(&conn, listener, "h2");
    client = h2_open(&conn, 0);
    h2_exchange(client);
}

static inline void close_h2(void)
{
    h2_close(client);
    fake_stop(&conn);
    CHECK(conn.refs == 1);
    CHECK(zone_waiting == 0);
}

static inline struct h2_stream *ask(const char *label)
{
    static uint8_t msg[512][64];
    static unsigned at;
    uint8_t *m = msg[at++ % 512];

    return h2_ask(client, "POST", "/dns-query", NULL, m, zone_query(m, label, 1));
}

static inline void start_drain(void)
{
    conn.c.draining = true;
    conn.c.proto->drain(&conn.c);
    fake_settle(&conn);
}

/* What came back, in either HTTP. */
struct response {
    int status;
    const char *type, *length, *cache, *allow, *date;
    const uint8_t *body;
    size_t len;
};

static inline const char *field_of(const char *head, const char *name)
{
    static char values[6][64];
    static unsigned at;
    char *v = values[at++ % 6];
    const char *p = strstr(head, name);

    v[0] = '\0';
    if (p != NULL)
        snprintf(v, 64, "%.*s", (int)strcspn(p + strlen(name), "\r"), p + strlen(name));
    return v;
}

/* Splits one answer at the front of the output; returns its octets. */
static inline size_t read_h1(const char *what, struct response *a, bool head_only)
{
    static char head[1024];
    const char *end = memmem(conn.out, conn.out_len, "\r\n\r\n", 4);
    size_t n;

    CHECK_AT(what, end != NULL);
    n = (size_t)(end - (char *)conn.out) + 4;
    CHECK_AT(what, n < sizeof(head));
    memcpy(head, conn.out, n);
    head[n] = '\0';
    CHECK_AT(what, memcmp(head, "HTTP/1.1 ", 9) == 0);
    *a = (struct response){atoi(head + 9),
                           field_of(head, "Content-Type: "),
                           field_of(head, "Content-Length: "),
                           field_of(head, "Cache-Control: "),
                           field_of(head, "Allow: "),
                           field_of(head, "Date: "),
                           conn.out + n,
                           0};
    a->len = head_only ? 0 : (size_t)atoi(a->length);
    CHECK_AT(what, n + a->len <= conn.out_len);
    return n + a->len;
}

static inline size_t next_answer(const char *what, struct response *a)
{
    size_t n = read_h1(what, a, false);

    CHECK_AT(what, a->len >= 12);
    return n;
}

#define A_BASE64 "AAABAAABAAAAAAAAA3d3dwd3YXlwb3N0BHRlc3QAAAEAAQ"
#define SLOW_BASE64 "AAABAAABAAAAAAAABHNsb3cHd2F5cG9zdAR0ZXN0AAABAAE"
#define NX_BASE64 "AAABAAABAAAAAAAAAm54B3dheXBvc3QEdGVzdAAAAQAB"
#define GET(msg, version) "GET /dns-query?dns=" msg " HTTP/" version "\r\nHost: a\r\n"
