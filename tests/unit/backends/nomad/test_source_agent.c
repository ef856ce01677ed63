/* Agents that fail, and what is done about it (rows M of the failure table). */
#include "source_world.h"

#include <fcntl.h>
#include <unistd.h>

static const char *const two[] = {"http://192.0.2.1:4646", "http://192.0.2.2:4646"};

static void open_two(void)
{
    world_begin();
    world.addresses = two;
    world.n_addresses = 2;
    CHECK(world_try(NULL) == 0);
}

static void end_all(int err, const char *text)
{
    for (struct wp_httpc_call *c; (c = world_find("//192.0.2.1")) != NULL;)
        world_end(c, err, text);
}

/* M01, M02: away at the start, and later there. */
static void test_away_at_start(void)
{
    size_t started;

    world_open(NULL);
    world_end(world_call("/v1/services?"), -ECONNREFUSED, "192.0.2.1:4646: connection refused");
    CHECK(!world.s->reached && world.s->away && world_find("/") == NULL);
    CHECK(strstr(world.s->own->error, "connection refused") != NULL);
    world_pass(700);
    CHECK(world_find("/") == NULL);
    for (unsigned s = 0; s < 200; s++) { /* one sign of life is asked for at a time, each 30 s at last */
        struct wp_httpc_call *c = world_find("/v1/status/leader");
        CHECK(world_find("/v1/services") == NULL && world_find("/v1/service/") == NULL);
        if (c != NULL)
            world_end(c, -ECONNREFUSED, "192.0.2.1:4646: connection refused");
        world_pass(1000);
    }
    started = world.n_started;
    CHECK(started > 8 && started < 20);
    world_pass(40000);
    world_answer(world_call("/v1/status/leader"), 200, 0, "'192.0.2.1:4647'");
    CHECK(world.s->away);
    world_load(false);
    CHECK(!world.s->away && world.s->reached && world.s->behind_since_ns == 0);
    world_close();
}

/* M03: one agent, dies: what is known stays, and is stale after 30 s. */
static void test_dies(void)
{
    uint32_t state;

    world_open(NULL);
    world_load(true);
    world_pass(5000);
    end_all(WP_ECLOSED, "192.0.2.1:4646: connection lost");
    CHECK(world_addr("web") == 1 && world_known("nope", "default") == WP_NOMAD_ABSENT);
    CHECK(world.s->away && world.s->reached);
    state = atomic_load(&wp_change_version[wp_change_slot(wp_nomad_state_key(world.s))]);
    for (unsigned s = 0; s < 32; s++) {
        end_all(-ECONNREFUSED, "192.0.2.1:4646: connection refused");
        world_pass(1000);
    }
    CHECK(world_behind() >= 30 && world.s->own->stale_told);
    CHECK(atomic_load(&wp_change_version[wp_change_slot(wp_nomad_state_key(world.s))]) != state);
    world_pass(40000);
    world_answer(world_call("/v1/status/leader"), 200, 0, "''");
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world.s->behind_since_ns == 0 && !world.s->own->stale_told && !world.s->away);
    CHECK(world_find("/v1/service/") == NULL); /* the index is the same: so is everything */
    world_close();
}

/* M04, R54: the next one is asked at once, from index 0. */
static void test_switch(void)
{
    open_two();
    world_load(false);
    world_pass(5000);
    CHECK(world_call("/v1/services?")->connect_ms == 1500);
    end_all(WP_ECLOSED, "192.0.2.1:4646: connection lost");
    CHECK(!world.s->away && world.s->own->agent == 1);
    world_answer(world_call("192.0.2.2:4646/v1/status/leader"), 200, 0, "''");
    CHECK(!world_asks(world_call("192.0.2.2:4646/v1/services?"), "index="));
    world_answer(world_call("192.0.2.2:4646/v1/services?"), 200, 10,
                 WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world.s->behind_since_ns == 0 && world_addr("web") == 1 && world_find("/v1/service/") == NULL);
    world_pass(100000);
    CHECK(world.s->own->agent == 1); /* it stays there */
    world_close();
}

/* The other one is dead, too: a rest, and both again. */
static void test_both_dead(void)
{
    open_two();
    world_load(false);
    world_pass(5000);
    end_all(WP_ECLOSED, "192.0.2.1:4646: connection lost");
    world_end(world_call("192.0.2.2:4646/v1/status/leader"), WP_ETIMEOUT, "192.0.2.2:4646: no answer in time");
    CHECK(world.s->away && world_addr("web") == 1);
    world_pass(1300);
    world_end(world_call("192.0.2.1:4646/v1/status/leader"), -ECONNREFUSED, "refused");
    world_answer(world_call("192.0.2.2:4646/v1/status/leader"), 200, 0, "''");
    world_answer(world_call("192.0.2.2:4646/v1/services?"), 200, 10,
                 WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(!world.s->away && world.s->behind_since_ns == 0);
    world_close();
}

/* M05: it accepts and never answers: a sign of life is asked for after 20 s of silence, for 5 s. */
static void test_hung(void)
{
    open_two();
    world_load(true);
    world_pass(24000);
    CHECK(world_call("/v1/status/leader")->total_ms == 5000);
    world_pass(5000);
    world_end(world_call("/v1/status/leader"), WP_ETIMEOUT, "192.0.2.1:4646: no answer in time");
    CHECK(world.s->own->agent == 1 && !world.s->away);
    CHECK(world_behind() >= 25); /* since its last word */
    world_close();
}

/* A read is limited to 5 s, to 2 s when a question waits. */
static void test_read_hangs(void)
{
    open_two();
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web")));
    CHECK(world_call("/v1/service/web?")->total_ms == 5000);
    world_pass(5000);
    world_end(world_call("/v1/service/web?"), WP_ETIMEOUT, "192.0.2.1:4646: no answer in time");
    CHECK(world.s->own->agent == 1 && world_find("192.0.2.1") == NULL);
    world_answer(world_call("192.0.2.2:4646/v1/status/leader"), 200, 0, "''");
    world_answer(world_call("192.0.2.2:4646/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web")));
    world_serve("web", 10, "10.0.0.1");
    CHECK(world_addr("web") == 1 && world.s->behind_since_ns == 0);
    world_close();
}

/* M06: no leader: any server after 5 s, and what is known counts as stale until there is one. */
static void test_leaderless(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_load(false);
    world_pass(5000);
    world_answer(world_call("/v1/services?"), 500, 0, "No cluster leader");
    CHECK(world_addr("web") == 1 && !world.s->own->stale);
    for (unsigned s = 0; s < 8 && !world.s->own->stale; s++) {
        world_pass(1300);
        world_answer(world_call("/v1/status/leader"), 200, 0, "''");
        c = world_call("/v1/services?");
        if (!world.s->own->stale)
            world_answer(c, 500, 0, "No cluster leader");
    }
    CHECK(world.s->own->stale && world_behind() < 8);
    world_pass(1300);
    world_answer(world_call("/v1/status/leader"), 200, 0, "''");
    c = world_call("/v1/services?");
    CHECK(world_asks(c, "&stale="));
    c->leader = "false";
    world_answer(c, 200, 12, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    c = world_call("/v1/service/web?");
    CHECK(world_asks(c, "&stale=") && !world.s->away);
    c->leader = "false";
    world_serve("web", 12, "10.0.0.4");
    c = world_call("/v1/service/solo?");
    c->leader = "false";
    world_serve("solo", 12, "10.0.0.2");
    CHECK(world_addr("web") == 4 && world.s->behind_since_ns != 0);
    c = world_call("/v1/services?");
    CHECK(world_asks(c, "wait=10s"));
    c->leader = "true";
    world_answer(c, 200, 12, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(!world.s->own->stale && world.s->behind_since_ns == 0);
    world_close();
}

/* `stale never`. */
static void test_leaderless_never(void)
{
    struct wp_nomad_wants w = {.fresh_s = 10, .absent_s = 5, .stale = WP_NOMAD_STALE_NEVER};

    world_open(&w);
    for (unsigned s = 0; s < 12; s++) {
        struct wp_httpc_call *c = world_find("/v1/status/leader");
        if (c != NULL)
            world_answer(c, 200, 0, "''");
        c = world_call("/v1/services?");
        CHECK(!world_asks(c, "stale"));
        world_answer(c, 500, 0, "No cluster leader");
        world_pass(1300);
    }
    world_close();
}

/* M11: fewer requests at a time, and later. */
static void test_too_many(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_answer(world_call("/v1/service/web?"), 429, 0, "Your IP is issuing too many concurrent connections");
    CHECK(world.s->own->reads_max == 4 && world_find("/") == NULL);
    world_pass(1300);
    world_answer(world_call("/v1/status/leader"), 429, 0, "");
    CHECK(world.s->own->reads_max == 2);
    world_pass(2600);
    world_answer(world_call("/v1/status/leader"), 200, 0, "''");
    world_load(false);
    CHECK(world.s->own->reads_max == 3); /* one more with each pass */
    world_close();
}

/* M22, M24: TLS that fails, a page of a proxy. */
static void test_others(void)
{
    static const struct {
        const char *what;
        int err, status;
        const char *text, *told;
    } rows[] = {
        {"M22", WP_ETLS, 0, "192.0.2.1:4646: the server's certificate has expired", "has expired"},
        {"M23", -ENOENT, 0, "/secrets/api.sock: no such file or directory", "no such file"},
        {"M24 redirect", 0, 302, "<a href=", "redirects are not followed"},
        {"M24 teapot", 0, 418, "short", "HTTP status 418: short"},
        {"502", 0, 502, "<html>", "HTTP status 502"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        world_open(NULL);
        world_load(false);
        world_pass(5000);
        for (unsigned n = 0; n < 3 && !world.s->away; n++) {
            if (rows[i].err != 0)
                world_end(world_call("/v1/services?"), rows[i].err, rows[i].text);
            else
                world_answer(world_call("/v1/services?"), rows[i].status, 0, rows[i].text);
            if (!world.s->away)
                world_pass(1000);
        }
        CHECK_AT(rows[i].what, world.s->away && world_addr("web") == 1);
        CHECK_AT(rows[i].what, strstr(world.s->own->error, rows[i].told) != NULL);
        world_close();
    }
}

/* A token file with another token: everything is asked for anew, and namespaces must be seen again. */
static void test_token_changes(void)
{
    char path[] = "/tmp/waypost-nomad-token-XXXXXX";
    struct wp_nomad_wants w = {.fresh_s = 10, .absent_s = 5, .agents.token_file = path};
    int fd = mkstemp(path);

    CHECK(fd >= 0 && write(fd, "one\n", 4) == 4);
    world_open(&w);
    CHECK(strcmp(world_call("/v1/services?")->token, "one") == 0);
    world_load(false);
    world_pass(6000);
    CHECK(pwrite(fd, "second\n", 7, 0) == 7);
    world_pass(6000);
    CHECK(strcmp(world_call("/v1/services?")->token, "second") == 0);
    CHECK(!world_asks(world_call("/v1/services?"), "index="));
    world_answer(world_call("/v1/services?"), 200, 0, "[]");
    CHECK(world_addr("web") == 1 && world_known("nope", "default") == WP_NOMAD_UNKNOWN);
    world_serve("web", 10, "10.0.0.1");
    world_answer(world_call("/v1/service/solo?"), 403, 0, "Permission denied");
    CHECK(world_addr("web") == 1 && world_addr("solo") == 2);
    world_close();
    close(fd);
    unlink(path);
}

/* M25: who wants the same gets the same; another filter is another source. */
static void test_shared(void)
{
    struct wp_nomad_wants w = {.fresh_s = 10, .absent_s = 5, .filter = "x"};
    struct wp_nomad_source *first, *second;

    world_open(NULL);
    world_load(false);
    first = world.s;
    CHECK(world_try(NULL) == 0 && world.s == first && world.users == 1);
    CHECK(world_try(&w) == 0 && world.s != first && world.users == 2);
    second = world.s;
    wp_nomad_source_put(second);
    wp_nomad_source_put(first);
    world.s = first;
    CHECK(world_addr("web") == 1);
    world_close();
    wp_nomad_source_put(NULL);
}

static void test_bad_wants(void)
{
    static const char *const none[] = {"ftp://x"};

    world_begin();
    world.addresses = none;
    CHECK(world_try(NULL) == WP_ECONFIG && world.users == 0);
}

/* At most eight reads at a time, and list, events and a sign of life: below 16. */
static void test_connections(void)
{
    static char list[200000];
    size_t at = 0, n = 0;

    for (unsigned i = 0; i < 1000; i++)
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s{'ServiceName':'s%u','Tags':[]}",
                               i > 0 ? "," : "[{'Namespace':'default','Services':[", i);
    snprintf(list + at, sizeof(list) - at, "]}]");
    world_open(NULL);
    world_answer(world_call("/v1/services?"), 200, 10, list);
    for (struct wp_httpc_call *c; (c = world_find("/v1/service/")) != NULL; n++)
        world_answer(c, 200, 10, "[{'ID':'i','ServiceName':'x','Namespace':'default','Address':'10.0.0.1','Port':80}]");
    CHECK(n == 1000 && world.most <= 10 && world.s->behind_since_ns == 0);
    CHECK(wp_nomad_store_figures(world.s->store).services == 1000);
    CHECK(world_known("s999", "default") == WP_NOMAD_THERE);
    world_close();
}

RUN_TESTS(TEST(test_away_at_start), TEST(test_dies), TEST(test_switch), TEST(test_both_dead),
          TEST(test_hung), TEST(test_read_hangs), TEST(test_leaderless), TEST(test_leaderless_never),
          TEST(test_too_many), TEST(test_others), TEST(test_token_changes), TEST(test_shared),
          TEST(test_bad_wants), TEST(test_connections))
