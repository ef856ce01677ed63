#include "server/listeners/proxy_udp.h"

#include "check.h"
#include "waypost/base/arena.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define BLOCK "\xc0\0\2\x32\xc0\0\2\1\4\xd2\0\x35"
#define HEADER SIG "\x21\x12\0\x0c" BLOCK
#define LOCAL SIG "\x20\x12\0\x0c" BLOCK

enum { SEC = 1000000000 };

static struct wp_proxy_sessions *sessions;
static struct wp_arena arena;

static struct wp_addr addr(const char *text)
{
    struct wp_addr a;

    assert_int_equal(wp_addr_parse(text, 0, &a), 0);
    return a;
}

/* One datagram from peer; client NULL: dropped. Fills what is left of it. */
static void check(const char *what, const struct wp_proxy_settings *set, const char *peer,
                  const char *data, size_t len, uint64_t now_ns, const char *client)
{
    struct wp_query q = {.wire = (const uint8_t *)data,
                         .wire_len = (uint32_t)len,
                         .arena = &arena,
                         .peer = addr(peer)};
    struct wp_addr want;

    q.client = q.peer;
    CHECK_AT(what, wp_proxy_datagram(&sessions, set, &q, now_ns) == (client != NULL));
    if (client == NULL)
        return;
    want = addr(client);
    CHECK_AT(what, wp_addr_equal(&q.client, &want));
    CHECK_AT(what, q.wire_len == 5 && memcmp(q.wire, "query", 5) == 0);
}

static const struct {
    const char *what;
    enum wp_proxy_default policy;
    const char *data;
    size_t len;
    const char *client;
} cases[] = {
    {"P08 header and query", WP_PROXY_USE, WIRE(HEADER "query"), "192.0.2.50:1234"},
    {"no header", WP_PROXY_USE, WIRE("query"), "127.0.0.1:9"},
    {"P09 header alone", WP_PROXY_USE, WIRE(HEADER), NULL},
    {"P04 LOCAL", WP_PROXY_USE, WIRE(LOCAL "query"), "127.0.0.1:9"},
    {"LOCAL without family", WP_PROXY_USE, WIRE(SIG "\x20\0\0\0query"), "127.0.0.1:9"},
    {"version 1", WP_PROXY_USE, WIRE("PROXY TCP4 192.0.2.50 192.0.2.1 1 2\r\nquery"), NULL},
    {"names TCP", WP_PROXY_USE, WIRE(SIG "\x21\x11\0\x0c" BLOCK "query"), NULL},
    {"cut", WP_PROXY_USE, WIRE(SIG "\x21\x12\0\x0c\xc0"), NULL},
    {"longer than the datagram", WP_PROXY_USE, WIRE(SIG "\x21\x12\1\0" BLOCK "query"), NULL},
    {"ignored", WP_PROXY_IGNORE, WIRE(HEADER "query"), "127.0.0.1:9"},
    {"bad, ignored", WP_PROXY_IGNORE, WIRE(SIG "\x21\x12\0\1" BLOCK "query"), NULL},
    {"rejected", WP_PROXY_REJECT, WIRE(HEADER "query"), NULL},
    {"rejected, no header", WP_PROXY_REJECT, WIRE("query"), "127.0.0.1:9"},
};

static void test_datagrams(void)
{
    wp_arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_proxy_settings set = {.set = true, .deflt = cases[i].policy};

        check(cases[i].what, &set, "127.0.0.1:9", cases[i].data, cases[i].len, SEC,
              cases[i].client);
        assert_null(sessions); /* tracking is off */
    }
    wp_arena_done(&arena);
}

static void test_sessions(void)
{
    struct wp_proxy_settings set = {
        .set = true, .deflt = WP_PROXY_USE, .udp_session_ns = 10ull * SEC, .udp_sessions_max = 2};

    wp_arena_init(&arena, 0);
    check("header", &set, "127.0.0.1:1", WIRE(HEADER), SEC, NULL);
    check("P09 then bare", &set, "127.0.0.1:1", WIRE("query"), 2ull * SEC, "192.0.2.50:1234");
    check("another port is another peer", &set, "127.0.0.1:2", WIRE("query"), SEC, "127.0.0.1:2");
    check("P04 LOCAL is not remembered", &set, "127.0.0.1:3", WIRE(LOCAL), SEC, NULL);
    check("P04 nor believed", &set, "127.0.0.1:3", WIRE("query"), SEC, "127.0.0.1:3");
    check("just before the end", &set, "127.0.0.1:1", WIRE("query"), 11ull * SEC - 1,
          "192.0.2.50:1234");
    check("the end", &set, "127.0.0.1:1", WIRE("query"), 11ull * SEC, "127.0.0.1:1");
    check("three peers", &set, "127.0.0.1:4", WIRE(HEADER), 12ull * SEC, NULL);
    check("three peers", &set, "127.0.0.1:5", WIRE(HEADER), 12ull * SEC, NULL);
    check("three peers", &set, "127.0.0.1:6", WIRE(HEADER), 12ull * SEC, NULL);
    check("two places: the first is gone", &set, "127.0.0.1:4", WIRE("query"), 12ull * SEC,
          "127.0.0.1:4");
    check("the last is there", &set, "127.0.0.1:6", WIRE("query"), 12ull * SEC, "192.0.2.50:1234");
    wp_proxy_sessions_free(sessions);
    wp_arena_done(&arena);
}

RUN_TESTS(TEST(test_datagrams), TEST(test_sessions))
