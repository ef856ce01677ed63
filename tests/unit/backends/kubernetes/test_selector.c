#include "check.h"

#include "backends/kubernetes/selector.h"
#include "waypost/base/arena.h"

static const struct {
    const char *text, *canonical; /* NULL: refused, then what the reason begins with */
    const char *why;
} cases[] = {
    {"a=b", "a=b", NULL},
    {"a==b", "a=b", NULL},
    {" a = b ", "a=b", NULL},
    {"a!=b", "a!=b", NULL},
    {"a", "a", NULL},
    {"!a", "!a", NULL},
    {"a=", "a=", NULL},
    {"a in (c, b,b)", "a in (b,c)", NULL},
    {"a notin (c)", "a notin (c)", NULL},
    {"a in ()", "a in ()", NULL},
    {"a in (,b)", "a in (,b)", NULL},
    {"environment in (production, qa,staging),application=nginx",
     "application=nginx,environment in (production,qa,staging)", NULL},
    {"app in (x,y),!b,c,d notin (q),e==f", "app in (x,y),!b,c,d notin (q),e=f", NULL},
    {"example.com/role=db", "example.com/role=db", NULL},
    {"a=in", "a=in", NULL},
    {"a in (in,notin)", "a in (in,notin)", NULL},
    {"", "", NULL},
    {"environment in (production, qa", NULL,
     "couldn't parse the selector string \"environment in (production, qa\": unable to parse "
     "requirement: found '', expected: ',' or ')'"},
    {"=b", NULL,
     "couldn't parse the selector string \"=b\": found '=', expected: !, identifier, or 'end of "
     "string'"},
    {"a b", NULL,
     "couldn't parse the selector string \"a b\": unable to parse requirement: found 'b', "
     "expected: "
     "in, notin, =, ==, !=, gt, lt"},
    {"a=b=c", NULL,
     "couldn't parse the selector string \"a=b=c\": found '=', expected: ',' or 'end of string'"},
    {"a>1", NULL, "\"gt\" isn't supported in label selectors"},
    {"a<1", NULL, "\"lt\" isn't supported in label selectors"},
    {"-x=1", NULL,
     "couldn't parse the selector string \"-x=1\": unable to parse requirement: <nil>: "
     "Invalid value: \"-x\""},
    {"a=b,", NULL,
     "couldn't parse the selector string \"a=b,\": found '', expected: identifier after"},
    {"a=-", NULL,
     "couldn't parse the selector string \"a=-\": unable to parse requirement: values: "},
    {"a in b", NULL,
     "couldn't parse the selector string \"a in b\": unable to parse requirement: "
     "found 'b', expected: '('"},
    {"a in (b c)", NULL,
     "couldn't parse the selector string \"a in (b c)\": unable to parse "
     "requirement: found 'c', expected: ',' or ')'"},
    {"a in (b)c", NULL,
     "couldn't parse the selector string \"a in (b)c\": found 'c', expected: ','"},
    {"a=(", NULL,
     "couldn't parse the selector string \"a=(\": unable to parse requirement: found '('"},
    {"!", NULL, "couldn't parse the selector string \"!\": unable to parse requirement: found ''"},
    {"x/y/z=1", NULL,
     "couldn't parse the selector string \"x/y/z=1\": unable to parse requirement"},
};

static void test_cases(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *out = NULL, *why = NULL;
        struct wp_arena a;
        int r;

        wp_arena_init(&a, 0);
        r = wp_kube_selector_parse(&a, cases[i].text, &out, &why);
        if (cases[i].canonical != NULL) {
            CHECK_AT(cases[i].text, r == 0 && strcmp(out, cases[i].canonical) == 0);
        } else {
            CHECK_AT(cases[i].text, r == WP_EMALFORMED);
            CHECK_AT(why, strncmp(why, cases[i].why, strlen(cases[i].why)) == 0);
        }
        wp_arena_done(&a);
    }
}

/* More than there is room for. */
static void test_limits(void)
{
    static char text[20000];
    const char *out, *why = NULL;
    struct wp_arena a;

    wp_arena_init(&a, 0);
    for (int i = 0; i < 65; i++)
        sprintf(text + strlen(text), "%sk%d", i > 0 ? "," : "", i);
    CHECK(wp_kube_selector_parse(&a, text, &out, &why) == WP_EMALFORMED);
    CHECK(strstr(why, "too many requirements") != NULL);
    strcpy(text, "a in (");
    for (int i = 0; i < 257; i++)
        sprintf(text + strlen(text), "%sv%d", i > 0 ? "," : "", i);
    strcat(text, ")");
    CHECK(wp_kube_selector_parse(&a, text, &out, &why) == WP_EMALFORMED);
    CHECK(strstr(why, "too many values") != NULL);
    wp_arena_done(&a);
}

/* Every place where memory may run out. */
static void test_no_memory(void)
{
    for (size_t cap = 0; cap < 200000; cap += 1000) {
        const char *out, *why = NULL;
        struct wp_arena a;
        int r;

        wp_arena_init(&a, cap + 1);
        r = wp_kube_selector_parse(&a, "b in (x,y),a=c,!d", &out, &why);
        CHECK(r == 0 || r == -ENOMEM);
        if (r == 0)
            CHECK(strcmp(out, "a=c,b in (x,y),!d") == 0);
        wp_arena_done(&a);
    }
}

RUN_TESTS(TEST(test_cases), TEST(test_limits), TEST(test_no_memory))
