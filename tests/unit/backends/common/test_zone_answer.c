/* Every kind of answer that a zone gives: plain zone, and signed zone with DO. */
#include <errno.h>
#include <stdlib.h>
#include "asker.h"
#include "zone_fixture.h"

#define SOA                                                                                        \
    "authority example.org. 60 SOA ns1.example.org. admin.example.org. 7 7200 900 1209600 60\n"
#define NS                                                                                         \
    "authority example.org. 3600 NS ns1.example.org.\n"                                            \
    "authority example.org. 3600 NS ns.other.test.\n"

static const char plain[] =
    "$TTL 300\n"
    "@ 3600 SOA ns1 admin ( 7 7200 900 1209600 60 )\n"
    "@ 3600 NS ns1\n"
    "@ 3600 NS NS.Other.test.\n"
    "@ MX 10 mail\n@ MX 20 MAIL\n@ MX 30 mx.other.test.\n@ MX 40 nohost\n"
    "ns1 A 192.0.2.53\nns1 AAAA 2001:db8::53\n"
    "www A 192.0.2.1\nwww A 192.0.2.2\nwww AAAA 2001:db8::1\n"
    "mail A 192.0.2.25\n"
    "a.b.c A 192.0.2.3\n"
    "_x._tcp SRV 0 5 80 WWW\n"
    "svc HTTPS 1 www alpn=h2\n"
    "alias CNAME WWW\nalias2 CNAME alias\n"
    "self CNAME self\ntoself CNAME self\n"
    "loop1 CNAME loop2\nloop2 CNAME loop1\n"
    "dangling CNAME nope\ntoent CNAME b.c\ntowild CNAME x.wild\n"
    "out CNAME host.other.test.\nlate CNAME late.other.test.\nnx CNAME nx.other.test.\n"
    "fail CNAME fail.other.test.\nrefused CNAME refused.other.test.\ndrop CNAME drop.other.test.\n"
    "nodata CNAME nodata.other.test.\nround CNAME round.other.test.\n"
    "tosub CNAME host.sub\ntoglue CNAME ns.sub\n"
    "srvalias CNAME _x._tcp\nsrvout CNAME srv.other.test.\n"
    "*.wild A 192.0.2.4\n*.wild MX 10 www\n*.cwild CNAME www\n"
    "deep.ent.wild A 192.0.2.5\n"
    "*.wild.below TXT x\nbelow A 192.0.2.6\nk.*.starent A 192.0.2.7\n"
    "sub NS ns.sub\nsub NS ns1\nsub NS ns.other.test.\nsub DS 1 8 2 ABCD\nns.sub A 192.0.2.54\n"
    "ns.sub AAAA 2001:db8::54\nx.ns.sub A 192.0.2.55\n"
    "cut2.sub NS ns.cut2.sub\n"
    "nods NS ns1\n"
    "d DNAME target\nd A 192.0.2.8\nhidden.d A 192.0.2.9\nhost.target A 192.0.2.10\n"
    "dl DNAME dl\ndout DNAME other.test.\n"
    "dlong DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test.\n"
    "c1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME c5\nc5 CNAME c6\nc6 CNAME c7\nc7 CNAME c8\n"
    "c8 CNAME c9\nc9 CNAME c10\nc10 CNAME c11\nc11 A 192.0.2.11\n"
    "one A 192.0.2.12\n"
    "foreign.test. A 192.0.2.99\n";

/* What stands behind the zone: names below other.test. */
static struct wp_query *waiting;
static struct wp_task late_task;

static void put_host(struct wp_query *q)
{
    static const uint8_t ip[4] = {198, 51, 100, 1};
    static const uint8_t srv[] = "\0\0\0\0\0\120\3www\7example\3org";

    CHECK(wp_reply_begin(q, WP_RCODE_NOERROR, 0) == 0);
    if (q->msg.qtype == WP_TYPE_SRV)
        CHECK(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_SRV, 30, srv, sizeof(srv)) == 0);
    else
        CHECK(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, 30, ip, 4) == 0);
}

static void answer_late(struct wp_task *t)
{
    (void)t;
    put_host(waiting);
    wp_query_resume(waiting, WP_STEP_DONE);
}

static int other_serve(void *self, struct wp_query *q)
{
    static const uint8_t round[] = "\5round\7example\3org";
    char text[WP_NAME_TEXT_MAX];
    const char *name = wp_name_text(q->msg.qname.wire, text);

    (void)self;
    if (strcmp(name, "late.other.test.") == 0) {
        waiting = q;
        late_task.fn = answer_late;
        wp_loop_defer(q->loop, &late_task);
        return WP_STEP_WAIT;
    }
    if (strcmp(name, "drop.other.test.") == 0)
        return wp_query_drop(q);
    if (strcmp(name, "fail.other.test.") == 0)
        return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
    if (strcmp(name, "host.other.test.") == 0 || strcmp(name, "srv.other.test.") == 0) {
        put_host(q);
        return WP_STEP_DONE;
    }
    if (strcmp(name, "round.other.test.") == 0) {
        /* a server that chases: the query comes back with a name of the zone */
        struct wp_query *child = NULL;
        int r;

        CHECK(wp_reply_begin(q, WP_RCODE_NOERROR, 0) == 0);
        CHECK(wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_CNAME, 30, round, sizeof(round)) == 0);
        r = wp_query_lookup(q, round, q->msg.qtype, NULL, NULL, &child);
        if (r < 0)
            return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
        q->reply.rcode = child->reply.rcode;
        CHECK(wp_reply_append(q, child, WP_ANSWER, WP_ANSWER) == 0);
        wp_query_release(child);
        return WP_STEP_DONE;
    }
    if (strcmp(name, "nx.other.test.") == 0 || strcmp(name, "nodata.other.test.") == 0) {
        CHECK(wp_reply_begin(q, name[1] == 'x' ? WP_RCODE_NXDOMAIN : WP_RCODE_NOERROR, 0) == 0);
        return WP_STEP_DONE;
    }
    return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
}
static const struct wp_plugin other_plugin = {.name = "other", .serve = other_serve};

struct row {
    const char *question, *reply;
};

#include "zone_rows_plain.h"
#include "zone_rows_signed.h"

static void check_rows(const char *text, const struct row *r, size_t n)
{
    struct zone_plugin p = {.zone = zone_from("example.org.", text)};
    struct asker a;

    asker_init(&a, ".");
    asker_add(&a, &zone_plugin, &p);
    asker_add(&a, &other_plugin, NULL);
    if (getenv("ZONE_ROWS") != NULL) {
        for (size_t i = 0; i < n; i++)
            printf("== %s\n%s", r[i].question, ask(&a, r[i].question));
    }
    for (size_t i = 0; i < n; i++) {
        const char *got = ask(&a, r[i].question);
        if (strcmp(got, r[i].reply) != 0)
            print_error("%s\n%s", r[i].question, got);
        CHECK_AT(r[i].question, strcmp(got, r[i].reply) == 0);
    }
    asker_done(&a);
    wp_zone_unref(p.zone);
}

static void test_plain(void)
{
    check_rows(plain, plain_rows, COUNT(plain_rows));
}

static void test_signed(void)
{
    check_rows(signed_text, signed_rows, COUNT(signed_rows));
}

static void test_fallthrough(void)
{
    /* which names may be passed on: those that are not there, and those that only have others
     * below, which for CoreDNS includes an apex of nothing but SOA and NS */
    static const struct {
        const char *question;
        bool passed;
    } rows[] = {
        {"nope.example.org A", true},      {"b.c.example.org A", true},
        {"example.org A", true},           {"example.org SOA", false},
        {"example.org NS", false},         {"www.example.org AAAA", false},
        {"*.starent.example.org A", true}, {"q.starent.example.org A", false},
        {"q.sub.example.org A", false},    {"dangling.example.org A", false},
    };
    struct zone_plugin p = {.fall.on = true};
    struct asker a;

    p.zone = zone_from("example.org.", "@ 1 SOA a b 1 2 3 4 5\n@ 1 NS a\na.b.c 1 A 192.0.2.1\n"
                                       "www 1 A 192.0.2.1\nk.*.starent 1 A 192.0.2.1\n"
                                       "sub 1 NS a\ndangling 1 CNAME nope\n");
    asker_init(&a, ".");
    asker_add(&a, &zone_plugin, &p);
    asker_add(&a, &other_plugin, NULL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *got = ask(&a, rows[i].question);
        bool passed = strncmp(got, "REFUSED", 7) == 0;
        CHECK_AT(rows[i].question, passed == rows[i].passed);
    }
    asker_done(&a);
    wp_zone_unref(p.zone);
}

/* An answer larger than UDP takes, one as large as a message, and one larger. */
static void test_large(void)
{
    char *text = malloc(4000000), *at = text;
    struct zone_plugin p = {0};
    struct asker a;
    const char *got;
    size_t lines = 0;

    at += sprintf(at, "@ 1 SOA a b 1 2 3 4 5\n@ 1 NS a\n");
    for (int i = 0; i < 20; i++)
        at += sprintf(at, "big 1 TXT \"%0100d\"\n", i);
    for (int i = 0; i < 570; i++)
        at += sprintf(at, "huge 1 TXT \"%0100d\"\n", i);
    for (int i = 0; i < 6000; i++)
        at += sprintf(at, "toolong 1 A 10.0.%d.%d\n", i / 256, i % 256);
    p.zone = zone_from("example.org.", text);
    free(text);
    asker_init(&a, ".");
    asker_add(&a, &zone_plugin, &p);
    got = ask(&a, "big.example.org TXT");
    CHECK(strncmp(got, "NOERROR aa tc\n", 14) == 0 && a.q->out_len <= 512);
    got = ask(&a, "big.example.org TXT tcp");
    CHECK(strncmp(got, "NOERROR aa\n", 11) == 0 && a.q->out_len > 2000);
    got = ask(&a, "huge.example.org TXT tcp");
    CHECK(strncmp(got, "NOERROR aa\n", 11) == 0 && a.q->out_len > 60000);
    got = ask(&a, "toolong.example.org A tcp");
    CHECK(strncmp(got, "NOERROR aa tc\n", 14) == 0);
    for (const char *s = got; (s = strchr(s, '\n')) != NULL; s++)
        lines++;
    CHECK(lines > 4000 && p.zone->n_long == 1 && p.zone->n_records == 6592);
    asker_done(&a);
    wp_zone_unref(p.zone);
}

static void test_maker(void)
{
    struct wp_zone_maker *m;
    struct wp_zone *z = NULL;
    struct wp_name origin;
    const uint8_t ip[4] = {192, 0, 2, 1};

    CHECK(wp_name_parse("example.org.", &origin) == 0);
    CHECK(wp_zone_maker_new(&origin, &m) == 0);
    CHECK(wp_zone_maker_add(m, origin.wire, WP_TYPE_A, 1, ip, 4) == 0);
    CHECK(wp_zone_maker_finish(m, 1, &z) == WP_ENOTFOUND && z == NULL);
    wp_zone_maker_free(m);
    z = zone_from("example.org.",
                  "@ 1 SOA a b 1 2 3 4 5\n@ 1 SOA a b 6 2 3 4 5\nfoo.test. 1 A 192.0.2.1\n");
    CHECK(z->serial == 6 && z->n_foreign == 1 && z->n_records == 2 && z->apex_bare);
    CHECK(wp_entry_set(z->apex, WP_TYPE_SOA)->count[WP_ANSWER] == 1);
    wp_zone_unref(z);
}

RUN_TESTS(TEST(test_plain), TEST(test_signed), TEST(test_fallthrough), TEST(test_large),
          TEST(test_maker))
