#include "server/status/question.h"

#include <stdio.h>
#include <string.h>

#include "waypost/dns/types.h"

enum { VALUE_MAX = 4 * WP_NAME_MAX + 2 }; /* a name, every octet of it as \DDD */

static const char *const transports[] = {
    [WP_UDP] = "udp", [WP_TCP] = "tcp", [WP_DOT] = "dot", [WP_DOH] = "doh", [WP_GRPC] = "grpc",
};

const char *question_transport_text(enum wp_transport t)
{
    return (size_t)t < WP_COUNT(transports) ? transports[t] : NULL;
}

static int set_name(struct question *q, const char *value)
{
    return wp_name_parse(value, &q->name);
}

static int set_type(struct question *q, const char *value)
{
    return wp_type_parse(value, &q->type);
}

static int set_class(struct question *q, const char *value)
{
    return wp_class_parse(value, &q->cls);
}

static int set_transport(struct question *q, const char *value)
{
    for (size_t i = 0; i < WP_COUNT(transports); i++)
        if (strcmp(value, transports[i]) == 0) {
            q->transport = (enum wp_transport)i;
            q->has_transport = true;
            return 0;
        }
    return WP_ENOTFOUND;
}

static int set_client(struct question *q, const char *value)
{
    return wp_addr_parse_ip(value, &q->client);
}

static int set_listener(struct question *q, const char *value)
{
    if (strlen(value) >= sizeof(q->listener))
        return WP_ELIMIT;
    strcpy(q->listener, value);
    return 0;
}

static int set_bit(const char *value, bool *to)
{
    *to = strcmp(value, "1") == 0;
    return *to || strcmp(value, "0") == 0 ? 0 : WP_EMALFORMED;
}

static int set_edns(struct question *q, const char *value)
{
    return set_bit(value, &q->has_edns);
}

static int set_do(struct question *q, const char *value)
{
    return set_bit(value, &q->dnssec_ok);
}

static int set_cd(struct question *q, const char *value)
{
    return set_bit(value, &q->checking_disabled);
}

static int set_rd(struct question *q, const char *value)
{
    int r = set_bit(value, &q->no_recursion);

    q->no_recursion = !q->no_recursion;
    return r;
}

static int set_format(struct question *q, const char *value)
{
    q->text = strcmp(value, "text") == 0;
    return q->text || strcmp(value, "json") == 0 ? 0 : WP_ENOTFOUND;
}

static const struct {
    const char *name;
    int (*set)(struct question *q, const char *value);
} rows[] = {
    {"name", set_name},         {"type", set_type},         {"class", set_class},
    {"client", set_client},     {"listener", set_listener}, {"transport", set_transport},
    {"edns", set_edns},         {"do", set_do},             {"cd", set_cd},
    {"rd", set_rd},             {"format", set_format},
};

/* One NAME=VALUE; each name at most once. */
static int read_one(const char *at, size_t len, struct question *q, uint32_t *seen, char why[128])
{
    const char *eq = memchr(at, '=', len);
    size_t name_len = eq != NULL ? (size_t)(eq - at) : len, value_len = eq != NULL ? len - name_len - 1 : 0;
    char value[VALUE_MAX];

    for (size_t i = 0; i < WP_COUNT(rows); i++) {
        if (strlen(rows[i].name) != name_len || memcmp(rows[i].name, at, name_len) != 0)
            continue;
        if (eq == NULL || value_len >= sizeof(value) || (*seen >> i & 1)) {
            snprintf(why, 128, "%s: %s\n", rows[i].name,
                     eq == NULL ? "needs a value" : *seen >> i & 1 ? "given twice" : "too long");
            return WP_EMALFORMED;
        }
        *seen |= UINT32_C(1) << i;
        memcpy(value, eq + 1, value_len);
        value[value_len] = '\0';
        if (strchr(value, '%') == NULL && rows[i].set(q, value) == 0)
            return 0;
        snprintf(why, 128, "%s: cannot be read\n", rows[i].name);
        return WP_EMALFORMED;
    }
    snprintf(why, 128, "%.*s: no such parameter\n", (int)strspn(at, "abcdefghijklmnopqrstuvwxyz") % 40, at);
    return WP_EMALFORMED;
}

int question_read(const char *query, struct question *ret, char why[128])
{
    struct question q = {.type = WP_TYPE_A, .cls = WP_CLASS_IN};
    uint32_t seen = 0;

    while (*query != '\0') {
        size_t len = strcspn(query, "&");
        int r = read_one(query, len, &q, &seen, why);

        if (r < 0)
            return r;
        query += len + (query[len] == '&');
    }
    if (q.name.len == 0) {
        snprintf(why, 128, "name: is missing\n");
        return WP_EMALFORMED;
    }
    q.has_edns |= q.dnssec_ok;
    *ret = q;
    return 0;
}
