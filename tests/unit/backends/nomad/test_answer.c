/* Questions and answers over a store of the test's own. */
#include "backends/nomad/nomad_world.h"

#define SOA "service.nomad. 30 SOA ns1.service.nomad. hostmaster.service.nomad. 0 3600 600 86400 30\n"
#define DENIED "NXDOMAIN aa\nauthority " SOA
#define NODATA "NOERROR aa\nauthority " SOA
#define OF(name) \
    name " 30 SOA ns1." name " hostmaster.service.nomad. 0 3600 600 86400 30\n"

static void check(struct nomad_world *w, const char *question, const char *reply)
{
    char full[600];

    snprintf(full, sizeof(full), "%s", question);
    CHECK_AT(question, strcmp(ask(&w->asker, full), reply) == 0 || (print_error("%s", w->asker.text), 0));
}

/* options; question; reply */
static const struct {
    const char *options, *question, *reply;
} rows[] = {
    {"", "solo.default.service.nomad A",
     "NOERROR aa\nanswer solo.default.service.nomad. 30 A 10.1.0.3\n"},
    {"", "same.default.service.nomad A",
     "NOERROR aa\nanswer same.default.service.nomad. 30 A 10.1.0.5\n"
     "answer same.default.service.nomad. 30 A 10.1.0.5\n"},
    {"duplicates drop", "same.default.service.nomad A",
     "NOERROR aa\nanswer same.default.service.nomad. 30 A 10.1.0.5\n"},
    {"duplicates drop", "dual.default.service.nomad AAAA",
     "NOERROR aa\nanswer dual.default.service.nomad. 30 AAAA 2001:db8::4\n"},
    {"duplicates drop", "same.default.service.nomad SRV", /* ports differ, addresses do not */
     "NOERROR aa\nanswer same.default.service.nomad. 30 SRV 10 10 1 same.default.service.nomad.\n"
     "answer same.default.service.nomad. 30 SRV 10 10 2 same.default.service.nomad.\n"
     "additional same.default.service.nomad. 30 A 10.1.0.5\n"},
    {"", "SOLO.Default.service.nomad SRV",
     "NOERROR aa\nanswer SOLO.Default.service.nomad. 30 SRV 10 10 9000 solo.default.service.nomad.\n"
     "additional solo.default.service.nomad. 30 A 10.1.0.3\n"},
    {"", "solo.default.service.nomad AAAA", NODATA},
    {"", "solo.default.service.nomad TXT", NODATA},
    {"", "nope.default.SERVICE.nomad A",
     "NXDOMAIN aa\nauthority SERVICE.nomad. 30 SOA ns1.SERVICE.nomad. hostmaster.SERVICE.nomad. 0 3600 "
     "600 86400 30\n"},
    {"", "solo.service.nomad A", "NOERROR\nanswer solo.service.nomad. 20 A 203.0.113.53\n"},
    {"", "service.nomad A", "NOERROR\nanswer service.nomad. 20 A 203.0.113.53\n"},
    {"", "www.corp.example.com A", "NOERROR\nanswer www.corp.example.com. 20 A 203.0.113.53\n"},
    /* as CoreDNS */
    {"negative coredns", "solo.default.service.nomad AAAA", "NOERROR aa\n"},
    {"negative coredns", "solo.default.service.nomad TXT",
     "NXDOMAIN aa\nanswer " OF("solo.default.service.nomad.")},
    {"negative coredns", "nope.default.service.nomad A",
     "NXDOMAIN aa\nanswer " OF("nope.default.service.nomad.")},
    {"negative coredns", "Nope.default.service.nomad A",
     "NXDOMAIN aa\nanswer " OF("nope.default.service.nomad.")},
    {"negative coredns", "NOPE.DEFAULT.SERVICE.NOMAD A",
     "NXDOMAIN aa\nanswer " OF("nope.default.service.nomad.")},
    {"negative coredns", "nope.default.service.Nomad A",
     "NXDOMAIN aa\nanswer " OF("nope.default.service.nomad.")},
    {"negative coredns", "host.default.service.nomad A",
     "NXDOMAIN aa\nanswer host.default.service.nomad. 30 A 10.1.0.7\n"
     "answer " OF("host.default.service.nomad.")},
    {"negative coredns", "HOST.default.service.nomad SRV",
     "NXDOMAIN aa\nanswer HOST.default.service.nomad. 30 SRV 10 10 1 host.default.service.nomad.\n"
     "answer " OF("host.default.service.nomad.")
     "additional host.default.service.nomad. 30 A 10.1.0.7\n"},
    /* host names */
    {"", "host.default.service.nomad A",
     "NXDOMAIN aa\nanswer host.default.service.nomad. 30 A 10.1.0.7\nauthority " SOA},
    {"", "host.default.service.nomad SRV",
     "NXDOMAIN aa\nanswer host.default.service.nomad. 30 SRV 10 10 1 host.default.service.nomad.\n"
     "authority " SOA "additional host.default.service.nomad. 30 A 10.1.0.7\n"},
    {"", "host.default.service.nomad TXT", NODATA},
    {"hostnames skip", "host.default.service.nomad A",
     "NOERROR aa\nanswer host.default.service.nomad. 30 A 10.1.0.7\n"},
    {"hostnames skip", "host.default.service.nomad AAAA", NODATA},
    {"hostnames skip", "host.default.service.nomad SRV",
     "NOERROR aa\nanswer host.default.service.nomad. 30 SRV 10 10 1 host.default.service.nomad.\n"
     "additional host.default.service.nomad. 30 A 10.1.0.7\n"},
    {"hostnames resolve", "host.default.service.nomad A", /* the TTL is the smaller of both */
     "NOERROR aa\nanswer host.default.service.nomad. 30 A 10.1.0.7\n"
     "answer host.default.service.nomad. 20 A 203.0.113.53\n"},
    {"hostnames resolve", "host.default.service.nomad AAAA", NODATA},
    {"hostnames resolve", "host.default.service.nomad SRV",
     "NOERROR aa\nanswer host.default.service.nomad. 30 SRV 10 10 1 host.default.service.nomad.\n"
     "answer host.default.service.nomad. 30 SRV 10 10 2 db.corp.example.\n"
     "additional host.default.service.nomad. 30 A 10.1.0.7\n"},
    /* tags */
    {"tags", "blue.tagged.default.service.nomad A",
     "NOERROR aa\nanswer blue.tagged.default.service.nomad. 30 A 10.1.0.8\n"},
    {"tags", "GREEN.tagged.default.service.nomad SRV",
     "NOERROR aa\nanswer GREEN.tagged.default.service.nomad. 30 SRV 10 10 2 "
     "green.tagged.default.service.nomad.\n"
     "additional green.tagged.default.service.nomad. 30 A 10.1.0.9\n"},
    {"tags", "red.tagged.default.service.nomad A", DENIED},
    {"tags", "blue.tagged.default.service.nomad MX", NODATA},
    {"tags", "red.tagged.default.service.nomad MX", DENIED},
    {"tags", "blue.nope.default.service.nomad A", DENIED},
    {"tags", "x.blue.tagged.default.service.nomad A", DENIED},
    {"tags", "solo.default.service.service.nomad A", /* the plain reading goes first */
     "NOERROR aa\nanswer solo.default.service.service.nomad. 30 A 10.1.0.3\n"},
    {"", "blue.tagged.default.service.nomad A", DENIED},
    /* weights */
    {"weights", "weighed.default.service.nomad SRV",
     "NOERROR aa\nanswer weighed.default.service.nomad. 30 SRV 5 40 1 weighed.default.service.nomad.\n"
     "answer weighed.default.service.nomad. 30 SRV 10 10 2 weighed.default.service.nomad.\n"
     "additional weighed.default.service.nomad. 30 A 10.5.0.1\n"
     "additional weighed.default.service.nomad. 30 A 10.5.0.2\n"},
};

static void test_rows(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct nomad_world w;
        char line[200];

        snprintf(line, sizeof(line), "nomad {\n%s\n}", rows[i].options);
        nomad_world_open(&w, "service.nomad", line);
        /* covered, so that the plain reading of a name with a tag is known to be nothing */
        nomad_world_service(&w, "", "tagged", "");
        nomad_world_service(&w, "", "nope", "");
        nomad_world_service(&w, "", "blue", "");
        nomad_world_service(&w, "weighed", "default",
                            "10.5.0.1:1 dns-priority=5 dns-weight=40,10.5.0.2:2 dns-weight=x");
        check(&w, rows[i].question, rows[i].reply);
        nomad_world_close(&w);
    }
}

/* --- zones ----------------------------------------------------------------------------------------- */

#define REDIS "answer redis.default.nomad. 30 A 192.168.29.76\n"
#define PASSED(name) "NOERROR\nanswer " name " 20 A 203.0.113.53\n"

static const struct {
    const char *block, *line, *question, *reply;
} zones[] = {
    {"nomad", "nomad", "redis.default.nomad A", "NOERROR aa\n" REDIS REDIS REDIS},
    {".", "nomad", "redis.default.nomad A", "NOERROR aa\n" REDIS REDIS REDIS},
    {"nomad", "nomad", "solo.default.service.nomad A",
     "NOERROR aa\nanswer solo.default.service.nomad. 30 A 10.1.0.3\n"},
    {"nomad", "nomad", "solo.default.extra.service.nomad A",
     "NOERROR aa\nanswer solo.default.extra.service.nomad. 30 A 10.1.0.3\n"},
    {"nomad", "nomad", "a.service.nomad A", "NOERROR aa\nanswer a.service.nomad. 30 A 10.4.0.1\n"},
    {"nomad", "nomad", "b.service.nomad A",
     "NXDOMAIN aa\nauthority nomad. 30 SOA ns1.nomad. hostmaster.nomad. 0 3600 600 86400 30\n"},
    {"nomad", "nomad", "x.redis.default.nomad A", PASSED("x.redis.default.nomad.")},
    {"nomad", "nomad {\ntags\n}", "blue.tagged.default.nomad A",
     "NOERROR aa\nanswer blue.tagged.default.nomad. 30 A 10.1.0.8\n"},
    {"nomad", "nomad {\ntags\n}", "x.blue.tagged.default.nomad A",
     PASSED("x.blue.tagged.default.nomad.")},
    {"nomad", "nomad", "redis.nomad A", PASSED("redis.nomad.")},
    {"nomad", "nomad", "nomad A", PASSED("nomad.")},
    {"nomad", "nomad service.nomad", "redis.default.nomad A", PASSED("redis.default.nomad.")},
    {"service.nomad", "nomad", "redis.default.nomad A", PASSED("redis.default.nomad.")},
    {"corp", "nomad SVC.Corp", "solo.default.svc.corp A",
     "NOERROR aa\nanswer solo.default.svc.corp. 30 A 10.1.0.3\n"},
    {"corp", "nomad {\nzone svc.corp.\n}", "nope.default.svc.corp A",
     "NXDOMAIN aa\nauthority svc.corp. 30 SOA ns1.svc.corp. hostmaster.svc.corp. 0 3600 600 86400 30\n"},
    {"corp", "nomad nomad", "solo.default.x.nomad A", /* named: not the short form */
     "NOERROR aa\nanswer solo.default.x.nomad. 30 A 10.1.0.3\n"},
    {".", "nomad .", "solo.default A", "NOERROR aa\nanswer solo.default. 30 A 10.1.0.3\n"},
    {".", "nomad .", "nope.default A",
     "NXDOMAIN aa\nauthority . 30 SOA ns1. hostmaster. 0 3600 600 86400 30\n"},
};

static void test_zones(void)
{
    for (size_t i = 0; i < COUNT(zones); i++) {
        struct nomad_world w;

        nomad_world_open(&w, zones[i].block, zones[i].line);
        check(&w, zones[i].question, zones[i].reply);
        nomad_world_close(&w);
    }
}

/* --- health ------------------------------------------------------------------------------------- */

static void test_health(void)
{
    struct nomad_world w;

    nomad_world_open(&w, "service.nomad", "nomad {\nhealth\n}");
    w.unwell = "bad";
    nomad_world_service(&w, "some", "default", "10.6.0.1:1 bad,10.6.0.2:2,2001:db8::1:3 bad");
    nomad_world_service(&w, "none", "default", "10.6.0.3:1 bad,10.6.0.4:2 bad");
    check(&w, "some.default.service.nomad A do",
          "NOERROR aa\nanswer some.default.service.nomad. 30 A 10.6.0.2\n");
    CHECK(asker_ede(&w.asker) == -1);
    check(&w, "some.default.service.nomad SRV do",
          "NOERROR aa\nanswer some.default.service.nomad. 30 SRV 10 10 2 some.default.service.nomad.\n"
          "additional some.default.service.nomad. 30 A 10.6.0.2\n");
    check(&w, "some.default.service.nomad AAAA do", /* the only one of its kind */
          "NOERROR aa\nanswer some.default.service.nomad. 30 AAAA 2001:db8::1\n");
    CHECK(asker_ede(&w.asker) == 0);
    check(&w, "none.default.service.nomad A do",
          "NOERROR aa\nanswer none.default.service.nomad. 30 A 10.6.0.3\n"
          "answer none.default.service.nomad. 30 A 10.6.0.4\n");
    CHECK(asker_ede(&w.asker) == 0);
    check(&w, "none.default.service.nomad AAAA do", NODATA);
    nomad_world_close(&w);
}

/* --- caches, old data --------------------------------------------------------------------------- */

static void test_changes(void)
{
    static const char *const questions[] = {
        "solo.default.service.nomad A", "solo.default.service.nomad SRV",
        "solo.default.service.nomad TXT", "new.solo.default.service.nomad A"};
    struct nomad_world w;

    for (size_t i = 0; i < COUNT(questions); i++) {
        nomad_world_open(&w, "service.nomad", "nomad {\ntags\n}");
        nomad_world_service(&w, "", "solo", "");
        ask(&w.asker, questions[i]);
        CHECK_AT(questions[i], asker_is_current(&w.asker));
        nomad_world_service(&w, "web", "default", "10.1.0.99:1");
        CHECK_AT(questions[i], asker_is_current(&w.asker));
        nomad_world_service(&w, "solo", "default", "10.1.0.99:1 new");
        CHECK_AT(questions[i], !asker_is_current(&w.asker));
        nomad_world_close(&w);
    }
    nomad_world_open(&w, "service.nomad", "nomad");
    ask(&w.asker, "late.default.service.nomad A");
    CHECK(asker_is_current(&w.asker));
    nomad_world_service(&w, "late", "default", "10.1.0.99:1");
    CHECK(!asker_is_current(&w.asker));
    nomad_world_close(&w);
}

static void test_stale(void)
{
    struct nomad_world w;
    uint64_t now;

    nomad_world_open(&w, "service.nomad", "nomad");
    now = wp_loop_now(w.asker.loop);
    atomic_store(&w.own.s.behind_since_ns, now - UINT64_C(30900000000));
    ask(&w.asker, "solo.default.service.nomad A do");
    CHECK(asker_ede(&w.asker) == -1 && asker_is_current(&w.asker));
    atomic_store(&w.own.s.behind_since_ns, now - UINT64_C(31000000000));
    check(&w, "solo.default.service.nomad A do",
          "NOERROR aa\nanswer solo.default.service.nomad. 30 A 10.1.0.3\n");
    CHECK(asker_ede(&w.asker) == 3 && !asker_is_current(&w.asker));
    check(&w, "nope.default.service.nomad A do", DENIED);
    CHECK(asker_ede(&w.asker) == 19 && !asker_is_current(&w.asker));
    nomad_world_close(&w);
}

/* A host name that cannot be resolved, and no other address: nobody knows. */
static void test_unresolved(void)
{
    struct nomad_world w;

    nomad_world_open(&w, "service.nomad", "nomad {\nhostnames resolve\n}");
    nomad_world_service(&w, "lost", "default", "broken.test:1");
    check(&w, "lost.default.service.nomad A do", "SERVFAIL\n");
    CHECK(asker_ede(&w.asker) == 0);
    nomad_world_service(&w, "odd", "default", "no..name:1,10.1.0.1:2");
    check(&w, "odd.default.service.nomad A", "NOERROR aa\nanswer odd.default.service.nomad. 30 A 10.1.0.1\n");
    nomad_world_service(&w, "self", "default", "self.default.service.nomad:1");
    check(&w, "self.default.service.nomad A", "SERVFAIL\n");
    nomad_world_close(&w);
}

/* --- many --------------------------------------------------------------------------------------- */

static void add_many(struct nomad_world *w, unsigned n, unsigned kinds)
{
    wp_nomad_build_begin(&w->build);
    for (unsigned i = 0; i < n; i++) {
        char address[32];
        struct wp_nomad_registration r = {.id = {"id", 2}, .port = 1};

        snprintf(address, sizeof(address), "10.9.%u.%u", i % kinds / 250, i % kinds % 250);
        r.address = (struct wp_nomad_text){address, strlen(address)};
        CHECK(wp_nomad_build_add(&w->build, &r) == 0);
    }
    nomad_world_put(w, "many", "default");
}

static void test_many(void)
{
    struct nomad_world w;

    nomad_world_open(&w, "service.nomad", "nomad");
    add_many(&w, 10000, 10000);
    ask(&w.asker, "many.default.service.nomad A tcp");
    CHECK((w.asker.q->reply.flags & WP_FLAG_TC) != 0 && w.asker.q->reply.count[WP_ANSWER] > 4000);
    ask(&w.asker, "many.default.service.nomad SRV tcp");
    CHECK((w.asker.q->reply.flags & WP_FLAG_TC) != 0 && w.asker.q->reply.count[WP_ANSWER] > 1000 &&
          w.asker.q->reply.count[WP_ADDITIONAL] == 0);
    add_many(&w, 4000, 4000);
    ask(&w.asker, "many.default.service.nomad A tcp");
    CHECK((w.asker.q->reply.flags & WP_FLAG_TC) == 0 && w.asker.q->reply.count[WP_ANSWER] == 4000);
    ask(&w.asker, "many.default.service.nomad A");
    CHECK((w.asker.q->reply.flags & WP_FLAG_TC) != 0);
    nomad_world_close(&w);
    nomad_world_open(&w, "service.nomad", "nomad {\nduplicates drop\n}");
    add_many(&w, 10000, 100);
    ask(&w.asker, "many.default.service.nomad A tcp");
    CHECK(w.asker.q->reply.count[WP_ANSWER] == 100);
    ask(&w.asker, "many.default.service.nomad SRV tcp");
    CHECK(w.asker.q->reply.count[WP_ANSWER] == 1 && w.asker.q->reply.count[WP_ADDITIONAL] == 100);
    nomad_world_close(&w);
}

/* A question as long as a name may be: CoreDNS's SOA has no room for "ns1". */
static void test_long_name(void)
{
    char question[600], label[64];
    struct nomad_world w;

    memset(label, 'x', 63);
    label[63] = '\0';
    snprintf(question, sizeof(question), "%s.%s.%s.%.47s.service.nomad A", label, "default", label, label);
    nomad_world_open(&w, "service.nomad", "nomad {\nnegative coredns\n}");
    ask(&w.asker, question);
    CHECK(strstr(w.asker.text, "NXDOMAIN aa\nanswer xxx") == w.asker.text);
    snprintf(question, sizeof(question), "X%.62s.%s.%s.%s.%.38s.service.nomad A", label, "default", label,
             label, label);
    ask(&w.asker, question);
    CHECK(strstr(w.asker.text, " SOA xxxx") != NULL);
    nomad_world_close(&w);
}

/* --- what is counted ----------------------------------------------------------------------------- */

static bool has_line(const char *line)
{
    size_t len;
    char *text = wp_metric_text(&len);
    bool yes = text != NULL && strstr(text, line) != NULL;

    free(text);
    return yes;
}

static void test_meter(void)
{
    struct nomad_world w;

    nomad_world_open(&w, "service.nomad", "nomad");
    w.asker.group.label = "meter";
    ask(&w.asker, "solo.default.service.nomad A");
    ask(&w.asker, "solo.default.service.nomad AAAA");
    ask(&w.asker, "nope.default.service.nomad A");
    ask(&w.asker, "web.ops.service.nomad A");
    for (int i = 0; i < 3; i++)
        nomad_meter_add(&w.p->meter, w.asker.q, w.p->source, "made-up", 7, false);
    CHECK(has_line("coredns_nomad_success_requests_total{namespace=\"default\",server=\"meter\"} 2\n"));
    CHECK(has_line("coredns_nomad_failed_requests_total{namespace=\"default\",server=\"meter\"} 1\n"));
    CHECK(has_line("coredns_nomad_success_requests_total{namespace=\"ops\",server=\"meter\"} 1\n"));
    CHECK(has_line("coredns_nomad_failed_requests_total{namespace=\"other\",server=\"meter\"} 3\n"));
    CHECK(!has_line("made-up"));
    for (unsigned i = 0; i < 2 * NOMAD_METER_SLOTS; i++) { /* no more than there is room for */
        char ns[16];
        int len = snprintf(ns, sizeof(ns), "ns-%u", i);
        nomad_world_service(&w, "", ns, "");
        nomad_meter_add(&w.p->meter, w.asker.q, w.p->source, ns, (size_t)len, true);
    }
    CHECK(has_line("{namespace=\"ns-100\",server=\"meter\"} 1\n"));
    CHECK(!has_line("{namespace=\"ns-300\",server=\"meter\"}"));
    CHECK(atomic_load(&w.p->meter.n) == NOMAD_METER_MAX);
    w.asker.group.label = "second"; /* another listener, which comes late: it has its "other" */
    ask(&w.asker, "solo.default.service.nomad A");
    CHECK(has_line("coredns_nomad_success_requests_total{namespace=\"other\",server=\"second\"} 1\n"));
    nomad_world_close(&w);
}

RUN_TESTS(TEST(test_rows), TEST(test_zones), TEST(test_health), TEST(test_changes),
              TEST(test_stale), TEST(test_unresolved), TEST(test_many), TEST(test_long_name),
              TEST(test_meter))
