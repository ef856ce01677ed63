#include "waypost/dns/cookie.h"

#include "check.h"

static const char first[] = "\xe5\xe9\x73\xe5\xa6\xb2\xa4\x3f\x48\xe7\xdc\x84\x9e\x37\xbf\xcf";
static const char before[] = "\xdd\x3b\xdf\x93\x44\xb6\x78\xb1\x85\xa6\xf5\xcb\x60\xfc\xa7\x15";
static const char after[] = "\x44\x55\x36\xbc\xd2\x51\x32\x98\x07\x5a\x5d\x37\x96\x63\xc9\x62";
static const char v4[] = "198.51.100.100", other[] = "203.0.113.203",
                  v6[] = "2001:db8:220:1:59de:d0f4:8769:82b8";

static const uint8_t *secret(const char *s)
{
    return (const uint8_t *)s;
}

static struct wp_addr addr(const char *text)
{
    struct wp_addr a;

    assert_int_equal(wp_addr_parse_ip(text, &a), 0);
    return a;
}

#define CLIENT "\x24\x64\xc4\xab\xcf\x10\xc9\x57"
#define A1 CLIENT "\1\0\0\0\x5c\xf7\x9f\x11\x1f\x81\x30\xc3\xee\xe2\x94\x80"
#define A2 CLIENT "\1\0\0\0\x5c\xf7\xa8\x71\xd4\xa5\x64\xa1\x44\x2a\xca\x77"
#define A3                                                                                         \
    "\xfc\x93\xfc\x62\x80\x7d\xdb\x86\1\0\0\0\x5c\xf7\xa9\xac\xf7\x3a\x78\x10\xac\xa2\x38\x1e"
#define A3_GIVEN                                                                                   \
    "\xfc\x93\xfc\x62\x80\x7d\xdb\x86\1\xab\xcd\xef\x5c\xf7\x8f\x71\xa3\x14\x22\x7b\x66\x79\xeb"   \
    "\xf5"
#define A4                                                                                         \
    "\x22\x68\x1a\xb9\x7d\x52\xc2\x98\1\0\0\0\x5c\xf7\xc6\x09\xa6\xbb\x79\xd1\x66\x25\x50\x7a"
#define A4_GIVEN                                                                                   \
    "\x22\x68\x1a\xb9\x7d\x52\xc2\x98\1\0\0\0\x5c\xf7\xc5\x79\x26\x55\x6b\xd0\x93\x4c\x72\xf8"

/* RFC 9018 appendix A. */
static const struct {
    const char *what, *secret, *client;
    uint32_t now_s;
    const char *cookie;
} made[] = {
    {"A.1", first, v4, 1559731985, A1},
    {"A.2", first, v4, 1559734385, A2},
    {"A.3", first, other, 1559734700, A3},
    {"A.4", after, v6, 1559741961, A4},
};

static void test_make(void)
{
    for (size_t i = 0; i < COUNT(made); i++) {
        struct wp_addr client = addr(made[i].client);
        uint8_t cookie[WP_COOKIE_LEN];

        memcpy(cookie, made[i].cookie, WP_COOKIE_CLIENT);
        wp_cookie_make(secret(made[i].secret), &client, made[i].now_s, cookie);
        CHECK_AT(made[i].what, memcmp(cookie, made[i].cookie, sizeof(cookie)) == 0);
    }
}

static const struct {
    const char *what, *secret, *client;
    int64_t now_s;
    const char *cookie;
    size_t len;
    int64_t age_s; /* -1: not good */
} checked[] = {
    {"A.2 the client's, forty minutes old", first, v4, 1559734385, WIRE(A1), 2400},
    {"A.3 reserved octets are part of it", first, other, 1559727985, WIRE(A3_GIVEN), 0},
    {"A.3 too old", first, other, 1559734700, WIRE(A3_GIVEN), -1},
    {"A.4 the secret before", before, v6, 1559741961, WIRE(A4_GIVEN), 144},
    {"A.4 the secret after", after, v6, 1559741961, WIRE(A4_GIVEN), -1},
    {"an hour", first, v4, 1559731985 + 3600, WIRE(A1), 3600},
    {"an hour and a second", first, v4, 1559731985 + 3601, WIRE(A1), -1},
    {"five minutes ahead", first, v4, 1559731985 - 300, WIRE(A1), 0},
    {"five minutes and a second", first, v4, 1559731985 - 301, WIRE(A1), -1},
    {"U41 somebody else's", first, other, 1559731985, WIRE(A1), -1},
    {"the client's part alone", first, v4, 1559731985, WIRE(CLIENT), -1},
    {"shorter than ours", first, v4, 1559731985, A1, 23, -1},
    {"another version", first, v4, 1559731985,
     WIRE(CLIENT "\2\0\0\0\x5c\xf7\x9f\x11\x1f\x81\x30\xc3\xee\xe2\x94\x80"), -1},
    {"one bit", first, v4, 1559731985,
     WIRE(CLIENT "\1\0\0\0\x5c\xf7\x9f\x11\x1f\x81\x30\xc3\xee\xe2\x94\x81"), -1},
};

static void test_check(void)
{
    for (size_t i = 0; i < COUNT(checked); i++) {
        struct wp_addr client = addr(checked[i].client);
        uint32_t age = 12345;
        bool good =
            wp_cookie_is_good(secret(checked[i].secret), &client, (uint32_t)checked[i].now_s,
                              (const uint8_t *)checked[i].cookie, checked[i].len, &age);

        CHECK_AT(checked[i].what, good == (checked[i].age_s >= 0));
        CHECK_AT(checked[i].what, age == (good ? checked[i].age_s : 12345));
    }
}

/* Serial numbers: the clock goes past 2^32 in 2106. */
static void test_clock_wraps(void)
{
    struct wp_addr client = addr(v4);
    uint8_t cookie[WP_COOKIE_LEN] = CLIENT;
    uint32_t age;

    wp_cookie_make(secret(first), &client, UINT32_MAX - 9, cookie);
    assert_true(wp_cookie_is_good(secret(first), &client, 50, cookie, sizeof(cookie), &age));
    assert_int_equal(age, 60);
    wp_cookie_make(secret(first), &client, 5, cookie);
    assert_true(
        wp_cookie_is_good(secret(first), &client, UINT32_MAX, cookie, sizeof(cookie), &age));
    assert_int_equal(age, 0);
}

static void test_lengths(void)
{
    for (size_t len = 0; len <= 64; len++)
        assert_int_equal(wp_cookie_len_ok(len), len == 8 || (len >= 16 && len <= 40));
}

RUN_TESTS(TEST(test_make), TEST(test_check), TEST(test_clock_wraps), TEST(test_lengths))
