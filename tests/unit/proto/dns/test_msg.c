#include "check.h"

#include <stdlib.h>

#include "waypost/base/rd.h"
#include "waypost/dns/msg.h"

#define L63 "\77aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61 "\75aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L62 "\76aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* Pieces of messages. HEAD(flags, qd an ns ar): the two octets of flags, then the low octets
 * of the counts. */
#define HEAD(f1, f2, qd, an, ns, ar) "\x12\x34" f1 f2 "\0" qd "\0" an "\0" ns "\0" ar
#define QNAME "\3www\7waypost\4test\0"
#define Q QNAME "\0\1\0\1"
#define Q_IXFR QNAME "\0\373\0\1"
#define OPT "\0\0\x29\x04\xd0\0\0\0\0\0\0"
#define OPT_V1 "\0\0\x29\x04\xd0\0\1\0\0\0\0"
#define SOA "\xc0\x0c\0\6\0\1\0\0\0\0\0\x16\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ADDR "\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1"
#define TSIG "\1k\0\0\372\0\377\0\0\0\0\0\0"

enum {
    ADMIT = 1 << WP_OPCODE_QUERY | 1 << WP_OPCODE_NOTIFY,
    UPDATES = ADMIT | 1 << WP_OPCODE_UPDATE
};

static const struct {
    const char *what, *wire;
    size_t len;
    unsigned opcodes;
    enum wp_intake verdict;
    unsigned question_len, edns, tsig_at, misplaced;
} rows[] = {
    {"U01 plain", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_OK, 22, 0, 0,
     0},
    {"U02 OPT", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q OPT), ADMIT, WP_INTAKE_OK, 22, 1, 0,
     0},
    {"U13 0 octets", WIRE(""), ADMIT, WP_INTAKE_IGNORE, 0, 0, 0, 0},
    {"U13 1 octet", WIRE("\0"), ADMIT, WP_INTAKE_IGNORE, 0, 0, 0, 0},
    {"U13 11 octets", WIRE("\0\0\0\0\0\1\0\0\0\0\0"), ADMIT, WP_INTAKE_IGNORE, 0, 0, 0, 0},
    {"U14 QR", WIRE(HEAD("\x81", "\0", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_IGNORE, 0, 0, 0,
     0},
    {"QR before opcode", WIRE(HEAD("\xf8", "\0", "\1", "\0", "\0", "\0") Q), ADMIT,
     WP_INTAKE_IGNORE, 0, 0, 0, 0},
    {"U15 STATUS", WIRE(HEAD("\x10", "\0", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_NOTIMP, 0,
     0, 0, 0},
    {"U16 opcode 15", WIRE(HEAD("\x78", "\0", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_NOTIMP,
     0, 0, 0, 0},
    {"U17 UPDATE off", WIRE(HEAD("\x28", "\0", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_NOTIMP,
     0, 0, 0, 0},
    {"opcode before counts", WIRE(HEAD("\x28", "\0", "\2", "\0", "\0", "\0") Q), ADMIT,
     WP_INTAKE_NOTIMP, 0, 0, 0, 0},
    {"opcode 2, 12 octets", WIRE(HEAD("\x10", "\0", "\1", "\0", "\0", "\0")), ADMIT,
     WP_INTAKE_NOTIMP, 0, 0, 0, 0},
    {"NOTIFY", WIRE(HEAD("\x20", "\0", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_OK, 22, 0,
     0, 0},
    {"NOTIFY with SOA", WIRE(HEAD("\x20", "\0", "\1", "\1", "\0", "\0") Q SOA), ADMIT, WP_INTAKE_OK,
     22, 0, 0, 0},
    {"NOTIFY with two", WIRE(HEAD("\x20", "\0", "\1", "\2", "\0", "\0") Q SOA SOA), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"I8 NOTIFY, authority", WIRE(HEAD("\x20", "\0", "\1", "\0", "\1", "\0") Q SOA), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"U19 QDCOUNT 0", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\0")), ADMIT, WP_INTAKE_FORMERR_HEAD,
     0, 0, 0, 0},
    {"I4 QDCOUNT 0 with OPT", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\1") OPT), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"U20 QDCOUNT 2", WIRE(HEAD("\1", "\0", "\2", "\0", "\0", "\0") Q Q), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"I6 QDCOUNT 256", WIRE("\0\0\1\0\1\0\0\0\0\0\0\0" Q), ADMIT, WP_INTAKE_FORMERR_HEAD, 0, 0, 0,
     0},
    {"I6 QDCOUNT 65535", WIRE("\0\0\1\0\377\377\0\0\0\0\0\0" Q), ADMIT, WP_INTAKE_FORMERR_HEAD, 0,
     0, 0, 0},
    {"U21 ANCOUNT 2", WIRE(HEAD("\1", "\0", "\1", "\2", "\0", "\0") Q ADDR ADDR), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"I7 ANCOUNT 1", WIRE(HEAD("\1", "\0", "\1", "\1", "\0", "\0") Q ADDR), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"I7 ANCOUNT 65535", WIRE("\0\0\1\0\0\1\377\377\0\0\0\0" Q), ADMIT, WP_INTAKE_FORMERR_HEAD, 0,
     0, 0, 0},
    {"U21 NSCOUNT 2", WIRE(HEAD("\1", "\0", "\1", "\0", "\2", "\0") Q_IXFR SOA SOA), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"I8 NSCOUNT 1", WIRE(HEAD("\1", "\0", "\1", "\0", "\1", "\0") Q SOA), ADMIT, WP_INTAKE_FORMERR,
     22, 0, 0, 0},
    {"I8 IXFR with SOA", WIRE(HEAD("\1", "\0", "\1", "\0", "\1", "\0") Q_IXFR SOA), ADMIT,
     WP_INTAKE_OK, 22, 0, 0, 0},
    {"I8 IXFR with A", WIRE(HEAD("\1", "\0", "\1", "\0", "\1", "\0") Q_IXFR ADDR), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"IXFR without SOA", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") Q_IXFR), ADMIT, WP_INTAKE_OK,
     22, 0, 0, 0},
    {"U21 ARCOUNT 3", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\3") Q ADDR ADDR ADDR), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"I9 ARCOUNT 256", WIRE("\0\0\1\0\0\1\0\0\0\0\1\0" Q OPT), ADMIT, WP_INTAKE_FORMERR_HEAD, 0, 0,
     0, 0},
    {"ARCOUNT 2", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q ADDR ADDR), ADMIT, WP_INTAKE_OK,
     22, 0, 0, 0},
    {"U22 ARCOUNT 1, nothing follows", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"I10 ARCOUNT 2, one follows", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q OPT), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"I10 long record, then none", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q SOA), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"U23 12 octets", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0")), ADMIT, WP_INTAKE_NO_QUESTION,
     0, 0, 0, 0},
    {"U23 12 octets, ARCOUNT 1", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1")), ADMIT,
     WP_INTAKE_NO_QUESTION, 0, 0, 0, 0},
    {"U24 cut at 20", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") "\3www\7way"), ADMIT,
     WP_INTAKE_FORMERR, 0, 0, 0, 0},
    {"I13 no qtype", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") QNAME), ADMIT, WP_INTAKE_FORMERR,
     0, 0, 0, 0},
    {"I13 half a qclass", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") QNAME "\0\1\0"), ADMIT,
     WP_INTAKE_FORMERR, 0, 0, 0, 0},
    {"U25 ten octets behind",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") Q "\0\0\0\0\0\0\0\0\0\0"), ADMIT, WP_INTAKE_OK,
     22, 0, 0, 0},
    {"I14 octets behind OPT", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q OPT OPT "\0"), ADMIT,
     WP_INTAKE_OK, 22, 1, 0, 0},
    {"U26 label of 64",
     WIRE(HEAD(
         "\1",
         "\0",
         "\1",
         "\0",
         "\0",
         "\0") "\x40xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\0\0\1\0\1"),
     ADMIT, WP_INTAKE_FORMERR, 0, 0, 0, 0},
    {"I11 label type 10", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") "\x80\0\0\1\0\1"), ADMIT,
     WP_INTAKE_FORMERR, 0, 0, 0, 0},
    {"U27 pointer to itself", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") "\xc0\x0c\0\1\0\1"),
     ADMIT, WP_INTAKE_FORMERR, 0, 0, 0, 0},
    {"I12 pointer back into the header",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") "\xc0\x06\0\1\0\1"), ADMIT, WP_INTAKE_FORMERR, 0,
     0, 0, 0},
    {"I12 loop in an owner",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q "\xc0\x22\0\1\0\1\0\0\0\0\0\0"), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"I12 owner points forward",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q "\xc0\xff\0\1\0\1\0\0\0\0\0\0"), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"U28 256 octets", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") L63 L63 L63 L62 "\0\0\1\0\1"),
     ADMIT, WP_INTAKE_FORMERR, 0, 0, 0, 0},
    {"U29 255 octets", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\0") L63 L63 L63 L61 "\0\0\1\0\1"),
     ADMIT, WP_INTAKE_OK, 259, 0, 0, 0},
    {"U30 two OPT", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q OPT OPT), ADMIT,
     WP_INTAKE_FORMERR, 22, 1, 0, 0},
    {"U31 owner of OPT", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q "\1x" OPT), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"U32 OPT in answer", WIRE(HEAD("\1", "\0", "\1", "\1", "\0", "\0") Q OPT), ADMIT,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"OPT in answer of NOTIFY", WIRE(HEAD("\x20", "\0", "\1", "\1", "\0", "\0") Q OPT), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"OPT in authority", WIRE(HEAD("\1", "\0", "\1", "\0", "\1", "\0") Q_IXFR OPT), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"U33 option overruns",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q "\0\0\x29\x04\xd0\0\0\0\0\0\7\0\12\0\10abc"),
     ADMIT, WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"option ends RDLEN",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q "\0\0\x29\x04\xd0\0\0\0\0\0\7\0\12\0\3abc"),
     ADMIT, WP_INTAKE_OK, 22, 1, 0, 0},
    {"half an option",
     WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q "\0\0\x29\x04\xd0\0\0\0\0\0\3\0\12\0"), ADMIT,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"U34 version 1", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q OPT_V1), ADMIT,
     WP_INTAKE_BADVERS, 22, 1, 0, 0},
    {"version 1 twice", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q OPT_V1 OPT), ADMIT,
     WP_INTAKE_FORMERR, 22, 1, 0, 0},
    {"U47 stray bits", WIRE(HEAD("\x07", "\xf5", "\1", "\0", "\0", "\0") Q), ADMIT, WP_INTAKE_OK,
     22, 0, 0, 0},
    {"OPT then TSIG", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q OPT TSIG), ADMIT,
     WP_INTAKE_OK, 22, 1, 45, 0},
    {"U70 TSIG then OPT", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q TSIG OPT), ADMIT,
     WP_INTAKE_OK, 22, 1, 0, 1},
    {"TSIG twice", WIRE(HEAD("\1", "\0", "\1", "\0", "\0", "\2") Q TSIG TSIG), ADMIT, WP_INTAKE_OK,
     22, 0, 47, 1},
    {"TSIG in the answer", WIRE(HEAD("\x20", "\0", "\1", "\1", "\0", "\0") Q TSIG), ADMIT,
     WP_INTAKE_OK, 22, 0, 0, 1},
    {"U64 UPDATE, QDCOUNT 0", WIRE(HEAD("\x28", "\0", "\0", "\0", "\0", "\0")), UPDATES,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"U64 UPDATE, QDCOUNT 2", WIRE(HEAD("\x28", "\0", "\2", "\0", "\0", "\0") Q Q), UPDATES,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"U65 UPDATE, 3 each",
     WIRE(HEAD("\x28", "\0", "\1", "\3", "\3", "\3") Q ADDR ADDR ADDR SOA SOA SOA OPT ADDR TSIG),
     UPDATES, WP_INTAKE_OK, 22, 1, 211, 0},
    {"UPDATE, counts too large", WIRE("\0\0\x28\0\0\1\377\377\377\377\377\377" Q ADDR), UPDATES,
     WP_INTAKE_FORMERR, 22, 0, 0, 0},
    {"U66 opcode 2", WIRE(HEAD("\x10", "\0", "\1", "\0", "\0", "\0") Q), UPDATES, WP_INTAKE_NOTIMP,
     0, 0, 0, 0},
    {"U67 QUERY, NSCOUNT 2", WIRE(HEAD("\1", "\0", "\1", "\0", "\2", "\0") Q SOA SOA), UPDATES,
     WP_INTAKE_FORMERR_HEAD, 0, 0, 0, 0},
    {"U68 UPDATE with QR", WIRE(HEAD("\xa8", "\0", "\1", "\0", "\0", "\0") Q), UPDATES,
     WP_INTAKE_IGNORE, 0, 0, 0, 0},
};

static void check_row(size_t i, const uint8_t *wire)
{
    static struct wp_msg m;

    memset(&m, 0xee, sizeof(m));
    CHECK_AT(rows[i].what,
             wp_msg_parse_query(wire, rows[i].len, rows[i].opcodes, &m) == rows[i].verdict);
    if (rows[i].verdict == WP_INTAKE_IGNORE) {
        CHECK_AT(rows[i].what, m.id == 0xeeee && m.qname.len == 0xee);
        return;
    }
    CHECK_AT(rows[i].what, m.id == wp_be16(wire) && m.flags == wp_be16(wire + 2));
    CHECK_AT(rows[i].what, m.question_len == rows[i].question_len);
    CHECK_AT(rows[i].what, m.edns.present == rows[i].edns);
    CHECK_AT(rows[i].what, m.tsig_at == rows[i].tsig_at && m.tsig_misplaced == rows[i].misplaced);
    if (m.question_len == 0) {
        CHECK_AT(rows[i].what, m.qname.len == 1 && m.qtype == 0 && m.qclass == 0);
        return;
    }
    CHECK_AT(rows[i].what, m.qname.len == m.question_len - 4);
    CHECK_AT(rows[i].what, m.qtype == wp_be16(wire + 12 + m.qname.len));
    CHECK_AT(rows[i].what, m.qclass == WP_CLASS_IN);
}

static void test_verdicts(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t *exact = malloc(rows[i].len + 1);

        CHECK(exact != NULL);
        memcpy(exact + 1, rows[i].wire, rows[i].len); /* odd alignment as well */
        check_row(i, exact + 1);
        free(exact);
    }
}

/* Cut at every octet: what was a query is one only from some length on, and then for good. */
static void test_cut(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum wp_intake last = WP_INTAKE_IGNORE;

        for (size_t len = 0; len <= rows[i].len; len++) {
            static struct wp_msg m;
            uint8_t *exact = malloc(len + 1);
            enum wp_intake v;

            CHECK(exact != NULL);
            memcpy(exact, rows[i].wire, len);
            v = wp_msg_parse_query(exact, len, rows[i].opcodes, &m);
            CHECK_AT(rows[i].what, len >= 12 || v == WP_INTAKE_IGNORE);
            CHECK_AT(rows[i].what, last != WP_INTAKE_OK || v == WP_INTAKE_OK);
            last = v;
            free(exact);
        }
        CHECK_AT(rows[i].what, last == rows[i].verdict);
    }
}

static void test_edns_fields(void)
{
    static const uint8_t wire[] = HEAD("\1", "\0", "\1", "\0", "\0", "\1") Q
        "\0\0\x29\x10\x01\x07\0\xc0\x05\0\x0f\0\3\0\0\0\x0a\0\3abc\0\x0a\0\0";
    static struct wp_msg m;
    const uint8_t *p;
    uint16_t n = 99;

    CHECK(wp_msg_parse_query(wire, sizeof(wire) - 1, ADMIT, &m) == WP_INTAKE_OK);
    CHECK(m.edns.udp_size == 0x1001 && m.edns.rcode_high == 7 && m.edns.dnssec_ok);
    CHECK(m.edns.flags == 0x4005 && m.edns.options_len == 15);
    p = wp_edns_option_find(&m.edns, WP_EDNS_COOKIE, &n);
    CHECK(p != NULL && n == 3 && memcmp(p, "abc", 3) == 0);
    p = wp_edns_option_find(&m.edns, WP_EDNS_NSID, &n);
    CHECK(p != NULL && n == 0);
    n = 99;
    CHECK(wp_edns_option_find(&m.edns, WP_EDNS_EDE, &n) == NULL && n == 99);
}

static const struct {
    const char *what;
    const char *wire;
    size_t len;
    bool ok;
} no_questions[] = {
    {"U42 with a cookie", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\1") "\0\0\x29\4\xd0\0\0\0\0\0\x0c\0\x0a\0\10abcdefgh"), true},
    {"no option", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\1") OPT), true},
    {"no OPT", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\1") ADDR), false},
    {"nothing", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\0")), false},
    {"a count that lies", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\2") OPT), false},
    {"three records", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\3") OPT ADDR ADDR), false},
    {"two OPT", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\2") OPT OPT), false},
    {"NOTIFY", WIRE(HEAD("\x20", "\0", "\0", "\0", "\0", "\1") OPT), false},
    {"an answer", WIRE(HEAD("\1", "\0", "\0", "\1", "\0", "\1") ADDR OPT), false},
    {"version 1", WIRE(HEAD("\1", "\0", "\0", "\0", "\0", "\1") "\0\0\x29\4\xd0\0\1\0\0\0\0"), false},
};

static void test_no_question(void)
{
    for (size_t i = 0; i < COUNT(no_questions); i++) {
        const uint8_t *wire = (const uint8_t *)no_questions[i].wire;
        static struct wp_msg m;

        CHECK_AT(no_questions[i].what, wp_msg_parse_query(wire, no_questions[i].len, ADMIT, &m) ==
                                           WP_INTAKE_FORMERR_HEAD);
        CHECK_AT(no_questions[i].what,
                 wp_msg_parse_no_question(wire, no_questions[i].len, &m) == no_questions[i].ok);
    }
}

/* A full message of records that cannot be answered costs one pass: 5459 owners that each point
 * back, admitted because UPDATE has no count limits. */
static void test_largest(void)
{
    static uint8_t wire[70000];
    static struct wp_msg m;
    static const uint8_t head[] = HEAD("\x28", "\0", "\1", "\0", "\0", "\0") "\0\0\6\0\1";
    size_t len = sizeof(head) - 1;
    unsigned n = 0;

    memcpy(wire, head, len);
    for (; len + 12 <= WP_MSG_MAX; len += 12, n++)
        memcpy(wire + len, "\xc0\x0c\0\1\0\1\0\0\0\0\0\0", 12);
    wire[8] = (uint8_t)(n >> 8);
    wire[9] = (uint8_t)n;
    CHECK(wp_msg_parse_query(wire, len, UPDATES, &m) == WP_INTAKE_OK);
    /* what lies past 65535 octets is not looked at: a TSIG there cannot be pointed to */
    memcpy(wire + len, "\0\0\372\0\377\0\0\0\0\0\0", 11);
    wire[11] = 1;
    CHECK(wp_msg_parse_query(wire, len + 11, UPDATES, &m) ==
          (len + 11 <= WP_MSG_MAX ? WP_INTAKE_OK : WP_INTAKE_FORMERR));
}

RUN_TESTS(TEST(test_verdicts), TEST(test_cut), TEST(test_edns_fields), TEST(test_no_question),
          TEST(test_largest))
