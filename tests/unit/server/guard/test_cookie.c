/* What the guard says of cookies over their life, and as secrets change. */
#include <stdlib.h>

#include "check.h"
#include "waypost/base/wr.h"
#include "waypost/dns/cookie.h"
#include "waypost/plugin/query.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"
#include "waypost/server/worker.h"

static struct wp_loop *loop;
static struct wp_worker worker;
static struct wp_group group;
static struct wp_route route = {.group = &group};

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(wp_loop_new(0, &loop), 0);
    assert_int_equal(wp_worker_init(&worker, loop, 16), 0);
    wp_loop_set_now(loop, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wp_worker_done(&worker);
    wp_loop_free(loop);
    return 0;
}

/* The verdict on a question with this COOKIE option; *cookie becomes what goes back. */
static enum wp_intake show(uint8_t cookie[WP_COOKIE_LEN], size_t len)
{
    uint8_t wire[128] = "\0\1\1\0\0\1\0\0\0\0\0\1\1a\0\0\1\0\1\0\0\x29\4\xd0\0\0\0\0";
    struct wp_query *q = wp_query_get(&worker);
    struct wp_wr wr = wp_wr_to(wire, sizeof(wire));
    enum wp_intake verdict;

    assert_non_null(q);
    wr.len = 28;
    wp_wr_u16(&wr, 4 + len);
    wp_wr_u16(&wr, WP_EDNS_COOKIE);
    wp_wr_u16(&wr, len);
    wp_wr_bytes(&wr, cookie, len);
    q->wire = wire;
    q->wire_len = (uint32_t)wr.len;
    q->route = &route;
    q->transport = WP_UDP;
    assert_int_equal(wp_addr_parse("192.0.2.1", 40000, &q->client), 0);
    verdict = wp_guard_message(q);
    assert_int_equal(q->msg.edns.options_len, 0);
    if (q->has_cookie)
        memcpy(cookie, q->cookie, WP_COOKIE_LEN);
    wp_query_put(q);
    return verdict;
}

static void set_time(uint64_t s)
{
    wp_loop_set_now(loop, s * UINT64_C(1000000000));
}

/* seconds after the cookie was made, verdict, does another one come back */
static const struct {
    const char *what;
    unsigned age_s;
    enum wp_intake verdict;
    bool renewed;
} ages[] = {
    {"at once", 0, WP_INTAKE_OK, false},          {"half an hour", 1800, WP_INTAKE_OK, false},
    {"a second later", 1801, WP_INTAKE_OK, true}, {"an hour", 3600, WP_INTAKE_OK, true},
    {"too old", 3601, WP_INTAKE_BADCOOKIE, true},
};

static void test_life(void)
{
    static uint64_t now = 10;

    group.cookie = (struct wp_cookie_settings){.set = true, .enforce = true, .n_secrets = 1};
    for (size_t i = 0; i < COUNT(ages); i++) {
        uint8_t cookie[WP_COOKIE_LEN] = "abcdefgh", first[WP_COOKIE_LEN];

        set_time(now);
        CHECK_AT(ages[i].what, show(cookie, WP_COOKIE_CLIENT) == WP_INTAKE_BADCOOKIE);
        memcpy(first, cookie, sizeof(first));
        set_time(now += ages[i].age_s);
        CHECK_AT(ages[i].what, show(cookie, WP_COOKIE_LEN) == ages[i].verdict);
        CHECK_AT(ages[i].what, (memcmp(cookie, first, sizeof(first)) != 0) == ages[i].renewed);
        CHECK_AT(ages[i].what, show(cookie, WP_COOKIE_LEN) == WP_INTAKE_OK);
    }
}

static void test_own_secret_changes(void)
{
    uint8_t cookie[WP_COOKIE_LEN] = "abcdefgh", old[WP_COOKIE_LEN];

    group.cookie = (struct wp_cookie_settings){.set = true, .enforce = true};
    assert_false(wp_guard_cookie_is_ready());
    assert_int_equal(wp_guard_cookie_rotate(), 0);
    assert_true(wp_guard_cookie_is_ready());
    assert_int_equal(show(cookie, WP_COOKIE_CLIENT), WP_INTAKE_BADCOOKIE);
    memcpy(old, cookie, sizeof(old));
    for (unsigned known = 0; known < 2; known++) {
        assert_int_equal(wp_guard_cookie_rotate(), 0);
        memcpy(cookie, old, sizeof(old));
        assert_int_equal(show(cookie, sizeof(cookie)),
                         known == 0 ? WP_INTAKE_OK : WP_INTAKE_BADCOOKIE);
        assert_memory_not_equal(cookie, old, sizeof(old)); /* the next one, by the new secret */
        assert_int_equal(show(cookie, sizeof(cookie)), WP_INTAKE_OK);
    }
}

RUN_TESTS_WITH(set_up, tear_down, TEST(test_life), TEST(test_own_secret_changes))
