/* The field `health` of a value: {"tcp": true}, {"tcp": PORT}, {"http": "/PATH"}, {"http": "/PATH",
 * "port": PORT}. The target is the record's own address and nothing else: who may write keys
 * decides which ports of it are asked, not where the server connects to. */
#include <stdio.h>
#include <string.h>

#include "backends/common/json_text.h"
#include "backends/etcd/check.h"

enum { NAME_SHOWN = 40 };

struct raw {
    struct wp_json tcp, http, port; /* null: not set */
};

/* NULL, or what is wrong with the member. */
static const char *read_members(const struct wp_json *object, struct raw *raw,
                                struct wp_json *ret_name)
{
    struct wp_json v;
    size_t at = 0;

    while (wp_json_member(object, &at, ret_name, &v)) {
        struct wp_json *to = wp_json_is(ret_name, "tcp")    ? &raw->tcp
                             : wp_json_is(ret_name, "http") ? &raw->http
                             : wp_json_is(ret_name, "port") ? &raw->port
                                                            : NULL;
        if (to == NULL)
            return "is none of tcp, http, port";
        if (v.kind != WP_JSON_NULL)
            *to = v;
    }
    *ret_name = (struct wp_json){0};
    return NULL;
}

static const char *read_path(const struct wp_json *v, char *room, struct wp_probe_spec *s)
{
    if (v->kind != WP_JSON_STRING)
        return "must be a path";
    s->path = room;
    s->path_len = wp_json_string(v, room);
    if (s->path_len == 0 || s->path[0] != '/')
        return "must be a path that begins with a slash";
    if (s->path_len > WP_PROBE_PATH_MAX)
        return "is too long a path";
    for (size_t i = 0; i < s->path_len; i++)
        if (s->path[i] <= ' ' || s->path[i] >= 0x7f)
            return "must be a path without blanks and of ASCII";
    return NULL;
}

static const char *read_port(const struct wp_json *v, const struct wp_etcd_value *value,
                             struct wp_probe_spec *s)
{
    int64_t port = value->port;

    if (v->kind != WP_JSON_NULL && v->kind != WP_JSON_TRUE &&
        (v->kind != WP_JSON_NUMBER || !wp_json_int(v, &port)))
        return "must be a port";
    if (port < 1 || port > 65535)
        return "needs a port within 1..65535";
    s->to.port = (uint16_t)port;
    return NULL;
}

/* Not where a service can be, or where a writer of keys has no business: the link's own addresses
 * are those of clouds' metadata. */
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

static const char *read_all(const struct wp_json *object, char *room, const struct wp_etcd_value *v,
                            struct wp_probe_spec *s, struct wp_json *ret_name)
{
    static const char http[] = "\"http\"";
    struct raw raw = {0};
    const char *why;
    size_t n = v->kind == WP_ETCD_A ? 4 : 16;
    bool has_tcp, has_http;

    if (object->kind != WP_JSON_OBJECT)
        return "must be an object";
    why = read_members(object, &raw, ret_name);
    if (why != NULL)
        return why;
    has_tcp = raw.tcp.kind != WP_JSON_NULL;
    has_http = raw.http.kind != WP_JSON_NULL;
    if (has_tcp == has_http)
        return "needs one of tcp and http";
    if (has_tcp && raw.port.kind != WP_JSON_NULL)
        return "has the port in tcp";
    if (v->kind != WP_ETCD_A && v->kind != WP_ETCD_AAAA)
        return "needs a host that is an address";
    s->to.family = v->kind == WP_ETCD_A ? 4 : 6;
    memcpy(s->to.ip, v->addr, n);
    if (!is_admissible(&s->to))
        return "is not for an address like this host";
    s->kind = has_tcp ? WP_PROBE_TCP : WP_PROBE_HTTP;
    if (has_http && (why = read_path(&raw.http, room, s)) != NULL) {
        *ret_name = (struct wp_json){http, sizeof(http) - 1, WP_JSON_STRING};
        return why;
    }
    return read_port(has_tcp ? &raw.tcp : &raw.port, v, s);
}

int wp_etcd_health_read(const struct wp_etcd_scratch *scratch, const struct wp_etcd_value *v,
                        struct wp_probe_spec *ret, struct wp_etcd_flaw *ret_flaw)
{
    struct wp_json health, member = {0};
    struct wp_json_flaw e;
    const char *why;
    size_t shown;

    *ret = (struct wp_probe_spec){0};
    if (scratch->health == NULL ||
        wp_json_parse(scratch->health, scratch->health_len, &health, &e) < 0)
        return 0;
    why = read_all(&health, scratch->room, v, ret, &member);
    if (why == NULL)
        return 1;
    shown = member.len < 2 ? 0 : member.len - 2; /* without the quotes */
    ret_flaw->offset = scratch->health_at;
    snprintf(ret_flaw->text, sizeof(ret_flaw->text), "health%s%.*s %s", member.len > 0 ? "." : "",
             (int)(shown > NAME_SHOWN ? NAME_SHOWN : shown), member.len > 0 ? member.text + 1 : "",
             why);
    return WP_EMALFORMED;
}
