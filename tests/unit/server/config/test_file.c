/* Reading the Corefile and what it imports. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "waypost/server/config.h"

static char dir[64];

static int read_file(const char *name, size_t *ret_len, char why[256])
{
    struct wp_arena arena;
    const char *text = "";
    char *got = NULL;
    int r;

    wp_arena_init(&arena, 0);
    r = wp_conf_read_file(name, &arena, &got, ret_len, &text);
    snprintf(why, 256, "%s", text);
    if (r == 0)
        CHECK(got[*ret_len] == '\0');
    free(got);
    wp_arena_done(&arena);
    return r;
}

static void make(const char *name, off_t size)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && ftruncate(fd, size) == 0);
    close(fd);
}

static void test_sizes(void)
{
    static const off_t sizes[] = {0, 1, (1 << 14) - 2, (1 << 14) - 1, 1 << 14, WP_CONF_FILE_MAX};
    char why[256];
    size_t len;

    for (size_t i = 0; i < COUNT(sizes); i++) {
        make("file", sizes[i]);
        CHECK(read_file("file", &len, why) == 0 && len == (size_t)sizes[i]);
    }
    make("file", (off_t)WP_CONF_FILE_MAX + 1);
    CHECK(read_file("file", &len, why) == -EFBIG);
    CHECK(strcmp(why, "read file: file too large") == 0);
    unlink("file");
    CHECK(read_file("/dev/zero", &len, why) == -EFBIG); /* without end */
}

static void test_unreadable(void)
{
    char why[256];
    size_t len;

    CHECK(read_file("nothing", &len, why) == -ENOENT);
    CHECK(strcmp(why, "open nothing: no such file or directory") == 0);
    CHECK(read_file("/dev/null/x", &len, why) == -ENOTDIR);
    CHECK(strcmp(why, "open /dev/null/x: not a directory") == 0);
    CHECK(read_file(".", &len, why) == -EISDIR && strcmp(why, "is a directory") == 0);
}

/* Import of a file that is too large is told like any other. */
static void test_large_import(void)
{
    static const char text[] = ". {\nimport file\nroot /\n}\n";
    struct wp_conf_report report;
    struct wp_arena arena;
    struct wp_conf conf;

    make("file", (off_t)WP_CONF_FILE_MAX + 1);
    wp_arena_init(&arena, 64 << 20);
    wp_conf_report_init(&report, &arena);
    CHECK(wp_conf_parse("C", text, sizeof(text) - 1, &arena, &report, &conf) == WP_ECONFIG);
    CHECK(strstr(report.first->text, "file: file too large") != NULL && conf.blocks[0].n_lines == 1);
    wp_arena_done(&arena);
    unlink("file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_sizes), TEST(test_unreadable), TEST(test_large_import)};
    int r;

    strcpy(dir, "/tmp/wp_test_file_XXXXXX");
    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        return 1;
    r = cmocka_run_group_tests(tests, NULL, NULL);
    return chdir("/") != 0 || rmdir(dir) != 0 ? 1 : r;
}
