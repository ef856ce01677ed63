/* Any octets as a Corefile: reading ends, within the memory it is given; what was read is the same
 * a second time, and when it is written out in quotes and read again; keys, networks and options
 * of the directives that only set something bind without harm. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "waypost/server/config.h"
#include "waypost/server/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NEED(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { MEMORY_MAX = 512 << 20, INPUT_MAX = 1 << 16 };

static int parse(const void *text, size_t len, struct wp_arena *arena,
                 struct wp_conf_report *report, struct wp_conf *ret)
{
    wp_conf_report_init(report, arena);
    return wp_conf_parse("/nonexistent/Corefile", text, len, arena, report, ret);
}

/* Words that quotes cannot carry as they are: backslashes, braces, references, commas of keys. */
static bool is_plain(const char *w)
{
    return strchr(w, '\\') == NULL && strstr(w, "{$") == NULL && strstr(w, "{%") == NULL &&
           strcmp(w, "{") != 0 && strcmp(w, "}") != 0 && strcmp(w, "import") != 0;
}

static bool write_word(FILE *f, const char *w)
{
    fputc('"', f);
    for (const char *c = w; *c != '\0'; c++)
        fprintf(f, *c == '"' ? "\\%c" : "%c", *c);
    fputs("\" ", f);
    return is_plain(w);
}

static bool write_lines(FILE *f, const struct wp_line *lines, unsigned n)
{
    bool ok = true;

    for (unsigned i = 0; i < n; i++) {
        for (unsigned w = 0; w < lines[i].n_words; w++)
            ok &= write_word(f, lines[i].words[w]);
        if (lines[i].has_block) {
            fputs("{\n", f);
            ok &= write_lines(f, lines[i].options, lines[i].n_options);
            fputs("}", f);
        }
        fputc('\n', f);
    }
    return ok;
}

/* False: it cannot be written. */
static bool write_conf(FILE *f, const struct wp_conf *c)
{
    bool ok = true;

    for (unsigned i = 0; i < c->n_blocks; i++) {
        for (unsigned k = 0; k < c->blocks[i].n_keys; k++) {
            const char *key = c->blocks[i].keys[k];
            size_t len = strlen(key);

            ok &= len > 0 && key[len - 1] != ',' && key[0] != '(' && write_word(f, key);
        }
        fputs("{\n", f);
        ok &= write_lines(f, c->blocks[i].lines, c->blocks[i].n_lines);
        fputs("}\n", f);
    }
    return ok;
}

static char *written(const struct wp_conf *c, bool *ret_ok, size_t *ret_len)
{
    char *out = NULL;
    FILE *f = open_memstream(&out, ret_len);

    NEED(f != NULL);
    *ret_ok = write_conf(f, c);
    fclose(f);
    return out;
}

static void round_trip(const struct wp_conf *conf)
{
    struct wp_conf_report report;
    struct wp_arena arena;
    struct wp_conf again;
    size_t len, len2;
    bool ok, ok2;
    char *text = written(conf, &ok, &len), *text2;

    wp_arena_init(&arena, MEMORY_MAX);
    if (ok) {
        NEED(parse(text, len, &arena, &report, &again) == 0);
        text2 = written(&again, &ok2, &len2);
        NEED(ok2 && len == len2 && memcmp(text, text2, len) == 0);
        free(text2);
    }
    free(text);
    wp_arena_done(&arena);
}

/* Only directives that open nothing. */
static unsigned keep_settings(struct wp_arena *arena, struct wp_conf_block *b)
{
    static const char *const harmless[] = {"root", "timeouts", "multisocket", "https",
                                           "grpc_server", "proxyproto", "bind"};
    struct wp_line *lines = wp_arena_array(arena, b->n_lines, sizeof(*lines));
    unsigned n = 0;

    NEED(lines != NULL);
    for (unsigned i = 0; i < b->n_lines; i++) {
        for (size_t h = 0; h < WP_COUNT(harmless); h++) {
            if (strcmp(b->lines[i].words[0], harmless[h]) == 0)
                lines[n++] = b->lines[i];
        }
    }
    b->lines = lines;
    return n;
}

static void bind_settings(const struct wp_conf *conf, struct wp_arena *arena)
{
    struct wp_conf_report report;
    struct wp_block *blocks = NULL;
    unsigned n = 0;

    for (unsigned i = 0; i < conf->n_blocks; i++)
        conf->blocks[i].n_lines = keep_settings(arena, &conf->blocks[i]);
    wp_conf_report_init(&report, arena);
    if (wp_conf_bind(conf, 53, true, NULL, arena, &report, &blocks, &n) == 0) {
        for (unsigned i = 0; i < n; i++)
            NEED(blocks[i].n_keys > 0 && blocks[i].zones.n > 0 && blocks[i].zones.n <= blocks[i].n_keys);
    }
    wp_conf_unbind(blocks, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    struct wp_conf_report report, report2;
    struct wp_arena arena, arena2;
    struct wp_conf conf = {0}, again = {0};
    int r;

    if (!ready) {
        wp_log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
        ready = true;
    }
    /* relative imports and modules find nothing; absolute ones could read a terminal, run a library */
    if (size > INPUT_MAX ||
        ((memmem(data, size, "import", 6) != NULL || memmem(data, size, "load", 4) != NULL) &&
         memchr(data, '/', size) != NULL))
        return 0;
    wp_arena_init(&arena, MEMORY_MAX);
    wp_arena_init(&arena2, MEMORY_MAX);
    r = parse(data, size, &arena, &report, &conf);
    NEED(r == 0 || r == WP_ECONFIG);
    NEED((r == WP_ECONFIG) == (report.n > 0));
    NEED(parse(data, size, &arena2, &report2, &again) == r);
    NEED(strcmp(conf.sha512, again.sha512) == 0 && report.n == report2.n);
    if (r == 0)
        round_trip(&conf);
    bind_settings(&conf, &arena);
    wp_arena_done(&arena2);
    wp_arena_done(&arena);
    return 0;
}
