/* Paths of `import`: Go's filepath.Glob and Join, as far as import lets patterns through. glob(3)
 * is not that: it hides dot files and reads bracket expressions. */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>

#include "server/config/parse_priv.h"

enum { MATCHES_MAX = 100000 };

static bool has_magic(const char *s)
{
    return strpbrk(s, "*?[\\") != NULL;
}

/* By text alone: "//", "." and ".." go. `out` has room for the text and a NUL. */
static void clean(const char *s, char *out)
{
    bool rooted = *s == '/';
    size_t len = 0, keep = 0; /* keep: the leading ".."s of a relative path cannot go */

    while (*s != '\0') {
        size_t n = strcspn(s, "/");
        bool up = n == 2 && memcmp(s, "..", 2) == 0;

        if (up && len > keep) {
            do
                len--;
            while (len > keep && out[len] != '/');
        } else if (n > 0 && !(n == 1 && s[0] == '.') && !(up && rooted)) {
            if (len > 0 || rooted)
                out[len++] = '/';
            memcpy(out + len, s, n);
            len += n;
            if (up)
                keep = len;
        }
        s += n + (s[n] == '/');
    }
    if (len == 0)
        out[len++] = rooted ? '/' : '.';
    out[len] = '\0';
}

char *wp_conf_join(struct wp_arena *arena, const char *dir, const char *path)
{
    char *both = wp_arena_printf(arena, "%s/%s", dir, path);
    char *out = both != NULL ? wp_arena_alloc(arena, strlen(both) + 2) : NULL;

    if (out != NULL)
        clean(both, out);
    return out;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int add_path(struct wp_vec *v, const char *path)
{
    const char **p = v->n < MATCHES_MAX ? wp_vec_add(v, sizeof(*p)) : NULL;

    if (p == NULL)
        return v->n < MATCHES_MAX ? -ENOMEM : WP_ELIMIT;
    *p = path;
    return 0;
}

/* Entries of `dir` whose names match one pattern component, sorted, appended as paths. A
 * directory that cannot be read matches nothing, as in Go. */
static int match_dir(struct wp_arena *arena, const char *dir, const char *pattern, struct wp_vec *v)
{
    DIR *d = opendir(dir[0] != '\0' ? dir : "/");
    size_t first = v->n;
    struct dirent *e;
    int r = 0;

    if (d == NULL)
        return errno == ENOMEM ? -ENOMEM : 0;
    while (r == 0 && (e = readdir(d)) != NULL) {
        char *path;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fnmatch(pattern, e->d_name, 0) != 0)
            continue;
        path = wp_arena_printf(arena, "%s/%s", dir, e->d_name);
        r = path != NULL ? add_path(v, path) : -ENOMEM;
    }
    closedir(d);
    if (r == 0 && v->n > first)
        qsort((const char **)v->at + first, v->n - first, sizeof(char *), by_text);
    return r;
}

/* pattern is absolute: dir (without magic, no final slash) + "/" + rest. */
static int match_rest(struct wp_arena *arena, const char *dir, const char *rest, struct wp_vec *v)
{
    size_t n = strcspn(rest, "/");
    char *part = wp_arena_strndup(arena, rest, n);
    struct wp_vec found = {0};
    struct stat st;
    int r = 0;

    if (part == NULL)
        return -ENOMEM;
    if (has_magic(part)) {
        r = match_dir(arena, dir, part, &found);
    } else {
        char *path = wp_arena_printf(arena, "%s/%s", dir, part);

        if (path == NULL)
            return -ENOMEM;
        if (lstat(path, &st) == 0)
            r = add_path(&found, path);
    }
    for (size_t i = 0; r == 0 && i < found.n; i++) {
        const char *path = ((const char **)found.at)[i];

        r = rest[n] == '\0' ? add_path(v, path) : match_rest(arena, path, rest + n + 1, v);
    }
    wp_vec_done(&found);
    return r;
}

/* What Go's Match refuses: a bracket without end (with one, import has said no before), a
 * backslash that quotes nothing. */
static bool is_bad(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '[')
            return true;
        if (*s == '\\' && *++s == '\0')
            return true;
    }
    return false;
}

int wp_conf_glob(struct wp_arena *arena, const char *pattern, struct wp_vec *ret)
{
    struct stat st;

    if (is_bad(pattern))
        return WP_EMALFORMED;
    if (!has_magic(pattern))
        return lstat(pattern, &st) == 0 ? add_path(ret, pattern) : 0;
    while (*pattern == '/')
        pattern++;
    return match_rest(arena, "", pattern, ret);
}
