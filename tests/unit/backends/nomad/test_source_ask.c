/* Names that nobody lists: asked for, kept fresh, forgotten. */
#include "source_world.h"

#include "waypost/server/worker.h"

static struct wp_loop *loop;

struct asker {
    struct wp_nomad_ask ask;
    unsigned done;
};

static void on_done(struct wp_nomad_ask *a)
{
    ((struct asker *)a)->done++;
}

/* How often it has been told. */
static unsigned told(const struct asker *a)
{
    wp_loop_turn(loop, 0);
    return a->done;
}

static int ask(struct asker *a, const char *name, const char *ns)
{
    struct wp_nomad_key k = world_key(name, ns);

    *a = (struct asker){.ask = {.done = on_done, .loop = loop}};
    return wp_nomad_ask(world.s, &k, &a->ask);
}

static void finish(void)
{
    world_close();
    wp_loop_turn(loop, 0); /* what is on its way is for askers that are still there */
}

/* No list is believed. */
static void open_listless(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/event/stream"), 404, 0, "");
    world_answer(world_call("/v1/services?"), 200, 0, "[]");
}

static struct wp_nomad_service *published(const char *name, const char *ns)
{
    struct wp_nomad_key k = world_key(name, ns);

    return wp_nomad_store_get(world.s->store, k.hash, k.name, k.name_len, k.namespace, k.namespace_len);
}

/* As a question does. */
static void touch(const char *name)
{
    published(name, "default")->asked_s = (uint32_t)(world.now / 1000000000u);
}

/* R61, R68: read when it is asked for, once for all who ask. */
static void test_asked(void)
{
    struct asker one, two;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0 && ask(&two, "web", "default") == 0);
    CHECK(world.n_reads == 1 && world_call("/v1/service/web?")->total_ms == WP_NOMAD_ASK_MS);
    world_serve("web", 7, "10.0.0.1");
    CHECK(told(&one) == 1 && told(&two) == 1 && world_addr("web") == 1);
    CHECK(wp_nomad_has_namespace(world.s, "default", 7));
    CHECK(published("web", "default")->on_demand && published("web", "default")->until_s == 1010);
    finish();
}

/* Odd names are escaped: `a b` of `x/y`. */
static void test_escaped(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "a b", "x/y") == 0);
    CHECK(world_call("/v1/service/a%20b?namespace=x%2Fy") != NULL);
    finish();
    CHECK(told(&one) == 1);
}

/* Fresh while it is asked for, then forgotten. */
static void test_kept_fresh(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    world_pass(8500);
    CHECK(world_find("/v1/service/") == NULL);
    touch("web");
    world_pass(1500);
    world_serve("web", 8, "10.0.0.2");
    CHECK(world_addr("web") == 2 && published("web", "default")->until_s == 1020);
    for (unsigned n = 0; n < 8; n++) { /* not asked for any more: not read any more */
        struct wp_httpc_call *c;
        world_pass(10000);
        if ((c = world_find("/v1/service/web?")) != NULL)
            world_serve("web", 9, "10.0.0.2");
        while ((c = world_find("/v1/status")) != NULL || (c = world_find("/v1/services?")) != NULL)
            world_answer(c, 200, 0, "[]");
    }
    CHECK(world.n_reads < 9 && published("web", "default") != NULL);
    world.n_reads = 0;
    for (unsigned n = 0; n < 60; n++) {
        struct wp_httpc_call *c;
        world_pass(10000);
        while ((c = world_find("/v1/status")) != NULL || (c = world_find("/v1/services?")) != NULL)
            world_answer(c, 200, 0, "[]");
    }
    CHECK(world.n_reads == 0 && published("web", "default") == NULL);
    CHECK(world.s->own->items.n == 0);
    finish();
}

#define RUNG "/v1/services?namespace=default"

/* A workload's identity: the list of its own is waited on, and what is asked for is read when it moves. */
static void test_bell(void)
{
    struct asker one, two;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0 && ask(&two, "nope", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    world_serve("nope", 7, "");
    CHECK(world_find(RUNG) == NULL);
    world_pass(1000);
    CHECK(world_call(RUNG) != NULL && !world_asks(world_call(RUNG), "index="));
    world_answer(world_call(RUNG), 200, 7, "[]");
    CHECK(world_asks(world_call(RUNG), "&index=7&wait=120s") && world_find("/v1/service/") == NULL);
    touch("web");
    touch("nope");
    world_answer(world_call(RUNG), 200, 9, "nothing that is looked at");
    world_serve("web", 9, "10.0.0.2");
    world_serve("nope", 9, "10.0.0.3");
    CHECK(world_addr("web") == 2 && world_addr("nope") == 3);
    CHECK(world_find(RUNG) == NULL || world_asks(world_call(RUNG), "index=9"));
    world_pass(1000);
    CHECK(world_asks(world_call(RUNG), "index=9"));
    world_answer(world_call(RUNG), 200, 9, "[]"); /* its time was over, but so soon? */
    CHECK(world_find(RUNG) == NULL);
    finish();
    CHECK(told(&one) == 1 && told(&two) == 1);
}

/* What may not be waited on is let be, and an agent that breaks off is no agent. */
static void test_no_bell(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "nope", "default") == 0);
    world_serve("nope", 7, "");
    world_pass(2000);
    CHECK(world_find(RUNG) == NULL && told(&one) == 1); /* names that are not there ring nothing */
    CHECK(ask(&one, "web", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    world_pass(1000);
    world_answer(world_call(RUNG), 403, 0, "Permission denied");
    touch("web");
    world_pass(1000);
    CHECK(world_find(RUNG) == NULL && !world.s->away);
    for (unsigned n = 0; n < 31; n++) {
        touch("web");
        world_pass(1000);
        if (world_find("/v1/service/web?") != NULL)
            world_serve("web", 7, "10.0.0.1");
    }
    world_end(world_call(RUNG), WP_ECLOSED, "192.0.2.1:4646: connection lost");
    CHECK(world.s->away && world_find(RUNG) == NULL && world_addr("web") == 1);
    finish();
    CHECK(told(&one) == 1);
}

/* That there is none is remembered, too, and for a shorter time. */
static void test_negative(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "nope", "default") == 0);
    world_serve("nope", 7, "");
    CHECK(told(&one) == 1 && world_known("nope", "default") == WP_NOMAD_ABSENT);
    CHECK(published("nope", "default")->until_s == 1005);
    world_pass(4000);
    touch("nope");
    world_serve("nope", 8, "10.0.0.9");
    CHECK(world_addr("nope") == 9);
    finish();
}

/* R60: a namespace that may not be read; the next questions do not ask again at once. */
static void test_denied(void)
{
    struct asker one, two;

    open_listless();
    CHECK(ask(&one, "web", "ops") == 0);
    world_answer(world_call("/v1/service/web?"), 403, 0, "Permission denied");
    CHECK(told(&one) == 1 && world_known("web", "ops") == WP_NOMAD_UNKNOWN);
    CHECK(ask(&two, "other", "ops") == 0 && told(&two) == 1 && world.n_reads == 1);
    world_pass(5100);
    CHECK(ask(&two, "web", "ops") == 0 && told(&two) == 0 && world.n_reads == 2);
    world_serve("web", 7, "10.0.0.1");
    CHECK(told(&two) == 1 && world_known("web", "ops") == WP_NOMAD_THERE);
    finish();
}

/* It ends within two seconds; what comes later is kept. */
static void test_too_late(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0);
    world_pass(1900);
    CHECK(told(&one) == 0);
    world_pass(200);
    CHECK(told(&one) == 1 && world_known("web", "default") == WP_NOMAD_UNKNOWN);
    world_serve("web", 7, "10.0.0.1");
    CHECK(world_addr("web") == 1 && told(&one) == 1);
    finish();
}

static void test_cancelled(void)
{
    struct asker one, two;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0 && ask(&two, "web", "default") == 0);
    wp_nomad_ask_cancel(world.s, &one.ask);
    wp_nomad_ask_cancel(world.s, &one.ask);
    world_serve("web", 7, "10.0.0.1");
    CHECK(told(&one) == 0 && told(&two) == 1);
    CHECK(ask(&one, "other", "default") == 0);
    wp_nomad_ask_cancel(world.s, &one.ask);
    finish();
    CHECK(told(&one) == 0);
}

/* Cancelled when the answer is on its way. */
static void test_cancelled_late(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    wp_nomad_ask_cancel(world.s, &one.ask);
    finish(); /* the mail outlives the source */
    CHECK(told(&one) == 0);
}

/* R56: nobody can be asked: at once, once it has been tried. What waits is told. */
static void test_unreachable(void)
{
    struct asker one, two;

    world_open(NULL);
    CHECK(ask(&one, "web", "default") == 0 && told(&one) == 0);
    world_end(world_call("/v1/services?"), -ECONNREFUSED, "192.0.2.1:4646: connection refused");
    CHECK(told(&one) == 1);
    CHECK(ask(&two, "web", "default") == WP_EUNREACHABLE && told(&two) == 0);
    finish();
}

/* Last known data when it can not be read again. */
static void test_make_do(void)
{
    struct asker one;
    struct wp_nomad_service *v;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    CHECK(told(&one) == 1);
    v = published("web", "default");
    v->until_s = 0;
    CHECK(ask(&one, "web", "default") == 0);
    world_answer(world_call("/v1/service/web?"), 403, 0, "Permission denied");
    CHECK(told(&one) == 1 && v->until_s > 1000 && world_addr("web") == 1);
    v->until_s = 0;
    CHECK(ask(&one, "web", "default") == 0 && told(&one) == 1 && v->until_s > 1000);
    finish();
}

/* Random names: so many are waited for, the rest is told at once; in a covered namespace none is read. */
static void test_flood(void)
{
    static struct asker askers[WP_NOMAD_ASKED_MAX + 1];
    char name[20];

    open_listless();
    for (unsigned i = 0; i < WP_NOMAD_ASKED_MAX; i++) {
        snprintf(name, sizeof(name), "x%u", i);
        CHECK(ask(&askers[i], name, "default") == 0 && told(&askers[i]) == 0);
    }
    CHECK(world.n_reads == WP_NOMAD_READS);
    CHECK(ask(&askers[WP_NOMAD_ASKED_MAX], "more", "default") == 0 && told(&askers[WP_NOMAD_ASKED_MAX]) == 1);
    CHECK(ask(&askers[WP_NOMAD_ASKED_MAX], "x3", "default") == 0 && told(&askers[WP_NOMAD_ASKED_MAX]) == 0);
    finish();
    world_open(NULL);
    world_load(false);
    world.n_reads = 0;
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "y%u", i);
        CHECK(ask(&askers[0], name, "default") == 0 && told(&askers[0]) == 1);
    }
    CHECK(world.n_reads == 0 && world.s->own->items.n < 10);
    finish();
}

/* There are so many names at most; which is there, and asked for, stays. */
static void test_room(void)
{
    struct asker one;
    char name[20];

    open_listless();
    CHECK(ask(&one, "web", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    CHECK(told(&one) == 1);
    for (unsigned i = 0; i < WP_NOMAD_DEMAND_MAX + 500; i++) {
        snprintf(name, sizeof(name), "x%u", i);
        CHECK(ask(&one, name, "default") == 0);
        world_serve(name, 7, "");
        CHECK(told(&one) == 1);
    }
    CHECK(world.s->own->items.n_on_demand == WP_NOMAD_DEMAND_MAX);
    CHECK(world_known("x0", "default") == WP_NOMAD_UNKNOWN && world_addr("web") == 1);
    CHECK(world_known(name, "default") == WP_NOMAD_ABSENT);
    finish();
}

/* Every ticket is taken: told at once, and nothing is lost. */
static void test_tickets(void)
{
    static struct asker askers[2 * WP_NOMAD_TICKETS];
    unsigned n = 0, limited = 0;

    open_listless();
    for (; n < COUNT(askers); n++) {
        int r = ask(&askers[n], "web", "default");
        CHECK(r == 0 || r == WP_ELIMIT);
        limited += r == WP_ELIMIT;
    }
    CHECK(limited > 0 && limited < COUNT(askers));
    world_serve("web", 7, "10.0.0.1");
    for (n = 0; n < COUNT(askers); n++)
        limited += told(&askers[n]);
    CHECK(limited == COUNT(askers));
    finish();
}

/* A namespace becomes covered: what was asked for in it is listed now, or not there. */
static void test_becomes_covered(void)
{
    struct asker one;

    open_listless();
    CHECK(ask(&one, "web", "default") == 0);
    world_serve("web", 7, "10.0.0.1");
    CHECK(told(&one) == 1 && ask(&one, "nope", "default") == 0);
    world_serve("nope", 7, "");
    touch("web");
    touch("nope");
    world_pass(30000);
    for (struct wp_httpc_call *c; (c = world_find("/v1/service/")) != NULL;)
        world_answer(c, 200, 7, strstr(c->url, "web") != NULL
                                    ? "[" WORLD_REG("web", "i", "10.0.0.1", "80") "]" : "[]");
    world_answer(world_call("/v1/services?"), 200, 9, WORLD_LIST(WORLD_NAME("web")));
    CHECK(world_known("other", "default") == WP_NOMAD_UNKNOWN);
    world_serve("web", 9, "10.0.0.2");
    CHECK(world_addr("web") == 2 && !published("web", "default")->on_demand);
    CHECK(world_known("other", "default") == WP_NOMAD_ABSENT && published("nope", "default") == NULL);
    finish();
}

static int setup(void **state)
{
    (void)state;
    return wp_loop_new(0, &loop);
}

static int teardown(void **state)
{
    (void)state;
    wp_loop_free(loop);
    return 0;
}

RUN_TESTS_WITH(setup, teardown, TEST(test_asked), TEST(test_escaped), TEST(test_kept_fresh), TEST(test_bell), TEST(test_no_bell), TEST(test_negative),
          TEST(test_denied), TEST(test_too_late), TEST(test_cancelled), TEST(test_cancelled_late), TEST(test_unreachable),
          TEST(test_make_do), TEST(test_flood), TEST(test_room), TEST(test_tickets),
          TEST(test_becomes_covered))
