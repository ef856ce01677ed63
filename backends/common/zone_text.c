/* From logical lines to records: owner, TTL, class, type, rdata; and the directives. */
#include "backends/common/zone_text_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "waypost/base/text.h"
#include "waypost/dns/rr.h"
#include "waypost/dns/types.h"

enum { TOKEN_SHOWN = 64 };

void wp_zone_file_stat(struct wp_zone_file *f, const struct stat *st)
{
    f->device = st->st_dev;
    f->inode = st->st_ino;
    f->size = (uint64_t)st->st_size;
    f->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

const char *wp_zone_errno_text(int err, char *out, size_t cap)
{
    snprintf(out, cap, "%s", wp_strerror(err));
    out[0] = (char)wp_lower((uint8_t)out[0]);
    return out;
}

int wp_zone_reader_error(struct wp_zone_reader *r, unsigned line, const char *what,
                         const char *token)
{
    struct wp_zone_text *t = r->text;

    if (token != NULL)
        t->error = wp_arena_printf(t->arena, "%s: dns: %s: \"%.*s\" at line: %u", r->path, what,
                                   TOKEN_SHOWN, token, line);
    else
        t->error = wp_arena_printf(t->arena, "%s: dns: %s at line: %u", r->path, what, line);
    return t->error == NULL ? -ENOMEM : WP_EMALFORMED;
}

char *wp_zone_token(char **at)
{
    char *p = *at, *word;
    bool quote = false;

    while (*p == ' ' || *p == '\t')
        p++;
    word = p;
    for (; *p != '\0' && (quote || (*p != ' ' && *p != '\t')); p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (*p == '"')
            quote = !quote;
    }
    if (*p != '\0')
        *p++ = '\0';
    *at = p;
    return word;
}

/* "3600", "1h30m", "2w": units s m h d w; a number without unit at the end counts seconds. */
static bool read_ttl(const char *s, uint32_t *ret)
{
    uint64_t sum = 0, n = 0;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s != '\0'; s++) {
        unsigned unit;

        if (*s >= '0' && *s <= '9') {
            n = n * 10 + (uint64_t)(*s - '0');
            if (n > UINT32_MAX)
                return false;
            continue;
        }
        switch (wp_lower((uint8_t)*s)) {
        case 's':
            unit = 1;
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 3600;
            break;
        case 'd':
            unit = 86400;
            break;
        case 'w':
            unit = 604800;
            break;
        default:
            return false;
        }
        sum += n * unit;
        n = 0;
        if (sum > UINT32_MAX)
            return false;
    }
    sum += n;
    *ret = (uint32_t)sum;
    return sum <= UINT32_MAX;
}

static void set_ttl(struct wp_zone_reader *r, uint32_t ttl)
{
    r->last_ttl = ttl;
    if (!r->has_ttl || !r->ttl_by_directive) {
        r->default_ttl = ttl;
        r->has_ttl = true;
    }
}

/* --- records ------------------------------------------------------------------------------- */

/* TTL and class, each at most once and in either order, then the type. */
static int read_head(struct wp_zone_reader *r, char **at, unsigned line, struct wp_zone_rr *rr)
{
    bool ttl = false, cls = false;

    rr->cls = WP_CLASS_IN;
    if (r->has_ttl)
        r->last_ttl = r->default_ttl;
    for (;;) {
        char *word = wp_zone_token(at);
        uint32_t seconds;

        if (*word == '\0')
            return wp_zone_reader_error(r, line, "expecting RR type, TTL or class, not this...",
                                        "");
        if (!ttl && read_ttl(word, &seconds)) {
            set_ttl(r, seconds);
            ttl = true;
        } else if (wp_type_parse(word, &rr->type) == 0) {
            if (!ttl && !cls && !r->has_ttl)
                return wp_zone_reader_error(r, line, "missing TTL with no previous value", word);
            rr->ttl = r->last_ttl;
            return 0;
        } else if (!cls && wp_class_parse(word, &rr->cls) == 0) {
            cls = true;
        } else {
            return wp_zone_reader_error(r, line,
                                        ttl && cls ? "unknown RR type"
                                                   : "expecting RR type, TTL or class, not this...",
                                        word);
        }
    }
}

static int bad_rdata(struct wp_zone_reader *r, unsigned line, uint16_t type, const char *text)
{
    char what[48], buf[16];

    snprintf(what, sizeof(what), "bad %s data", wp_type_text(type, buf));
    return wp_zone_reader_error(r, line, what, text);
}

/* Dotted quads are most of what there is in large files. */
static bool read_quad(const char *s, uint8_t ret[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned n = 0, digits = 0;

        for (; *s >= '0' && *s <= '9' && digits < 4; s++, digits++)
            n = n * 10 + (unsigned)(*s - '0');
        if (digits == 0 || digits > 3 || n > 255 || (digits > 1 && s[-(int)digits] == '0') ||
            *s != (i < 3 ? '.' : '\0'))
            return false;
        s++;
        ret[i] = (uint8_t)n;
    }
    return true;
}

static int read_record(struct wp_zone_reader *r, struct wp_zone_line *line)
{
    struct wp_zone_rr rr = {.owner = &r->owner, .file = r->path, .line = line->line};
    char *at = line->text, *word;
    uint8_t quad[4];
    int e;

    if (*at != ' ' && *at != '\t') {
        word = wp_zone_token(&at);
        if (wp_name_parse_origin(word, &r->origin, &r->owner) < 0)
            return wp_zone_reader_error(r, line->line, "bad owner name", word);
        r->has_owner = true;
    }
    e = read_head(r, &at, line->line, &rr);
    if (e < 0)
        return e;
    if (!r->has_owner)
        return wp_zone_reader_error(r, line->line, "no owner name", NULL);
    while (*at == ' ' || *at == '\t')
        at++;
    for (char *end = line->text + line->len; end > at && (end[-1] == ' ' || end[-1] == '\t');)
        *--end = '\0';
    if (*at == '\0')
        return wp_zone_reader_error(r, line->line, "unexpected newline", "");
    if (rr.type == WP_TYPE_A && read_quad(at, quad)) {
        rr.rdata = quad;
        rr.rdlen = sizeof(quad);
        return r->text->fn(r->text->arg, &rr);
    }
    wp_arena_reset(&r->scratch);
    e = wp_rdata_parse(rr.type, at, &r->origin, &r->scratch, &rr.rdata, &rr.rdlen);
    if (e == WP_EMALFORMED || e == WP_EUNSUPPORTED)
        return bad_rdata(r, line->line, rr.type, at);
    return e < 0 ? e : r->text->fn(r->text->arg, &rr);
}

/* --- files --------------------------------------------------------------------------------- */

static int read_lines(struct wp_zone_reader *r, struct wp_zone_lines *lines)
{
    struct wp_zone_line line;
    const char *why = "";
    int e;

    while ((e = wp_zone_lines_next(lines, &line, &why)) > 0) {
        e = wp_zone_reader_line(r, &line);
        if (e != 0)
            return e;
    }
    if (e == WP_EMALFORMED)
        return wp_zone_reader_error(r, line.line, why, NULL);
    if (e == 0 || e == -ENOMEM)
        return e;
    r->text->error = wp_arena_printf(r->text->arena, "read %s: %s", r->path,
                                     wp_zone_errno_text(e, (char[64]){0}, 64));
    return r->text->error == NULL ? -ENOMEM : WP_EMALFORMED;
}

static int remember_file(struct wp_zone_text *t, int fd, const char *path)
{
    struct wp_zone_file *f = wp_arena_zalloc(t->arena, sizeof(*f)), **last = &t->files;
    struct stat st;

    if (f == NULL || (f->path = wp_arena_strdup(t->arena, path)) == NULL)
        return -ENOMEM;
    if (fstat(fd, &st) < 0)
        return -errno;
    wp_zone_file_stat(f, &st);
    while (*last != NULL)
        last = &(*last)->next;
    *last = f;
    return 0;
}

/* Read a file with a reader that is set up but for its lines. */
static int read_file(struct wp_zone_reader *r)
{
    struct wp_zone_lines lines;
    int fd = open(r->path, O_RDONLY | O_CLOEXEC), e;

    if (fd < 0)
        return -errno;
    e = remember_file(r->text, fd, r->path);
    if (e == 0)
        e = wp_zone_lines_open(&lines, fd);
    if (e == 0) {
        e = read_lines(r, &lines);
        wp_zone_lines_close(&lines);
    }
    close(fd);
    return e;
}

/* $INCLUDE FILE [ORIGIN]: starts without an owner, with the TTL in force; what it sets goes
 * with it. A relative path starts at the including file's folder. */
static int include(struct wp_zone_reader *r, char *rest, unsigned line)
{
    struct wp_zone_reader sub = {.text = r->text,
                                 .origin = r->origin,
                                 .has_ttl = r->has_ttl,
                                 .ttl_by_directive = r->ttl_by_directive,
                                 .default_ttl = r->default_ttl,
                                 .depth = r->depth + 1};
    char *file = wp_zone_token(&rest), *origin = wp_zone_token(&rest);
    const char *slash = strrchr(r->path, '/');
    size_t len = strlen(file);
    int e;

    if (len >= 2 && file[0] == '"' && file[len - 1] == '"') {
        file[len - 1] = '\0';
        file++;
    }
    if (*file == '\0')
        return wp_zone_reader_error(r, line, "expecting $INCLUDE value, not this...", "");
    if (r->text->no_files || r->generated)
        return wp_zone_reader_error(r, line, "$INCLUDE directive not allowed", file);
    if (r->depth >= WP_ZONE_INCLUDE_DEPTH)
        return wp_zone_reader_error(r, line, "too deeply nested $INCLUDE", file);
    if (*origin != '\0' && wp_name_parse_origin(origin, &r->origin, &sub.origin) < 0)
        return wp_zone_reader_error(r, line, "bad origin name", origin);
    if (*file != '/' && slash != NULL)
        sub.path =
            wp_arena_printf(r->text->arena, "%.*s/%s", (int)(slash - r->path), r->path, file);
    else
        sub.path = wp_arena_strdup(r->text->arena, file);
    if (sub.path == NULL)
        return -ENOMEM;
    wp_arena_init(&sub.scratch, 0);
    e = read_file(&sub);
    wp_arena_done(&sub.scratch);
    if (e < 0 && e > -1000 && e != -ENOMEM) {
        char why[64], what[512];

        wp_zone_errno_text(e, why, sizeof(why));
        snprintf(what, sizeof(what), "failed to open `%.120s' as `%.120s': open %.120s: %s", file,
                 sub.path, sub.path, why);
        return wp_zone_reader_error(r, line, what, file);
    }
    return e;
}

/* --- directives ---------------------------------------------------------------------------- */

static int set_default_ttl(struct wp_zone_reader *r, char *rest, unsigned line)
{
    char *word = wp_zone_token(&rest);
    uint32_t ttl;

    if (!read_ttl(word, &ttl) || *wp_zone_token(&rest) != '\0')
        return wp_zone_reader_error(r, line, "expecting $TTL value, not this...", word);
    r->default_ttl = ttl;
    r->has_ttl = r->ttl_by_directive = true;
    return 0;
}

static int set_origin(struct wp_zone_reader *r, char *rest, unsigned line)
{
    char *word = wp_zone_token(&rest);
    struct wp_name name;

    if (wp_name_parse_origin(word, &r->origin, &name) < 0 || *wp_zone_token(&rest) != '\0')
        return wp_zone_reader_error(r, line, "bad origin name", word);
    r->origin = name;
    return 0;
}

int wp_zone_reader_line(struct wp_zone_reader *r, struct wp_zone_line *line)
{
    static const struct {
        const char *name;
        int (*fn)(struct wp_zone_reader *r, char *rest, unsigned line);
    } directives[] = {
        {"$TTL", set_default_ttl},
        {"$ORIGIN", set_origin},
        {"$INCLUDE", include},
        {"$GENERATE", wp_zone_generate},
    };

    if (line->text[strspn(line->text, " \t")] == '\0')
        return 0;
    if (line->text[0] == '$') {
        char *rest = line->text, word[16];

        snprintf(word, sizeof(word), "%.*s", (int)strcspn(rest, " \t"), rest);
        for (size_t i = 0; i < WP_COUNT(directives); i++) {
            if (!wp_text_ieq(word, directives[i].name))
                continue;
            wp_zone_token(&rest);
            return directives[i].fn(r, rest, line->line);
        }
    }
    return read_record(r, line);
}

int wp_zone_text_read(struct wp_zone_text *t, const char *path, const struct wp_name *origin)
{
    struct wp_zone_reader r = {.text = t, .path = path, .origin = *origin};
    int e;

    t->files = NULL;
    t->error = NULL;
    wp_arena_init(&r.scratch, 0);
    e = read_file(&r);
    wp_arena_done(&r.scratch);
    return e;
}

int wp_zone_text_read_memory(struct wp_zone_text *t, const char *text, size_t len, const char *path,
                             const struct wp_name *origin)
{
    struct wp_zone_reader r = {.text = t, .path = path, .origin = *origin};
    struct wp_zone_lines lines;
    int e;

    t->files = NULL;
    t->error = NULL;
    e = wp_zone_lines_memory(&lines, text, len);
    if (e < 0)
        return e;
    wp_arena_init(&r.scratch, 0);
    e = read_lines(&r, &lines);
    wp_arena_done(&r.scratch);
    wp_zone_lines_close(&lines);
    return e;
}
