#include "check.h"

#include <stdlib.h>

#include "waypost/dns/grpc_frame.h"

static const struct {
    const char *what, *octets;
    size_t len;
    uint32_t max;
    int err;            /* 0, or what some call returns */
    const char *joined; /* all messages one after another, '|' behind each */
    bool between, compressed;
} frames[] = {
    {"nothing", WIRE(""), 9, 0, "", true, false},
    {"one", WIRE("\0\0\0\0\3abc"), 9, 0, "abc|", true, false},
    {"empty", WIRE("\0\0\0\0\0"), 9, 0, "|", true, false},
    {"two (G22)", WIRE("\0\0\0\0\1a\0\0\0\0\2bc"), 9, 0, "a|bc|", true, false},
    {"empty, then one", WIRE("\0\0\0\0\0\0\0\0\0\1a"), 9, 0, "|a|", true, false},
    {"compressed (G12)", WIRE("\1\0\0\0\1a"), 9, 0, "a|", true, true},
    {"at the limit", WIRE("\0\0\0\0\3abc"), 3, 0, "abc|", true, false},
    {"past the limit (G06)", WIRE("\0\0\0\0\4abcd"), 3, WP_ELIMIT, "", false, false},
    {"1 GiB (G07)", WIRE("\0\x40\0\0\0"), WP_GRPC_PACKET_MAX, WP_ELIMIT, "", false, false},
    {"4 GiB", WIRE("\0\xff\xff\xff\xff"), WP_GRPC_PACKET_MAX, WP_ELIMIT, "", false, false},
    {"flag 2", WIRE("\2\0\0\0\0"), 9, WP_EMALFORMED, "", false, false},
    {"half a head", WIRE("\0\0\0"), 9, 0, "", false, false},
    {"half a message", WIRE("\0\0\0\0\3ab"), 9, 0, "ab", false, false},
    {"one and a half", WIRE("\0\0\0\0\1a\0"), 9, 0, "a|", false, false},
};

/* Feed in steps of `step` octets; the same comes out whatever the step is. */
static void feed(size_t row, size_t step)
{
    const char *what = frames[row].what;
    struct wp_grpc_reader r;
    char joined[32] = "";
    size_t at = 0;
    int err = 0;

    wp_grpc_reader_init(&r, frames[row].max);
    while (err == 0 && at < frames[row].len) {
        size_t n = frames[row].len - at < step ? frames[row].len - at : step, piece_len;
        uint8_t *exact = malloc(n);
        const uint8_t *piece;
        int used;

        CHECK(exact != NULL);
        memcpy(exact, frames[row].octets + at, n);
        used = wp_grpc_read(&r, exact, n, &piece, &piece_len);
        if (used < 0) {
            err = used;
        } else {
            CHECK_AT(what, used > 0 && (size_t)used <= n);
            CHECK_AT(what, piece >= exact && piece_len <= (size_t)used);
            strncat(joined, (const char *)piece, piece_len);
            if (r.complete)
                strcat(joined, "|");
            at += (size_t)used;
        }
        free(exact);
    }
    CHECK_AT(what, err == frames[row].err && strcmp(joined, frames[row].joined) == 0);
    if (err == 0) {
        CHECK_AT(what, wp_grpc_reader_is_between(&r) == frames[row].between);
        CHECK_AT(what, r.compressed == frames[row].compressed);
    }
}

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(frames); i++) {
        for (size_t step = 1; step <= frames[i].len + 1; step++)
            feed(i, step);
    }
}

static void test_read_nothing(void)
{
    struct wp_grpc_reader r;
    const uint8_t *piece;
    size_t len;

    wp_grpc_reader_init(&r, 9);
    CHECK(wp_grpc_read(&r, (const uint8_t *)"\0\0\0\0\0", 5, &piece, &len) == 5 && r.complete);
    CHECK(wp_grpc_read(&r, NULL, 0, &piece, &len) == 0 && len == 0 && r.complete);
}

static const struct {
    const char *what, *octets;
    size_t len;
    int ret;
    const char *msg;
    size_t msg_len;
} packets[] = {
    {"empty (G03)", WIRE(""), 0, WIRE("")},
    {"message", WIRE("\x0a\3abc"), 0, WIRE("abc")},
    {"empty message", WIRE("\x0a\0"), 0, WIRE("")},
    {"long form of a length", WIRE("\x0a\x83\x80\0abc"), 0, WIRE("abc")},
    {"long form of a tag", WIRE("\x8a\x80\0\3abc"), 0, WIRE("abc")},
    {"last one wins", WIRE("\x0a\1a\x0a\2bc"), 0, WIRE("bc")},
    {"last one wins, empty", WIRE("\x0a\1a\x0a\0"), 0, WIRE("")},
    {"field 2 before (G09)", WIRE("\x12\1x\x0a\1a"), 0, WIRE("a")},
    {"field 2 behind", WIRE("\x0a\1a\x12\1x"), 0, WIRE("a")},
    {"unknown varint", WIRE("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\1\x0a\1a"), 0, WIRE("a")},
    {"unknown fixed64",
     WIRE("\x11"
          "12345678\x0a\1a"),
     0, WIRE("a")},
    {"unknown fixed32",
     WIRE("\x15"
          "1234\x0a\1a"),
     0, WIRE("a")},
    {"largest field",
     WIRE("\xfd\xff\xff\xff\x0f"
          "1234\x0a\1a"),
     0, WIRE("a")},
    {"field too large",
     WIRE("\xfd\xff\xff\xff\x1f"
          "1234"),
     WP_EMALFORMED, WIRE("")},
    {"field 0", WIRE("\2\1a"), WP_EMALFORMED, WIRE("")},
    {"field 1 as varint", WIRE("\x08\1"), WP_EMALFORMED, WIRE("")},
    {"group", WIRE("\x13\x14"), WP_EMALFORMED, WIRE("")},
    {"wire type 6", WIRE("\x16"), WP_EMALFORMED, WIRE("")},
    {"length overruns", WIRE("\x0a\4abc"), WP_EMALFORMED, WIRE("")},
    {"length of 2^35",
     WIRE("\x0a\xff\xff\xff\xff\x7f"
          "abc"),
     WP_EMALFORMED, WIRE("")},
    {"length of six octets", WIRE("\x0a\x80\x80\x80\x80\x80\0"), WP_EMALFORMED, WIRE("")},
    {"no length", WIRE("\x0a"), WP_EMALFORMED, WIRE("")},
    {"half a tag", WIRE("\x8a"), WP_EMALFORMED, WIRE("")},
    {"varint of eleven", WIRE("\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"), WP_EMALFORMED,
     WIRE("")},
    {"half a fixed64",
     WIRE("\x11"
          "1234567"),
     WP_EMALFORMED, WIRE("")},
    {"half a fixed32",
     WIRE("\x15"
          "123"),
     WP_EMALFORMED, WIRE("")},
    {"rubbish (G08)", WIRE("\xff\xff\xff\xff\xff\xff"), WP_EMALFORMED, WIRE("")},
};

static void test_packet(void)
{
    for (size_t i = 0; i < COUNT(packets); i++) {
        uint8_t *exact = malloc(packets[i].len + 1);
        const uint8_t *msg = NULL;
        size_t len = 77;

        CHECK(exact != NULL);
        memcpy(exact + 1, packets[i].octets, packets[i].len);
        CHECK_AT(packets[i].what,
                 wp_dns_packet_read(exact + 1, packets[i].len, &msg, &len) == packets[i].ret);
        if (packets[i].ret < 0)
            CHECK_AT(packets[i].what, msg == NULL && len == 77);
        else
            CHECK_AT(packets[i].what,
                     len == packets[i].msg_len && memcmp(msg, packets[i].msg, len) == 0);
        /* cut at every octet: no crash, and no message longer than what is there */
        for (size_t cut = 0; cut < packets[i].len; cut++) {
            uint8_t *part = malloc(cut + 1);

            CHECK(part != NULL);
            memcpy(part + 1, packets[i].octets, cut);
            if (wp_dns_packet_read(part + 1, cut, &msg, &len) == 0)
                CHECK_AT(packets[i].what,
                         len <= cut && msg >= part + 1 && msg + len <= part + 1 + cut);
            free(part);
        }
        free(exact);
    }
}

/* What the head promises is what the readers find, at each length of the length. */
static void test_head(void)
{
    static const struct {
        size_t msg_len, head_len;
    } cases[] = {{0, 5}, {1, 7}, {127, 7}, {128, 8}, {16383, 8}, {16384, 9}, {65535, 9}};
    static uint8_t buf[WP_GRPC_DNS_HEAD_MAX + 65535];

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = wp_dns_packet_head(buf, cases[i].msg_len), piece_len, len;
        const uint8_t *piece, *msg;
        struct wp_grpc_reader r;

        CHECK(n == cases[i].head_len);
        wp_grpc_reader_init(&r, WP_GRPC_PACKET_MAX);
        CHECK(wp_grpc_read(&r, buf, n + cases[i].msg_len, &piece, &piece_len) == 5);
        CHECK(r.len == n - 5 + cases[i].msg_len && r.complete == (r.len == 0));
        if (r.complete)
            continue;
        CHECK(wp_grpc_read(&r, buf + 5, r.len, &piece, &piece_len) == (int)r.len && r.complete);
        CHECK(wp_dns_packet_read(piece, piece_len, &msg, &len) == 0);
        CHECK(len == cases[i].msg_len && msg == buf + n);
    }
}

RUN_TESTS(TEST(test_read), TEST(test_read_nothing), TEST(test_packet), TEST(test_head))
