#include "waypost/server/guard.h"

#include "check.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/query.h"
#include "waypost/server/router.h"

static struct wp_group group_of(const char *label)
{
    struct wp_group g = {.label = label, .counts = wp_guard_counts_for(label)};

    assert_non_null(g.counts);
    return g;
}

static uint64_t refused(const char *label, const char *limit)
{
    static const struct wp_family f = {
        .name = "waypost_refused_total",
        .help = "What a limit of a listener refused or ended, by limit.",
        .kind = WP_COUNTER,
        .labels = {"server", "limit"},
    };

    return wp_metric_value(wp_metric_series(&f, (const char *const[]){label, limit}));
}

static struct wp_addr addr(const char *text)
{
    struct wp_addr a;

    assert_int_equal(wp_addr_parse(text, 40000, &a), 0);
    return a;
}

static void test_total(void)
{
    struct wp_group g = group_of("dns://total:53"), next;
    struct wp_guard_slot slot[3] = {0};

    g.limits.max_connections = 2;
    assert_true(wp_guard_connect(&g, &slot[0]));
    assert_false(wp_guard_is_full(&g));
    assert_true(wp_guard_connect(&g, &slot[1]));
    assert_true(wp_guard_is_full(&g));
    assert_false(wp_guard_connect(&g, &slot[2]));
    assert_int_equal(wp_guard_connections(&g), 2);
    /* the next generation of the same address goes on counting */
    next = g;
    next.counts = wp_guard_counts_for("dns://total:53");
    next.limits.max_connections = 3;
    assert_true(wp_guard_connect(&next, &slot[2]));
    for (unsigned i = 0; i < 3; i++) {
        wp_guard_disconnect(&slot[i]);
        wp_guard_disconnect(&slot[i]); /* once only */
    }
    assert_int_equal(wp_guard_connections(&g), 0);
    next.limits.max_connections = 0; /* unlimited */
    assert_false(wp_guard_is_full(&next));
}

/* /32 and /64; two generations may have different limits. */
static const struct {
    const char *a, *b;
    bool same;
} clients[] = {
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"[2001:db8::1]", "[2001:db8::ffff:1]", true},
    {"[2001:db8::1]", "[2001:db8:0:1::1]", false},
    {"0.0.0.1", "[0:0:0:1::]", false},
};

static void test_clients(void)
{
    struct wp_group g = group_of("dns://client:53");

    g.limits.max_per_client = 1;
    for (size_t i = 0; i < COUNT(clients); i++) {
        struct wp_guard_slot slot[2] = {0};
        struct wp_addr a = addr(clients[i].a), b = addr(clients[i].b);
        uint64_t before = refused("dns://client:53", "per_client");
        bool second;

        CHECK_AT(clients[i].a, wp_guard_connect(&g, &slot[0]) && wp_guard_connect(&g, &slot[1]));
        CHECK_AT(clients[i].a, wp_guard_client(&g, WP_METRIC_SHARED, &a, &slot[0]));
        second = wp_guard_client(&g, WP_METRIC_SHARED, &b, &slot[1]);
        CHECK_AT(clients[i].a, second == !clients[i].same);
        CHECK_AT(clients[i].a,
                 refused("dns://client:53", "per_client") - before == clients[i].same);
        wp_guard_disconnect(&slot[0]);
        wp_guard_disconnect(&slot[1]);
        CHECK_AT(clients[i].a, wp_guard_connect(&g, &slot[1]) &&
                                   wp_guard_client(&g, WP_METRIC_SHARED, &b, &slot[1]));
        wp_guard_disconnect(&slot[1]);
    }
}

static const struct {
    const char *what;
    uint32_t max, open;
    uint64_t idle_ms, now_ms;
} pressures[] = {
    {"nobody", 80, 0, 10000, 10000},         {"seven eighths", 80, 70, 10000, 10000},
    {"one more", 80, 71, 10000, 9000},       {"half of the rest", 80, 75, 10000, 5000},
    {"one place left", 80, 79, 10000, 1000}, {"full", 80, 80, 10000, 200},
    {"short already", 80, 80, 150, 150},     {"any number", 0, 80, 10000, 10000},
    {"a small limit", 7, 7, 10000, 10000},
};

static void test_idle_under_pressure(void)
{
    for (size_t i = 0; i < COUNT(pressures); i++) {
        struct wp_group g = group_of("dns://pressure:53"), all = g;
        struct wp_guard_slot slot[80] = {0};

        g.limits.max_connections = pressures[i].max;
        g.limits.idle_ns = pressures[i].idle_ms * 1000000;
        for (uint32_t k = 0; k < pressures[i].open; k++)
            CHECK_AT(pressures[i].what, wp_guard_connect(&all, &slot[k]));
        CHECK_AT(pressures[i].what, wp_guard_idle_ns(&g) == pressures[i].now_ms * 1000000);
        for (uint32_t k = 0; k < pressures[i].open; k++)
            wp_guard_leaving(&slot[k], true);
        CHECK_AT(pressures[i].what, wp_guard_idle_ns(&g) == pressures[i].idle_ms * 1000000);
        for (uint32_t k = 0; k < pressures[i].open; k++)
            wp_guard_leaving(&slot[k], false);
        for (uint32_t k = 0; k < pressures[i].open; k++)
            wp_guard_disconnect(&slot[k]);
    }
}

/* How many may come at this moment? */
static unsigned accept_all(const struct wp_group *g, uint64_t now_ns)
{
    unsigned n = 0;

    for (; n < 1000 && wp_guard_accept_wait_ns(g, now_ns) == 0; n++)
        wp_guard_accepted(g, now_ns);
    return n;
}

static void test_accept_rate(void)
{
    struct wp_group g = group_of("dns://rate:53");
    uint64_t second = UINT64_C(1000000000), now = 5 * second, wait;

    assert_int_equal(accept_all(&g, now), 1000); /* any number */
    g.limits.accept_rate = 50;
    assert_int_equal(accept_all(&g, now), 50);
    wait = wp_guard_accept_wait_ns(&g, now);
    assert_int_equal(wait, second / 50);
    assert_int_equal(accept_all(&g, now + wait - 1), 0);
    assert_int_equal(accept_all(&g, now + wait), 1);
    assert_int_equal(accept_all(&g, now + second / 2), 24);
    assert_int_equal(accept_all(&g, now + 60 * second), 50); /* what was not used is not kept */
}

static void test_without_memory_for_counts(void)
{
    struct wp_group g = {.label = "x"};
    struct wp_guard_slot slot = {0};
    struct wp_addr a = addr("192.0.2.1");

    g.limits.max_connections = g.limits.max_per_client = 1;
    assert_true(wp_guard_connect(&g, &slot));
    assert_true(wp_guard_client(&g, 0, &a, &slot));
    wp_guard_refused(&g, 0, WP_LIMIT_BODY);
    wp_guard_handshake(&g, 0, WP_GUARD_TLS_FULL);
    wp_guard_disconnect(&slot);
}

static const struct {
    const char *client, *local;
    bool ok;
} sources[] = {
    {"192.0.2.1:40000", "192.0.2.53:53", true},
    {"192.0.2.53:40000", "192.0.2.53:53", true}, /* a stub on this host */
    {"192.0.2.53:53", "192.0.2.53:53", false},   /* ourselves */
    {"192.0.2.1:53", "192.0.2.53:53", true},
    {"192.0.2.1:0", "192.0.2.53:53", false},
    {"224.0.0.251:5353", "192.0.2.53:53", false},
    {"255.255.255.255:9", "192.0.2.53:53", false},
    {"0.0.0.0:9", "192.0.2.53:53", false},
    {"[ff02::fb]:5353", "[2001:db8::53]:53", false},
    {"[::]:9", "[2001:db8::53]:53", false},
    {"[2001:db8::1]:9", "[2001:db8::53]:53", true},
};

static void test_sources(void)
{
    struct wp_addr none = {0}, local = addr("192.0.2.53:53");

    for (size_t i = 0; i < COUNT(sources); i++) {
        struct wp_addr client = addr(sources[i].client), to = addr(sources[i].local);

        CHECK_AT(sources[i].client, wp_guard_source_ok(&client, &to) == sources[i].ok);
    }
    assert_false(wp_guard_source_ok(&none, &local));
}

/* The same octets on every transport: only UPDATE differs, and only where it is enabled
 * (advisory 7). */
static const struct {
    const char *what, *wire;
    size_t len;
    unsigned opcodes;
    enum wp_intake verdict, http; /* UDP, TCP, DoT; DoH, gRPC */
} messages[] = {
#define Q "\1a\0\0\1\0\1"
    {"query", WIRE("\0\1\1\0\0\1\0\0\0\0\0\0" Q), 0, WP_INTAKE_OK, WP_INTAKE_OK},
    {"I1 short", WIRE("\0\1\1\0\0\1\0\0\0\0\0"), 0, WP_INTAKE_IGNORE, WP_INTAKE_IGNORE},
    {"I2 response", WIRE("\0\1\x81\0\0\1\0\0\0\0\0\0" Q), 0, WP_INTAKE_IGNORE, WP_INTAKE_IGNORE},
    {"NOTIFY", WIRE("\0\1\x20\0\0\1\0\0\0\0\0\0" Q), 0, WP_INTAKE_OK, WP_INTAKE_OK},
    {"I3 STATUS", WIRE("\0\1\x10\0\0\1\0\0\0\0\0\0" Q), 0, WP_INTAKE_NOTIMP, WP_INTAKE_NOTIMP},
    {"I3 UPDATE, not enabled", WIRE("\0\1\x28\0\0\1\0\0\0\0\0\0" Q), 0, WP_INTAKE_NOTIMP,
     WP_INTAKE_NOTIMP},
    {"I3a UPDATE, enabled", WIRE("\0\1\x28\0\0\1\0\0\0\0\0\0" Q), 1u << 5, WP_INTAKE_OK,
     WP_INTAKE_NOTIMP},
    {"I4 no question", WIRE("\0\1\1\0\0\0\0\0\0\0\0\0"), 0, WP_INTAKE_FORMERR_HEAD,
     WP_INTAKE_FORMERR_HEAD},
    {"I13 question cut", WIRE("\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0"), 0, WP_INTAKE_FORMERR,
     WP_INTAKE_FORMERR},
};

static void test_messages(void)
{
    static const enum wp_transport all[] = {WP_UDP, WP_TCP, WP_DOT, WP_DOH, WP_GRPC};
    struct wp_group g = group_of("dns://message:53");

    for (size_t i = 0; i < COUNT(messages); i++)
        for (size_t k = 0; k < COUNT(all); k++) {
            struct wp_route route = {.group = &g, .opcodes = messages[i].opcodes};
            struct wp_query q = {
                .wire = (const uint8_t *)messages[i].wire,
                .wire_len = (uint32_t)messages[i].len,
                .transport = all[k],
                .route = &route,
                .worker = WP_METRIC_SHARED,
            };

            CHECK_AT(messages[i].what,
                     wp_guard_message(&q) == (k < 3 ? messages[i].verdict : messages[i].http));
        }
}

static void test_message_counts(void)
{
    static const struct wp_family f = {
        .name = "waypost_rejected_total",
        .help = "Messages that are not an admissible query, by reason.",
        .kind = WP_COUNTER,
        .labels = {"server", "reason"},
    };
    struct wp_group g = group_of("dns://counts:53");
    struct wp_route route = {.group = &g};
    struct wp_query q = {
        .wire = (const uint8_t *)"\0\1\1\0\0\0\0\0\0\0\0\0",
        .wire_len = 12,
        .route = &route,
        .worker = WP_METRIC_SHARED,
    };

    wp_guard_message(&q);
    wp_guard_message(&q);
    assert_int_equal(
        wp_metric_value(wp_metric_series(&f, (const char *const[]){"dns://counts:53", "counts"})),
        2);
}

RUN_TESTS(TEST(test_total), TEST(test_clients), TEST(test_idle_under_pressure),
          TEST(test_accept_rate), TEST(test_without_memory_for_counts), TEST(test_sources),
          TEST(test_messages), TEST(test_message_counts))
