#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "waypost/base/arena.h"
#include "waypost/base/wr.h"
#include "waypost/dns/edns.h"
#include "waypost/dns/rr.h"

static struct wp_arena arena;

/* Each message begins with "\7example\3org\0" at 0 (13 octets); the record stands behind it. */
#define NAME "\7example\3org\0"
enum { AT = 13 };

static const struct {
    const char *what, *msg;
    size_t len;
    int next, read;
    const char *owner, *rdata;
    size_t rdlen;
} rows[] = {
    {"A", WIRE(NAME "\xc0\0\0\1\0\1\0\0\1\x2c\0\4\1\2\3\4"), 0, 0, NAME, WIRE("\1\2\3\4")},
    {"CNAME", WIRE(NAME "\1a\xc0\0\0\5\0\1\0\0\1\x2c\0\4\1b\xc0\0"), 0, 0, "\1a" NAME,
     WIRE("\1b" NAME)},
    {"CNAME into owner", WIRE(NAME "\1a\xc0\0\0\5\0\1\0\0\1\x2c\0\2\xc0\x0d"), 0, 0, "\1a" NAME,
     WIRE("\1a" NAME)},
    {"MX", WIRE(NAME "\xc0\0\0\x0f\0\1\0\0\1\x2c\0\4\0\n\xc0\x8"), 0, 0, NAME, WIRE("\0\n\3org\0")},
    {"SRV compressed", WIRE(NAME "\xc0\0\0\x21\0\1\0\0\1\x2c\0\x8\0\1\0\2\0\3\xc0\0"), 0, 0, NAME,
     WIRE("\0\1\0\2\0\3" NAME)},
    {"SOA",
     WIRE(NAME "\xc0\0\0\6\0\1\0\0\1\x2c\0\x18\xc0\0\xc0\x8"
               "AAAABBBBCCCCDDDDEEEE"),
     0, 0, NAME, WIRE(NAME "\3org\0AAAABBBBCCCCDDDDEEEE")},
    {"RRSIG compressed",
     WIRE(NAME "\xc0\0\0\x2e\0\1\0\0\1\x2c\0\x17\0\1\5\2"
               "AAAABBBBCCCCDD\xc0\0SIG"),
     0, 0, NAME,
     WIRE("\0\1\5\2"
          "AAAABBBBCCCCDD" NAME "SIG")},
    {"TXT", WIRE(NAME "\0\0\x10\0\1\0\0\1\x2c\0\2\1x"), 0, 0, "\0", WIRE("\1x")},
    {"unknown type", WIRE(NAME "\0\xff\0\0\1\0\0\1\x2c\0\2\xc0\0"), 0, 0, "\0", WIRE("\xc0\0")},
    {"OPT", WIRE(NAME "\0\0\x29\4\xd0\0\0\0\0\0\0"), 0, 0, "\0", WIRE("")},
    {"UPDATE without rdata", WIRE(NAME "\xc0\0\0\1\0\xff\0\0\0\0\0\0"), 0, 0, NAME, WIRE("")},
    {"UPDATE none, no rdata", WIRE(NAME "\xc0\0\0\5\0\xfe\0\0\0\0\0\0"), 0, 0, NAME, WIRE("")},
    {"A without rdata", WIRE(NAME "\xc0\0\0\1\0\1\0\0\0\0\0\0"), 0, WP_EMALFORMED, NULL, WIRE("")},
    {"A of 3", WIRE(NAME "\xc0\0\0\1\0\1\0\0\0\0\0\3\1\2\3"), 0, WP_EMALFORMED, NULL, WIRE("")},
    {"CNAME and more", WIRE(NAME "\xc0\0\0\5\0\1\0\0\1\x2c\0\3\xc0\0x"), 0, WP_EMALFORMED, NULL,
     WIRE("")},
    {"CNAME past its rdata", WIRE(NAME "\xc0\0\0\5\0\1\0\0\1\x2c\0\2\1b"), 0, WP_EMALFORMED, NULL,
     WIRE("")},
    {"CNAME loop", WIRE(NAME "\xc0\0\0\5\0\1\0\0\1\x2c\0\2\xc0\x19"), 0, WP_EMALFORMED, NULL,
     WIRE("")},
    {"owner loop by two", WIRE("\xc0\2\xc0\0         \xc0\2\0\1\0\1\0\0\0\0\0\0"), 0, WP_EMALFORMED,
     NULL, WIRE("")},
    {"rdata overruns", WIRE(NAME "\xc0\0\0\1\0\1\0\0\0\0\0\4\1\2\3"), WP_EMALFORMED, WP_EMALFORMED,
     NULL, WIRE("")},
    {"rdata length 65535", WIRE(NAME "\xc0\0\0\1\0\1\0\0\0\0\xff\xff\1\2\3"), WP_EMALFORMED,
     WP_EMALFORMED, NULL, WIRE("")},
};

static void test_rows(void)
{
    wp_arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_rd rd = wp_rd_from(rows[i].msg, rows[i].len);
        struct wp_rr rr = {.section = WP_AUTHORITY};
        struct wp_rr_at at;

        rd.pos = AT;
        CHECK_AT(rows[i].what, wp_rr_next(&rd, &at) == rows[i].next);
        CHECK_AT(rows[i].what, rd.pos == (rows[i].next == 0 ? rows[i].len : AT));
        if (rows[i].next == 0)
            CHECK_AT(rows[i].what, at.pos == AT && at.end == rows[i].len &&
                                       at.rdata_pos + at.rdlen == at.end &&
                                       at.ttl_pos == at.rdata_pos - 6);
        rd.pos = AT;
        CHECK_AT(rows[i].what, wp_rr_read(&rd, &arena, &rr) == rows[i].read);
        CHECK_AT(rows[i].what, rd.pos == (rows[i].read == 0 ? rows[i].len : AT));
        if (rows[i].read < 0) {
            CHECK_AT(rows[i].what, rr.owner == NULL && rr.rdata == NULL);
            continue;
        }
        CHECK_AT(rows[i].what, wp_name_equal(rr.owner, (const uint8_t *)rows[i].owner));
        CHECK_AT(rows[i].what, rr.type == at.type && rr.cls == at.cls && rr.ttl == at.ttl);
        CHECK_AT(rows[i].what, rr.section == WP_AUTHORITY && rr.rdlen == rows[i].rdlen);
        CHECK_AT(rows[i].what, memcmp(rr.rdata, rows[i].rdata, rr.rdlen) == 0);
    }
    wp_arena_done(&arena);
}

static void test_cut(void)
{
    wp_arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t len = AT; len < rows[i].len; len++) {
            uint8_t *cut = malloc(len);
            struct wp_rd rd = wp_rd_from(cut, len);
            struct wp_rr rr = {0};
            struct wp_rr_at at;

            CHECK(cut != NULL);
            memcpy(cut, rows[i].msg, len);
            rd.pos = AT;
            CHECK_AT(rows[i].what, wp_rr_next(&rd, &at) == WP_EMALFORMED);
            CHECK_AT(rows[i].what, wp_rr_read(&rd, &arena, &rr) == WP_EMALFORMED);
            CHECK_AT(rows[i].what, rd.pos == AT && rr.owner == NULL);
            free(cut);
        }
    }
    wp_arena_done(&arena);
}

/* Every allocation of a record fails once: nothing is written. */
static void test_no_memory(void)
{
    static uint8_t msg[4096] = NAME "\xc0\0\0\5\0\1\0\0\1\x2c\0\4\1b\xc0\0";
    static uint8_t big[4096] = NAME "\xc0\0\0\x2e\0\1\0\0\1\x2c\x08\0";
    static const struct {
        uint8_t *msg;
        size_t len;
    } both[] = {{msg, 29}, {big, 25 + 2048}};

    for (size_t i = 0; i < 2; i++) {
        int failed = 0, r = -ENOMEM;

        for (size_t max = 1; r != 0 && max < 1 << 20; max *= 2) {
            struct wp_rd rd = wp_rd_from(both[i].msg, both[i].len);
            struct wp_rr rr = {0};

            rd.pos = AT;
            wp_arena_init(&arena, max);
            r = wp_rr_read(&rd, &arena, &rr);
            CHECK(r == 0 || (r == -ENOMEM && rr.owner == NULL && rd.pos == AT));
            failed += r != 0;
            wp_arena_done(&arena);
        }
        CHECK(r == 0 && failed > 0);
    }
}

/* A name on both sides of what the stack buffer holds: expanded by 253 octets for each name. */
static void test_expansion(void)
{
    static uint8_t msg[2000];
    struct wp_wr wr = wp_wr_to(msg, sizeof(msg));
    struct wp_rr rr = {0};
    struct wp_rd rd;
    size_t at;

    wp_arena_init(&arena, 0);
    for (int i = 0; i < 127; i++)
        wp_wr_bytes(&wr, "\1a", 2);
    wp_wr_u8(&wr, 0);
    at = wr.len;
    wp_wr_bytes(&wr,
                "\xc0\0\0\6\0\1\0\0\0\0\0\x18\xc0\0\xc0\0"
                "AAAABBBBCCCCDDDDEEEE",
                36);
    rd = wp_rd_from(msg, wr.len);
    rd.pos = at;
    CHECK(wp_rr_read(&rd, &arena, &rr) == 0 && rr.rdlen == 255 + 255 + 20);
    CHECK(wp_name_equal(rr.rdata, msg) && wp_name_equal(rr.rdata + 255, msg));
    CHECK(memcmp(rr.rdata + 510, "AAAABBBBCCCCDDDDEEEE", 20) == 0);
    wp_arena_done(&arena);
}

/* A name longer than RDLENGTH allows when expanded: 65535 octets are the end. */
static void test_expansion_limit(void)
{
    static uint8_t msg[65535];
    struct wp_wr wr = wp_wr_to(msg, sizeof(msg));
    struct wp_rr rr = {0};
    struct wp_rd rd;

    wp_arena_init(&arena, 0);
    for (int i = 0; i < 127; i++)
        wp_wr_bytes(&wr, "\1a", 2);
    wp_wr_bytes(&wr, "\0\0\0\x2e\0\1\0\0\0\0", 10);
    wp_wr_u16(&wr, 65535 - 255 - 11);
    wp_wr_bytes(&wr,
                "\0\1\5\2"
                "AAAABBBBCCCCDD\xc0\0",
                20);
    rd = wp_rd_from(msg, sizeof(msg));
    rd.pos = 255;
    /* 18 + 255 + what is left: 65269 - 20 octets of signature */
    CHECK(wp_rr_read(&rd, &arena, &rr) == 0 && rr.rdlen == 65269 - 2 + 255);
    wp_arena_done(&arena);
}

struct name_row {
    const char *text;
    const char *wire; /* as written behind what stands there */
    size_t len;
};

static void test_compression(void)
{
    static const struct name_row names[] = {
        {"www.example.org.", WIRE("\3www\7example\3org\0")},
        {"www.example.org.", WIRE("\xc0\x0c")},
        {"mail.example.org.", WIRE("\4mail\xc0\x10")},
        {"a.mail.example.org.", WIRE("\1a\xc0\x1f")},
        {"org.", WIRE("\xc0\x18")},
        {".", WIRE("\0")},
        {"WWW.example.org.", WIRE("\3WWW\xc0\x10")}, /* the spelling is kept */
        {"WWW.Example.org.", WIRE("\3WWW\7Example\xc0\x18")},
        {"example.net.", WIRE("\7example\3net\0")},
        {"www.example.net.", WIRE("\3www\xc0\x41")},
    };
    uint8_t buf[512] = {0};
    struct wp_wr wr = wp_wr_to(buf, sizeof(buf));
    struct wp_comp comp;

    wp_comp_init(&comp);
    wr.len = 12;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct wp_name name, back;
        size_t at = wr.len;
        struct wp_rd rd;

        CHECK(wp_name_parse(names[i].text, &name) == 0);
        wp_wr_name(&wr, &comp, name.wire);
        CHECK_AT(names[i].text, wr.len - at == names[i].len);
        CHECK_AT(names[i].text, memcmp(buf + at, names[i].wire, names[i].len) == 0);
        rd = wp_rd_from(buf, wr.len);
        rd.pos = at;
        CHECK_AT(names[i].text, wp_name_read(&rd, &back) == 0 && back.len == name.len);
        CHECK_AT(names[i].text, memcmp(back.wire, name.wire, name.len) == 0);
    }
}

/* Ten thousand names that share nothing: the table stays bounded, the text right; offsets past
 * 0x3fff are never pointed to. */
static void test_compression_full(void)
{
    static uint8_t buf[200000];
    struct wp_wr wr = wp_wr_to(buf, sizeof(buf));
    struct wp_comp comp;
    struct wp_rd rd;

    wp_comp_init(&comp);
    wr.len = 12;
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 5000; i++) {
            struct wp_name name;
            char text[64];

            snprintf(text, sizeof(text), "n%u.m%u.", i, i);
            CHECK(wp_name_parse(text, &name) == 0);
            wp_wr_name(&wr, &comp, name.wire);
            CHECK(comp.n <= WP_COMP_SLOTS / 4 * 3);
        }
    }
    CHECK(!wr.bad && comp.n == WP_COMP_SLOTS / 4 * 3);
    rd = wp_rd_from(buf, wr.len);
    rd.pos = 12;
    for (unsigned i = 0; i < 10000; i++) {
        char text[64], is[WP_NAME_TEXT_MAX];
        struct wp_name name;

        snprintf(text, sizeof(text), "n%u.m%u.", i % 5000, i % 5000);
        CHECK(wp_name_read(&rd, &name) == 0);
        CHECK_AT(text, strcmp(wp_name_text(name.wire, is), text) == 0);
    }
    CHECK(wp_rd_left(&rd) == 0);
}

static void test_compression_far(void)
{
    static uint8_t buf[40000];
    struct wp_wr wr = wp_wr_to(buf, sizeof(buf));
    struct wp_comp comp;
    static const struct {
        size_t at, first, second; /* octets of the same name written twice */
    } cases[] = {{0x3fff - 2, 5, 2}, {0x4000, 5, 5}, {30000, 5, 5}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        wp_comp_init(&comp);
        wr.len = cases[i].at;
        wp_wr_name(&wr, &comp, (const uint8_t *)"\3www");
        CHECK(wr.len - cases[i].at == cases[i].first);
        wp_wr_name(&wr, &comp, (const uint8_t *)"\3www");
        CHECK(wr.len - cases[i].at == cases[i].first + cases[i].second);
    }
    /* one label below the limit, its parent above it */
    wp_comp_init(&comp);
    wr.len = 0x3fff;
    wp_wr_name(&wr, &comp, (const uint8_t *)"\1a\1b");
    CHECK(comp.n == 1);
}

/* What is written is read back the same, at any size of buffer an error or the whole. */
static void test_write(void)
{
    static const struct {
        uint16_t type;
        const char *text;
        size_t rdlen; /* on the wire */
    } recs[] = {
        {WP_TYPE_A, "1.2.3.4", 4},
        {WP_TYPE_CNAME, "www.example.org.", 6},
        {WP_TYPE_MX, "1 mail.example.org.", 9},
        {WP_TYPE_SOA, "example.org. mail.example.org. 1 2 3 4 5", 24},
        {WP_TYPE_SRV, "1 2 3 www.example.org.", 23}, /* RFC 2782: not compressed */
        {WP_TYPE_DNAME, "example.org.", 13},
        {WP_TYPE_HTTPS, "1 www.example.org. alpn=h2", 26},
        {WP_TYPE_TXT, "\"\\192\\012\"", 3},
        {65280, "\\# 2 c00c", 2},
    };
    static uint8_t buf[600], small[600];
    struct wp_rr rr[COUNT(recs)];
    struct wp_wr wr = wp_wr_to(buf, sizeof(buf));
    struct wp_comp comp;
    struct wp_name owner;
    struct wp_rd rd;

    wp_arena_init(&arena, 0);
    CHECK(wp_name_parse("example.org.", &owner) == 0);
    wr.len = 12;
    wp_comp_init(&comp);
    wp_wr_name(&wr, &comp, owner.wire);
    for (size_t i = 0; i < COUNT(recs); i++) {
        size_t len, at = wr.len;

        rr[i] = (struct wp_rr){
            .owner = owner.wire, .type = recs[i].type, .cls = 1, .ttl = 77 + (uint32_t)i};
        CHECK_AT(recs[i].text,
                 wp_rdata_parse(recs[i].type, recs[i].text, NULL, &arena, &rr[i].rdata, &len) == 0);
        rr[i].rdlen = (uint16_t)len;
        wp_wr_rr(&wr, &comp, &rr[i]);
        CHECK_AT(recs[i].text, wr.len - at == 2 + 10 + recs[i].rdlen);
        rd = wp_rd_from(buf, wr.len);
        rd.pos = at;
        struct wp_rr back = {0};
        CHECK_AT(recs[i].text, wp_rr_read(&rd, &arena, &back) == 0 && rd.pos == wr.len);
        CHECK_AT(recs[i].text, back.type == rr[i].type && back.ttl == rr[i].ttl && back.cls == 1);
        CHECK_AT(recs[i].text, back.rdlen == len && memcmp(back.rdata, rr[i].rdata, len) == 0);
        CHECK_AT(recs[i].text, memcmp(back.owner, owner.wire, owner.len) == 0);
    }
    for (size_t cap = 12; cap < wr.len; cap++) {
        struct wp_wr cut = wp_wr_to(small, cap);

        cut.len = 12;
        wp_comp_init(&comp);
        wp_wr_name(&cut, &comp, owner.wire);
        for (size_t i = 0; i < COUNT(recs); i++)
            wp_wr_rr(&cut, &comp, &rr[i]);
        CHECK(cut.bad && cut.len <= cap);
    }
    wp_arena_done(&arena);
}

static void test_edns(void)
{
    static const uint8_t msg[] = "\0\0\x29\x04\xd0\1\2\x80\3\0\6\0\3\0\2ab";
    struct wp_rd rd = wp_rd_from(msg, sizeof(msg) - 1);
    uint8_t buf[64];
    struct wp_wr wr = wp_wr_to(buf, sizeof(buf));
    struct wp_edns e = {0};
    struct wp_rr_at at;

    CHECK(wp_rr_next(&rd, &at) == 0 && wp_edns_read(msg, &at, &e) == 0);
    CHECK(e.present && e.dnssec_ok && e.version == 2 && e.rcode_high == 1 && e.flags == 3);
    CHECK(e.udp_size == 1232 && e.options_len == 6 && e.options == msg + 11);
    wp_edns_write(&wr, &e);
    CHECK(!wr.bad && wr.len == sizeof(msg) - 1 && memcmp(buf, msg, wr.len) == 0);
}

static void test_edns_options(void)
{
    static const struct {
        const char *what, *options;
        size_t len;
        int ret;
    } cases[] = {
        {"none", WIRE(""), 0},
        {"empty one", WIRE("\0\3\0\0"), 0},
        {"two", WIRE("\0\3\0\0\0\12\0\1x"), 0},
        {"three octets", WIRE("\0\3\0"), WP_EMALFORMED},
        {"overrun", WIRE("\0\3\0\1"), WP_EMALFORMED},
        {"overrun of the second", WIRE("\0\3\0\0\0\12\0\2x"), WP_EMALFORMED},
        {"longest", WIRE("\0\3\xff\xff"), WP_EMALFORMED},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const uint8_t *o = (const uint8_t *)cases[i].options;
        struct wp_edns e = {.options = o, .options_len = (uint16_t)cases[i].len};
        uint16_t n = 7;

        CHECK_AT(cases[i].what, wp_edns_options_check(o, cases[i].len) == cases[i].ret);
        CHECK_AT(cases[i].what, wp_edns_option_find(&e, 99, &n) == NULL && n == 7);
    }
}

RUN_TESTS(TEST(test_rows), TEST(test_cut), TEST(test_no_memory), TEST(test_expansion),
          TEST(test_expansion_limit), TEST(test_compression), TEST(test_compression_full),
          TEST(test_compression_far), TEST(test_write), TEST(test_edns), TEST(test_edns_options))
