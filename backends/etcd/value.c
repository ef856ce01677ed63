/* The JSON of a key, field by field. Names are matched without case, a later spelling of a field
 * replaces an earlier one, null leaves it as it was; every field must have its type. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "backends/common/json.h"
#include "backends/etcd/record.h"

enum { GROUP_MAX = 0xffff, NAME_MAX = 128, HOST_MAX = 1024 };

struct raw {
    const json_t *host, *text, *group;
    int64_t port, priority, weight, targetstrip, ttl;
    bool mail;
};

enum field_type { TYPE_STRING, TYPE_INT, TYPE_TTL, TYPE_BOOL };

static const struct {
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
};

/* NULL, or what the field wants instead. */
static const char *set_field(struct raw *raw, enum field_type type, size_t offset, const json_t *v)
{
    void *to = (uint8_t *)raw + offset;

    switch (type) {
    case TYPE_STRING:
        if (!json_is_string(v))
            return "must be a string";
        *(const json_t **)to = v;
        return NULL;
    case TYPE_BOOL:
        if (!json_is_boolean(v))
            return "must be true or false";
        *(bool *)to = json_is_true(v);
        return NULL;
    case TYPE_INT:
    case TYPE_TTL:
        if (!json_is_integer(v))
            return "must be an integer";
        if (type == TYPE_TTL && (json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX))
            return "must be within 0..4294967295";
        *(int64_t *)to = json_integer_value(v);
        return NULL;
    }
    return NULL;
}

static int read_field(const char *name, const json_t *v, struct raw *raw, const char **ret_field,
                      const char **ret_why)
{
    for (size_t i = 0; i < WP_COUNT(fields); i++) {
        if (!wp_json_name_is(name, fields[i].name))
            continue;
        if (json_is_null(v))
            return 0;
        *ret_field = fields[i].name;
        *ret_why = set_field(raw, fields[i].type, fields[i].offset, v);
        return *ret_why != NULL ? WP_EMALFORMED : 0;
    }
    return 0;
}

static int read_fields(json_t *object, struct raw *raw, const char **ret_field,
                       const char **ret_why)
{
    const char *name;
    json_t *v;

    json_object_foreach(object, name, v) if (read_field(name, v, raw, ret_field, ret_why) <
                                             0) return WP_EMALFORMED;
    return 0;
}

/* A name that stands there twice: a null leaves what the first one said, a wrong type is wrong also
 * when the last one is right. Each member is loaded for itself; `keep` owns them. */
static int read_twins(const char *text, size_t len, json_t *keep, struct raw *raw,
                      const char **ret_field, const char **ret_why, size_t *ret_at)
{
    struct wp_json_member m;
    struct wp_json_error e;
    size_t pos = 0;
    int r = 0;

    while (r == 0 && wp_json_next_member(text, len, &pos, &m)) {
        json_t *name = NULL, *v = NULL;
        if (m.name_len > NAME_MAX)
            continue; /* none of ours, however it is spelled */
        r = wp_json_load(text + m.name, m.name_len, &name, &e);
        if (r == 0)
            r = wp_json_load(text + m.value, m.value_len, &v, &e);
        *ret_at = m.name;
        if (r == 0)
            r = read_field(json_string_value(name), v, raw, ret_field, ret_why);
        json_decref(name);
        if (v != NULL && json_array_append_new(keep, v) < 0)
            r = -ENOMEM;
    }
    return r;
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

/* Section by section what the strings make of the entry; NULL or why not. */
static const char *take_strings(const struct raw *raw, struct wp_etcd_value *v)
{
    const char *host = raw->host != NULL ? json_string_value(raw->host) : "";
    size_t host_len = raw->host != NULL ? json_string_length(raw->host) : 0;

    if (raw->group != NULL) {
        v->group = json_string_value(raw->group);
        v->group_len = json_string_length(raw->group);
        if (v->group_len > GROUP_MAX)
            return "group is too long";
    }
    if (host_len > 0 && read_address(host, host_len, v))
        return NULL; /* text beside an address is never asked for */
    if (raw->text != NULL) {
        v->text = json_string_value(raw->text);
        v->text_len = json_string_length(raw->text);
    }
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
    struct raw raw = {0};
    struct wp_json_error e;
    const char *field = "", *why = NULL;
    json_t *json = NULL;
    size_t at = 0;
    int r;

    scratch->json = NULL;
    *ret = v;
    if (len > WP_ETCD_VALUE_MAX)
        return flaw_at(ret_flaw, ret, WP_ETCD_VALUE_MAX, "", "the value is longer than 2 MB");
    r = wp_json_load(text, len, &json, &e);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return flaw_at(ret_flaw, ret, e.offset, "", e.text);
    scratch->json = json;
    if (!json_is_object(json) && !json_is_null(json))
        return flaw_at(ret_flaw, ret, 0, "", "the value must be an object");
    if (json_is_object(json) && !e.twins) {
        r = read_fields(json, &raw, &field, &why);
        at = r < 0 ? wp_json_member_offset(text, len, field) : 0;
    } else if (json_is_object(json)) {
        json_decref(json);
        scratch->json = json = json_array();
        if (json == NULL)
            return -ENOMEM;
        r = read_twins(text, len, json, &raw, &field, &why, &at);
    }
    if (r == WP_EMALFORMED)
        return flaw_at(ret_flaw, ret, at, field, why != NULL ? why : "malformed");
    if (r < 0)
        return r;
    v.port = raw.port;
    v.priority = raw.priority;
    v.weight = raw.weight;
    v.targetstrip = raw.targetstrip;
    v.ttl = (uint32_t)raw.ttl;
    v.mail = raw.mail;
    why = take_strings(&raw, &v);
    if (why != NULL)
        return flaw_at(ret_flaw, ret, wp_json_member_offset(text, len, "host"), "", why);
    *ret = v;
    return 0;
}

void wp_etcd_scratch_done(struct wp_etcd_scratch *scratch)
{
    json_decref(scratch->json);
    scratch->json = NULL;
}
