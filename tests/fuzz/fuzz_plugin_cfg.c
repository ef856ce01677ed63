/* Any text as a plugin.cfg, but for lines that would open a shared object. Properties: the order
 * that comes out has each directive of the build once, with its plugin; the lines that are right
 * stand in it in the order of the text; what is not listed stays in its place. */
#include "fuzz.h"

#include "server/config/order_priv.h"

enum { MEMORY_MAX = 64 << 20, INPUT_MAX = 1 << 14 };

static unsigned place(const struct wp_directive *order, const char *name)
{
    unsigned at = 0;

    while (order[at].name != NULL && strcmp(order[at].name, name) != 0)
        at++;
    CHECK(order[at].name != NULL);
    return at;
}

static void check_all(const struct wp_directive *order)
{
    CHECK(conf_order_len(order) == conf_order_len(wp_built_directives));
    for (const struct wp_directive *d = wp_built_directives; d->name != NULL; d++)
        CHECK(order[place(order, d->name)].plugin == d->plugin);
}

static bool is_line_of(const char *text, const char *name, size_t *ret_at)
{
    size_t len = strlen(name);

    for (const char *at = text; (at = strstr(at, name)) != NULL; at++) {
        const char *line = at;

        while (line > text && strchr(" \t\r", line[-1]) != NULL)
            line--;
        if ((line == text || line[-1] == '\n') && at[len] == ':') {
            *ret_at = (size_t)(at - text);
            return true;
        }
    }
    return false;
}

/* No line was wrong: places in the text and in the order rise together. */
static void check_order(const struct wp_directive *order, const char *text)
{
    for (const struct wp_directive *a = wp_built_directives; a->name != NULL; a++) {
        size_t at_a, at_b;

        if (!is_line_of(text, a->name, &at_a)) {
            CHECK(place(order, a->name) == (unsigned)(a - wp_built_directives));
            continue;
        }
        for (const struct wp_directive *b = a + 1; b->name != NULL; b++) {
            if (is_line_of(text, b->name, &at_b))
                CHECK((at_a < at_b) == (place(order, a->name) < place(order, b->name)));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_directive *order = NULL;
    struct wp_conf_report report;
    struct wp_arena arena;
    char *text, *cut;
    int r;

    if (size > INPUT_MAX || memmem(data, size, ".so", 3) != NULL || memchr(data, 0, size) != NULL)
        return 0;
    wp_arena_init(&arena, MEMORY_MAX);
    wp_conf_report_init(&report, &arena);
    text = wp_arena_strndup(&arena, (const char *)data, size);
    cut = wp_arena_strndup(&arena, (const char *)data, size);
    CHECK(text != NULL && cut != NULL);
    r = conf_order_read("/nonexistent/plugin.cfg", cut, &arena, &report, &order);
    CHECK(r == (report.n > 0 ? WP_ECONFIG : 0) && order != NULL);
    check_all(order);
    if (r == 0)
        check_order(order, text);
    wp_arena_done(&arena);
    return 0;
}
