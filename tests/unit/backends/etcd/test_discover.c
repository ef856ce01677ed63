/* SRV records: what is read, what is left out, and the order. */
#include "check.h"

#include <string.h>

#include "backends/etcd/discover.h"

static uint8_t msg[4096];
static size_t len;

static void put16(unsigned v)
{
    msg[len++] = (uint8_t)(v >> 8);
    msg[len++] = (uint8_t)v;
}

static void put_name(const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ".");
        msg[len++] = (uint8_t)n;
        memcpy(msg + len, text, n);
        len += n;
        text += n + (text[n] == '.');
    }
    msg[len++] = 0;
}

static void begin(unsigned n_answers)
{
    len = 0;
    for (unsigned i = 0; i < 6; i++)
        put16(i == 2 ? 1 : i == 3 ? n_answers : 0);
    put_name("_etcd-client._tcp.etcd.test");
    put16(33);
    put16(1);
}

static void answer(unsigned type, unsigned ttl, unsigned priority, unsigned weight, unsigned port, const char *host)
{
    size_t at;

    put16(0xc00c);
    put16(type);
    put16(1);
    put16(0);
    put16(ttl);
    at = len;
    put16(0);
    put16(priority);
    put16(weight);
    put16(port);
    put_name(host);
    msg[at] = (uint8_t)((len - at - 2) >> 8);
    msg[at + 1] = (uint8_t)(len - at - 2);
}

static void test_read(void)
{
    struct wp_etcd_found f = {0};

    begin(5);
    answer(33, 300, 1, 2, 2379, "m1.etcd.test");
    answer(16, 1, 1, 2, 2379, "text.etcd.test"); /* not one */
    answer(33, 60, 1, 2, 2379, "");              /* no such service */
    answer(33, 60, 1, 2, 2379, "bad host.test");
    answer(33, 120, 3, 4, 4001, "M2_x.etcd.test");
    CHECK(wp_etcd_found_read(msg, len, &f) == 0);
    CHECK(f.n == 2 && f.n_left_out == 2 && f.ttl_s == 120);
    assert_string_equal(f.one[0].host, "m1.etcd.test");
    CHECK(f.one[0].port == 2379 && f.one[0].priority == 1 && f.one[0].weight == 2);
    assert_string_equal(f.one[1].host, "M2_x.etcd.test");
    CHECK(f.one[1].port == 4001 && f.one[1].priority == 3);
    for (size_t n = 0; n < len; n++) { /* cut anywhere: nothing of it */
        struct wp_etcd_found none = {0};
        CHECK(wp_etcd_found_read(msg, n, &none) < 0 && none.n == 0);
    }
}

static void test_no_more_than_there_is_room_for(void)
{
    struct wp_etcd_found f = {0};

    begin(WP_ETCD_FOUND_MAX + 8);
    for (unsigned i = 0; i < WP_ETCD_FOUND_MAX + 8; i++)
        answer(33, 300, 0, 0, 1000 + i, "m.etcd.test");
    CHECK(wp_etcd_found_read(msg, len, &f) == 0);
    CHECK(f.n == WP_ETCD_FOUND_MAX && f.n_left_out == 8);
}

static uint64_t random_of(void *arg)
{
    uint64_t *state = arg;

    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 20;
}

static void test_order(void)
{
    unsigned first[5] = {0};
    uint64_t state = 7;

    for (unsigned i = 0; i < 4000; i++) {
        struct wp_etcd_found f = {.n = 5};
        for (unsigned k = 0; k < 5; k++)
            f.one[k].port = (uint16_t)k;
        f.one[0].priority = f.one[4].priority = 9; /* always behind */
        f.one[1].weight = 10;
        f.one[2].weight = 30;
        f.one[3].weight = 0;
        wp_etcd_found_order(&f, random_of, &state);
        first[f.one[0].port]++;
        CHECK(f.one[0].priority == 0 && f.one[2].priority == 0 && f.one[3].priority == 9);
    }
    CHECK(first[0] == 0 && first[4] == 0 && first[3] < 50);
    CHECK(first[1] > 800 && first[1] < 1200 && first[2] > 2700 && first[2] < 3300);
}

RUN_TESTS(TEST(test_read), TEST(test_no_more_than_there_is_room_for), TEST(test_order))
