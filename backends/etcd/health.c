/* The field `health` of a value: {"tcp": true}, {"tcp": PORT}, {"http": "/PATH"}, {"http": "/PATH", "port":
 * PORT}. The target is the record's own address and nothing else: who may write keys decides which
 * ports of it are asked, not where the server connects to. */
#include <stdio.h>
#include <string.h>

#include "backends/common/json.h"
#include "backends/etcd/check.h"

struct raw {
    const json_t *tcp, *http, *port;
};

static const char *read_members(json_t *object, struct raw *raw, const char **ret_name)
{
    const char *name;
    json_t *v;

    json_object_foreach(object, name, v)
    {
        const json_t **to = wp_json_name_is(name, "tcp")    ? &raw->tcp
                            : wp_json_name_is(name, "http") ? &raw->http
                            : wp_json_name_is(name, "port") ? &raw->port
                                                            : NULL;
        *ret_name = name;
        if (to == NULL)
            return "is none of tcp, http, port";
        if (!json_is_null(v))
            *to = v;
    }
    *ret_name = "";
    return NULL;
}

static const char *read_path(const json_t *v, struct wp_probe_spec *s)
{
    if (!json_is_string(v))
        return "must be a path";
    s->path = json_string_value(v);
    s->path_len = json_string_length(v);
    if (s->path_len == 0 || s->path[0] != '/')
        return "must be a path that begins with a slash";
    if (s->path_len > WP_PROBE_PATH_MAX)
        return "is too long a path";
    for (size_t i = 0; i < s->path_len; i++)
        if (s->path[i] <= ' ' || s->path[i] >= 0x7f)
            return "must be a path without blanks and of ASCII";
    return NULL;
}

static const char *read_port(const json_t *v, const struct wp_etcd_value *value,
                             struct wp_probe_spec *s)
{
    int64_t port = value->port;

    if (v != NULL && !json_is_true(v)) {
        if (!json_is_integer(v))
            return "must be a port";
        port = json_integer_value(v);
    }
    if (port < 1 || port > 65535)
        return "needs a port within 1..65535";
    s->to.port = (uint16_t)port;
    return NULL;
}

/* Not where a service can be, or where a writer of keys has no business: the link's own addresses are
 * those of clouds' metadata. */
static bool is_admissible(const struct wp_addr *a)
{
    static const char *const never[] = {"0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
                                        "::/128",    "fe80::/10",      "ff00::/8"};
    struct wp_cidr c;

    for (size_t i = 0; i < WP_COUNT(never); i++)
        if (wp_cidr_parse(never[i], &c) == 0 && wp_cidr_has(&c, a))
            return false;
    return true;
}

static const char *read_all(json_t *object, const struct wp_etcd_value *v, struct wp_probe_spec *s,
                            const char **ret_name)
{
    struct raw raw = {0};
    const char *why;
    size_t n = v->kind == WP_ETCD_A ? 4 : 16;

    if (!json_is_object(object))
        return "must be an object";
    why = read_members(object, &raw, ret_name);
    if (why != NULL)
        return why;
    if ((raw.tcp != NULL) == (raw.http != NULL))
        return "needs one of tcp and http";
    if (raw.tcp != NULL && raw.port != NULL)
        return "has the port in tcp";
    if (v->kind != WP_ETCD_A && v->kind != WP_ETCD_AAAA)
        return "needs a host that is an address";
    s->to.family = v->kind == WP_ETCD_A ? 4 : 6;
    memcpy(s->to.ip, v->addr, n);
    if (!is_admissible(&s->to))
        return "is not for an address like this host";
    s->kind = raw.tcp != NULL ? WP_PROBE_TCP : WP_PROBE_HTTP;
    if (raw.http != NULL && (why = read_path(raw.http, s)) != NULL) {
        *ret_name = "http";
        return why;
    }
    return read_port(raw.tcp != NULL ? raw.tcp : raw.port, v, s);
}

int wp_etcd_health_read(const char *text, size_t len, const struct wp_etcd_scratch *scratch,
                        const struct wp_etcd_value *v, struct wp_probe_spec *ret,
                        struct wp_etcd_flaw *ret_flaw)
{
    json_t *object = scratch->json, *health = NULL, *value;
    const char *name, *member = "", *why;

    *ret = (struct wp_probe_spec){0};
    if (!json_is_object(object))
        return 0;
    json_object_foreach(object, name, value) if (wp_json_name_is(name, "health") &&
                                                 !json_is_null(value)) health = value;
    if (health == NULL)
        return 0;
    why = read_all(health, v, ret, &member);
    if (why == NULL)
        return 1;
    ret_flaw->offset = wp_json_member_offset(text, len, "health");
    snprintf(ret_flaw->text, sizeof(ret_flaw->text), "health%s%.40s %s", *member != '\0' ? "." : "",
             member, why);
    return WP_EMALFORMED;
}
