/* Files of credentials: read whole or not at all. */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "backends/common/secret_file.h"

static const struct {
    const char *what, *text;
    size_t len, max;
    int ret;
} rows[] = {
    {"empty", WIRE(""), 10, 0},
    {"as long as allowed", WIRE("0123456789"), 10, 0},
    {"one octet more", WIRE("0123456789a"), 10, WP_ELIMIT},
    {"a NUL inside", WIRE("01\0" "34"), 10, WP_EMALFORMED},
};

/* One that is refused leaves the caller's pointer alone: it may be freed, or still be of use. */
static void test_read(void)
{
    char path[] = "/tmp/waypost-secret-XXXXXX", before[] = "before", *text = before;
    int fd = mkstemp(path);

    CHECK(fd >= 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        int r;
        CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, rows[i].text, rows[i].len, 0) == (ssize_t)rows[i].len);
        text = before;
        r = wp_secret_file_read(path, rows[i].max, &text);
        CHECK_AT(rows[i].what, r == rows[i].ret && (text == before) == (r < 0));
        if (r == 0) {
            CHECK_AT(rows[i].what, strcmp(text, rows[i].text) == 0);
            free(text);
        }
    }
    close(fd);
    unlink(path);
    text = before;
    CHECK(wp_secret_file_read(path, 10, &text) == -ENOENT && text == before);
    CHECK(wp_secret_file_read("/tmp", 10, &text) == -EISDIR && text == before);
}

RUN_TESTS(TEST(test_read))
