/* The JSON of a key, field by field. Names are matched without case, a later spelling of a field
 * replaces an earlier one, null leaves it as it was; every field must have its type. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/common/json_text.h"
#include "backends/etcd/record.h"

enum { GROUP_MAX = 0xffff, HOST_MAX = 1024 };

struct raw {
    struct wp_json host, text, group; /* null: not set */
    struct wp_json health;
    const char *health_name;
    int64_t port, priority, weight, targetstrip, ttl;
    bool mail;
};

enum field_type { TYPE_STRING, TYPE_INT, TYPE_TTL, TYPE_BOOL, TYPE_HEALTH };

static const struct field {
    const char *name;
    enum field_type type;
    size_t offset;
} fields[] = {
    {"host", TYPE_STRING, offsetof(struct raw, host)},
    {"port", TYPE_INT, offsetof(struct raw, port)},
    {"priority", TYPE_INT, offsetof(struct raw, priority)},
    {"weight", TYPE_INT, offsetof(struct raw, weight)},
    {"text", TYPE_STRING, offsetof(struct raw, text)},
    {"mail", TYPE_BOOL, offsetof(struct raw, mail)},
    {"ttl", TYPE_TTL, offsetof(struct raw, ttl)},
    {"targetstrip", TYPE_INT, offsetof(struct raw, targetstrip)},
    {"group", TYPE_STRING, offsetof(struct raw, group)},
    {"health", TYPE_HEALTH, offsetof(struct raw, health)},
};

static const char *set_int(int64_t *to, const struct wp_json *v, bool is_ttl)
{
    if (v->kind != WP_JSON_NUMBER || !wp_json_int(v, to))
        return "must be an integer";
    if (is_ttl && (v->text[0] == '-' || *to > UINT32_MAX)) /* not even -0 */
        return "must be within 0..4294967295";
    return NULL;
}

/* NULL, or what the field wants instead. */
static const char *set_field(struct raw *raw, const struct field *f, const struct wp_json *v)
{
    void *to = (uint8_t *)raw + f->offset;

    if (v->kind == WP_JSON_NULL)
        return NULL;
    switch (f->type) {
    case TYPE_STRING:
        if (v->kind != WP_JSON_STRING)
            return "must be a string";
        *(struct wp_json *)to = *v;
        return NULL;
    case TYPE_BOOL:
        if (v->kind != WP_JSON_TRUE && v->kind != WP_JSON_FALSE)
            return "must be true or false";
        *(bool *)to = v->kind == WP_JSON_TRUE;
        return NULL;
    case TYPE_INT:
    case TYPE_TTL:
        return set_int(to, v, f->type == TYPE_TTL);
    case TYPE_HEALTH:
        *(struct wp_json *)to = *v; /* health.c reads it */
        return NULL;
    }
    return NULL;
}

/* What went wrong with a field, and where its name stands. */
struct trouble {
    const char *field, *why, *at;
};

static int read_fields(const struct wp_json *object, struct raw *raw, struct trouble *ret)
{
    struct wp_json name, value;
    size_t at = 0;

    while (wp_json_member(object, &at, &name, &value)) {
        for (size_t i = 0; i < WP_COUNT(fields); i++) {
            if (!wp_json_is(&name, fields[i].name))
                continue;
            *ret = (struct trouble){fields[i].name, set_field(raw, &fields[i], &value), name.text};
            if (ret->why != NULL)
                return WP_EMALFORMED;
            if (raw->health.text == value.text)
                raw->health_name = name.text;
            break;
        }
    }
    return 0;
}

/* An address as Go's net.ParseIP sees it: v4-mapped is IPv4, leading zeros and zones are not an
 * address. */
static bool read_address(const char *host, size_t len, struct wp_etcd_value *v)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char usual[INET6_ADDRSTRLEN];

    if (memchr(host, '\0', len) != NULL)
        return false;
    if (inet_pton(AF_INET, host, v->addr) == 1) {
        v->kind = WP_ETCD_A;
        return true; /* strict dotted quads have one spelling */
    }
    if (inet_pton(AF_INET6, host, v->addr) != 1)
        return false;
    v->kind = WP_ETCD_AAAA;
    if (memcmp(v->addr, mapped, sizeof(mapped)) == 0) {
        memmove(v->addr, v->addr + 12, 4);
        v->kind = WP_ETCD_A;
    } else if (inet_ntop(AF_INET6, v->addr, usual, sizeof(usual)) != NULL &&
               strcmp(usual, host) == 0) {
        return true;
    }
    v->odd_host = host;
    v->odd_host_len = len;
    return true;
}

static int flaw_at(struct wp_etcd_flaw *flaw, struct wp_etcd_value *v, size_t offset,
                   const char *field, const char *why)
{
    v->kind = WP_ETCD_BAD;
    flaw->offset = offset;
    snprintf(flaw->text, sizeof(flaw->text), "%s%s%s", field, *field != '\0' ? " " : "", why);
    return WP_EMALFORMED;
}

/* \0 is an octet of a label like any other, and "\000" its spelling. */
static int read_host(const char *host, size_t len, struct wp_name *ret)
{
    char text[HOST_MAX + 1];
    size_t n = 0;

    if (memchr(host, '\0', len) == NULL)
        return wp_name_parse(host, ret);
    for (size_t i = 0; i < len; i++) {
        if (n + 4 > HOST_MAX)
            return WP_EMALFORMED;
        if (host[i] == '\0') {
            memcpy(text + n, "\\000", 4);
            n += 4;
        } else {
            text[n++] = host[i];
        }
    }
    text[n] = '\0';
    return wp_name_parse(text, ret);
}

/* A string's octets at *to, with a NUL behind them; *to moves on. */
static const char *take(const struct wp_json *string, char **to, size_t *ret_len)
{
    char *start = *to;

    *ret_len = string->kind == WP_JSON_STRING ? wp_json_string(string, start) : 0;
    start[*ret_len] = '\0';
    *to += *ret_len + 1;
    return start;
}

/* What the strings make of the entry; NULL or why not. */
static const char *take_strings(const struct raw *raw, char *to, struct wp_etcd_value *v,
                                const char **ret_at)
{
    size_t host_len;
    const char *host = take(&raw->host, &to, &host_len);

    *ret_at = raw->group.text;
    v->group = take(&raw->group, &to, &v->group_len);
    if (v->group_len > GROUP_MAX)
        return "group is too long";
    *ret_at = raw->host.text;
    if (host_len > 0 && read_address(host, host_len, v))
        return NULL; /* text beside an address is never asked for */
    v->text = take(&raw->text, &to, &v->text_len);
    v->kind = v->text_len > 0 ? WP_ETCD_TEXT : host_len > 0 ? WP_ETCD_ALIAS : WP_ETCD_BARE;
    if (host_len > 0 && read_host(host, host_len, &v->host) < 0) {
        if (v->kind == WP_ETCD_ALIAS)
            return "host is neither an address nor a domain name";
        v->host.len = 0; /* a note that is no name, beside text */
    }
    return NULL;
}

int wp_etcd_value_read(const char *text, size_t len, struct wp_etcd_scratch *scratch,
                       struct wp_etcd_value *ret, struct wp_etcd_flaw *ret_flaw)
{
    struct wp_etcd_value v = {.kind = WP_ETCD_BAD};
    struct trouble trouble = {0};
    struct wp_json_flaw e;
    struct raw raw = {0};
    struct wp_json json;
    size_t strings;

    *scratch = (struct wp_etcd_scratch){0};
    *ret = v;
    if (len > WP_ETCD_VALUE_MAX)
        return flaw_at(ret_flaw, ret, WP_ETCD_VALUE_MAX, "", "the value is longer than 2 MB");
    if (wp_json_parse(text, len, &json, &e) < 0)
        return flaw_at(ret_flaw, ret, e.offset, "", e.text);
    if (json.kind != WP_JSON_OBJECT && json.kind != WP_JSON_NULL)
        return flaw_at(ret_flaw, ret, 0, "", "the value must be an object");
    if (json.kind == WP_JSON_OBJECT && read_fields(&json, &raw, &trouble) < 0)
        return flaw_at(ret_flaw, ret, (size_t)(trouble.at - text), trouble.field, trouble.why);
    v.port = raw.port;
    v.priority = raw.priority;
    v.weight = raw.weight;
    v.targetstrip = raw.targetstrip;
    v.ttl = (uint32_t)raw.ttl;
    v.mail = raw.mail;
    strings = WP_JSON_EXPANSION * (raw.host.len + raw.text.len + raw.group.len) + 3;
    scratch->strings = malloc(strings + WP_JSON_EXPANSION * raw.health.len);
    if (scratch->strings == NULL)
        return -ENOMEM;
    if (raw.health.text != NULL) {
        scratch->room = scratch->strings + strings;
        scratch->health = raw.health.text;
        scratch->health_len = raw.health.len;
        scratch->health_at = (size_t)(raw.health_name - text);
    }
    trouble.why = take_strings(&raw, scratch->strings, &v, &trouble.at);
    if (trouble.why != NULL)
        return flaw_at(ret_flaw, ret, (size_t)(trouble.at - text), "", trouble.why);
    *ret = v;
    return 0;
}

void wp_etcd_scratch_done(struct wp_etcd_scratch *scratch)
{
    free(scratch->strings);
    *scratch = (struct wp_etcd_scratch){0};
}
