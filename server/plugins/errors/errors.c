/* errors: a line for each question that met an error. */
#include "server/plugins/errors/pattern.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct errors {
    struct errors_pattern *patterns, **end;
    struct wp_loop *admin; /* NULL: not started */
    atomic_bool ended;     /* shutdown: sums are no longer made */
};

/* --- set-up ---------------------------------------------------------------------------------- */

static int errors_new(void *self, struct wp_setup *s)
{
    struct errors *p = self;

    (void)s;
    p->end = &p->patterns;
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    if (line->n_words > 2)
        return wp_setup_arg_error(s, line);
    if (line->n_words == 2 && strcmp(line->words[1], "stdout") != 0)
        return wp_setup_error(s, line, "invalid log file: %s", line->words[1]);
    return 0;
}

static int parse_stacktrace(void *self, struct wp_setup *s, const struct wp_line *line)
{
    (void)self;
    if (line->n_words > 1)
        return wp_setup_error(s, line, "Unknown field %s", line->words[1]);
    s->block->set.stacktrace = true;
    return 0;
}

/* The words after the pattern: [LEVEL] [show_first]. */
static int parse_manner(struct errors_pattern *pat, struct wp_setup *s, const struct wp_line *line)
{
    static const struct {
        const char *name;
        enum wp_level level;
    } levels[] = {
        {"warning", WP_WARNING}, {"error", WP_ERROR}, {"info", WP_INFO}, {"debug", WP_DEBUG}};
    bool has_level = false;

    pat->level = WP_ERROR;
    for (unsigned i = 3; i < line->n_words; i++) {
        const char *word = line->words[i];
        size_t k = 0;
        if (strcmp(word, "show_first") == 0) {
            pat->show_first = true;
            continue;
        }
        while (k < WP_COUNT(levels) && strcmp(levels[k].name, word) != 0)
            k++;
        if (k == WP_COUNT(levels))
            return wp_setup_error(s, line, "unknown option in consolidate: %s", word);
        if (pat->show_first)
            return wp_setup_error(s, line, "log level must come before show_first in consolidate");
        if (has_level)
            return wp_setup_error(s, line, "multiple log levels specified in consolidate");
        pat->level = levels[k].level;
        has_level = true;
    }
    return 0;
}

static int parse_consolidate(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct errors *p = self;
    struct errors_pattern *pat;
    char why[160];
    int r;

    if (line->n_words < 3 || line->n_words > 5)
        return wp_setup_arg_error(s, line);
    pat = wp_arena_zalloc(s->arena, sizeof(*pat));
    if (pat == NULL)
        return -ENOMEM;
    r = wp_setup_duration(s, line, line->words[1], &pat->period_ns);
    if (r < 0)
        return r;
    pat->text = line->words[2];
    r = parse_manner(pat, s, line);
    if (r < 0)
        return r;
    r = wp_regex_new(pat->text, why, &pat->regex);
    if (r < 0)
        return wp_setup_error(s, line, "error parsing regexp: %s: `%s`", why, pat->text);
    *p->end = pat;
    p->end = &pat->next;
    return 0;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[stdout]"},
    {.name = "stacktrace", .kind = WP_OPT_CALL, .parse = parse_stacktrace, .help = "accepted"},
    {.name = "consolidate",
     .kind = WP_OPT_CALL,
     .parse = parse_consolidate,
     .help = "count errors like REGEXP, tell their number each DURATION"},
    {0},
};

/* --- running --------------------------------------------------------------------------------- */

static int errors_start(void *self, struct wp_env *env)
{
    struct errors *p = self;

    p->admin = env->admin;
    for (struct errors_pattern *pat = p->patterns; pat != NULL; pat = pat->next)
        pat->admin = env->admin;
    return 0;
}

static int errors_serve(void *self, struct wp_query *q)
{
    (void)self;
    wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

/* What the log thread needs for the line; the name in text, then the error, each closed by NUL. */
struct record {
    uint16_t rcode, qtype;
    uint8_t level;
    char text[WP_LOG_RECORD_MAX - 16];
};

static size_t line_of(const void *data, size_t len, bool json, char *out, size_t cap)
{
    char msg[WP_LOG_RECORD_MAX + 64], number[16];
    struct record rec;
    const char *error;
    int n, m;

    memcpy(&rec, data, len);
    error = rec.text + strlen(rec.text) + 1;
    m = snprintf(msg, sizeof(msg), "%u %s %s: %s", rec.rcode, rec.text,
                 wp_type_text(rec.qtype, number), error);
    if (m < 0)
        return 0;
    if (!json) {
        for (int i = 0; i < m; i++) /* an upstream may have had a hand in it */
            if ((unsigned char)msg[i] < 0x20 || msg[i] == 0x7f)
                msg[i] = ' ';
        n = snprintf(out, cap, "[%s] plugin/errors: %s", wp_level_text(rec.level, false), msg);
        return n > 0 ? (size_t)n : 0;
    }
    n = snprintf(out, cap, "\"level\":\"%s\",\"msg\":\"", wp_level_text(rec.level, true));
    n += (int)wp_json_escape(msg, (size_t)m, out + n, cap - (size_t)n - 32);
    n += snprintf(out + n, cap - (size_t)n, "\",\"plugin\":\"errors\"}");
    return (size_t)n;
}

static void write_line(struct wp_query *q, const char *error, enum wp_level level)
{
    struct record rec = {.rcode = q->reply.rcode, .qtype = q->msg.qtype, .level = (uint8_t)level};
    char name[WP_NAME_TEXT_MAX];
    size_t at = 0, len;

    if (level == WP_DEBUG && !wp_log_is_debug())
        return;
    wp_name_text(q->msg.qname.wire, name);
    len = strlen(name);
    if (len > sizeof(rec.text) / 2) /* a name of escapes must leave room for the error */
        len = sizeof(rec.text) / 2;
    memcpy(rec.text, name, len);
    at = len + 1; /* the NUL is there */
    len = strlen(error);
    if (len > sizeof(rec.text) - 1 - at)
        len = sizeof(rec.text) - 1 - at;
    memcpy(rec.text + at, error, len);
    wp_log_record(q->worker, q->start_ns + wp_query_elapsed(q), line_of, &rec,
                  offsetof(struct record, text) + at + len + 1);
}

static int errors_reply(void *self, struct wp_query *q)
{
    struct errors *p = self;
    const char *error = q->reply.error;
    enum wp_level level = WP_ERROR;

    if (error == NULL)
        return WP_STEP_NEXT;
    if (!atomic_load_explicit(&p->ended, memory_order_relaxed))
        for (struct errors_pattern *pat = p->patterns; pat != NULL; pat = pat->next) {
            if (!wp_regex_match(pat->regex, error, strlen(error), NULL, 0))
                continue;
            if (!wp_errors_pattern_count(pat) || !pat->show_first)
                return WP_STEP_NEXT;
            level = pat->level;
            break;
        }
    write_line(q, error, level);
    return WP_STEP_NEXT;
}

static void end_patterns(void *arg, struct wp_loop *loop)
{
    struct errors *p = arg;

    (void)loop;
    for (struct errors_pattern *pat = p->patterns; pat != NULL; pat = pat->next)
        wp_errors_pattern_end(pat);
}

/* What is counted is told at once; later errors are written one by one. */
static void errors_quiesce(void *self)
{
    struct errors *p = self;

    atomic_store(&p->ended, true);
    if (p->admin != NULL && p->patterns != NULL)
        wp_loop_call(p->admin, end_patterns, p);
}

static void errors_stop(void *self)
{
    struct errors *p = self;

    errors_quiesce(p); /* again: a question may have counted while the first was under way */
    for (struct errors_pattern *pat = p->patterns; pat != NULL; pat = pat->next) {
        wp_regex_free(pat->regex);
        pat->regex = NULL;
    }
}

const struct wp_plugin wp_plugin_errors = {
    .name = "errors",
    .size = sizeof(struct errors),
    .options = options,
    .unknown = "Unknown field %s",
    .repeat = WP_REPEAT_ERROR,
    .new = errors_new,
    .start = errors_start,
    .serve = errors_serve,
    .reply = errors_reply,
    .quiesce = errors_quiesce,
    .stop = errors_stop,
};
