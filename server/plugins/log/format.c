/* FORMAT: text with {placeholders}. */
#include "server/plugins/log/format.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_format *formats; /* by lock; never freed */

static const struct {
    const char *name;
    enum log_part_kind kind;
} placeholders[] = {
    {"{type}", LOG_TYPE},         {"{name}", LOG_NAME},   {"{class}", LOG_CLASS},
    {"{proto}", LOG_PROTO},       {"{size}", LOG_SIZE},   {"{remote}", LOG_REMOTE},
    {"{port}", LOG_PORT},         {"{local}", LOG_LOCAL}, {"{>id}", LOG_ID},
    {"{>opcode}", LOG_OPCODE},    {"{>do}", LOG_DO},      {"{>bufsize}", LOG_BUFSIZE},
    {"{rcode}", LOG_RCODE},       {"{rsize}", LOG_RSIZE}, {"{>rflags}", LOG_RFLAGS},
    {"{duration}", LOG_DURATION},
};

/* A metadata label holds a slash that is neither first nor last. */
static bool is_label(const char *s, size_t len)
{
    const char *slash = memchr(s, '/', len);

    return slash != NULL && slash != s && slash != s + len - 1;
}

static void add(struct log_format *f, enum log_part_kind kind, const char *text, size_t len)
{
    if (len == 0 && kind == LOG_LITERAL)
        return;
    f->parts[f->n_parts] = (struct log_part){.kind = kind, .text = text, .len = len};
    if (kind == LOG_LITERAL && len <= 8)
        memcpy(f->parts[f->n_parts].eight, text, len);
    f->n_parts++;
    f->n_meta += kind == LOG_META;
}

/* From its "{" to its "}". */
static void add_placeholder(struct log_format *f, const char *at, size_t len)
{
    for (size_t i = 0; i < WP_COUNT(placeholders); i++)
        if (strlen(placeholders[i].name) == len && memcmp(placeholders[i].name, at, len) == 0) {
            add(f, placeholders[i].kind, NULL, 0);
            return;
        }
    if (at[1] == '/' && len > 3 && is_label(at + 2, len - 3)) {
        /* NUL-terminated in place: the brace has done its work */
        ((char *)at)[len - 1] = '\0';
        add(f, LOG_META, at + 2, len - 3);
    } else {
        add(f, LOG_LITERAL, at, len);
    }
}

/* A "}" belongs to the "{" before it that is nearest: "{ {name} }" has one placeholder. */
static void parse(struct log_format *f)
{
    const char *s = f->body, *close;

    while ((close = strchr(s, '}')) != NULL) {
        const char *open = memrchr(s, '{', (size_t)(close - s));
        if (open == NULL) {
            add(f, LOG_LITERAL, s, (size_t)(close + 1 - s));
        } else {
            add(f, LOG_LITERAL, s, (size_t)(open - s));
            add_placeholder(f, open, (size_t)(close + 1 - open));
        }
        s = close + 1;
    }
    add(f, LOG_LITERAL, s, strlen(s));
}

static struct log_format *new_format(const char *text)
{
    size_t n_parts = 2;
    struct log_format *f;

    for (const char *p = text; *p != '\0'; p++)
        n_parts += *p == '}' ? 2 : 0;
    f = calloc(1, sizeof(*f) + n_parts * sizeof(f->parts[0]));
    if (f == NULL)
        return NULL;
    f->text = strdup(text);
    f->body = strdup(text);
    if (f->text == NULL || f->body == NULL) {
        free(f->text);
        free(f->body);
        free(f);
        return NULL;
    }
    f->is_common = strcmp(text, LOG_COMMON) == 0;
    parse(f);
    return f;
}

const struct log_format *wp_log_format_get(const char *text)
{
    struct log_format *f;

    pthread_mutex_lock(&lock);
    for (f = formats; f != NULL && strcmp(f->text, text) != 0; f = f->next)
        ;
    if (f == NULL) {
        f = new_format(text);
        if (f != NULL) {
            f->next = formats;
            formats = f;
        }
    }
    pthread_mutex_unlock(&lock);
    return f;
}
