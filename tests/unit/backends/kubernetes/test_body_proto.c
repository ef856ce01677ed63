/* Bodies in protobuf: heads of lists, statuses, and a collection that is listed and watched in it. */
#include "kube_proto.h"
#include "reflector_world.h"

#include "backends/kubernetes/body.h"

#define PROTO "application/vnd.kubernetes.protobuf"

/* --- messages as a server writes them ----------------------------------------------------------- */

static void put_begin(struct pb *p, const char *kind)
{
    pb_octets(p, "k8s", 4);
    pb_begin(p, 1);
    pb_text(p, 1, "v1");
    pb_text(p, 2, kind);
    pb_end(p);
    pb_begin(p, 2);
}

static void put_end(struct pb *p)
{
    pb_end(p);
    pb_text(p, 3, "");
    pb_text(p, 4, "");
}

static void put_service(struct pb *p, const char *name, const char *rv, const char *mark)
{
    pb_begin(p, 1);
    if (name[0] != '\0') {
        pb_text(p, 1, name);
        pb_text(p, 3, "shop");
    }
    pb_text(p, 6, rv);
    if (mark != NULL) {
        pb_begin(p, 12);
        pb_text(p, 1, "k8s.io/initial-events-end");
        pb_text(p, 2, mark);
        pb_end(p);
    }
    pb_end(p);
    pb_begin(p, 2);
    pb_text(p, 3, "10.0.0.1");
    pb_end(p);
}

static void put_status(struct pb *p, uint64_t code, const char *reason, const char *cause)
{
    pb_text(p, 2, "Failure");
    pb_text(p, 3, "it is\nso");
    pb_text(p, 4, reason);
    pb_begin(p, 5);
    pb_begin(p, 4);
    pb_text(p, 1, cause);
    pb_end(p);
    pb_number(p, 5, 1);
    pb_end(p);
    pb_number(p, 6, code);
}

static void frame_begin(struct pb *p, const char *type, const char *kind)
{
    p->len = 4;
    pb_text(p, 1, type);
    pb_begin(p, 2);
    pb_begin(p, 1);
    put_begin(p, kind);
}

static void frame_end(struct pb *p)
{
    put_end(p);
    pb_end(p);
    pb_end(p);
    p->at[0] = p->at[1] = 0;
    p->at[2] = (uint8_t)((p->len - 4) >> 8);
    p->at[3] = (uint8_t)(p->len - 4);
}

/* --- heads of lists ------------------------------------------------------------------------------ */

static int take(void *arg, const char *type, const char *text, size_t len)
{
    (void)type;
    (void)text;
    *(size_t *)arg += len;
    return 0;
}

static int take_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)head_len;
    return take(arg, type, head, len);
}

static int read_list(const struct pb *p, struct wp_arena *arena, struct wp_kube_list_head *h)
{
    static const struct wp_kube_split_ops ops = {.item = take, .skipped = take_skipped};
    size_t octets = 0;
    struct wp_kube_body *b = wp_kube_body_new(WP_KUBE_PROTO, WP_KUBE_LIST, &ops, &octets);
    int r = 0;

    CHECK(b != NULL);
    for (size_t at = 0; r == 0 && at < p->len; at += 5)
        r = wp_kube_body_feed(b, p->at + at, p->len - at < 5 ? p->len - at : 5);
    if (r == 0)
        r = wp_kube_body_end(b, arena, h);
    wp_kube_body_free(b);
    return r;
}

static void test_list_head(void)
{
    static const struct {
        const char *what, *kind, *rv, *next;
        int ret;
    } rows[] = {
        {"a page", "ServiceList", "7", "abc", 0},
        {"the last one", "PodList", "0x7", "", 0},
        {"no version", "ServiceList", "", "", WP_EMALFORMED},
        {"no list", "Service", "7", "", WP_EMALFORMED},
        {"no kind", "", "7", "", WP_EMALFORMED},
    };
    static struct pb p;

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_kube_list_head h = {NULL, NULL};
        struct wp_arena arena;

        p.len = 0;
        wp_arena_init(&arena, 1 << 20);
        put_begin(&p, rows[i].kind);
        pb_begin(&p, 1);
        pb_text(&p, 1, "");
        pb_text(&p, 2, rows[i].rv);
        pb_text(&p, 3, rows[i].next);
        pb_number(&p, 4, 300);
        pb_end(&p);
        pb_text(&p, 2, "an item");
        put_end(&p);
        CHECK_AT(rows[i].what, read_list(&p, &arena, &h) == rows[i].ret);
        if (rows[i].ret == 0)
            CHECK_AT(rows[i].what, strcmp(h.rv, rows[i].rv) == 0 && strcmp(h.next, rows[i].next) == 0);
        else
            CHECK_AT(rows[i].what, h.rv == NULL);
        wp_arena_done(&arena);
    }
    p.len = 0; /* metadata that is a number */
    put_begin(&p, "PodList");
    pb_number(&p, 1, 7);
    put_end(&p);
    CHECK(read_list(&p, NULL, &(struct wp_kube_list_head){0}) == WP_EMALFORMED);
}

/* --- statuses ------------------------------------------------------------------------------------ */

static void test_status(void)
{
    static const struct {
        uint64_t code;
        const char *reason, *cause;
        bool expired, too_large;
    } rows[] = {
        {410, "", "", true, false},
        {0, "Expired", "", true, false},
        {500, "Gone", "x", true, false},
        {504, "Timeout", "ResourceVersionTooLarge", false, true},
        {403, "Forbidden", "", false, false},
    };
    static struct pb p;

    for (size_t i = 0; i < COUNT(rows); i++)
        for (int wrapped = 0; wrapped < 2; wrapped++) {
            struct wp_kube_status s;

            p.len = 0;
            if (wrapped)
                put_begin(&p, "Status");
            put_status(&p, rows[i].code, rows[i].reason, rows[i].cause);
            if (wrapped)
                put_end(&p);
            CHECK(wp_kube_status_read(WP_KUBE_PROTO, (char *)p.at, p.len, NULL, &s) == 0);
            CHECK((uint64_t)s.code == rows[i].code && s.expired == rows[i].expired && s.too_large == rows[i].too_large);
            CHECK(strcmp(s.message, "it is so") == 0);
            CHECK(wp_kube_status_read(WP_KUBE_PROTO, (char *)p.at, p.len - 1, NULL, &s) == WP_EMALFORMED);
        }
    p.len = 0;
    put_begin(&p, "Pod");
    put_end(&p);
    CHECK(wp_kube_status_read(WP_KUBE_PROTO, (char *)p.at, p.len, NULL, &(struct wp_kube_status){0}) == WP_EMALFORMED);
}

/* --- a collection ---------------------------------------------------------------------------------- */

/* In pieces of `step` octets. */
static bool say(struct wp_httpc_call *c, const struct pb *p, size_t step)
{
    for (size_t at = 0; at < p->len; at += step) {
        int e = c->ops.body(c->arg, p->at + at, p->len - at < step ? p->len - at : step);
        if (e < 0) {
            world_end(c, e, "192.0.2.1: the piece was not taken");
            return false;
        }
    }
    return true;
}

static void tell(struct wp_httpc_call *c, const char *type, const char *name, const char *rv, const char *mark, size_t step)
{
    static struct pb p;

    frame_begin(&p, type, "Service");
    put_service(&p, name, rv, mark);
    frame_end(&p);
    CHECK(say(c, &p, step));
}

static void test_streamed(void)
{
    static struct pb p;

    for (size_t step = 1; step < 4000; step *= 3) {
        struct wp_httpc_call *c;

        world_open(NULL);
        CHECK(strcmp(world_call("/services?")->accept, PROTO ", application/json") == 0);
        CHECK(strstr(world_call("/namespaces?")->accept, PROTO ";as=PartialObjectMetadata;") != NULL);
        world_stream_empty("/namespaces?"); /* what a server sends is what counts */
        c = world_call("/services?");
        world_head_of(c, 200, PROTO ";stream=watch", -1);
        tell(c, "ADDED", "one", "3", NULL, step);
        CHECK(!world_has("one") && !wp_kube_cluster_is_synced(world.c));
        tell(c, "BOOKMARK", "", "7", "true", step);
        CHECK(world_has("one") && wp_kube_cluster_is_synced(world.c));
        tell(c, "ADDED", "two", "8", NULL, step);
        tell(c, "DELETED", "one", "9", NULL, step);
        CHECK(world_has("two") && !world_has("one"));
        world_pass(60000);
        frame_begin(&p, "ERROR", "Status");
        put_status(&p, 410, "Expired", "");
        frame_end(&p);
        CHECK(!say(c, &p, step));
        world_pass(0);
        c = world_call("/services?"); /* everything again, now in pages and in the other encoding */
        CHECK(world_asks(c, "sendInitialEvents=true"));
        world_answer(c, 422, WORLD_STATUS("422", "Invalid", "sendInitialEvents is forbidden"));
        world_pass(0);
        c = world_call("/services?");
        world_head_of(c, 200, PROTO, -1);
        p.len = 0;
        put_begin(&p, "ServiceList");
        pb_begin(&p, 1);
        pb_text(&p, 2, "20");
        pb_end(&p);
        pb_begin(&p, 2);
        put_service(&p, "three", "19", NULL);
        pb_end(&p);
        put_end(&p);
        CHECK(say(c, &p, step));
        world_end(c, 0, "");
        CHECK(world_has("three") && !world_has("two") && world_count(WP_KUBE_SERVICES) == 1);
        world_pass(0);
        CHECK(world_asks(world_call("/services?"), "resourceVersion=20"));
        world_close();
    }
}

RUN_TESTS(TEST(test_list_head), TEST(test_status), TEST(test_streamed))
