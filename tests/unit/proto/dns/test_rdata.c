#include "check.h"

#include <errno.h>
#include <stdlib.h>

#include "waypost/base/arena.h"
#include "waypost/dns/rr.h"

#define D10 "xxxxxxxxxx"
#define D50 D10 D10 D10 D10 D10
#define D250 D50 D50 D50 D50 D50

static struct wp_arena arena;

/* Text to octets, and back into `out` (NULL: the same text). */
static const struct {
    const char *type, *text;
    const char *wire;
    size_t len;
    const char *out;
} good[] = {
    {"A", "192.0.2.1", WIRE("\xc0\0\2\1"), NULL},
    {"A", " ( 192.0.2.1 ) ; why", WIRE("\xc0\0\2\1"), "192.0.2.1"},
    {"A", "\\# 4 c0 000201", WIRE("\xc0\0\2\1"), "192.0.2.1"},
    {"AAAA", "2001:DB8:0::1", WIRE("\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1"},
    {"AAAA", "::ffff:192.0.2.1", WIRE("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"), NULL},
    {"AAAA", "::1.2.3.4", WIRE("\0\0\0\0\0\0\0\0\0\0\0\0\1\2\3\4"), "::102:304"},
    {"CNAME", "www", WIRE("\3www\7example\3org\0"), "www.example.org."},
    {"NS", "@", WIRE("\7example\3org\0"), "example.org."},
    {"PTR", "a\\.b.c.", WIRE("\3a.b\1c\0"), NULL},
    {"DNAME", ".", WIRE("\0"), NULL},
    {"MX", "10 mail.Example.net.", WIRE("\0\n\4mail\7Example\3net\0"), NULL},
    {"TXT", "\"a b\" \"\" c", WIRE("\3a b\0\1c"), "\"a b\" \"\" \"c\""},
    {"TXT", "\"\\\"\\\\\\007\\200;()\"", WIRE("\7\"\\\7\xc8;()"), NULL},
    {"TXT", "\"a\"\"b\"c\"d\"", WIRE("\1a\1b\1c\1d"), "\"a\" \"b\" \"c\" \"d\""},
    {"TXT", "a=\"b c\"d", WIRE("\7a=\"b c\"\1d"), "\"a=\\\"b c\\\"\" \"d\""},
    {"TXT", D250 "12345", WIRE("\xff" D250 "12345"), "\"" D250 "12345\""},
    {"TXT", D250 "123456",
     WIRE("\xff" D250 "12345\1"
          "6"),
     "\"" D250 "12345\" \"6\""},
    {"SPF", "\"v=spf1 -all\"", WIRE("\13v=spf1 -all"), NULL},
    {"SOA", "ns. mb. 4294967295 7200 1h30m 1W2d 60s",
     WIRE("\2ns\0\2mb\0\xff\xff\xff\xff\0\0\x1c\x20\0\0\x15\x18\0\x0b\xdd\x80\0\0\0\x3c"),
     "ns. mb. 4294967295 7200 5400 777600 60"},
    {"SRV", "10 5 8080 svc.example.", WIRE("\0\n\0\5\x1f\x90\3svc\7example\0"), NULL},
    {"CAA", "0 issue \"ca.example; x=1\"", WIRE("\0\5issueca.example; x=1"), NULL},
    {"CAA", "128 iodef \"\"", WIRE("\x80\5iodef"), NULL},
    {"CAA", "0 a\\032b\\040c\\041\\059\\\"\\\\ \"v\"", WIRE("\0\11a b(c);\"\\v"), NULL},
    {"URI", "10 1 \"ftp://x/y\"", WIRE("\0\n\0\1ftp://x/y"), NULL},
    {"DS", "60485 RSASHA1 1 2bb183 AF", WIRE("\xec\x45\5\1\x2b\xb1\x83\xaf"), "60485 5 1 2BB183AF"},
    {"CDS", "0 0 0 00", WIRE("\0\0\0\0\0"), NULL},
    {"DNSKEY", "256 3 ED25519 AQPSKmyn fw==", WIRE("\1\0\3\x0f\1\3\xd2\x2a\x6c\xa7\x7f"),
     "256 3 15 AQPSKmynfw=="},
    {"CDNSKEY", "0 3 0 AA==", WIRE("\0\0\3\0\0"), NULL},
    {"RRSIG", "A 5 3 86400 20030322173103 1048354263 2642 example.com. oJB1W6WN",
     WIRE("\0\1\5\3\0\1\x51\x80\x3e\x7c\x9d\xd7\x3e\x7c\x9d\xd7\x0a\x52\7example\3com\0"
          "\xa0\x90\x75\x5b\xa5\x8d"),
     "A 5 3 86400 20030322173103 20030322173103 2642 example.com. oJB1W6WN"},
    {"RRSIG", "TYPE65280 8 0 0 21060207062815 19700101000000 0 . AA==",
     WIRE("\xff\0\x08\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0"), NULL},
    {"NSEC", "host.example.com. A MX RRSIG NSEC TYPE1234",
     WIRE("\4host\7example\3com\0\0\6\x40\1\0\0\0\3\4\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
          "\0\0\0\0\0\0\x20"),
     NULL},
    {"NSEC", "a.", WIRE("\1a\0"), NULL},
    {"NSEC3", "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
     WIRE("\1\1\0\x0c\4\xaa\xbb\xcc\xdd\x14\x17\x4e\xb2\x40\x9f\xe2\x8b\xcb\x48\x87\xa1\x83"
          "\x6f\x95\x7f\x0a\x84\x25\xe2\x7b\0\6\x40\0\0\0\0\2"),
     "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG"},
    {"NSEC3PARAM", "1 0 0 -", WIRE("\1\0\0\0\0"), NULL},
    {"NAPTR", "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" .",
     WIRE("\0\x64\0\n\1u\7E2U+sip\x0e!^.*$!sip:a@b!\0"), NULL},
    {"HINFO", "\"RFC8482\" \"\"", WIRE("\7RFC8482\0"), NULL},
    {"TLSA", "3 1 1 ABcd", WIRE("\3\1\1\xab\xcd"), "3 1 1 abcd"},
    {"SSHFP", "4 2 abcd", WIRE("\4\2\xab\xcd"), "4 2 ABCD"},
    {"MINFO", "a. b.", WIRE("\1a\0\1b\0"), NULL},
    {"CSYNC", "66 3 A NS", WIRE("\0\0\0\x42\0\3\0\1\x60"), NULL},
    {"L32", "10 10.1.2.3", WIRE("\0\n\n\1\2\3"), NULL},
    {"SVCB", "0 foo.example.com.", WIRE("\0\0\3foo\7example\3com\0"), NULL},
    {"HTTPS", "1 .", WIRE("\0\1\0"), NULL},
    /* RFC 9460 appendix D.2, F.1 */
    {"SVCB", "16 foo.example.com. port=53", WIRE("\0\x10\3foo\7example\3com\0\0\3\0\2\0\x35"),
     "16 foo.example.com. port=\"53\""},
    {"SVCB", "1 foo.example.com. key667=\"hello\\210qoo\"",
     WIRE("\0\1\3foo\7example\3com\0\2\x9b\0\x09hello\xd2qoo"), NULL},
    {"SVCB", "1 foo.example.com. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
     WIRE("\0\1\3foo\7example\3com\0\0\6\0\x20\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
          "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\x53\0\1"),
     NULL},
    {"SVCB", "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
     WIRE("\0\x10\3foo\7example\3org\0\0\0\0\4\0\1\0\4\0\1\0\x09\2h2\5h3-19\0\4\0\4\xc0\0\2\1"),
     "16 foo.example.org. mandatory=\"alpn,ipv4hint\" alpn=\"h2,h3-19\" ipv4hint=\"192.0.2.1\""},
    {"SVCB", "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
     WIRE("\0\x10\3foo\7example\3org\0\0\1\0\x0c\x08"
          "f\\oo,bar\2h2"),
     NULL},
    {"SVCB", "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
     WIRE("\0\x10\3foo\7example\3org\0\0\1\0\x0c\x08"
          "f\\oo,bar\2h2"),
     "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\""},
    {"HTTPS", "1 . alpn=h2 no-default-alpn ech=AQID dohpath=\"/q{?dns}\" ohttp key9=\"\" key65534",
     WIRE("\0\1\0\0\1\0\3\2h2\0\2\0\0\0\5\0\3\1\2\3\0\7\0\x08/q{?dns}\0\x08\0\0\0\x09\0\0"
          "\xff\xfe\0\0"),
     "1 . alpn=\"h2\" no-default-alpn ech=\"AQID\" dohpath=\"/q{?dns}\" ohttp key9 key65534"},
    {"TYPE65280", "\\# 3 abcdef", WIRE("\xab\xcd\xef"), "\\# 3 ABCDEF"},
    {"TYPE65280", "\\# 0", WIRE(""), NULL},
    {"KEY", "49152 3 0", WIRE("\xc0\0\3\0"), NULL},
    {"KEY", "256 3 RSASHA1 AQ==", WIRE("\1\0\3\5\1"), "256 3 5 AQ=="},
    {"CERT", "pkix 1 8 AQID", WIRE("\0\1\0\1\x08\1\2\3"), "PKIX 1 8 AQID"},
    {"CERT", "9 1 8 AQID", WIRE("\0\x09\0\1\x08\1\2\3"), NULL},
    {"IPSECKEY", "10 0 2 . AQID", WIRE("\n\0\2\1\2\3"), NULL},
    {"IPSECKEY", "10 1 2 192.0.2.38", WIRE("\n\1\2\xc0\0\2\x26"), NULL},
    {"IPSECKEY", "10 2 2 2001:db8::1 AQ==", WIRE("\n\2\2\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1\1"),
     NULL},
    {"IPSECKEY", "10 3 2 gw AQ==", WIRE("\n\3\2\2gw\7example\3org\0\1"),
     "10 3 2 gw.example.org. AQ=="},
    {"X25", "311061700956",
     WIRE("\x0c"
          "311061700956"),
     "\"311061700956\""},
    {"ISDN", "\"15086\" \"004\"",
     WIRE("\5"
          "15086\3"
          "004"),
     NULL},
    {"GPOS", "-32 116 10.0",
     WIRE("\3-32\3"
          "116\4"
          "10.0"),
     "\"-32\" \"116\" \"10.0\""},
    /* through ldns */
    {"LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
     WIRE("\0\0\x16\x13\x8b\x3c\xf0\x18\x81\x0c\xbc\xe0\0\x98\x95\xb8"),
     "52 22 23.000 N 04 53 32.000 E -2m 0.00m 10000m 10m"},
    {"APL", "1:192.168.32.0/21 !1:192.168.38.0/28",
     WIRE("\0\1\x15\3\xc0\xa8\x20\0\1\x1c\x83\xc0\xa8\x26"), NULL},
    {"EUI48", "00-00-5e-00-53-2a", WIRE("\0\0\x5e\0\x53\x2a"), NULL},
};

static void test_good(void)
{
    struct wp_name origin;

    wp_arena_init(&arena, 0);
    CHECK(wp_name_parse("example.org.", &origin) == 0);
    for (size_t i = 0; i < COUNT(good); i++) {
        const uint8_t *rdata;
        char out[2048];
        uint16_t type;
        size_t len;

        CHECK_AT(good[i].text, wp_type_parse(good[i].type, &type) == 0);
        CHECK_AT(good[i].text,
                 wp_rdata_parse(type, good[i].text, &origin, &arena, &rdata, &len) == 0);
        CHECK_AT(good[i].text, len == good[i].len && memcmp(rdata, good[i].wire, len) == 0);
        CHECK_AT(good[i].text, wp_rdata_check(type, rdata, len) == 0);
        CHECK_AT(good[i].text, wp_rdata_text(type, rdata, len, out, sizeof(out)) == 0);
        if (strcmp(out, good[i].out ? good[i].out : good[i].text) != 0)
            print_error("  is: %s\n", out);
        CHECK_AT(good[i].text, strcmp(out, good[i].out ? good[i].out : good[i].text) == 0);
        /* the buffer that is exactly enough, and one less */
        CHECK_AT(good[i].text, wp_rdata_text(type, rdata, len, out, strlen(out) + 1) == 0);
        CHECK_AT(good[i].text, wp_rdata_text(type, rdata, len, out, strlen(out)) == WP_ESPACE);
    }
    wp_arena_done(&arena);
}

/* Cut rdata is malformed, except where the rest happens to be whole: names of those rows. */
static bool may_be_cut(uint16_t type)
{
    return type == WP_TYPE_TXT || type == 20 || type == 99 || type == 256 || type == 257 ||
           type == WP_TYPE_DS || type == 59 || type == WP_TYPE_DNSKEY || type == WP_TYPE_RRSIG ||
           type == 52 || type == 44 || type == WP_TYPE_NSEC || type == WP_TYPE_NSEC3 ||
           type == 62 || type == WP_TYPE_SVCB || type == WP_TYPE_HTTPS || type == 25 ||
           type == 37 || type == 45;
}

static void test_cut(void)
{
    for (size_t i = 0; i < COUNT(good); i++) {
        uint16_t type;

        CHECK(wp_type_parse(good[i].type, &type) == 0);
        for (size_t len = 0; len < good[i].len; len++) {
            uint8_t *cut = malloc(len + 1);
            char out[4096];
            int r, t;

            CHECK(cut != NULL);
            memcpy(cut + 1, good[i].wire, len);
            r = wp_rdata_check(type, cut + 1, len);
            t = wp_rdata_text(type, cut + 1, len, out, sizeof(out));
            (void)wp_rdata_name_at(type, cut + 1, len);
            wp_rdata_lower(type, cut + 1, len);
            if (type != 29 && type != 42 && type != 108 && type != 65280) {
                CHECK_AT(good[i].text, r == WP_EMALFORMED || may_be_cut(type));
                CHECK_AT(good[i].text, t == r);
            }
            free(cut);
        }
    }
}

static const struct {
    const char *type, *text;
    int ret;
} bad[] = {
    {"A", "", WP_EMALFORMED},
    {"A", "192.0.2", WP_EMALFORMED},
    {"A", "192.0.2.256", WP_EMALFORMED},
    {"A", "192.0.2.1 x", WP_EMALFORMED},
    {"A", "192.0.2.1 \"", WP_EMALFORMED},
    {"A", "; 192.0.2.1", WP_EMALFORMED},
    {"A", "\\# 3 c00002", WP_EMALFORMED},
    {"A", "\\# 4 c00002", WP_EMALFORMED},
    {"A", "\\# 4 c0000201ff", WP_EMALFORMED},
    {"A", "\\# 4 c000020", WP_EMALFORMED},
    {"A", "\\# 4 c000020g", WP_EMALFORMED},
    {"A", "\\#", WP_EMALFORMED},
    {"A", "\\# x", WP_EMALFORMED},
    {"AAAA", "192.0.2.1", WP_EMALFORMED},
    {"AAAA", "2001:db8::1::", WP_EMALFORMED},
    {"CNAME", "", WP_EMALFORMED},
    {"CNAME", "a..b", WP_EMALFORMED},
    {"CNAME", "a b", WP_EMALFORMED},
    {"MX", "10", WP_EMALFORMED},
    {"MX", "65536 a.", WP_EMALFORMED},
    {"MX", "-1 a.", WP_EMALFORMED},
    {"MX", "1x a.", WP_EMALFORMED},
    {"MX", "\"1\" a.", WP_EMALFORMED},
    {"TXT", "", WP_EMALFORMED},
    {"TXT", "\"abc", WP_EMALFORMED},
    {"TXT", "\"abc\\", WP_EMALFORMED},
    {"TXT", "abc\\", WP_EMALFORMED},
    {"TXT", "\\300", WP_EMALFORMED},
    {"TXT", "\"\\12\"", WP_EMALFORMED},
    {"HINFO", "\"" D250 "123456\" x", WP_EMALFORMED},
    {"HINFO", "x", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 5 6", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 h", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 1y", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 4294967296", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 7102w", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 4294967295s1", WP_EMALFORMED},
    {"SOA", "a. b. 1 2 3 4 \"\"", WP_EMALFORMED},
    {"SOA", "a. b. 1h 2 3 4 5", WP_EMALFORMED},
    {"CAA", "0 \"\" x", WP_EMALFORMED},
    {"CAA", "256 issue x", WP_EMALFORMED},
    {"DS", "1 8 2", WP_EMALFORMED},
    {"DS", "1 8 2 abc", WP_EMALFORMED},
    {"DS", "1 RSA 2 abcd", WP_EMALFORMED},
    {"DNSKEY", "256 3 8", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 A", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 AQ", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 AQ=", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 AQ===", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 AR==", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 AQ==AQ==", WP_EMALFORMED},
    {"DNSKEY", "256 3 8 A!==", WP_EMALFORMED},
    {"RRSIG", "A 5 3 1 20030322173103 20031322173103 1 . AA==", WP_EMALFORMED},
    {"RRSIG", "A 5 3 1 20030230173103 20030322173103 1 . AA==", WP_EMALFORMED},
    {"RRSIG", "A 5 3 1 2003032217310x 20030322173103 1 . AA==", WP_EMALFORMED},
    {"RRSIG", "A 5 3 1 21060207062816 20030322173103 1 . AA==", WP_EMALFORMED},
    {"RRSIG", "A 5 3 1 19691231235959 20030322173103 1 . AA==", WP_EMALFORMED},
    {"RRSIG", "AB 5 3 1 20030322173103 20030322173103 1 . AA==", WP_EMALFORMED},
    {"NSEC", "a. A BB", WP_EMALFORMED},
    {"NSEC3", "1 0 0 abc 2t7b4g4v", WP_EMALFORMED},
    {"NSEC3", "1 0 0 - 2t7b4g4w", WP_EMALFORMED},
    {"NSEC3", "1 0 0 - 2", WP_EMALFORMED},
    {"NSEC3", "1 0 0 - \"\"", WP_EMALFORMED},
    {"SVCB", "1", WP_EMALFORMED},
    {"SVCB", "1 . port", WP_EMALFORMED},
    {"SVCB", "1 . port=65536", WP_EMALFORMED},
    {"SVCB", "1 . port=1,2", WP_EMALFORMED},
    {"SVCB", "1 . port=1 port=1", WP_EMALFORMED}, /* RFC 9460 D.3: a key twice */
    {"SVCB", "1 . alpn=", WP_EMALFORMED},
    {"SVCB", "1 . alpn=h2,,h3", WP_EMALFORMED},
    {"SVCB", "1 . alpn=h2,", WP_EMALFORMED},
    {"SVCB", "1 . alpn=h2\\\\", WP_EMALFORMED},
    {"SVCB", "1 . alpn=" D250 "123456", WP_EMALFORMED},
    {"SVCB", "1 . no-default-alpn", WP_EMALFORMED},
    {"SVCB", "1 . alpn=h2 no-default-alpn=x", WP_EMALFORMED},
    {"SVCB", "1 . ipv4hint=1.2.3", WP_EMALFORMED},
    {"SVCB", "1 . ipv4hint=1.2.3.4,", WP_EMALFORMED},
    {"SVCB", "1 . ipv6hint=1.2.3.4", WP_EMALFORMED},
    {"SVCB", "1 . ech=AQ", WP_EMALFORMED},
    {"SVCB", "1 . mandatory=port", WP_EMALFORMED}, /* D.3: not there */
    {"SVCB", "1 . mandatory=mandatory", WP_EMALFORMED},
    {"SVCB", "1 . mandatory=port,port port=1", WP_EMALFORMED},
    {"SVCB", "1 . mandatory=", WP_EMALFORMED},
    {"SVCB", "1 . mandatory=nothing", WP_EMALFORMED},
    {"SVCB", "1 . key65535=x", WP_EMALFORMED},
    {"SVCB", "1 . key007=x", WP_EMALFORMED},
    {"SVCB", "1 . key=x", WP_EMALFORMED},
    {"SVCB", "1 . =x", WP_EMALFORMED},
    {"SVCB", "1 . \"port=1\"", WP_EMALFORMED},
    {"SVCB", "1 . key9=\"x", WP_EMALFORMED},
    {"SVCB", "1 . key9=\"x\"y", WP_EMALFORMED},
    {"SVCB", "1 . key9=\\300", WP_EMALFORMED},
    {"CERT", "PKX 1 8 AQID", WP_EMALFORMED},
    {"IPSECKEY", "10 0 2 192.0.2.38", WP_EMALFORMED},
    {"IPSECKEY", "10 1 2 gw.", WP_EMALFORMED},
    {"IPSECKEY", "10 4 2 gw. AQ==", WP_EMALFORMED},
    {"IPSECKEY", "10 3 2", WP_EMALFORMED},
    {"TYPE65280", "abc", WP_EUNSUPPORTED},
    {"OPT", "x", WP_EUNSUPPORTED},
    {"TSIG", "x", WP_EUNSUPPORTED},
    {"LOC", "here", WP_EMALFORMED},
};

static void test_bad(void)
{
    wp_arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(bad); i++) {
        const uint8_t *rdata = NULL;
        size_t len = 77;
        uint16_t type;

        CHECK(wp_type_parse(bad[i].type, &type) == 0);
        CHECK_AT(bad[i].text,
                 wp_rdata_parse(type, bad[i].text, NULL, &arena, &rdata, &len) == bad[i].ret);
        CHECK_AT(bad[i].text, rdata == NULL && len == 77);
    }
    wp_arena_done(&arena);
}

/* Octets that no text makes. */
static const struct {
    const char *what;
    uint16_t type;
    const char *wire;
    size_t len;
    int ret;
} checks[] = {
    {"A of 5", WP_TYPE_A, WIRE("\1\2\3\4\5"), WP_EMALFORMED},
    {"A of 0", WP_TYPE_A, WIRE(""), WP_EMALFORMED},
    {"CNAME compressed", WP_TYPE_CNAME, WIRE("\xc0\0"), WP_EMALFORMED},
    {"CNAME and more", WP_TYPE_CNAME, WIRE("\1a\0\0"), WP_EMALFORMED},
    {"string overruns", WP_TYPE_TXT, WIRE("\2a"), WP_EMALFORMED},
    {"second string overruns", WP_TYPE_TXT, WIRE("\1a\1"), WP_EMALFORMED},
    {"no string", WP_TYPE_TXT, WIRE(""), WP_EMALFORMED},
    {"windows not ascending", WP_TYPE_NSEC, WIRE("\0\1\1\x40\0\1\x40"), WP_EMALFORMED},
    {"window twice", WP_TYPE_NSEC, WIRE("\0\0\1\x40\0\1\x40"), WP_EMALFORMED},
    {"window of 0", WP_TYPE_NSEC, WIRE("\0\0\0"), WP_EMALFORMED},
    {"window of 33", WP_TYPE_NSEC, WIRE("\0\0\41aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), WP_EMALFORMED},
    {"window of 32", WP_TYPE_NSEC, WIRE("\0\0\40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0},
    {"keys not ascending", WP_TYPE_SVCB, WIRE("\0\1\0\0\3\0\2\0\1\0\1\0\3\2h2"), WP_EMALFORMED},
    {"key twice", WP_TYPE_SVCB, WIRE("\0\1\0\0\3\0\2\0\1\0\3\0\2\0\1"), WP_EMALFORMED},
    {"value overruns", WP_TYPE_SVCB, WIRE("\0\1\0\0\3\0\3\0\1"), WP_EMALFORMED},
    {"half a key", WP_TYPE_SVCB, WIRE("\0\1\0\0\3\0"), WP_EMALFORMED},
    {"port of 3", WP_TYPE_SVCB, WIRE("\0\1\0\0\3\0\3\0\1\0"), WP_EMALFORMED},
    {"alpn item overruns", WP_TYPE_SVCB, WIRE("\0\1\0\0\1\0\3\3h2"), WP_EMALFORMED},
    {"mandatory odd", WP_TYPE_SVCB, WIRE("\0\1\0\0\0\0\1\1"), WP_EMALFORMED},
    {"ipv6hint of 4", WP_TYPE_SVCB, WIRE("\0\1\0\0\6\0\4\1\2\3\4"), WP_EMALFORMED},
    {"no-default-alpn alone is borne", WP_TYPE_SVCB, WIRE("\0\1\0\0\2\0\0"), 0},
    {"SVCB target compressed", WP_TYPE_SVCB, WIRE("\0\1\xc0\0"), WP_EMALFORMED},
    {"unknown", 65280, WIRE("x"), 0},
};

static void test_check(void)
{
    static const uint8_t zero[65536];
    char out[64];

    for (size_t i = 0; i < COUNT(checks); i++) {
        const uint8_t *wire = (const uint8_t *)checks[i].wire;

        CHECK_AT(checks[i].what,
                 wp_rdata_check(checks[i].type, wire, checks[i].len) == checks[i].ret);
        if (checks[i].ret < 0)
            CHECK_AT(checks[i].what, wp_rdata_text(checks[i].type, wire, checks[i].len, out,
                                                   sizeof(out)) == WP_EMALFORMED);
    }
    CHECK(wp_rdata_check(65280, zero, 65535) == 0);
    CHECK(wp_rdata_check(65280, zero, 65536) == WP_EMALFORMED);
    CHECK(wp_rdata_text(65280, zero, 65536, out, sizeof(out)) == WP_EMALFORMED);
    CHECK(wp_rdata_text(WP_TYPE_A, zero, 4, out, 0) == WP_ESPACE);
}

static const struct {
    const char *what;
    uint16_t type;
    const char *wire;
    size_t len;
    int at;
    const char *lower; /* NULL: unchanged */
} names[] = {
    {"A", WP_TYPE_A, WIRE("ABCD"), -1, NULL},
    {"CNAME", WP_TYPE_CNAME, WIRE("\1A\0"), 0, "\1a\0"},
    {"MX", WP_TYPE_MX, WIRE("AA\1A\0"), 2, "AA\1a\0"},
    {"SRV", WP_TYPE_SRV, WIRE("AABBCC\1A\0"), 6, "AABBCC\1a\0"},
    {"SOA", WP_TYPE_SOA, WIRE("\1A\0\1B\0AAAABBBBCCCCDDDDEEEE"), 0,
     "\1a\0\1b\0AAAABBBBCCCCDDDDEEEE"},
    {"NAPTR", WP_TYPE_NAPTR, WIRE("AABB\1U\1S\1R\1A\0"), 10, "AABB\1U\1S\1R\1a\0"},
    {"RRSIG", WP_TYPE_RRSIG, WIRE("AABBCCCCDDDDEEEEFF\1A\0SIG"), 18, "AABBCCCCDDDDEEEEFF\1a\0SIG"},
    {"NSEC keeps its case", WP_TYPE_NSEC, WIRE("\1A\0\0\1\x40"), 0, NULL},
    {"HTTPS keeps its case", WP_TYPE_HTTPS, WIRE("\0\1\1A\0"), 2, NULL},
    {"TXT", WP_TYPE_TXT, WIRE("\1A"), -1, NULL},
    {"unknown", 65280, WIRE("\1A\0"), -1, NULL},
    {"malformed", WP_TYPE_MX, WIRE("A"), -1, NULL},
};

static void test_names(void)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        uint8_t buf[64];

        memcpy(buf, names[i].wire, names[i].len);
        CHECK_AT(names[i].what, wp_rdata_name_at(names[i].type, buf, names[i].len) == names[i].at);
        wp_rdata_lower(names[i].type, buf, names[i].len);
        CHECK_AT(names[i].what,
                 memcmp(buf, names[i].lower ? names[i].lower : names[i].wire, names[i].len) == 0);
    }
}

/* The longest rdata goes both ways; one octet more does not fit. */
static void test_largest(void)
{
    static char text[65535 * 4 + 4096];
    const uint8_t *rdata;
    size_t len, n = 0;

    wp_arena_init(&arena, 0);
    for (int i = 0; i < 255; i++)
        n += (size_t)sprintf(text + n, "\"%s12345\" ", D250);
    n += (size_t)sprintf(text + n, "\"%s1234", D250);
    strcpy(text + n, "\"");
    CHECK(wp_rdata_parse(WP_TYPE_TXT, text, NULL, &arena, &rdata, &len) == 0 && len == 65535);
    CHECK(wp_rdata_text(WP_TYPE_TXT, rdata, len, text, sizeof(text)) == 0);
    CHECK(wp_rdata_parse(WP_TYPE_TXT, text, NULL, &arena, &rdata, &len) == 0 && len == 65535);
    strcpy(text + n, "5\"");
    CHECK(wp_rdata_parse(WP_TYPE_TXT, text, NULL, &arena, &rdata, &len) == WP_EMALFORMED);
    wp_arena_done(&arena);
}

static void test_no_memory(void)
{
    const uint8_t *rdata = NULL;
    size_t len;

    wp_arena_init(&arena, 1); /* below the smallest chunk */
    CHECK(wp_rdata_parse(WP_TYPE_A, "1.2.3.4", NULL, &arena, &rdata, &len) == -ENOMEM);
    CHECK(rdata == NULL);
    wp_arena_done(&arena);
}

RUN_TESTS(TEST(test_good), TEST(test_cut), TEST(test_bad), TEST(test_check), TEST(test_names),
          TEST(test_largest), TEST(test_no_memory))
