#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config/vec_priv.h"
#include "waypost/base/text.h"
#include "waypost/server/config.h"

const char *wp_conf_errno_text(struct wp_arena *arena, int err)
{
    char *text = wp_arena_strdup(arena, wp_strerror(-err));

    if (text == NULL)
        return "out of memory";
    text[0] = (char)wp_lower((uint8_t)text[0]);
    return text;
}

static int fail(struct wp_arena *arena, const char *what, const char *name, int err,
                const char **ret_why)
{
    const char *why =
        wp_arena_printf(arena, "%s %s: %s", what, name, wp_conf_errno_text(arena, err));

    *ret_why = why != NULL ? why : "out of memory";
    return -err;
}

int wp_conf_read_fd(int fd, const char *name, struct wp_arena *arena, char **ret_text,
                    size_t *ret_len, const char **ret_why)
{
    size_t cap = 1 << 14, len = 0;
    char *text = malloc(cap);
    ssize_t n;

    while (text != NULL) {
        n = read(fd, text + len, cap - len - 1);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(text);
            return fail(arena, "read", name, errno, ret_why);
        }
        len += (size_t)n;
        if (len > WP_CONF_FILE_MAX) {
            free(text);
            return fail(arena, "read", name, EFBIG, ret_why);
        }
        if (len + 1 == cap) {
            char *more = realloc(text, cap *= 2);
            if (more == NULL)
                free(text);
            text = more;
        }
    }
    if (text == NULL)
        return fail(arena, "read", name, ENOMEM, ret_why);
    text[len] = '\0';
    *ret_text = text;
    *ret_len = len;
    return 0;
}

int wp_conf_read_file(const char *path, struct wp_arena *arena, char **ret_text, size_t *ret_len,
                      const char **ret_why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    int r;

    if (fd < 0)
        return fail(arena, "open", path, errno, ret_why);
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        *ret_why = "is a directory";
        r = -EISDIR;
    } else {
        r = wp_conf_read_fd(fd, path, arena, ret_text, ret_len, ret_why);
    }
    close(fd);
    return r;
}
