/* log: a line for each question. */
#include "server/plugins/log/record.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

#include <string.h>

enum log_class { LOG_SUCCESS = 1, LOG_DENIAL = 2, LOG_ERROR = 4, LOG_ALL = 7 };

struct rule {
    struct rule *next;
    uint8_t scope_len, scope_labels;
    const uint8_t *scope; /* lower case */
    const struct log_format *format;
    unsigned classes;
};

struct log {
    struct rule *rules, **end;
    struct rule *line; /* first rule of the line being read, or NULL: none yet */
    unsigned classes;  /* of the line being read */
};

/* --- set-up ---------------------------------------------------------------------------------- */

static int log_new(void *self, struct wp_setup *s)
{
    struct log *p = self;

    (void)s;
    p->end = &p->rules;
    return 0;
}

static int log_begin(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct log *p = self;

    (void)s;
    (void)line;
    p->line = NULL;
    p->classes = 0;
    return 0;
}

static int add_rule(struct log *p, struct wp_setup *s, const char *scope, const char *format)
{
    struct rule *rule = wp_arena_zalloc(s->arena, sizeof(*rule));
    struct wp_name name;

    if (rule == NULL)
        return -ENOMEM;
    if (wp_name_parse(scope, &name) < 0)
        return wp_setup_error(s, NULL, "not a domain name: '%s'", scope);
    wp_name_lower(name.wire, name.len);
    rule->scope = wp_arena_dup(s->arena, name.wire, name.len);
    rule->scope_len = name.len;
    rule->scope_labels = (uint8_t)wp_name_labels(name.wire);
    rule->format = wp_log_format_get(format);
    if (rule->scope == NULL || rule->format == NULL)
        return -ENOMEM;
    *p->end = rule;
    p->end = &rule->next;
    if (p->line == NULL)
        p->line = rule;
    return 0;
}

/* Every {common} and {combined} written out. */
static const char *expand(struct wp_arena *a, const char *format)
{
    static const char *const words[][2] = {{"{common}", LOG_COMMON}, {"{combined}", LOG_COMBINED}};

    for (size_t i = 0; i < WP_COUNT(words) && format != NULL; i++) {
        const char *at;
        for (size_t from = 0;
             format != NULL && (at = strstr(format + from, words[i][0])) != NULL;) {
            size_t before = (size_t)(at - format);
            format = wp_arena_printf(a, "%.*s%s%s", (int)before, format, words[i][1],
                                     at + strlen(words[i][0]));
            from = before + strlen(words[i][1]);
        }
    }
    return format;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct log *p = self;
    const char *format = LOG_COMMON;
    unsigned n = line->n_words;
    int r = 0;

    if (n == 1)
        return add_rule(p, s, ".", format);
    if (n > 2 && strchr(line->words[n - 1], '{') != NULL) {
        format = expand(s->arena, line->words[--n]);
        if (format == NULL)
            return -ENOMEM;
    }
    for (unsigned i = 1; i < n && r == 0; i++)
        r = add_rule(p, s, line->words[i], format);
    return r;
}

static int parse_class(void *self, struct wp_setup *s, const struct wp_line *line)
{
    static const struct {
        const char *name;
        unsigned bits;
    } classes[] = {
        {"all", LOG_ALL}, {"success", LOG_SUCCESS}, {"denial", LOG_DENIAL}, {"error", LOG_ERROR}};
    struct log *p = self;

    if (line->n_words < 2)
        return wp_setup_arg_error(s, line);
    for (unsigned i = 1; i < line->n_words; i++) {
        size_t k = 0;
        while (k < WP_COUNT(classes) && strcmp(classes[k].name, line->words[i]) != 0)
            k++;
        if (k == WP_COUNT(classes))
            return wp_setup_error(s, line, "invalid Class: %s", line->words[i]);
        p->classes |= classes[k].bits;
    }
    return 0;
}

static int log_end(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct log *p = self;

    (void)s;
    (void)line;
    for (struct rule *rule = p->line; rule != NULL; rule = rule->next)
        rule->classes = p->classes != 0 ? p->classes : LOG_ALL;
    return 0;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[NAMES...] [FORMAT]"},
    {.name = "class",
     .kind = WP_OPT_CALL,
     .parse = parse_class,
     .help = "replies that get a line: all, success, denial, error"},
    {0},
};

/* --- each question --------------------------------------------------------------------------- */

static bool is_within(const struct wp_qname *q, const struct rule *rule)
{
    return q->n_labels >= rule->scope_labels && q->len >= rule->scope_len &&
           q->at[q->n_labels - rule->scope_labels] == q->len - rule->scope_len &&
           memcmp(q->wire + q->len - rule->scope_len, rule->scope, rule->scope_len) == 0;
}

static int log_serve(void *self, struct wp_query *q)
{
    const struct log *p = self;

    for (struct rule *rule = p->rules; rule != NULL; rule = rule->next)
        if (is_within(&q->msg.qname, rule)) { /* the first one, whatever its classes */
            wp_query_state_set(q, rule);
            wp_query_want_reply(q);
            break;
        }
    return WP_STEP_NEXT;
}

static enum wp_reply_kind kind_of(struct wp_query *q)
{
    return q->reply.dropped ? WP_REPLY_OTHERERROR : wp_reply_kind(q);
}

static enum log_class class_of(enum wp_reply_kind kind)
{
    switch (kind) {
    case WP_REPLY_NOERROR:
    case WP_REPLY_DELEGATION:
        return LOG_SUCCESS;
    case WP_REPLY_NXDOMAIN:
    case WP_REPLY_NODATA:
        return LOG_DENIAL;
    default:
        return LOG_ERROR;
    }
}

static void set_metadata(struct wp_query *q)
{
    static const char *const kinds[] = {
        [WP_REPLY_NOERROR] = "NOERROR",
        [WP_REPLY_NXDOMAIN] = "NXDOMAIN",
        [WP_REPLY_NODATA] = "NODATA",
        [WP_REPLY_DELEGATION] = "DELEGATION",
        [WP_REPLY_META] = "META",
        [WP_REPLY_UPDATE] = "UPDATE",
        [WP_REPLY_SERVERERROR] = "SERVERERROR",
        [WP_REPLY_OTHERERROR] = "OTHERERROR",
    };
    enum wp_reply_kind kind = kind_of(q);
    enum log_class class = class_of(kind);

    /* Out of memory only leaves the labels unset. */
    (void)wp_query_meta_set(q, "log/type", kinds[kind]);
    (void)wp_query_meta_set(q, "log/class",
                            class == LOG_SUCCESS  ? "success"
                            : class == LOG_DENIAL ? "denial"
                                                  : "error");
}

static int log_reply(void *self, struct wp_query *q)
{
    const struct rule *rule = wp_query_state(q);
    struct log_record rec;

    (void)self;
    if (q->block->has_metadata)
        set_metadata(q);
    if (rule->classes != LOG_ALL && (rule->classes & class_of(kind_of(q))) == 0)
        return WP_STEP_NEXT;
    wp_log_record_fill(&rec, rule->format, q);
    wp_log_record(q->worker, q->start_ns + wp_query_elapsed(q), wp_log_record_line, &rec,
                  wp_log_record_len(&rec));
    return WP_STEP_NEXT;
}

const struct wp_plugin wp_plugin_log = {
    .name = "log",
    .size = sizeof(struct log),
    .options = options,
    .repeat = WP_REPEAT_COMBINE,
    .new = log_new,
    .begin = log_begin,
    .end = log_end,
    .serve = log_serve,
    .reply = log_reply,
};
