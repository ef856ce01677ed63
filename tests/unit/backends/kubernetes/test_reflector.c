/* List, watch, and what follows from each way in which they end. */
#include "backends/kubernetes/reflector_world.h"

#include "backends/kubernetes/access_priv.h"

/* --- 338, 339: a list streams in, the same call goes on as the watch ---------------------------- */

static void test_stream(void)
{
    struct wp_httpc_call *c;
    uint32_t state;

    world_open(NULL);
    state = world_state();
    c = world_call("/services?");
    CHECK_AT(c->url, strstr(c->url, "http://api.test:8080/api/v1/services?watch=true&") == c->url);
    CHECK(world_asks(c, "allowWatchBookmarks=true") && world_asks(c, "timeoutSeconds="));
    CHECK(world_asks(c, "resourceVersionMatch=NotOlderThan") && !world_asks(c, "resourceVersion="));
    CHECK(world_find("/pods?") == NULL && world_find("/endpointslices?") == NULL);
    CHECK(strcmp(c->accept, "application/vnd.kubernetes.protobuf, application/json") == 0);
    CHECK(strstr(world_call("/namespaces?")->accept, "as=PartialObjectMetadata;") != NULL);
    CHECK(world_behind() == 0 && !wp_kube_cluster_is_synced(world.c));
    world_sync();
    CHECK(world_has("one") && world_state() != state && atomic_load(&world.c->behind_since_ns) == 0);

    CHECK(world_say_by(c, 3, WORLD_EVENT("ADDED", WORLD_SERVICE("two", "8", "10.0.0.2"))));
    CHECK(world_has("two"));
    CHECK(world_say(c, WORLD_EVENT("DELETED", WORLD_SERVICE("one", "9", "10.0.0.1"))));
    CHECK(!world_has("one") && world_has("two"));
    world_close();
}

/* --- 341, 342: a watch ends, the next goes on where it was --------------------------------------- */

static void test_watch_again(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    c = world_sync();
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("two", "8", "10.0.0.2"))));
    world_pass(300000);
    world_end(c, 0, "");
    CHECK(atomic_load(&world.c->behind_since_ns) == world.now);
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, world_asks(c, "resourceVersion=8&") && world_asks(c, "watch=true") &&
                         !world_asks(c, "sendInitialEvents"));
    world_head(c, 200);
    CHECK(atomic_load(&world.c->behind_since_ns) == 0);
    CHECK(world_say(c, WORLD_BOOKMARK("900")));
    world_pass(2000);
    world_end(c, WP_ECLOSED, "api.test:8080: connection reset");
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, world_asks(c, "resourceVersion=900&"));
    CHECK(world.n_started == 4);
    world_close();
}


/* --- 343, 344: the version has expired ----------------------------------------------------------- */

static void test_expired(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    c = world_sync();
    world_pass(60000);
    CHECK(!world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Expired", "too old resource version: 7 (99)") "}\n"));
    world_pass(0); /* at once */
    c = world_call("/services?");
    CHECK_AT(c->url, world_asks(c, "sendInitialEvents=true") && world_asks(c, "resourceVersion=7&"));
    CHECK(world_has("one"));
    world_head(c, 200);
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("two", "98", "10.0.0.2"))));
    CHECK(world_has("one") && !world_has("two")); /* all at once */
    CHECK(world_say(c, WORLD_END("99")));
    CHECK(!world_has("one") && world_has("two") && atomic_load(&world.c->behind_since_ns) == 0);

    /* once more, soon: it has to wait */
    CHECK(!world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Gone", "gone") "}\n"));
    world_pass(799);
    CHECK(world_find("/services?") == NULL);
    world_pass(801);
    c = world_call("/services?");
    CHECK(world_asks(c, "resourceVersion=99&"));
    world_answer(c, 410, WORLD_STATUS("410", "Expired", "too old"));
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, world_asks(c, "sendInitialEvents=true") && !world_asks(c, "resourceVersion="));
    world_head(c, 200);
    CHECK(world_say(c, WORLD_END("200")));
    CHECK(!world_has("two"));
    world_close();
}

/* --- 345: how a watch is refused, and what follows ------------------------------------------------- */

static const struct {
    const char *what;
    int status, err;
    int64_t retry_after_s;
    const char *body;
    uint64_t least_ms, most_ms;
    bool watches; /* goes on with a watch, not with a list */
} refusals[] = {
    {"429", 429, 0, -1, WORLD_STATUS("429", "TooManyRequests", "busy"), 800, 1600, true},
    {"429, later", 429, 0, 7, "", 7000, 7000, true},
    {"503, later", 503, 0, 3, "", 3000, 3000, true},
    {"503, at once", 503, 0, 0, "", 1000, 1000, true},
    {"503, much later", 503, 0, 86400, "", 60000, 60000, true},
    {"403, later: not meant so", 403, 0, 3, "", 800, 1600, false},
    {"500", 500, 0, -1, "oh", 800, 1600, false},
    {"403", 403, 0, -1, WORLD_STATUS("403", "Forbidden", "no"), 800, 1600, false},
    {"401", 401, 0, -1, "Unauthorized", 800, 1600, false},
    {"404", 404, 0, -1, "404 page not found", 800, 1600, false},
    {"302", 302, 0, -1, "", 800, 1600, false},
    {"refused", 0, -ECONNREFUSED, -1, NULL, 800, 1600, true},
    {"no such host", 0, WP_EUNREACHABLE, -1, NULL, 800, 1600, true},
    {"TLS", 0, WP_ETLS, -1, NULL, 800, 1600, true},
    {"no memory", 0, -ENOMEM, -1, NULL, 800, 1600, true},
    {"200, brief", 200, 0, -1, "", 800, 1600, false},
    {"200, torn, brief", 200, WP_ECLOSED, -1, "", 800, 1600, false},
    {"200, an event, then torn", 200, WP_ECLOSED, -1, WORLD_BOOKMARK("7") "{'type':", 100, 200, true},
    {"200, half an event", 200, 0, -1, "{'type':'ADDED','object':{'metadata':{", 800, 1600, false},
    {"200, no event", 200, 0, -1, "[1,2]", 800, 1600, false},
    {"200, ERROR 429", 200, 0, -1, "{'type':'ERROR','object':" WORLD_STATUS("429", "TooManyRequests", "") "}", 800, 1600, true},
    {"200, ERROR 500", 200, 0, -1, "{'type':'ERROR','object':" WORLD_STATUS("500", "InternalError", "etcd") "}", 800, 1600, false},
    {"200, ERROR of nothing", 200, 0, -1, "{'type':'ERROR','object':{}}", 800, 1600, false},
    {"200, ERROR without an object", 200, 0, -1, "{'type':'ERROR'}", 800, 1600, false},
};

static void check_refusal(size_t i)
{
    const char *what = refusals[i].what;
    struct wp_httpc_call *c;
    size_t before;

    world_open(NULL);
    c = world_sync();
    world_pass(300000);
    world_end(c, 0, "");
    world_pass(0);
    c = world_call("/services?");
    before = world.n_started;
    if (refusals[i].status != 0)
        world_head_of(c, refusals[i].status, "application/json", refusals[i].retry_after_s);
    if (refusals[i].body == NULL || world_say(c, refusals[i].body))
        world_end(c, refusals[i].err, "api.test:8080: something happened");
    world_pass(refusals[i].least_ms - 1);
    CHECK_AT(what, world.n_started == before && atomic_load(&world.c->behind_since_ns) != 0);
    world_pass(refusals[i].most_ms - refusals[i].least_ms + 2);
    CHECK_AT(what, world.n_started == before + 1);
    c = world_call("/services?");
    CHECK_AT(what, world_asks(c, "watch=true") && world_asks(c, "resourceVersion=7"));
    CHECK_AT(what, world_asks(c, "sendInitialEvents") != refusals[i].watches);
    CHECK_AT(what, world_has("one"));
    world_close();
}

static void test_refusals(void)
{
    for (size_t i = 0; i < COUNT(refusals); i++)
        check_refusal(i);
}

/* Ten times as the server says, then as we do. */
static void test_retries(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_sync();
    world_pass(300000);
    world_end(world_call("/services?"), 0, "");
    world_pass(0);
    for (unsigned i = 0; i < 10; i++) {
        world_head_of(world_call("/services?"), 429, "text/plain", 1);
        world_end(world_call("/services?"), 0, "");
        world_pass(999);
        CHECK(world_find("/services?") == NULL);
        world_pass(1);
    }
    world_head_of(world_call("/services?"), 429, "text/plain", 60);
    world_end(world_call("/services?"), 0, "");
    world_pass(1601);
    c = world_call("/services?");
    CHECK(world_asks(c, "resourceVersion=7&") && !world_asks(c, "sendInitialEvents"));
    world_close();
}

/* --- 346: away, stale, back ------------------------------------------------------------------------ */

static uint64_t wait_for_call(const char *path)
{
    uint64_t ms = 0;

    while (world_find(path) == NULL && ms < 100000) {
        world_pass(1);
        ms++;
    }
    return ms;
}

static void test_away(void)
{
    static const uint64_t waits[] = {800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000};
    struct wp_httpc_call *c;
    uint64_t lost_ns;
    uint32_t state;

    world_open(NULL);
    c = world_sync();
    state = world_state();
    world_pass(10000);
    lost_ns = world.now;
    world_end(c, WP_ECLOSED, "api.test:8080: connection reset");
    for (size_t i = 0; i < COUNT(waits); i++) {
        uint64_t ms;
        world_pass(0);
        c = world_call("/services?");
        CHECK_AT(c->url, world_asks(c, "resourceVersion=7&") && !world_asks(c, "sendInitialEvents"));
        world_end(c, -ECONNREFUSED, "api.test:8080: connection refused");
        ms = wait_for_call("/services?");
        CHECK(ms >= waits[i] && ms <= 2 * waits[i] + 1);
        CHECK(atomic_load(&world.c->behind_since_ns) == lost_ns);
        CHECK((world_state() != state) == (world.now - lost_ns >= (uint64_t)31000 * 1000000));
    }
    CHECK(world_behind() > WP_KUBE_STALE_S && world_has("one") && wp_kube_cluster_is_synced(world.c));
    state = world_state();
    world_head(world_call("/services?"), 200);
    CHECK(world_behind() == 0 && world_state() == state + 1);

    /* after two minutes a failure is a new one */
    world_pass(121000);
    world_end(world_call("/services?"), WP_ECLOSED, "reset");
    world_pass(0);
    world_end(world_call("/services?"), -ECONNREFUSED, "refused");
    CHECK(wait_for_call("/services?") <= 1601);
    world_close();
}

/* A watch that says nothing is given up. If nobody answers then, what is known is as old as the last
 * octet that came. */
static void test_silent(void)
{
    struct wp_httpc_call *c;
    uint64_t heard_ns;
    uint32_t state;

    world_open(NULL);
    c = world_sync();
    CHECK(c->idle_ms == WP_KUBE_IDLE_MS);
    CHECK(c->total_ms >= 360000 && c->total_ms <= 660000);
    world_pass(50000);
    CHECK(world_say(c, WORLD_BOOKMARK("12")));
    state = world_state();
    world_pass(WP_KUBE_IDLE_MS);
    world_end(c, WP_ETIMEOUT, "api.test:8080: silent");
    CHECK(atomic_load(&world.c->behind_since_ns) == world.now);
    world_pass(0);
    c = world_call("/services?");
    CHECK(world_asks(c, "resourceVersion=12&"));
    world_head(c, 200);
    heard_ns = world.now;
    CHECK(world_behind() == 0 && world_state() == state);
    world_pass(WP_KUBE_IDLE_MS);
    world_end(c, WP_ETIMEOUT, "api.test:8080: silent");
    world_pass(0);
    world_end(world_call("/services?"), WP_ETIMEOUT, "api.test:8080: timed out");
    world_pass(0);
    CHECK(atomic_load(&world.c->behind_since_ns) == heard_ns && world_state() == state + 1);
    world_close();
}

/* --- 348, 350, 351: lists in pages ------------------------------------------------------------------ */

static struct wp_httpc_call *refuse_streaming(const char *path)
{
    struct wp_httpc_call *c = world_call(path);

    CHECK(world_asks(c, "sendInitialEvents=true"));
    world_answer(c, 422, WORLD_STATUS("422", "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"));
    return world_call(path);
}

static void test_pages(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    c = refuse_streaming("/namespaces?");
    CHECK(strstr(c->accept, "as=PartialObjectMetadataList;") != NULL);
    world_answer(c, 200, "{'kind':'PartialObjectMetadataList','metadata':{'resourceVersion':'4'},'items':[{'metadata':{'name':'shop','resourceVersion':'2'}}]}");
    CHECK(world_asks(world_call("/namespaces?"), "resourceVersion=4&") && world_count(WP_KUBE_NAMESPACES) == 1);
    CHECK(!wp_kube_cluster_is_synced(world.c));

    c = refuse_streaming("/services?");
    CHECK_AT(c->url, strcmp(c->url, "http://api.test:8080/api/v1/services?limit=500&resourceVersion=0") == 0);
    world_answer(c, 200, WORLD_LIST("9", "a+/=&b", WORLD_SERVICE("one", "1", "10.0.0.1")));
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, strcmp(c->url, "http://api.test:8080/api/v1/services?limit=500&continue=a%2B%2F%3D%26b") == 0);
    CHECK(!world_has("one"));
    world_answer(c, 200, WORLD_LIST("9", "c", ""));
    world_pass(0);
    world_answer(world_call("/services?"), 200, WORLD_LIST("9", "", WORLD_SERVICE("two", "2", "10.0.0.2")));
    CHECK(world_has("one") && world_has("two") && wp_kube_cluster_is_synced(world.c));
    c = world_call("/services?");
    CHECK(world_asks(c, "?watch=true") && world_asks(c, "resourceVersion=9&") && !world_asks(c, "sendInitialEvents"));

    /* from now on nobody asks for a stream; this server keeps no cache, so the limit stays */
    world_head(c, 200);
    CHECK(!world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Expired", "old") "}\n"));
    world_pass(1600);
    c = world_call("/services?");
    CHECK_AT(c->url, strcmp(c->url, "http://api.test:8080/api/v1/services?limit=500&resourceVersion=9") == 0);
    world_answer(c, 200, WORLD_LIST("20", "d", WORLD_SERVICE("one", "1", "10.0.0.1")));
    world_pass(0);
    world_answer(world_call("/services?"), 410, WORLD_STATUS("410", "Expired", "The provided continue parameter is too old"));
    world_pass(0);
    c = world_call("/services?");
    CHECK_AT(c->url, strcmp(c->url, "http://api.test:8080/api/v1/services?resourceVersion=9") == 0);
    world_answer(c, 410, WORLD_STATUS("410", "Expired", "old"));
    c = world_call("/services?");
    CHECK_AT(c->url, strcmp(c->url, "http://api.test:8080/api/v1/services?limit=500") == 0);
    CHECK(world_has("two"));
    world_answer(c, 200, WORLD_LIST("21", "", WORLD_SERVICE("one", "1", "10.0.0.1")));
    CHECK(world_has("one") && !world_has("two"));
    world_close();
}

static void test_too_large(void)
{
    world_open(NULL);
    refuse_streaming("/services?");
    world_answer(world_call("/services?"), 504, "{'kind':'Status','code':504,'reason':'Timeout','message':'Timeout: Too large resource version: 9, current: 3','details':{'causes':[{'reason':'ResourceVersionTooLarge'}],'retryAfterSeconds':1}}");
    CHECK_AT(world_call("/services?")->url, !world_asks(world_call("/services?"), "resourceVersion"));
    world_close();
}

/* The server's store is from a backup: what we have last seen is of its future, and its numbers come again
 * with other objects. */
static void test_restored_server(void)
{
    static const char too_large[] =
        "{'kind':'Status','code':504,'reason':'Timeout','message':'Timeout: Too large resource version: 7, current: 4'}";
    const struct wp_kube_place *p;
    struct wp_kube_addr a;
    struct wp_kube_cursor ips;
    char text[WP_KUBE_TEXT_MAX];

    world_open(NULL);
    world_end(world_sync(), WP_ECLOSED, "cut");
    wait_for_call("/services?");
    world_head_of(world_call("/services?"), 504, "application/json", 1);
    if (world_say(world_call("/services?"), too_large))
        world_end(world_call("/services?"), 0, "");
    wait_for_call("/services?");
    CHECK(world_asks(world_call("/services?"), "sendInitialEvents=true") && world_asks(world_call("/services?"), "resourceVersion=7&"));
    world_answer(world_call("/services?"), 504, too_large);
    wait_for_call("/services?");
    CHECK(world_asks(world_call("/services?"), "sendInitialEvents=true") && !world_asks(world_call("/services?"), "resourceVersion="));
    world_head(world_call("/services?"), 200);
    CHECK(world_say(world_call("/services?"), WORLD_EVENT("ADDED", WORLD_SERVICE("one", "3", "10.9.9.9")) WORLD_END("4")));
    p = wp_kube_place_find(world.c->store, wp_kube_place_hash("shop", 4, "one", 3), "shop", 4, "one", 3);
    CHECK(p != NULL);
    ips = wp_kube_place_part(p, WP_KUBE_PART_IPS);
    CHECK(wp_kube_addr_next(&ips, &a));
    text[wp_kube_addr_text(&a, text)] = '\0';
    CHECK_AT(text, strcmp(text, "10.9.9.9") == 0);
    CHECK(p->version[WP_KUBE_LOCAL] == 3);
    world_close();
}

/* --- 349: a stream of a list that breaks off ----------------------------------------------------- */

static void test_torn_stream(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    world_stream_empty("/namespaces?");
    for (unsigned i = 0; i < WP_KUBE_TORN_MOST; i++) {
        c = world_call("/services?");
        CHECK(world_asks(c, "sendInitialEvents=true") && !world_asks(c, "resourceVersion="));
        world_head(c, 200);
        CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("one", "3", "10.0.0.1")) WORLD_BOOKMARK("6") "{'type':'ADDED','object':{'metadata'"));
        world_end(c, WP_ECLOSED, "api.test:8080: connection reset");
        CHECK(!world_has("one") && !wp_kube_cluster_is_synced(world.c));
        if (i + 1 < WP_KUBE_TORN_MOST)
            wait_for_call("/services?");
    }
    c = world_call("/services?"); /* enough of it */
    CHECK_AT(c->url, world_asks(c, "limit=500&resourceVersion=0"));
    world_answer(c, 200, WORLD_LIST("9", "", WORLD_SERVICE("two", "3", "10.0.0.2")));
    CHECK(!world_has("one") && world_has("two") && wp_kube_cluster_is_synced(world.c));
    world_close();
}

/* A list may be larger than what can wait for its end. */
static void test_spill(void)
{
    static char item[64 * 1024];
    char *end = item + sizeof(item) - 1;
    struct wp_httpc_call *c;
    unsigned n = 0;

    world_open(NULL);
    c = world_call("/services?");
    world_head(c, 200);
    while (!world_has("big0")) {
        int len = snprintf(item, sizeof(item), "{'type':'ADDED','object':{'metadata':{'name':'big%u','namespace':'shop','resourceVersion':'%u'},'spec':{'clusterIP':'10.0.0.1'},'x':'", n, n + 1);
        memset(item + len, 'x', (size_t)(end - item - len - 4));
        strcpy(end - 4, "'}}\n");
        CHECK(world_say_by(c, 5000, item) && ++n < 100);
    }
    CHECK(n * sizeof(item) >= WP_KUBE_HOLD_MAX && n <= 20 && world_count(WP_KUBE_SERVICES) == n);
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("one", "3", "10.0.0.1"))));
    CHECK(world_has("one"));
    CHECK(world_say(c, WORLD_END("90")));
    CHECK(world_count(WP_KUBE_SERVICES) == n + 1);
    world_close();
}

/* --- bodies that are no lists ---------------------------------------------------------------------- */

static const struct {
    const char *what, *content_type, *body;
} nonsense[] = {
    {"HTML", "text/html; charset=utf-8", "<html>Please log in</html>"},
    {"HTML that says it is JSON", "application/json", "<html>Please log in</html>"},
    {"no content type", "", WORLD_LIST("9", "", "")},
    {"protobuf", "application/vnd.kubernetes.protobuf", "k8s"},
    {"nothing", "application/json", ""},
    {"empty object", "application/json", "{}"},
    {"a Status", "application/json", WORLD_STATUS("200", "", "fine")},
    {"no items", "application/json", "{'kind':'ServiceList','metadata':{'resourceVersion':'9'}}"},
    {"no version", "application/json", "{'kind':'ServiceList','metadata':{},'items':[]}"},
    {"another kind", "application/json", "{'kind':'Service','metadata':{'resourceVersion':'9'},'items':[]}"},
    {"cut", "application/json", "{'kind':'ServiceList','metadata':{'resourceVersion':'9'},'items':["},
    {"two", "application/json", WORLD_LIST("9", "", "") WORLD_LIST("9", "", "")},
    {"items of another type", "application/json", WORLD_LIST("9", "", "1,2")},
    {"metadata of another type", "application/json", "{'kind':'ServiceList','metadata':[],'items':[]}"},
};

static void test_nonsense(void)
{
    for (size_t i = 0; i < COUNT(nonsense); i++) {
        struct wp_httpc_call *c;
        const char *what = nonsense[i].what;
        size_t before;
        world_open(NULL);
        c = world_sync();
        world_pass(60000);
        CHECK(!world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Expired", "old") "}\n"));
        world_pass(0);
        c = refuse_streaming("/services?");
        before = world.n_started;
        if (world_goes_on(c, 200, nonsense[i].content_type) && world_say(c, nonsense[i].body))
            world_end(c, 0, "");
        CHECK_AT(what, world_has("one") && world.n_started == before);
        world_pass(799);
        CHECK_AT(what, world.n_started == before && world_behind() < 2);
        world_pass(802);
        CHECK_AT(what, world.n_started == before + 1);
        c = world_call("/services?");
        CHECK_AT(what, world_asks(c, "services?resourceVersion=7"));
        world_answer(c, 200, WORLD_LIST("9", "", ""));
        CHECK_AT(what, !world_has("one"));
        world_close();
    }
}

/* --- objects that cannot be read ------------------------------------------------------------------ */

#define BAD_SERVICE(name, rv) "{'metadata':{'name':'" name "','namespace':'shop','resourceVersion':'" rv "'},'spec':{'ports':[{'port':true}]}}"

static void test_bad_objects(void)
{
    struct wp_httpc_call *c;

    world_open(NULL);
    c = world_sync();
    CHECK(world_say(c, WORLD_EVENT("MODIFIED", BAD_SERVICE("one", "8"))));
    CHECK(world_say(c, WORLD_EVENT("ADDED", BAD_SERVICE("bad", "9"))));
    CHECK(world_say(c, WORLD_EVENT("ADDED", "[]") WORLD_EVENT("GONE", "{}") "{'type':'ADDED'}" "{}"));
    CHECK(world_say(c, WORLD_EVENT("BOOKMARK", "{'metadata':7}")));
    CHECK(world_has("one") && !world_has("bad"));
    CHECK(world_say(c, WORLD_EVENT("ADDED", WORLD_SERVICE("two", "10", "10.0.0.2"))));
    CHECK(world_has("two"));
    world_pass(60000);

    /* listed again: it is there, so it is not gone */
    CHECK(!world_say(c, "{'type':'ERROR','object':" WORLD_STATUS("410", "Expired", "old") "}\n"));
    world_pass(0);
    c = world_call("/services?");
    CHECK(world_asks(c, "resourceVersion=10&"));
    world_head(c, 200);
    CHECK(world_say(c, WORLD_EVENT("ADDED", BAD_SERVICE("one", "8")) WORLD_END("20")));
    CHECK(world_has("one") && !world_has("two"));
    CHECK(world_say(c, WORLD_EVENT("DELETED", BAD_SERVICE("one", "21"))));
    CHECK(!world_has("one"));
    world_close();
}

/* An object that is too large is left out; a line that never ends is given up. */
static void test_large_objects(void)
{
    enum { STEP = 1 << 20 };
    char *piece = malloc(STEP + 1);
    struct wp_httpc_call *c;
    unsigned n;

    world_open(NULL);
    c = world_sync();
    memset(piece, 'x', STEP);
    piece[STEP] = '\0';
    CHECK(world_say(c, "{'type':'MODIFIED','object':{'metadata':{'name':'one','namespace':'shop','resourceVersion':'8'},'x':'"));
    for (n = 0; n < 20; n++)
        CHECK(world_say(c, piece));
    CHECK(world_say(c, "'}}\n" WORLD_EVENT("ADDED", WORLD_SERVICE("two", "10", "10.0.0.2"))));
    CHECK(world_has("one") && world_has("two"));
    CHECK(world_say(c, "{'type':'MODIFIED','object':{'metadata':{'name':'one','namespace':'shop','resourceVersion':'8'},'x':'"));
    for (n = 0; n < 100 && world_say(c, piece); n++)
        ;
    CHECK(n + 1 >= WP_KUBE_RUN_MAX >> 20 && n <= WP_KUBE_RUN_MAX >> 20);
    CHECK(world_has("one") && world_find("/services?") == NULL);
    CHECK(wait_for_call("/services?") >= 799);
    free(piece);
    world_close();
}

/* --- what is asked for ------------------------------------------------------------------------------ */

static void test_collections(void)
{
    static const struct {
        const char *path, *asks;
    } wants[] = {
        {"/api/v1/services?", "&labelSelector=app%3Dx%2Ctier%20in%20%28a%2Cb%29"},
        {"/api/v1/namespaces?", "&labelSelector=team%3Done"},
        {"/api/v1/pods?", "&labelSelector=app%3Dx%2Ctier%20in%20%28a%2Cb%29&fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed%2Cstatus.phase%21%3DUnknown"},
        {"/apis/multicluster.x-k8s.io/v1alpha1/serviceimports?", "&labelSelector=team%3Done"},
        {"/apis/discovery.k8s.io/v1/endpointslices?", "&labelSelector=app%3Dx%2Ctier%20in%20%28a%2Cb%29%2Cmulticluster.kubernetes.io%2Fservice-name"},
    };
    struct wp_kube_wants w = {.labels = "app=x,tier in (a,b)", .namespace_labels = "team=one", .pods = true, .imports = true};

    world_open(&w);
    for (size_t i = 0; i < COUNT(wants); i++) {
        size_t n = strlen(wants[i].asks);
        struct wp_httpc_call *c = world_call(wants[i].path);
        CHECK_AT(c->url, strcmp(c->url + strlen(c->url) - n, wants[i].asks) == 0);
        world_drop(c); /* so that the next one of the same path is found */
        c->used = false;
    }
    CHECK(world.n_started == COUNT(wants));
    CHECK(world_find("/") == NULL);
    world_close();

    w = (struct wp_kube_wants){.slices = true, .imports = true};
    world_open(&w);
    CHECK(world.n_started == 5);
    CHECK(world_asks(world_call("/endpointslices?"), "&labelSelector=multicluster.kubernetes.io%2Fservice-name"));
    world_close();
}

/* --- 7.10: lists are counted, watches are not -------------------------------------------------------- */

static unsigned lists_under_way(void)
{
    unsigned n = 0;

    for (struct wp_httpc_call *c = world.calls; c < world.calls + WORLD_CALLS; c++)
        n += c->used && strstr(c->url, "watch=true") == NULL;
    return n;
}

static void test_max_inflight(void)
{
    static const char *const all[] = {"/services?", "/namespaces?", "/pods?"};
    struct wp_kube_wants w = {.pods = true, .max_inflight = 1};
    unsigned done = 0;

    world_open(&w);
    CHECK(world.n_started == 3); /* streams */
    for (size_t i = 0; i < COUNT(all); i++)
        world_answer(world_call(all[i]), 422, WORLD_STATUS("422", "Invalid", "no"));
    while (done < 3) {
        CHECK(lists_under_way() == 1);
        for (size_t i = 0; i < COUNT(all); i++) {
            struct wp_httpc_call *c = world_find(all[i]);
            if (c == NULL || world_asks(c, "watch=true"))
                continue;
            world_answer(c, 200, WORLD_LIST("9", "", ""));
            done++;
            break;
        }
        world_pass(0);
    }
    CHECK(wp_kube_cluster_is_synced(world.c) && world_count(WP_KUBE_SERVICES) == 0);
    world_close();
}

static void test_qps(void)
{
    struct wp_kube_wants w = {.qps = 2, .burst = 3};
    uint64_t began;

    world_open(&w);
    world_answer(world_call("/services?"), 422, WORLD_STATUS("422", "Invalid", "no"));
    began = world.now;
    for (unsigned i = 0; i < 9; i++) {
        wait_for_call("/services?");
        world_answer(world_call("/services?"), 200, WORLD_LIST("9", "more", ""));
    }
    /* three at once, then one each half second */
    CHECK(world.now - began >= (uint64_t)2999 * 1000000 && world.now - began <= (uint64_t)3001 * 1000000);
    world_close();
}

/* --- CA or certificate have changed ----------------------------------------------------------------- */

static void test_generation(void)
{
    struct wp_httpc_call *c, *other;

    world_open(NULL);
    c = world_sync();
    other = world_call("/namespaces?");
    world_pass(1000);
    world.c->own->access->generation++; /* as wp_kube_access_next does */
    world_end(c, 0, "");
    world_pass(200);
    CHECK(!other->used || other->order > 2);
    c = world_call("/namespaces?");
    CHECK(c->order > 2 && world_asks(c, "watch=true") && world_asks(c, "resourceVersion=5&"));
    CHECK(world.n_started == 4);
    world_close();
}

/* The server was away for long, and everybody waits for a time of his own. The first one who gets an
 * answer wakes the others. */
static void test_back_for_all(void)
{
    static const char *const paths[] = {"/services?", "/namespaces?"};
    unsigned first;

    world_open(NULL);
    world_sync();
    for (int i = 0; i < 8; i++) {
        for (unsigned k = 0; k < COUNT(paths); k++)
            world_end(world_call(paths[k]), -ECONNREFUSED, "refused");
        if (i < 7)
            world_pass(60001);
    }
    while (world_find(paths[0]) == NULL && world_find(paths[1]) == NULL)
        world_pass(1);
    first = world_find(paths[0]) == NULL;
    world_pass(20);
    CHECK(world_find(paths[!first]) == NULL);
    world_head(world_call(paths[first]), 200);
    world_pass(0);
    world_head(world_call(paths[!first]), 200);
    CHECK(world_behind() == 0);
    world_close();
}

RUN_TESTS(TEST(test_stream), TEST(test_watch_again), TEST(test_expired), TEST(test_refusals), TEST(test_retries), TEST(test_away),
          TEST(test_silent), TEST(test_pages), TEST(test_too_large), TEST(test_restored_server), TEST(test_torn_stream), TEST(test_spill), TEST(test_nonsense),
          TEST(test_bad_objects), TEST(test_large_objects), TEST(test_collections), TEST(test_max_inflight), TEST(test_qps),
          TEST(test_generation),
          TEST(test_back_for_all))
