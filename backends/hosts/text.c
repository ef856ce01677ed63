#include <string.h>
#include "backends/hosts/hosts_priv.h"
#include "waypost/plugin/log.h"

void hosts_text_init(struct hosts_text *t)
{
    t->len = 0;
    t->oversized = t->comment = t->has_addr = false;
    t->index = 0;
    t->line = 1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r';
}

/* The first field: an address; what follows a "%" in it (an IPv6 zone) does not count. */
static void take_address(struct hosts_text *t, bool oversized)
{
    char *zone = strchr(t->field, '%');

    t->has_addr = false;
    if (oversized) {
        if (!t->quiet)
            wp_log(WP_ERROR, "hosts",
                   "%s, line %u: address longer than %d bytes, dropping the line", t->source,
                   t->line, HOSTS_FIELD_MAX);
        return;
    }
    if (zone != NULL)
        *zone = '\0';
    t->has_addr = wp_addr_parse_ip(t->field, &t->addr) == 0;
}

/* A field is complete. */
static int emit(struct hosts_text *t)
{
    bool oversized = t->oversized, whole = strlen(t->field) == t->len;

    if (t->len == 0 && !oversized)
        return 0;
    t->len = 0;
    t->oversized = false;
    if (t->index++ == 0) {
        take_address(t, oversized);
        return 0;
    }
    if (!t->has_addr)
        return 0;
    if (oversized) {
        if (!t->quiet)
            wp_log(WP_ERROR, "hosts", "%s, line %u: name longer than %d bytes, dropping the name",
                   t->source, t->line, HOSTS_FIELD_MAX);
        return 0;
    }
    return whole ? t->fn(t->arg, &t->addr, t->field) : 0; /* not with a NUL in it */
}

static void end_line(struct hosts_text *t)
{
    t->index = 0;
    t->comment = t->has_addr = false;
    t->line++;
}

int hosts_text_feed(struct hosts_text *t, const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool ends = p[i] == '\n' || p[i] == '#' || is_space(p[i]);
        int r;

        if (!ends) {
            if (t->comment)
                continue;
            if (t->len == HOSTS_FIELD_MAX)
                t->oversized = true;
            else
                t->field[t->len++] = p[i];
            continue;
        }
        t->field[t->len] = '\0';
        r = emit(t);
        if (r < 0)
            return r;
        if (p[i] == '#')
            t->comment = true;
        else if (p[i] == '\n')
            end_line(t);
    }
    return 0;
}

int hosts_text_end(struct hosts_text *t)
{
    t->field[t->len] = '\0';
    return emit(t);
}
