/* What a request says of a service. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/common/json.h"
#include "backends/etcd/command/agent.h"
#include "waypost/base/text.h"

struct reading {
    struct wp_arena *arena;
    struct agent_body *to;
    char *why;
};

static int refuse(struct reading *r, const char *fmt, ...) WP_PRINTF(2, 3);
static int refuse(struct reading *r, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(r->why, ETCD_SAID, fmt, args);
    va_end(args);
    return WP_EMALFORMED;
}

/* --- kinds of values ------------------------------------------------------------------------ */

static int read_text(struct reading *r, const char *name, const json_t *v, const char **to)
{
    size_t len = json_string_length(v);

    if (!json_is_string(v) || memchr(json_string_value(v), '\0', len) != NULL)
        return refuse(r, "%s: a string is wanted", name);
    *to = wp_arena_strndup(r->arena, json_string_value(v), len);
    return *to == NULL ? -ENOMEM : 0;
}

static int read_int(struct reading *r, const char *name, const json_t *v, int64_t min, int64_t max,
                    int64_t *to)
{
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return refuse(r, "%s: an integer within %lld..%lld is wanted", name, (long long)min,
                      (long long)max);
    *to = json_integer_value(v);
    return 0;
}

static int read_bool(struct reading *r, const char *name, const json_t *v, bool *to)
{
    if (!json_is_boolean(v))
        return refuse(r, "%s: true or false is wanted", name);
    *to = json_is_true(v);
    return 0;
}

/* "1m30s", or a number of seconds. */
static int read_duration(struct reading *r, const char *name, const json_t *v, int64_t min,
                         int64_t max, int64_t *to)
{
    char least[32], most[32];
    int64_t ns = -1;

    wp_duration_text(min, least);
    wp_duration_text(max, most);
    if (json_is_integer(v) && json_integer_value(v) >= 0 &&
        json_integer_value(v) <= max / AGENT_SECOND)
        ns = json_integer_value(v) * AGENT_SECOND;
    else if (json_is_string(v) && wp_duration_parse(json_string_value(v), &ns) < 0)
        ns = -1;
    if (ns < min || ns > max)
        return refuse(r, "%s: a duration within %s..%s is wanted", name, least, most);
    *to = ns;
    return 0;
}

/* --- members -------------------------------------------------------------------------------- */

static int read_tags(struct reading *r, const json_t *v)
{
    struct wp_words *w = &r->to->record.tags;
    size_t n = json_array_size(v);

    if (!json_is_array(v) || n > AGENT_TAGS_MAX)
        return refuse(r, "tags: a list of at most %d strings is wanted", AGENT_TAGS_MAX);
    w->word = wp_arena_array(r->arena, n + 1, sizeof(*w->word));
    if (w->word == NULL)
        return -ENOMEM;
    for (w->n = 0; w->n < n; w->n++) {
        int e = read_text(r, "tags", json_array_get(v, w->n), &w->word[w->n]);
        if (e < 0)
            return e;
    }
    return 0;
}

/* A check, or an object that has more to say of it. */
static int read_health(struct reading *r, const json_t *v)
{
    struct agent_body *b = r->to;
    const char *name;
    json_t *one;
    int e = 0;

    if (json_is_string(v))
        return read_text(r, "health", v, &b->check);
    if (!json_is_object(v))
        return refuse(r, "health: a string or an object is wanted");
    json_object_foreach((json_t *)(uintptr_t)v, name, one)
    {
        if (strcmp(name, "check") == 0)
            e = read_text(r, "health.check", one, &b->check);
        else if (strcmp(name, "interval") == 0)
            e = read_duration(r, "health.interval", one, AGENT_SECOND / 100, 86400 * AGENT_SECOND,
                              &b->check_interval_ns);
        else if (strcmp(name, "timeout") == 0)
            e = read_duration(r, "health.timeout", one, AGENT_SECOND / 100, 3600 * AGENT_SECOND,
                              &b->check_timeout_ns);
        else if (strcmp(name, "fails") == 0)
            e = read_int(r, "health.fails", one, 1, 1000, &b->check_fails);
        else if (strcmp(name, "tls_name") == 0)
            e = read_text(r, "health.tls_name", one, &b->check_tls_name);
        else if (strcmp(name, "insecure") == 0)
            e = read_bool(r, "health.insecure", one, &b->check_insecure);
        else
            e = refuse(r, "health.%.60s: no such member", name);
        if (e < 0)
            return e;
    }
    return b->check == NULL ? refuse(r, "health.check is missing") : 0;
}

static int read_member(struct reading *r, const char *name, const json_t *v)
{
    struct agent_body *b = r->to;
    int64_t ns = 0, port = 0;
    int e;

    if (strcmp(name, "id") == 0)
        return read_text(r, name, v, &b->id);
    if (strcmp(name, "name") == 0)
        return read_text(r, name, v, &b->name);
    if (strcmp(name, "zone") == 0)
        return read_text(r, name, v, &b->zone);
    if (strcmp(name, "address") == 0)
        return read_text(r, name, v, &b->record.address);
    if (strcmp(name, "text") == 0)
        return read_text(r, name, v, &b->record.text);
    if (strcmp(name, "priority") == 0)
        return read_int(r, name, v, 0, UINT16_MAX, &b->record.priority);
    if (strcmp(name, "weight") == 0)
        return read_int(r, name, v, 0, UINT16_MAX, &b->record.weight);
    if (strcmp(name, "record_ttl") == 0)
        return read_int(r, name, v, 0, INT32_MAX, &b->record.ttl_s);
    if (strcmp(name, "tags") == 0)
        return read_tags(r, v);
    if (strcmp(name, "health") == 0)
        return read_health(r, v);
    if (strcmp(name, "check_in") == 0)
        return read_duration(r, name, v, AGENT_SECOND / 100, 86400 * AGENT_SECOND, &b->check_in_ns);
    if (strcmp(name, "ttl") == 0) {
        e = read_duration(r, name, v, AGENT_SECOND, 86400 * AGENT_SECOND, &ns);
        b->lease_s = (ns + AGENT_SECOND - 1) / AGENT_SECOND;
        return e;
    }
    if (strcmp(name, "port") == 0) {
        e = read_int(r, name, v, 0, UINT16_MAX, &port);
        b->record.port = (uint16_t)port;
        return e;
    }
    return refuse(r, "%.60s: no such member", name);
}

bool agent_id_ok(const char *id)
{
    size_t n = strlen(id);

    return n > 0 && n <= AGENT_ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-") == n &&
           strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

static int read_object(struct reading *r, json_t *o)
{
    struct agent_body *b = r->to;
    const char *name;
    json_t *v;
    int e;

    if (!json_is_object(o))
        return refuse(r, "an object is wanted");
    json_object_foreach(o, name, v)
    {
        e = read_member(r, name, v);
        if (e < 0)
            return e;
    }
    if (b->name == NULL || b->record.address == NULL || json_object_get(o, "port") == NULL)
        return refuse(r, "%s is missing",
                      b->name == NULL             ? "name"
                      : b->record.address == NULL ? "address"
                                                  : "port");
    if (b->id != NULL && !agent_id_ok(b->id))
        return refuse(r, "id: 1 to %d letters, digits, '.', '_', ':' and '-' are wanted",
                      AGENT_ID_MAX);
    return 0;
}

int agent_body_read(const char *text, size_t len, struct wp_arena *a, struct agent_body *ret,
                    char why[ETCD_SAID])
{
    struct reading r = {a, ret, why};
    struct wp_json_error error;
    json_t *o = NULL;
    int e;

    *ret = (struct agent_body){
        .check_interval_ns = 5 * AGENT_SECOND,
        .check_timeout_ns = 2 * AGENT_SECOND,
        .check_fails = 2,
    };
    e = wp_json_load(text, len, &o, &error);
    if (e == WP_EMALFORMED)
        return refuse(&r, "octet %zu: %s", error.offset, error.text);
    if (e == 0)
        e = read_object(&r, o);
    json_decref(o);
    return e;
}
