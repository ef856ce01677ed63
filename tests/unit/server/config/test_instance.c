/* Option rows: every kind, defaults, bounds, errors, repeats; the order of a set-up's calls. */
#include <stdlib.h>

#include "check.h"
#include "server/config/bind_priv.h"

enum { TRACE_MAX = 256 };
static char trace[TRACE_MAX]; /* what was called */

struct thing {
    bool flag, on;
    int64_t count, bounded, wait, ready_ns;
    const char *name, *path;
    struct wp_zones own, zones;
    struct wp_fall fall;
    char called[64];
    char any[64];
};

static void note(const char *what)
{
    strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

static int call_new(void *self, struct wp_setup *s)
{
    (void)self;
    (void)s;
    note("new ");
    return 0;
}

static int call_begin(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    (void)line;
    note("begin ");
    return s->line == line ? 0 : WP_ESTATE;
}

static int call_end(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    (void)s;
    (void)line;
    note("end ");
    return 0;
}

static int call_check(void *self, struct wp_setup *s)
{
    (void)self;
    (void)s;
    note("check ");
    return 0;
}

static int parse_called(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct thing *t = self;

    if (line->n_words > 1 && strcmp(line->words[1], "fail") == 0)
        return wp_setup_error(s, NULL, "told to fail");
    if (line->n_words > 1 && strcmp(line->words[1], "silent") == 0)
        return WP_EUNSUPPORTED;
    if (line->n_words > 1 && strcmp(line->words[1], "later") == 0)
        return wp_setup_fail(s, "without a place");
    for (unsigned i = 1; i < line->n_words; i++)
        strcat(strcat(t->called, line->words[i]), ",");
    for (unsigned i = 0; i < line->n_options; i++)
        strcat(strcat(t->called, line->options[i].words[0]), ";");
    return 0;
}

static int parse_any(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct thing *t = self;

    (void)s;
    strcat(strcat(t->any, line->words[0]), ",");
    return 0;
}

#define AT(member) offsetof(struct thing, member)
static const struct wp_option rows[] = {
    {.name = "", .kind = WP_OPT_ZONES, .offset = AT(own)},
    {.name = "flag", .kind = WP_OPT_FLAG, .offset = AT(flag)},
    {.name = "on", .kind = WP_OPT_FLAG, .offset = AT(on), .def = "on"},
    {.name = "count", .kind = WP_OPT_INT, .offset = AT(count), .def = "7"},
    {.name = "bounded", .kind = WP_OPT_INT, .offset = AT(bounded), .min = -1, .max = 10},
    {.name = "wait", .kind = WP_OPT_DURATION, .offset = AT(wait), .def = "5s"},
    {.name = "ready", .kind = WP_OPT_DURATION, .offset = AT(ready_ns), .min = 1000, .max = 2000},
    {.name = "name", .kind = WP_OPT_STRING, .offset = AT(name), .def = "nobody"},
    {.name = "path", .kind = WP_OPT_PATH, .offset = AT(path)},
    {.name = "zones", .kind = WP_OPT_ZONES, .offset = AT(zones)},
    {.name = "fallthrough", .kind = WP_OPT_FALL, .offset = AT(fall)},
    {.name = "old", .kind = WP_OPT_IGNORE},
    {.name = "call", .kind = WP_OPT_CALL, .parse = parse_called, .def = "a b"},
    {.name = "nest", .kind = WP_OPT_CALL, .parse = parse_called, .nests = true},
    {0},
};
static const struct wp_option any_rows[] = {
    {.name = "flag", .kind = WP_OPT_FLAG, .offset = AT(flag)},
    {.name = "*", .kind = WP_OPT_CALL, .parse = parse_any},
    {0},
};
static const struct wp_option head_rows[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_called},
    {0},
};

/* A set-up of plugin `root`'s lines by a table of ours: the parser must know the name. */
struct made {
    struct wp_arena arena;
    struct wp_conf_report report;
    struct wp_conf conf;
    struct wp_block block;
    struct thing *thing;
    int r;
};

static void make(struct made *m, const struct wp_plugin *plugin, const char *text)
{
    struct binder b = {.arena = &m->arena, .report = &m->report, .default_port = 53};
    void *self;

    memset(m, 0, sizeof(*m));
    trace[0] = '\0';
    wp_arena_init(&m->arena, 0);
    wp_conf_report_init(&m->report, &m->arena);
    CHECK(wp_conf_parse("C", text, strlen(text), &m->arena, &m->report, &m->conf) == 0);
    CHECK(conf_block_init(&b, &m->conf.blocks[0], &m->block) == 0);
    m->block.set.root = "/base";
    m->r = conf_instance(&b, &m->block, plugin, &self);
    m->thing = self;
}

static struct wp_plugin plugin_of(const struct wp_option *options, enum wp_repeat repeat)
{
    return (struct wp_plugin){
        .name = "root", .size = sizeof(struct thing), .options = options, .repeat = repeat};
}

static void test_defaults(void)
{
    struct wp_plugin p = plugin_of(rows, WP_REPEAT_COMBINE);
    struct made m;

    make(&m, &p, "example.org {\nroot\n}");
    CHECK(m.r == 0 && m.report.n == 0);
    CHECK(!m.thing->flag && m.thing->on && m.thing->count == 7 && m.thing->bounded == 0);
    CHECK(m.thing->wait == INT64_C(5000000000) && strcmp(m.thing->name, "nobody") == 0);
    CHECK(m.thing->path == NULL && !m.thing->fall.on && m.thing->zones.n == 0);
    CHECK(strcmp(m.thing->called, "a,b,") == 0);
    CHECK(m.thing->own.n == 1 && m.thing->own.zone[0] == m.block.zones.zone[0]); /* the keys */
    CHECK((uintptr_t)m.thing % 64 == 0);
    wp_arena_done(&m.arena);
}

static void test_kinds(void)
{
    struct wp_plugin p = plugin_of(rows, WP_REPEAT_COMBINE);
    struct made m;

    make(&m, &p,
         "example.org {\nroot a b {\n flag\n count -3\n bounded 10\n wait 1m30s\n ready 1us\n"
         " name \"x y\"\n path rel/../file\n zones z 10.0.0.0/15\n fallthrough f g\n old a b c\n"
         " call x\n nest n {\n  o 1\n  p\n }\n}\n}");
    CHECK(m.r == 0 && m.report.n == 0);
    CHECK(m.thing->flag && m.thing->count == -3 && m.thing->bounded == 10);
    CHECK(m.thing->wait == INT64_C(90000000000) && m.thing->ready_ns == 1000);
    CHECK(strcmp(m.thing->name, "x y") == 0 && strcmp(m.thing->path, "/base/file") == 0);
    CHECK(m.thing->own.n == 2 && m.thing->zones.n == 3);
    CHECK(m.thing->fall.on && m.thing->fall.zones.n == 2);
    CHECK(strcmp(m.thing->called, "a,b,x,n,o;p;") == 0);
    wp_arena_done(&m.arena);

    make(&m, &p, ". {\nroot {\n path /abs\n fallthrough\n zones a\n zones b\n}\n}");
    CHECK(m.r == 0 && strcmp(m.thing->path, "/abs") == 0);
    CHECK(m.thing->fall.on && m.thing->fall.zones.n == 0 && m.thing->zones.n == 2);
    wp_arena_done(&m.arena);
}

#define AT3 "plugin/root: C:3 - Error during parsing: "
#define ARGS(word) AT3 "Wrong argument count or unexpected line ending after '" word "'"
static const struct {
    const char *option, *error;
} refused[] = {
    {"flag x", ARGS("x")},
    {"count", ARGS("count")},
    {"count 1 2", ARGS("2")},
    {"count x", AT3 "strconv.Atoi: parsing \"x\": invalid syntax"},
    {"count \"\"", AT3 "strconv.Atoi: parsing \"\": invalid syntax"},
    {"count 9223372036854775808", AT3 "strconv.Atoi: parsing \"9223372036854775808\": value out of range"},
    {"bounded -2", AT3 "value '-2' of bounded is too small"},
    {"bounded 11", AT3 "value '11' of bounded is too large"},
    {"wait", ARGS("wait")},
    {"wait 5", AT3 "time: missing unit in duration \"5\""},
    {"wait 1m5", AT3 "time: missing unit in duration \"1m5\""},
    {"wait 1.5", AT3 "time: missing unit in duration \"1.5\""},
    {"wait 1d", AT3 "time: unknown unit \"d\" in duration \"1d\""},
    {"wait 1h2x3s", AT3 "time: unknown unit \"x\" in duration \"1h2x3s\""},
    {"wait x", AT3 "time: invalid duration \"x\""},
    {"wait \"\"", AT3 "time: invalid duration \"\""},
    {"wait -", AT3 "time: invalid duration \"-\""},
    {"wait .s", AT3 "time: invalid duration \".s\""},
    {"wait 9999999h", AT3 "time: invalid duration \"9999999h\""},
    {"ready 999ns", AT3 "value '999ns' of ready is too small"},
    {"ready 2001ns", AT3 "value '2001ns' of ready is too large"},
    {"name", ARGS("name")},
    {"name a b", ARGS("b")},
    {"path", ARGS("path")},
    {"zones", ARGS("zones")},
    {"call fail", AT3 "told to fail"},
    {"call silent", AT3 "not supported"},
    {"call later", "plugin/root: without a place"},
    {"unheard 1", AT3 "unknown property 'unheard'"},
    {"\"\" 1", AT3 "unknown property ''"},
    {"{\n x\n}", AT3 "unknown property '{'"},
    {"name x {\n y\n}", AT3 "unknown property '{'"},
};

static void test_refused(void)
{
    struct wp_plugin p = plugin_of(rows, WP_REPEAT_COMBINE);

    for (size_t i = 0; i < COUNT(refused); i++) {
        char text[128];
        struct made m;

        snprintf(text, sizeof(text), ". {\nroot {\n%s\n}\n}", refused[i].option);
        make(&m, &p, text);
        CHECK_AT(refused[i].option, m.r == WP_ECONFIG && m.report.n == 1);
        if (strcmp(wp_conf_error_text(&m.report, m.report.first), refused[i].error) != 0)
            print_error("got %s\n", wp_conf_error_text(&m.report, m.report.first));
        CHECK_AT(refused[i].option,
                 strcmp(wp_conf_error_text(&m.report, m.report.first), refused[i].error) == 0);
        wp_arena_done(&m.arena);
    }
}

/* One run tells every error, in file order, each with its place. */
static void test_all_errors(void)
{
    struct wp_plugin p = plugin_of(rows, WP_REPEAT_COMBINE);
    const struct wp_conf_error *e;
    struct made m;

    p.check = call_check;
    make(&m, &p, ". {\nroot {\n count x\n flag\n call later\n wait 1\n}\nroot {\n name\n}\n}");
    CHECK(m.r == WP_ECONFIG && m.report.n == 4 && m.thing->flag);
    e = m.report.first;
    CHECK(strcmp(wp_conf_error_check_text(&m.report, e),
                 "C:3: root: strconv.Atoi: parsing \"x\": invalid syntax") == 0);
    e = e->next;
    CHECK(strcmp(wp_conf_error_check_text(&m.report, e), "C:5: root: without a place") == 0);
    e = e->next;
    CHECK(strcmp(wp_conf_error_check_text(&m.report, e),
                 "C:6: root: time: missing unit in duration \"1\"") == 0);
    e = e->next;
    CHECK(strcmp(wp_conf_error_check_text(&m.report, e),
                 "C:9: root: Wrong argument count or unexpected line ending after 'name'") == 0);
    CHECK(trace[0] == '\0'); /* check() is for what was read whole */
    wp_arena_done(&m.arena);
}

static void test_unknown_texts(void)
{
    static const struct {
        const char *unknown, *error;
    } texts[] = {
        {NULL, AT3 "unknown property 'x'"},
        {"unknown option: '%s'", AT3 "unknown option: 'x'"},
        {"no options here", AT3 "no options here"},
        {"", ARGS("y")},
    };

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct wp_plugin p = plugin_of(rows, WP_REPEAT_COMBINE);
        struct made m;

        p.unknown = texts[i].unknown;
        make(&m, &p, ". {\nroot {\n x y\n}\n}");
        CHECK_AT(texts[i].error,
                 strcmp(wp_conf_error_text(&m.report, m.report.first), texts[i].error) == 0);
        wp_arena_done(&m.arena);
    }
}

static void test_any_word(void)
{
    struct wp_plugin p = plugin_of(any_rows, WP_REPEAT_COMBINE);
    struct made m;

    make(&m, &p, ". {\nroot {\n a 1\n flag\n \"\" x\n b\n}\n}");
    CHECK(m.r == 0 && m.thing->flag && strcmp(m.thing->any, "a,,b,") == 0);
    wp_arena_done(&m.arena);
    make(&m, &p, ". {\nroot x\n}"); /* "*" is not for the directive's own line */
    CHECK(m.r == WP_ECONFIG && m.thing->any[0] == '\0');
    wp_arena_done(&m.arena);
}

static void test_no_options(void)
{
    struct wp_plugin p = plugin_of(head_rows, WP_REPEAT_COMBINE), none = plugin_of(NULL, WP_REPEAT_COMBINE);
    struct made m;

    make(&m, &p, ". {\nroot x {\n y\n}\n}");
    CHECK(m.r == WP_ECONFIG && m.report.n == 1);
    CHECK(strcmp(wp_conf_error_text(&m.report, m.report.first),
                 "plugin/root: C:2 - Error during parsing: Unexpected token '{', expecting argument") == 0);
    wp_arena_done(&m.arena);
    make(&m, &none, ". {\nroot\n}");
    CHECK(m.r == 0);
    wp_arena_done(&m.arena);
    make(&m, &none, ". {\nroot x\n}");
    CHECK(m.r == WP_ECONFIG);
    wp_arena_done(&m.arena);
}

static void test_repeat(void)
{
    static const struct {
        const char *what;
        enum wp_repeat repeat;
        const char *called;
        const char *error;
    } repeats[] = {
        {"combine", WP_REPEAT_COMBINE, "1,2,3,", NULL},
        {"last: as combine", WP_REPEAT_LAST, "1,2,3,", NULL},
        {"first", WP_REPEAT_FIRST, "1,", NULL},
        {"error", WP_REPEAT_ERROR, "1,", "plugin/root: this plugin can only be used once per Server Block"},
    };

    for (size_t i = 0; i < COUNT(repeats); i++) {
        struct wp_plugin p = plugin_of(head_rows, repeats[i].repeat);
        struct made m;

        make(&m, &p, ". {\nroot 1\ncache\nroot 2\nroot 3\n}");
        CHECK_AT(repeats[i].what, strcmp(m.thing->called, repeats[i].called) == 0);
        CHECK_AT(repeats[i].what, (m.r < 0) == (repeats[i].error != NULL));
        if (m.r < 0) {
            CHECK_AT(repeats[i].what,
                     strcmp(wp_conf_error_text(&m.report, m.report.first), repeats[i].error) == 0);
            CHECK_AT(repeats[i].what, m.report.first->line == 4);
        }
        wp_arena_done(&m.arena);
    }
}

static void test_order(void)
{
    struct wp_plugin p = plugin_of(rows, WP_REPEAT_COMBINE);
    struct made m;

    p.new = call_new;
    p.begin = call_begin;
    p.end = call_end;
    p.check = call_check;
    make(&m, &p, ". {\nroot\nroot a\n}");
    CHECK(m.r == 0 && strcmp(trace, "new begin end begin end check ") == 0);
    wp_arena_done(&m.arena);
    make(&m, &p, ". {\nroot {\n count x\n}\nroot a\n}");
    CHECK(m.r < 0 && strcmp(trace, "new begin begin end ") == 0);
    wp_arena_done(&m.arena);
}

RUN_TESTS(TEST(test_defaults), TEST(test_kinds), TEST(test_refused), TEST(test_all_errors),
          TEST(test_unknown_texts), TEST(test_any_word), TEST(test_no_options), TEST(test_repeat),
          TEST(test_order))
