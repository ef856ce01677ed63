/* `import X`: a snippet of that name, else files. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config/parse_priv.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"

bool conf_lex(struct parser *p, const char *file, const char *text, size_t len,
              struct wp_tokens *ret)
{
    struct wp_token at = {.file = file, .line = 1};
    int r = wp_lex(file, text, len, CONF_WORDS_MAX, p->arena, ret, &at.line);

    if (r == -ENOMEM)
        conf_no_memory(p);
    else if (r == WP_EMALFORMED)
        conf_error(p, &at, WP_CONF_PARSE, NULL, "the text has a NUL octet");
    else if (r < 0)
        conf_error(p, &at, WP_CONF_PARSE, NULL, "more than %d words", CONF_WORDS_MAX);
    return r == 0;
}

/* Tokens of a file, read at its first import. */
static bool file_tokens(struct parser *p, const char *path, struct wp_tokens *ret)
{
    struct imported **bucket = &p->imported[wp_hash_bytes(path, strlen(path)) % FILE_BUCKETS];
    struct imported *i;
    const char *why;
    size_t len;
    char *text;
    int r;

    for (i = *bucket; i != NULL; i = i->next) {
        if (strcmp(i->path, path) == 0) {
            *ret = i->tokens;
            return true;
        }
    }
    r = wp_conf_read_file(path, p->arena, &text, &len, &why);
    if (r == -ENOMEM) {
        conf_no_memory(p);
        return false;
    }
    if (r < 0) {
        conf_error(p, &p->cur, WP_CONF_PARSE, "import", "Could not import %s: %s", path, why);
        return false;
    }
    i = wp_arena_zalloc(p->arena, sizeof(*i));
    if (i == NULL) {
        free(text);
        conf_no_memory(p);
        return false;
    }
    i->path = path;
    if (conf_lex(p, path, text, len, &i->tokens)) {
        i->next = *bucket;
        *bucket = i;
    }
    free(text);
    *ret = i->tokens;
    return true;
}

const char *conf_dir_of(struct wp_arena *arena, const char *path)
{
    char cwd[4096] = "", *dir;

    if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
        return NULL;
    dir = wp_conf_join(arena, cwd, path);
    if (dir != NULL)
        *strrchr(dir, '/') = '\0';
    else
        errno = ENOMEM;
    return dir;
}

/* Of the file that the word stands in; NULL: reported. */
static const char *dir_of(struct parser *p, const struct wp_token *t)
{
    const char *dir = conf_dir_of(p->arena, t->file);

    if (dir == NULL && errno == ENOMEM)
        conf_no_memory(p);
    else if (dir == NULL)
        conf_error(p, t, WP_CONF_PARSE, "import", "Failed to get absolute path of file: %s: %s",
                   t->file, wp_conf_errno_text(p->arena, errno));
    return dir;
}

static size_t count(const char *s, char c)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += *s == c;
    return n;
}

/* The pattern made absolute and looked at; NULL: reported. */
static const char *full_pattern(struct parser *p, const struct wp_token *at, const char *pattern)
{
    const char *dir;

    if (pattern[0] != '/') {
        dir = dir_of(p, at);
        if (dir == NULL)
            return NULL;
        pattern = wp_conf_join(p->arena, dir, pattern);
        if (pattern == NULL) {
            conf_no_memory(p);
            return NULL;
        }
    }
    /* many wildcards can take for ever */
    if (count(pattern, '*') > 1 || count(pattern, '?') > 1 ||
        (strchr(pattern, '[') != NULL && strchr(pattern, ']') != NULL)) {
        conf_error(p, at, WP_CONF_PARSE, "import",
                   "Glob pattern may only contain one wildcard (*), but has others: %s", pattern);
        return NULL;
    }
    return pattern;
}

/* The files in order; each in a frame of its own, the first on top. */
static void push_files(struct parser *p, const char *const *paths, size_t n)
{
    struct wp_tokens *tokens = wp_arena_array(p->arena, n, sizeof(*tokens));

    if (tokens == NULL) {
        conf_no_memory(p);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!file_tokens(p, paths[i], &tokens[i])) {
            if (p->stop)
                return;
            tokens[i].n = 0;
        }
    }
    if (p->cur_depth >= CONF_FILES_MAX) {
        conf_error(p, &p->cur, WP_CONF_PARSE, "import", "maximum file import depth (%d) exceeded",
                   CONF_FILES_MAX);
        p->stop = true;
        return;
    }
    p->n_files += n;
    if (p->n_files > CONF_FILES_TOTAL_MAX) {
        conf_error(p, &p->cur, WP_CONF_PARSE, "import", "more than %d imports of files",
                   CONF_FILES_TOTAL_MAX);
        p->stop = true;
        return;
    }
    while (n-- > 0)
        conf_push(p, &tokens[n], true);
}

static void import_files(struct parser *p, const struct wp_token *at, const char *word)
{
    const char *pattern = full_pattern(p, at, word);
    struct wp_vec paths = {0};
    int r;

    if (pattern == NULL)
        return;
    r = wp_conf_glob(p->arena, pattern, &paths);
    if (r == -ENOMEM)
        conf_no_memory(p);
    else if (r < 0)
        conf_error(p, at, WP_CONF_PARSE, "import", "Failed to use import pattern %s: %s", word,
                   r == WP_EMALFORMED ? "syntax error in pattern" : "too many files");
    else if (paths.n > 0)
        push_files(p, paths.at, paths.n);
    else if (strpbrk(pattern, "*?[]") != NULL)
        wp_log(WP_WARNING, NULL, "No files matching import glob pattern: %s", word);
    else
        conf_error(p, at, WP_CONF_PARSE, "import", "File to import not found: %s", word);
    wp_vec_done(&paths);
}

static const struct snippet *find_snippet(const struct parser *p, const char *name)
{
    const struct snippet *s = p->snippets;

    while (s != NULL && strcmp(s->name, name) != 0)
        s = s->next;
    return s;
}

static void skip_line(struct parser *p)
{
    while (conf_peek(p) != NULL && !conf_is_new_line(p))
        conf_take(p);
}

void conf_import(struct parser *p)
{
    const struct snippet *s;
    struct wp_token at;
    const char *word;

    if (conf_peek(p) == NULL || conf_is_new_line(p)) {
        conf_error(p, &p->cur, WP_CONF_PARSE, "import",
                   "Wrong argument count or unexpected line ending after '%s'", p->cur.text);
        return;
    }
    conf_take(p);
    at = p->cur;
    word = conf_expand(p, &at);
    if (word[0] == '\0') {
        conf_error(p, &at, WP_CONF_PARSE, "import", "Import requires a non-empty filepath");
        skip_line(p);
        return;
    }
    if (conf_peek(p) != NULL && !conf_is_new_line(p)) {
        conf_error(p, &at, WP_CONF_PARSE, "import",
                   "Import takes only one argument (glob pattern or file)");
        skip_line(p);
        return;
    }
    s = find_snippet(p, word);
    if (s == NULL) {
        import_files(p, &at, word);
    } else if (p->n_snippets++ == CONF_SNIPPETS_MAX) {
        conf_error(p, &at, WP_CONF_PARSE, "import", "maximum snippet import depth (%d) exceeded",
                   CONF_SNIPPETS_MAX);
        p->stop = true;
    } else {
        conf_push(p, &s->tokens, false);
    }
}
