/* Parsing and binding with every allocation failing once: an error comes back, nothing leaks, and
 * what was made can be taken down. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "failmalloc.h"
#include "waypost/server/config.h"

static const char text[] =
    "(s) {\n"
    " root \"/\"\n"
    " timeouts {\n"
    "  read 1s\n"
    " }\n"
    "}\n"
    "a.example, 10.0.0.0/15 tls://b.example:{$WP_TEST_PORT} {\n"
    " import s\n"
    " bind 127.0.0.1 127.0.0.2 127.0.0.3 {\n"
    "  except 127.0.0.2\n"
    " }\n"
    " tls /dev/null null\n"
    "}\n"
    ". {\n"
    " import imported*\n"
    " proxyproto {\n"
    "  allow 10.0.0.0/8 11.0.0.0/8\n"
    "  allow 12.0.0.0/8\n"
    " }\n"
    "}\n";

static const char wrong[] = ". {\n foo\n import nothing\n https {\n  max_streams x\n }\n}\n. {\n}\n";

/* One load with the n-th allocation failing; false: none failed. */
static bool load(const char *conf_text, long n, int expected)
{
    struct wp_conf_report report;
    struct wp_block *blocks = NULL;
    struct wp_arena arena;
    struct wp_conf conf = {0};
    unsigned n_blocks = 0;
    bool failed;
    int r;

    wp_arena_init(&arena, 0);
    wp_conf_report_init(&report, &arena);
    failmalloc_after(n);
    r = wp_conf_parse("C", conf_text, strlen(conf_text), &arena, &report, &conf);
    if (r == 0 || r == WP_ECONFIG)
        r = wp_conf_bind(&conf, 53, true, NULL, &arena, &report, &blocks, &n_blocks);
    for (const struct wp_conf_error *e = report.first; e != NULL; e = e->next)
        CHECK(wp_conf_error_text(&report, e) != NULL && wp_conf_error_check_text(&report, e) != NULL);
    failed = failmalloc_stop();
    if (failed && r != -ENOMEM && r != expected)
        print_error("allocation %ld: %d, %s\n", n, r,
                    report.first != NULL ? report.first->text : "nothing told");
    if (failed)
        CHECK(r == -ENOMEM || r == expected);
    else
        CHECK(r == expected);
    if (expected == 0)
        CHECK(r == -ENOMEM || r == 0);
    wp_conf_unbind(blocks, n_blocks);
    wp_arena_done(&arena);
    return failed;
}

static void test_every_allocation(void)
{
    long n = 0;

    while (load(text, n, 0))
        n++;
    CHECK(n > 10);
}

/* The same with errors to tell: without memory for an error its number still counts. */
static void test_every_allocation_of_errors(void)
{
    long n = 0;

    while (load(wrong, n, WP_ECONFIG))
        n++;
    CHECK(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_every_allocation), TEST(test_every_allocation_of_errors)};
    char dir[] = "/tmp/wp_test_nomem_XXXXXX";
    int r;
    FILE *f;

    if (mkdtemp(dir) == NULL || chdir(dir) != 0 || (f = fopen("imported", "we")) == NULL)
        return 1;
    fputs("multisocket 2\nhttps {\n max_streams 3\n}\n", f);
    fclose(f);
    setenv("WP_TEST_PORT", "8853", 1);
    r = cmocka_run_group_tests(tests, NULL, NULL);
    unlink("imported");
    return chdir("/") != 0 || rmdir(dir) != 0 ? 1 : r;
}
