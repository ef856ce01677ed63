/* A source that follows one agent: the list and its trust, passes, events, names on demand. */
#include "source_world.h"

#define BLOCKS "/v1/services?namespace=*&index="

static const enum wp_nomad_known absent = WP_NOMAD_ABSENT, unknown = WP_NOMAD_UNKNOWN;

/* --- the list ---------------------------------------------------------------------------------- */

static void test_list_is_read(void)
{
    world_open(NULL);
    CHECK(!world.s->reached && world_known("web", "default") == unknown);
    world_load(false);
    CHECK(world.s->reached && world_behind() == 0 && world.most <= 4);
    CHECK(world_known("nope", "default") == absent && world_known("web", "ops") == unknown);
    CHECK(wp_nomad_has_namespace(world.s, "default", 7) && !wp_nomad_has_namespace(world.s, "ops", 3));
    CHECK(world_asks(world_call("/v1/services?"), BLOCKS "10&wait=120s"));
    CHECK(world_call("/v1/services?")->total_ms == 137500);
    world_close();
}

/* Nothing is denied before everything listed has been read. */
static void test_first_pass(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/services?"), 200, 10,
                 WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_serve("web", 10, "10.0.0.1");
    CHECK(world_addr("web") == 1 && world_known("solo", "default") == unknown &&
          world_known("nope", "default") == unknown && world_behind() == 0 &&
          world.s->behind_since_ns != 0);
    world_serve("solo", 10, "10.0.0.2");
    CHECK(world_known("nope", "default") == absent && world.s->behind_since_ns == 0);
    world_close();
}

/* Without events the index is all there is: everything is read, at most once a second. */
static void test_passes_without_events(void)
{
    uint32_t web, solo;

    world_open(NULL);
    world_load(false);
    web = world_version("web");
    solo = world_version("solo");
    world_pass(5000);
    world_answer(world_call(BLOCKS "10"), 200, 12, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world_call(BLOCKS "12") != NULL);
    world_serve("web", 12, "10.0.0.1");
    world_serve("solo", 12, "10.0.0.3");
    CHECK(world_addr("web") == 1 && world_addr("solo") == 3);
    CHECK(world_version("web") == web && world_version("solo") == solo + 1);
    world_answer(world_call(BLOCKS "12"), 200, 13, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world_find("/v1/service/") == NULL && world_find(BLOCKS) == NULL);
    world_pass(1000);
    CHECK(world_call(BLOCKS "13") != NULL);
    world_serve("web", 13, "10.0.0.4");
    world_serve("solo", 13, "10.0.0.3");
    CHECK(world_addr("web") == 4 && world_count(WP_NOMAD_RELOAD_INDEX) == 2);
    world_close();
}

/* R58, R59: what comes is read at once, what leaves the list is read once more and goes. */
static void test_come_and_go(void)
{
    uint32_t late;

    world_open(NULL);
    world_load(false);
    world_pass(2000);
    late = world_version("late");
    world_answer(world_call(BLOCKS "10"), 200, 11,
                 WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo") "," WORLD_NAME("late")));
    world_serve("late", 11, "10.0.0.7");
    CHECK(world_addr("late") == 7 && world_version("late") == late + 1);
    world_serve("web", 11, "10.0.0.1");
    world_serve("solo", 11, "10.0.0.2");
    world_pass(2000);
    world_answer(world_call(BLOCKS "11"), 200, 12, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("late")));
    CHECK(world_addr("solo") == 2);
    world_serve("solo", 12, "");
    CHECK(world_known("solo", "default") == absent);
    world_serve("web", 12, "10.0.0.1");
    world_serve("late", 12, "10.0.0.7");
    CHECK(world_find("/v1/service/") == NULL);
    world_close();
}

/* A filter lets nothing of a listed service pass: it is not there, and stays listed. */
static void test_filtered_empty(void)
{
    struct wp_nomad_wants w = {.filter = "Tags contains \"a b\"", .fresh_s = 10, .absent_s = 5};

    world_open(&w);
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web")));
    CHECK(world_asks(world_call("/v1/service/web?"),
                     "namespace=default&filter=Tags%20contains%20%22a%20b%22"));
    world_serve("web", 10, "");
    CHECK(world_known("web", "default") == absent && world.s->behind_since_ns == 0);
    world_close();
}

/* M10: refused with 400, kept, tried again after 30 s. */
static void test_filter_refused(void)
{
    struct wp_nomad_wants w = {.filter = "Tags is", .fresh_s = 10, .absent_s = 5};

    world_open(&w);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 11, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_answer(world_call("/v1/service/web?"), 400, 0, "failed to read filter expression: no");
    world_answer(world_call("/v1/service/solo?"), 400, 0, "failed to read filter expression: no");
    CHECK(world_addr("web") == 1 && world_find("/v1/service/") == NULL);
    CHECK(strstr(world.s->own->error, "failed to read filter expression: no") != NULL);
    world_pass(29000);
    CHECK(world_find("/v1/service/") == NULL && world_behind() == 29);
    world_pass(1500);
    world_serve("web", 11, "10.0.0.5");
    world_serve("solo", 11, "10.0.0.2");
    CHECK(world_addr("web") == 5 && world.s->behind_since_ns == 0);
    world_close();
}

/* M12: what is no list, no service, is as good as no answer. */
static void test_nonsense(void)
{
    world_open(NULL);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 11, "<html>");
    CHECK(world_addr("web") == 1 && world_find("/v1/services?") == NULL);
    world_pass(1000);
    world_answer(world_call(BLOCKS "10"), 200, 11, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_answer(world_call("/v1/service/web?"), 200, 11, "[{'ID':'i','ServiceName':'web'");
    world_serve("solo", 11, "10.0.0.9");
    CHECK(world_addr("web") == 1 && world_addr("solo") == 9);
    world_pass(1000);
    world_serve("web", 11, "10.0.0.8");
    CHECK(world_addr("web") == 8 && world.s->behind_since_ns == 0);
    world_close();
}

/* R62, R63: `null` is the empty list. */
static void test_null(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web")));
    world_answer(world_call("/v1/service/web?"), 200, 10, "null");
    CHECK(world_known("web", "default") == absent);
    world_close();
}

/* --- trust ------------------------------------------------------------------------------------- */

/* M09, R61: a workload's identity sees an empty list, with index 0: nothing is denied, nothing waited on. */
static void test_workload_identity(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/services?"), 200, 0, "[]");
    CHECK(world.s->reached && world_known("web", "default") == unknown && world.s->behind_since_ns == 0);
    CHECK(world_find("/v1/services?") == NULL);
    world_pass(30000);
    CHECK(!world_asks(world_call("/v1/services?"), "index="));
    world_close();
}

/* A token that loses a namespace: its services leave the list, and are still there when they are read. */
static void test_list_gets_shorter(void)
{
    world_open(NULL);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 11, "[]");
    world_serve("web", 11, "10.0.0.1");
    world_serve("solo", 11, "10.0.0.2");
    CHECK(world_addr("web") == 1 && world_known("nope", "default") == unknown);
    world_close();
}

/* R60, M08: the token may not read them any more: what is known stays. */
static void test_list_gets_shorter_denied(void)
{
    world_open(NULL);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 11, "[]");
    world_answer(world_call("/v1/service/web?"), 403, 0, "Permission denied");
    world_answer(world_call("/v1/service/solo?"), 403, 0, "Permission denied");
    CHECK(world_addr("web") == 1 && world_addr("solo") == 2 && world_known("nope", "default") == unknown);
    CHECK(strstr(world.s->own->error, "read-job") != NULL);
    world_pass(31000);
    world_serve("web", 11, "10.0.0.1");
    CHECK(world_addr("web") == 1);
    world_close();
}

/* M07: 403 from the start. */
static void test_list_denied(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/services?"), 403, 0, "Permission denied");
    CHECK(world.s->reached && !world.s->away && world_known("web", "default") == unknown);
    CHECK(strstr(world.s->own->error, "read-job") != NULL && world_find("/v1/services?") == NULL);
    world_pass(29000);
    CHECK(world_find("/v1/services?") == NULL && world_behind() == 29);
    world_pass(1100);
    world_load(false);
    CHECK(world.s->behind_since_ns == 0);
    world_close();
}

/* R55: an agent that knows one path. */
static void test_no_list(void)
{
    world_open(NULL);
    world_answer(world_call("/v1/event/stream"), 404, 0, "404 page not found");
    world_answer(world_call("/v1/services?"), 404, 0, "404 page not found");
    CHECK(world.s->reached && world.s->behind_since_ns == 0 && world_known("web", "default") == unknown);
    world_pass(299000);
    CHECK(world_find("/v1/services?") == NULL && world_find("/v1/event/stream") == NULL);
    world_answer(world_call("/v1/status/leader"), 404, 0, "");
    world_pass(1100);
    CHECK(world_find("/v1/services?") != NULL && world_find("/v1/event/stream") != NULL);
    world_close();
}

/* --- events ------------------------------------------------------------------------------------ */

/* One event costs one read, and the list that wakes with its index none. */
static void test_event(void)
{
    size_t before;

    world_open(NULL);
    world_load(true);
    world_pass(2000);
    before = world.n_reads;
    CHECK(world_say(world_call("/v1/event/stream"), WORLD_EVENT("15", "ServiceRegistration", "web")));
    world_serve("web", 15, "10.0.0.6");
    CHECK(world_addr("web") == 6);
    world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world.n_reads == before + 1 && world_find("/v1/service/") == NULL &&
          world.s->behind_since_ns == 0);
    world_close();
}

/* The list is faster: it waits a moment for the event. */
static void test_event_after_list(void)
{
    world_open(NULL);
    world_load(true);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world_find("/v1/service/") == NULL);
    world_pass(100);
    CHECK(world_say(world_call("/v1/event/stream"), WORLD_EVENT("15", "ServiceRegistration", "web")));
    world_serve("web", 15, "10.0.0.6");
    world_pass(1000);
    CHECK(world_find("/v1/service/") == NULL && world_count(WP_NOMAD_RELOAD_INDEX) == 0);
    world_close();
}

/* M17: the table changed without an event. */
static void test_no_event(void)
{
    world_open(NULL);
    world_load(true);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_pass(200);
    world_serve("web", 15, "");
    world_serve("solo", 15, "10.0.0.2");
    CHECK(world_known("web", "default") == absent && world_count(WP_NOMAD_RELOAD_INDEX) == 1);
    world_close();
}

/* Two changes in one wake: one of them may have had no event, which is looked at soon. */
static void test_events_hide_one(void)
{
    world_open(NULL);
    world_load(true);
    world_pass(2000);
    CHECK(world_say(world_call("/v1/event/stream"),
                    WORLD_EVENT("14", "ServiceRegistration", "web")
                        WORLD_EVENT("15", "AllocationUpdated", "web")));
    world_serve("web", 15, "10.0.0.6");
    world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world_find("/v1/service/") == NULL);
    world_pass(30000);
    world_serve("web", 15, "10.0.0.6");
    world_serve("solo", 15, "10.0.0.2");
    CHECK(world_count(WP_NOMAD_RELOAD_VERIFY) == 1);
    world_close();
}

/* A namespace that is new in the list is known whole as soon as what is listed has been read, whatever
 * events say. */
static void test_new_namespace(void)
{
    world_open(NULL);
    world_load(true);
    world_pass(2000);
    CHECK(world_known("nope", "ops") == unknown);
    CHECK(world_say(world_call("/v1/event/stream"), WORLD_EVENT("15", "ServiceRegistration", "web")));
    world_serve("web", 15, "10.0.0.6");
    world_answer(world_call(BLOCKS "10"), 200, 15,
                 "[{'Namespace':'ops','Services':[" WORLD_NAME("api") "]},{'Namespace':'default','Services':["
                     WORLD_NAME("web") "," WORLD_NAME("solo") "]}]");
    world_serve("api", 15, "10.0.0.7");
    world_serve("web", 15, "10.0.0.1");
    world_serve("solo", 15, "10.0.0.3");
    CHECK(world_known("nope", "ops") == absent);
    world_close();
}

/* M18: the stream breaks; what happened meanwhile is found by the index. */
static void test_stream_gap(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_load(true);
    world_pass(2000);
    c = world_call("/v1/event/stream");
    world_end(c, WP_ECLOSED, "192.0.2.1:4646: connection lost");
    CHECK(!world.s->away);
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world_find("/v1/service/") == NULL);
    world_pass(1500);
    c = world_call("/v1/event/stream");
    CHECK(world_asks(c, "index=10"));
    world_head(c, 200);
    CHECK(world_say(c, "{}\n" WORLD_EVENT("15", "ServiceRegistration", "web")));
    world_serve("web", 15, "10.0.0.6");
    world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_serve("solo", 15, "10.0.0.3");
    world_serve("web", 15, "10.0.0.6");
    CHECK(world_addr("solo") == 3);
    world_close();
}

/* A line without end is passed over; the stream goes on, and what the line may have told is read. */
static void test_endless_line(void)
{
    enum { PIECE = 1 << 20 };
    struct wp_httpc_call *c;
    char *piece = malloc(PIECE);

    assert_non_null(piece);
    memset(piece, 'x', PIECE);
    world_open(NULL);
    world_load(true);
    world_pass(2000);
    c = world_call("/v1/event/stream");
    for (size_t n = 0; n < WP_NOMAD_LINE_MAX + 2 * PIECE; n += PIECE)
        assert_int_equal(c->ops.body(c->arg, (const uint8_t *)piece, PIECE), 0);
    free(piece);
    CHECK(world_say(c, "x\n" WORLD_EVENT("16", "ServiceRegistration", "web")));
    CHECK(world.s->own->line == NULL);
    world_serve("web", 16, "10.0.0.6");
    CHECK(world_addr("web") == 6 && world_call("/v1/event/stream") == c);
    world_answer(world_call(BLOCKS "10"), 200, 16, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_serve("solo", 16, "10.0.0.3");
    world_serve("web", 16, "10.0.0.6");
    CHECK(world_addr("solo") == 3);
    world_close();
}

/* A stream that opens later, while the list waits in peace: nothing can have been missed, and no pass is needed. */
static void test_stream_opens_later(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_serve("web", 10, "10.0.0.1");
    world_serve("solo", 10, "10.0.0.2");
    world_pass(3000);
    c = world_call("/v1/event/stream");
    world_head(c, 200);
    CHECK(world_say(c, "{}\n"));
    world_pass(1100);
    CHECK(world_say(c, WORLD_EVENT("15", "ServiceRegistration", "web")));
    world_serve("web", 15, "10.0.0.6");
    world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    CHECK(world_find("/v1/service/") == NULL && world.s->behind_since_ns == 0);
    world_close();
}

/* A stream of all namespaces is not allowed, and does not even say so: with one namespace, that one is asked for. */
static void test_narrow_stream(void)
{
    static const int statuses[] = {200, 403};

    for (size_t i = 0; i < COUNT(statuses); i++) {
        struct wp_httpc_call *c;
        world_open(NULL);
        c = world_call("/v1/event/stream");
        CHECK(world_asks(c, "namespace=*"));
        world_head(c, statuses[i]);
        if (statuses[i] != 200)
            world_end(c, 0, "");
        world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web")));
        world_serve("web", 10, "10.0.0.1");
        world_pass(5000);
        c = world_call("/v1/event/stream");
        CHECK(world_asks(c, "namespace=default&index=10"));
        world_head(c, 200);
        CHECK(world_say(c, "{}\n"));
        world_pass(1100);
        CHECK(world_say(c, WORLD_EVENT("15", "ServiceRegistration", "web")));
        world_serve("web", 15, "10.0.0.6");
        world_answer(world_call(BLOCKS "10"), 200, 15, WORLD_LIST(WORLD_NAME("web")));
        CHECK(world_find("/v1/service/") == NULL && world_addr("web") == 6);
        world_close();
    }
}

/* An answer that does not know of the event yet is asked for again. */
static void test_answer_before_event(void)
{
    world_open(NULL);
    world_load(true);
    world_pass(2000);
    CHECK(world_say(world_call("/v1/event/stream"), WORLD_EVENT("15", "ServiceRegistration", "web")));
    world_serve("web", 14, "10.0.0.1");
    CHECK(world_find("/v1/service/") == NULL);
    world_pass(25);
    world_serve("web", 15, "10.0.0.6");
    CHECK(world_addr("web") == 6);
    world_close();
}

/* An event while its service is being read: the answer may be from before. */
static void test_event_while_reading(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_load(true);
    world_pass(2000);
    c = world_call("/v1/event/stream");
    CHECK(world_say(c, WORLD_EVENT("15", "ServiceRegistration", "web")));
    CHECK(world_say(c, WORLD_EVENT("16", "ServiceRegistration", "web")));
    world_serve("web", 16, "10.0.0.6");
    CHECK(world_addr("web") == 6);
    world_serve("web", 16, "10.0.0.7");
    CHECK(world_addr("web") == 7 && world_find("/v1/service/") == NULL);
    world_close();
}

/* A new name comes by its event. In pieces of one octet, as in one. */
static void test_event_of_new_name(void)
{
    static const char line[] = WORLD_EVENT("15", "ServiceRegistration", "late");
    struct wp_httpc_call *c;
    char one[2] = "";

    world_open(NULL);
    world_load(true);
    c = world_call("/v1/event/stream");
    for (size_t i = 0; line[i] != '\0'; i++) {
        one[0] = line[i];
        CHECK(world_say(c, one));
    }
    world_serve("late", 15, "10.0.0.6");
    CHECK(world_addr("late") == 6);
    world_close();
}

/* Everything is verified every five minutes. */
static void test_verify(void)
{
    world_open(NULL);
    world_load(true);
    for (unsigned n = 0; n < 10; n++) {
        struct wp_httpc_call *probe = world_find("/v1/status/leader");
        if (probe != NULL)
            world_answer(probe, 200, 0, "''");
        world_pass(29000);
    }
    CHECK(world_find("/v1/service/") == NULL);
    world_pass(11000);
    world_serve("web", 10, "10.0.0.1");
    world_serve("solo", 10, "10.0.0.5");
    CHECK(world_addr("solo") == 5 && world_count(WP_NOMAD_RELOAD_VERIFY) == 1);
    world_close();
}

/* --- the index goes back ------------------------------------------------------------------------ */

/* M14. */
static void test_index_back(void)
{
    world_open(NULL);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 4, WORLD_LIST(WORLD_NAME("web")));
    world_serve("solo", 4, "");
    world_serve("web", 4, "10.0.0.8");
    CHECK(world_addr("web") == 8 && world_known("solo", "default") == absent);
    CHECK(world_count(WP_NOMAD_RELOAD_INDEX_BACK) == 1);
    world_pass(1000);
    CHECK(world_call(BLOCKS "4") != NULL);
    world_close();
}

/* M15: restored, and empty: kept for 300 s, then given up. */
static void test_restored_empty(void)
{
    world_open(NULL);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 4, "[]");
    world_serve("web", 4, "");
    world_serve("solo", 4, "");
    CHECK(world_addr("web") == 1 && world.s->own->held && world.s->behind_since_ns != 0);
    world_pass(290000);
    CHECK(world_addr("web") == 1);
    world_pass(11000);
    CHECK(!world.s->own->held);
    for (struct wp_httpc_call *c; (c = world_find("/v1/service/")) != NULL;)
        world_answer(c, 200, 4, "[]");
    CHECK(world_known("web", "default") == absent && world_known("solo", "default") == absent);
    world_close();
}

/* The stream ends while nobody waits for the list: the next one does not wait either, its index may be beyond
 * all that the server has now. */
static void test_restored_between_lists(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_load(true);
    c = world_call("/v1/event/stream");
    for (unsigned i = 0; world_find(BLOCKS "1") != NULL; i++) {
        CHECK(i < 3);
        CHECK(world_say(c, i == 0   ? WORLD_EVENT("11", "ServiceRegistration", "web")
                           : i == 1 ? WORLD_EVENT("12", "ServiceRegistration", "web")
                                    : WORLD_EVENT("13", "ServiceRegistration", "web")));
        world_serve("web", 11 + i, "10.0.0.6");
        world_answer(world_call(BLOCKS "1"), 200, 11 + i, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    }
    CHECK(world_find("/v1/services?") == NULL);
    world_end(c, WP_ECLOSED, "192.0.2.1:4646: connection lost");
    world_pass(1000);
    CHECK(world_find(BLOCKS) == NULL);
    world_answer(world_call("/v1/services?"), 200, 10, WORLD_LIST(WORLD_NAME("web") "," WORLD_NAME("solo")));
    world_serve("web", 10, "10.0.0.1");
    CHECK(world_addr("web") == 1 && world_count(WP_NOMAD_RELOAD_INDEX_BACK) == 1);
    world_close();
}

/* It was put right meanwhile. */
static void test_restored_full(void)
{
    world_open(NULL);
    world_load(false);
    world_pass(2000);
    world_answer(world_call(BLOCKS "10"), 200, 4, "[]");
    world_serve("web", 4, "");
    world_serve("solo", 4, "");
    world_pass(5000);
    world_answer(world_call(BLOCKS "4"), 200, 30, WORLD_LIST(WORLD_NAME("web")));
    world_serve("solo", 30, "");
    world_serve("web", 30, "10.0.0.3");
    CHECK(!world.s->own->held && world_addr("web") == 3 && world_known("solo", "default") == absent);
    CHECK(world.s->behind_since_ns == 0);
    world_close();
}

/* The end of a start, or a reload, that the engine has not yet heard of. */
static void test_left_before_it_began(void)
{
    world_begin();
    late_begin(2);
    CHECK(world_try(NULL) == 0);
    wp_nomad_source_put(world.s);
    late_end();
    CHECK(world.users == 0 && world.timers == NULL && world_find("/") == NULL);
}

RUN_TESTS(TEST(test_left_before_it_began), TEST(test_list_is_read), TEST(test_first_pass), TEST(test_passes_without_events),
          TEST(test_come_and_go), TEST(test_filtered_empty), TEST(test_filter_refused),
          TEST(test_nonsense), TEST(test_null), TEST(test_workload_identity),
          TEST(test_list_gets_shorter), TEST(test_list_gets_shorter_denied), TEST(test_list_denied),
          TEST(test_no_list), TEST(test_event), TEST(test_event_after_list), TEST(test_no_event),
          TEST(test_events_hide_one), TEST(test_new_namespace), TEST(test_stream_gap), TEST(test_endless_line), TEST(test_stream_opens_later), TEST(test_narrow_stream), TEST(test_answer_before_event),
          TEST(test_event_while_reading), TEST(test_event_of_new_name), TEST(test_verify),
          TEST(test_index_back), TEST(test_restored_empty), TEST(test_restored_between_lists),
          TEST(test_restored_full))
