/* transfer over a zone and over scripted holders: what is given to whom, message by message. */
#include "asker.h"
#include "backends/common/zone_text.h"
#include "tests/unit/backends/common/zone_fixture.h"

#include <errno.h>

#include "server/plugins/transfer/transfer.h"
#include "waypost/plugin/transfer.h"

extern const struct wp_plugin wp_plugin_transfer;

static struct transfer self;
static struct transfer_rule rules[3];
static struct transfer_to tos[3];
static const uint8_t *zones[3];
static struct wp_name names[3];

/* Rule i: its zone, and who may have it ("*" or an address). */
static void rule(unsigned i, const char *zone, const char *to)
{
    CHECK(wp_name_parse(zone, &names[i]) == 0);
    zones[i] = names[i].wire;
    tos[i] = (struct transfer_to){.any = to[0] == '*'};
    CHECK(tos[i].any || wp_addr_parse(to, 53, &tos[i].addr) == 0);
    rules[i] = (struct transfer_rule){
        .zones = {.zone = &zones[i], .n = 1}, .to = &tos[i], .n_to = 1, .index = i};
    if (i == 0)
        self = (struct transfer){.first = &rules[0]};
    else
        rules[i - 1].next = &rules[i];
}

/* --- a zone ---------------------------------------------------------------------------------- */

static int zone_transfer(void *plugin, struct wp_query *q, struct wp_transfer *ret)
{
    const struct zone_plugin *p = plugin;

    if (!wp_name_equal(q->msg.qname.wire, p->zone->origin.wire))
        return WP_ENOTFOUND;
    return wp_zone_transfer(p->zone, q, ret);
}

static int refuse(void *plugin, struct wp_query *q)
{
    (void)plugin;
    return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
}

static const struct wp_plugin holder = {
    .name = "holder", .serve = refuse, .transfer = zone_transfer};

#define SOA "answer example.org. 300 SOA ns1.example.org. host.example.org. 7 1 2 3 4\n"
#define RRSIG(type)                                                                                \
    "answer example.org. 300 RRSIG " type                                                          \
    " 8 2 300 20400101000000 20200101000000 1 example.org. AAAA\n"

static const char text[] =
    "$TTL 300\n"
    "b A 192.0.2.2\n"
    "@ SOA NS1 host 7 1 2 3 4\n@ MX 10 b\n@ NS ns1\n@ NS ns.sub\n"
    "@ RRSIG SOA 8 2 300 20400101000000 20200101000000 1 @ AAAA\n"
    "@ RRSIG NS 8 2 300 20400101000000 20200101000000 1 @ AAAA\n"
    "ns1 60 A 192.0.2.53\nns1 AAAA 2001:db8::53\n"
    "Z.a TXT \"below\"\n*.a TXT \"wild\"\nsub NS ns.sub\nns.sub A 192.0.2.54\n"
    "ab A 192.0.2.1\nb\\001 A 192.0.2.3\nbcdefghij A 192.0.2.4\nbcdefghik A 192.0.2.5\nB A "
    "192.0.2.6\n";

static const char all[] =
    "NOERROR aa\n" SOA RRSIG("SOA") "answer example.org. 300 NS ns1.example.org.\n"
                                    "answer example.org. 300 NS ns.sub.example.org.\n" RRSIG(
                                        "NS") "answer example.org. 300 MX 10 b.example.org.\n"
                                              "answer *.a.example.org. 300 TXT \"wild\"\n"
                                              "answer z.a.example.org. 300 TXT \"below\"\n"
                                              "answer ab.example.org. 300 A 192.0.2.1\n"
                                              "answer b.example.org. 300 A 192.0.2.2\nanswer "
                                              "b.example.org. 300 A 192.0.2.6\n"
                                              "answer b\\001.example.org. 300 A 192.0.2.3\n"
                                              "answer bcdefghij.example.org. 300 A 192.0.2.4\n"
                                              "answer bcdefghik.example.org. 300 A 192.0.2.5\n"
                                              "answer ns1.example.org. 60 A 192.0.2.53\n"
                                              "answer ns1.example.org. 300 AAAA 2001:db8::53\n"
                                              "answer sub.example.org. 300 NS ns.sub.example.org.\n"
                                              "answer ns.sub.example.org. 300 A 192.0.2.54\n" SOA;

/* The client is 192.0.2.7, or 2001:db8::7 ("v6"). */
static const struct {
    const char *what, *question, *zone, *to, *zone2, *to2, *answer;
} rows[] = {
    {"all of it", "example.org AXFR many", ".", "*", NULL, NULL, all},
    {"named by address", "example.org AXFR many", "example.org", "192.0.2.7:99", NULL, NULL, all},
    {"another address", "example.org AXFR many", ".", "192.0.2.8", NULL, NULL, "REFUSED\n"},
    {"IPv6", "example.org AXFR many v6", ".", "2001:db8::7", NULL, NULL, all},
    {"I19 over UDP", "example.org AXFR", ".", "*", NULL, NULL, "REFUSED\n"},
    {"U53 over UDP, a zone of others", "example.net AXFR", "example.org", "*", NULL, NULL,
     "REFUSED\n"},
    {"I18 one message only", "example.org AXFR tcp", ".", "*", NULL, NULL, "REFUSED\n"},
    {"no such zone here", "www.example.org AXFR many", ".", "*", NULL, NULL, "REFUSED\n"},
    {"no rule", "example.org AXFR many", "example.net", "*", NULL, NULL, "REFUSED\n"},
    {"IXFR without its SOA", "example.org IXFR many", ".", "*", NULL, NULL, "SERVFAIL\n"},
    {"NOTIFY is not asking", "example.org AXFR many notify", ".", "*", NULL, NULL, "REFUSED\n"},
    {"AV011 the longer zone rules, first", "example.org AXFR many", "example.org", "192.0.2.8",
     "org", "*", "REFUSED\n"},
    {"AV011 the longer zone rules, last", "example.org AXFR many", "org", "*", "example.org",
     "192.0.2.8", "REFUSED\n"},
    {"AV011 though the shorter one forbids", "example.org AXFR many", "org", "192.0.2.8",
     "example.org", "*", all},
    {"of the same zone the first", "example.org AXFR many", "org", "*", "org", "192.0.2.8", all},
};

static void test_rows(void)
{
    struct zone_plugin p = {.zone = zone_from("example.org", text)};

    CHECK(wp_zone_make_order(p.zone) == 0 && wp_zone_make_order(p.zone) == 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct asker a;
        const char *got;

        rule(0, rows[i].zone, rows[i].to);
        if (rows[i].zone2 != NULL)
            rule(1, rows[i].zone2, rows[i].to2);
        asker_init(&a, ".");
        asker_add(&a, &wp_plugin_transfer, &self);
        asker_add(&a, &holder, &p);
        got = ask(&a, rows[i].question);
        if (strcmp(got, rows[i].answer) != 0)
            print_error("%s", got);
        CHECK_AT(rows[i].what, strcmp(got, rows[i].answer) == 0);
        CHECK_AT(rows[i].what, atomic_load(&self.running) == 0 && atomic_load(&p.zone->refs) == 1);
        asker_done(&a);
    }
    wp_zone_unref(p.zone);
}

/* What a zone cannot be given away for. */
static void test_unready(void)
{
    struct zone_plugin p = {.zone = zone_from("example.org", text)};
    struct asker a;

    rule(0, ".", "*");
    asker_init(&a, ".");
    asker_add(&a, &wp_plugin_transfer, &self);
    asker_add(&a, &holder, &p);
    CHECK(strcmp(ask(&a, "example.org AXFR many"), "SERVFAIL\n") == 0); /* not in order */
    CHECK(wp_zone_make_order(p.zone) == 0);
    p.zone->n_long = 1; /* a part of it was left out */
    CHECK(strcmp(ask(&a, "example.org AXFR many"), "SERVFAIL\n") == 0);
    p.zone->n_long = 0;
    atomic_store(&self.running, TRANSFER_RUNNING_MAX);
    CHECK(strcmp(ask(&a, "example.org AXFR many"), "SERVFAIL\n") == 0);
    CHECK(strstr(a.q->reply.error, "32 of them are running already") != NULL);
    CHECK(atomic_load(&self.running) == TRANSFER_RUNNING_MAX && atomic_load(&p.zone->refs) == 1);
    atomic_store(&self.running, TRANSFER_RUNNING_MAX - 1);
    CHECK(strcmp(ask(&a, "example.org AXFR many"), all) == 0);
    asker_done(&a);
    wp_zone_unref(p.zone);
}

/* --- scripted holders ------------------------------------------------------------------------ */

static struct {
    unsigned records, at, prepares, empty, ended; /* empty: calls of next() that put nothing */
    size_t rdlen;
    int fail_prepare, fail_next; /* at the last call */
    uint32_t serial;
    bool newer;
} script;

static const uint8_t soa[] = "\1a\0\1b\0\0\0\0\5\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4";

static int script_prepare(void *source)
{
    (void)source;
    if (script.prepares == 0)
        return script.fail_prepare < 0 ? script.fail_prepare : WP_STEP_DONE;
    script.prepares--;
    return WP_STEP_NEXT;
}

static int script_next(void *source, struct wp_transfer_out *out)
{
    static const uint8_t rdata[70000];
    uint8_t owner[] = "\5h0000\4test";

    (void)source;
    if (script.empty > 0) {
        script.empty--;
        return WP_STEP_NEXT;
    }
    for (; script.at < script.records; script.at++) {
        for (unsigned i = 0, n = script.at; i < 4; i++, n /= 10)
            owner[5 - i] = (uint8_t)('0' + n % 10);
        if (!wp_transfer_put(out, owner, 65280, 60, rdata, script.rdlen))
            return WP_STEP_NEXT;
    }
    return script.fail_next < 0 ? script.fail_next : WP_STEP_DONE;
}

static void script_end(void *source)
{
    (void)source;
    script.ended++;
}

static int script_transfer(void *plugin, struct wp_query *q, struct wp_transfer *ret)
{
    (void)plugin;
    (void)q;
    *ret = (struct wp_transfer){.serial = script.serial,
                                .soa = soa,
                                .soa_len = sizeof(soa) - 1,
                                .newer_is_current = script.newer,
                                .prepare = script_prepare,
                                .next = script_next,
                                .end = script_end};
    return 0;
}

static const struct wp_plugin scripted = {
    .name = "script", .serve = refuse, .transfer = script_transfer};

/* A record takes 2 + 6 + 10 octets of a message, and its rdata. */
static const struct {
    const char *what;
    unsigned records, rdlen, prepares, empty;
    int fail_prepare, fail_next;
    unsigned messages, calls;
    bool broken;
} shapes[] = {
    {"SOAs alone", 0, 0, 0, 0, 0, 0, 1, 1, false},
    {"one message", 1000, 40, 0, 0, 0, 0, 1, 1, false},
    {"several", 3000, 40, 0, 0, 0, 0, 3, 3, false},
    {"large records", 10, 40000, 0, 0, 0, 0, 10, 10, false},
    {"the largest", 2, 64000, 0, 0, 0, 0, 3, 3, false},
    {"work before", 5, 40, 7, 0, 0, 0, 1, 8, false},
    {"work between", 5, 40, 0, 9, 0, 0, 1, 1, false},
    {"much work between", 5, 40, 0, 70, 0, 0, 2, 3, false},
    {"too large", 1, 65000, 0, 0, 0, 0, 1, 2, true},
    {"cannot begin", 1, 40, 2, 0, -ENOMEM, 0, 0, 3, true},
    {"cannot go on", 3000, 40, 0, 0, 0, -ENOMEM, 2, 3, true},
};

static void test_shapes(void)
{
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const char *what = shapes[i].what;
        struct asker a;
        unsigned lines = 0;
        const char *got;

        rule(0, ".", "*");
        asker_init(&a, ".");
        asker_add(&a, &wp_plugin_transfer, &self);
        asker_add(&a, &scripted, NULL);
        memset(&script, 0, sizeof(script));
        script.records = shapes[i].records;
        script.rdlen = shapes[i].rdlen;
        script.prepares = shapes[i].prepares;
        script.empty = shapes[i].empty;
        script.fail_prepare = shapes[i].fail_prepare;
        script.fail_next = shapes[i].fail_next;
        script.serial = 5;
        asker_run(&a, "test AXFR many");
        CHECK_AT(what, a.n_messages == shapes[i].messages);
        CHECK_AT(what, a.n_calls == shapes[i].calls);
        CHECK_AT(what, a.most <= 64600 &&
                           (shapes[i].messages < 3 || a.most > 63000 || shapes[i].rdlen > 1000));
        CHECK_AT(what, (a.q->more != NULL) == shapes[i].broken);
        CHECK_AT(what, script.ended == 1 && atomic_load(&self.running) == 0);
        got = a.text;
        for (const char *p = got; (p = strstr(p, "answer ")) != NULL; p++)
            lines++;
        if (!shapes[i].broken)
            CHECK_AT(what, lines == shapes[i].records + 2);
        asker_done(&a);
    }
}

/* --- IXFR ------------------------------------------------------------------------------------ */

#define Q_IXFR "\0\7\0\0\0\1\0\0\0\1\0\0\4test\0\0\373\0\1"
#define HAS(serial)                                                                                \
    "\300\14\0\6\0\1\0\0\0\0\0\34\1a\300\14\1b\300\14" serial "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4"

static const struct {
    const char *what, *msg;
    size_t len;
    int ret;
    uint32_t serial;
} asked[] = {
    {"a serial", WIRE(Q_IXFR HAS("\1\2\3\4")), 0, 0x01020304},
    {"none", WIRE("\0\7\0\0\0\1\0\0\0\0\0\0\4test\0\0\373\0\1"), WP_EMALFORMED, 0},
    {"cut", WIRE(Q_IXFR "\300\14\0\6\0\1\0\0\0\0\0\34\1a\300\14"), WP_EMALFORMED, 0},
    {"no numbers", WIRE(Q_IXFR "\300\14\0\6\0\1\0\0\0\0\0\2\0\0"), WP_EMALFORMED, 0},
    {"not a SOA", WIRE(Q_IXFR "\300\14\0\1\0\1\0\0\0\0\0\4\1\2\3\4"), WP_EMALFORMED, 0},
    {"cut in the question", WIRE("\0\7\0\0\0\1\0\0\0\1\0\0\4te"), WP_EMALFORMED, 0},
};

static void test_serials(void)
{
    for (size_t i = 0; i < COUNT(asked); i++) {
        struct wp_arena a;
        uint32_t serial = 0;

        wp_arena_init(&a, 0);
        CHECK_AT(asked[i].what, transfer_ixfr_serial((const uint8_t *)asked[i].msg, asked[i].len,
                                                     10, &a, &serial) == asked[i].ret);
        CHECK_AT(asked[i].what, serial == asked[i].serial);
        wp_arena_done(&a);
    }
}

static const struct {
    const char *what;
    uint32_t ours, theirs;
    bool newer, current; /* newer: counts as current for this holder */
} serials[] = {
    {"the same", 5, 5, false, true},
    {"older", 5, 4, false, false},
    {"newer", 5, 6, false, false},
    {"newer, RFC 1995", 5, 6, true, true},
    {"older, RFC 1995", 5, 4, true, false},
    {"around the end", 0xfffffff0, 5, true, true},
    {"around the end, older", 5, 0xfffffff0, true, false},
    {"0 is none", 0, 0, true, false},
};

static void test_ixfr(void)
{
    for (size_t i = 0; i < COUNT(serials); i++) {
        uint8_t msg[] = Q_IXFR HAS("\0\0\0\0");
        const char *what = serials[i].what;
        struct asker a;

        rule(0, ".", "*");
        asker_init(&a, ".");
        asker_add(&a, &wp_plugin_transfer, &self);
        asker_add(&a, &scripted, NULL);
        memset(&script, 0, sizeof(script));
        script.serial = serials[i].ours;
        script.newer = serials[i].newer;
        wp_put32(msg + sizeof(msg) - 1 - 20, serials[i].theirs);
        a.q = wp_query_get(&a.worker);
        a.q->client = (struct wp_addr){0};
        a.q->wire = msg;
        a.q->wire_len = sizeof(msg) - 1;
        a.q->many = a.q->stream = true;
        a.q->transport = WP_TCP;
        a.q->route = a.group.route;
        a.q->done = asker_on_done;
        a.q->owner = &a;
        if (serials[i].current) {
            CHECK_AT(what, wp_query_run(a.q) == WP_STEP_DONE);
            CHECK_AT(what,
                     strncmp(asker_text(&a, what), "NOERROR aa\nanswer test. 0 SOA ", 30) == 0);
            CHECK_AT(what, wp_be16(a.q->out + 6) == 1);
        } else {
            CHECK_AT(what, wp_query_run(a.q) == WP_STEP_WAIT);
            CHECK_AT(what, asker_take_all(&a, what) == WP_STEP_DONE && a.n_messages == 1);
        }
        CHECK_AT(what, script.ended == 1);
        asker_done(&a);
    }
}

/* The client goes away: whatever point it has come to, everything is given back. */
static void test_cancel(void)
{
    for (unsigned calls = 0; calls < 3; calls++) {
        static uint8_t buf[WP_MSG_MAX + WP_REPLY_SPARE];
        struct asker a;

        rule(0, ".", "*");
        asker_init(&a, ".");
        asker_add(&a, &wp_plugin_transfer, &self);
        asker_add(&a, &scripted, NULL);
        memset(&script, 0, sizeof(script));
        script.records = 3000;
        script.rdlen = 40;
        a.q = wp_query_get(&a.worker);
        a.q->stream = false; /* the words of the question tell */
        a.q->client = (struct wp_addr){0};
        a.q->wire = wp_query_in(a.q);
        a.q->wire_len = (uint32_t)asker_message("test AXFR many", wp_query_in(a.q), a.q);
        a.q->route = a.group.route;
        a.q->done = asker_on_done;
        a.q->owner = &a;
        CHECK(wp_query_run(a.q) == WP_STEP_WAIT);
        for (unsigned i = 0; i < calls; i++) {
            a.q->reply.buf = buf;
            a.q->reply.cap = sizeof(buf);
            CHECK(wp_query_more(a.q) == WP_STEP_NEXT);
        }
        wp_query_cancel(a.q);
        CHECK(a.done && script.ended == 1 && atomic_load(&self.running) == 0);
        asker_done(&a);
    }
}

RUN_TESTS(TEST(test_rows), TEST(test_unready), TEST(test_shapes), TEST(test_serials),
          TEST(test_ixfr), TEST(test_cancel))
