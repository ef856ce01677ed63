#include "backends/kubernetes/kube_dns.h"

#include <assert.h>
#include <string.h>

#include "backends/common/yaml_tree.h"
#include "waypost/base/addr.h"
#include "waypost/base/arena.h"
#include "waypost/base/text.h"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63, DNS_PORT = 53 };

struct reader {
    struct wp_yaml yaml;
    struct wp_kube_dns *to;
};

/* A subdomain of RFC 1123, as Kubernetes has it, but in any case and with a last dot if it likes:
 * a copy in lower case without that; NULL: it is none. */
static const char *domain(struct wp_arena *a, const char *s, size_t len)
{
    char name[DOMAIN_MAX + 1];
    size_t label = 0;

    if (len > 1 && s[len - 1] == '.')
        len--;
    if (len == 0 || len > DOMAIN_MAX)
        return NULL;
    for (size_t i = 0; i <= len; i++) {
        uint8_t c = i < len ? wp_lower((uint8_t)s[i]) : '.';

        if (c == '.') {
            if (label == 0 || label > LABEL_MAX || name[i - 1] == '-')
                return NULL;
            label = 0;
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && label > 0)) {
            label++;
        } else {
            return NULL;
        }
        name[i] = i < len ? (char)c : '\0';
    }
    return wp_arena_strdup(a, name);
}

static const char *server(struct wp_arena *a, const char *s)
{
    char text[WP_ADDR_TEXT_MAX];
    struct wp_addr addr;

    /* an interface's name means something on one machine only */
    if (strchr(s, '%') != NULL || wp_addr_parse(s, DNS_PORT, &addr) < 0 || addr.port == 0)
        return NULL;
    return wp_arena_strdup(a, addr.port == DNS_PORT ? wp_addr_ip_text(&addr, text)
                                                    : wp_addr_text(&addr, text));
}

static bool has_nul(const yaml_node_t *n)
{
    return memchr(n->data.scalar.value, '\0', n->data.scalar.length) != NULL;
}

/* A list of addresses under a name. */
static int read_servers(struct reader *r, const yaml_node_t *list, const char *name,
                        struct wp_kube_dns_servers *to)
{
    if (list->type != YAML_SEQUENCE_NODE)
        return wp_yaml_refuse(&r->yaml, list, name, "is not a list of addresses");
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++) {
        const yaml_node_t *n = wp_yaml_node(&r->yaml, *i);
        const char *word = wp_yaml_scalar(n);

        if (word == NULL || has_nul(n))
            return wp_yaml_refuse(&r->yaml, n, name, "is not a list of addresses");
        if (to->n == WP_KUBE_DNS_SERVERS_MAX)
            return wp_yaml_refuse(&r->yaml, n, word, "more than 15 addresses");
        to->at[to->n] = server(r->yaml.arena, word);
        if (to->at[to->n] == NULL)
            return wp_yaml_refuse(&r->yaml, n, word, "is not an address, nor ADDRESS:PORT");
        to->n++;
    }
    return 0;
}

/* --- the values: JSON in a text ------------------------------------------------------------- */

static int read_upstreams(struct reader *r, const yaml_node_t *list)
{
    return read_servers(r, list, "upstreamNameservers", &r->to->upstreams);
}

static int read_stub(struct reader *r, const yaml_node_t *key, const yaml_node_t *list)
{
    struct wp_kube_dns *k = r->to;
    struct wp_kube_dns_stub *stub = &k->stubs[k->n_stubs];
    const char *word = wp_yaml_scalar(key);
    int e;

    if (word == NULL)
        return wp_yaml_refuse(&r->yaml, key, "stubDomains", "a key that is no text");
    if (k->n_stubs == WP_KUBE_DNS_STUBS_MAX)
        return wp_yaml_refuse(&r->yaml, key, word, "more than 1000 stub domains");
    stub->domain = domain(r->yaml.arena, word, key->data.scalar.length);
    if (stub->domain == NULL)
        return wp_yaml_refuse(&r->yaml, key, word, "is not a domain name");
    if (strcmp(stub->domain, k->cluster) == 0)
        return wp_yaml_refuse(&r->yaml, key, word, "is the cluster's own domain");
    for (unsigned i = 0; i < k->n_stubs; i++)
        if (strcmp(k->stubs[i].domain, stub->domain) == 0)
            return wp_yaml_refuse(&r->yaml, key, word, "stands twice");
    e = read_servers(r, list, word, &stub->servers);
    if (e == 0 && stub->servers.n == 0)
        return wp_yaml_refuse(&r->yaml, key, word, "has no address");
    k->n_stubs += e == 0;
    return e;
}

static int read_stubs(struct reader *r, const yaml_node_t *map)
{
    int e = 0;

    if (map->type != YAML_MAPPING_NODE)
        return wp_yaml_refuse(&r->yaml, map, "stubDomains", "is not a mapping");
    r->to->stubs = wp_arena_array(r->yaml.arena, WP_KUBE_DNS_STUBS_MAX + 1, sizeof(*r->to->stubs));
    if (r->to->stubs == NULL)
        return -ENOMEM;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
         e == 0 && p < map->data.mapping.pairs.top; p++)
        e = read_stub(r, wp_yaml_node(&r->yaml, p->key), wp_yaml_node(&r->yaml, p->value));
    return e;
}

/* The text of a value is a document of its own. Only of a block ("|") the lines are known; in any
 * other text a line's end means as much as a blank. */
static int read_json(struct reader *r, const yaml_node_t *value,
                     int (*read)(struct reader *r, const yaml_node_t *root))
{
    bool is_block = value->data.scalar.style == YAML_LITERAL_SCALAR_STYLE;
    size_t len = value->data.scalar.length;
    struct wp_yaml outer = r->yaml;
    char *copy = wp_arena_strndup(r->yaml.arena, wp_yaml_scalar(value), len);
    int e;

    if (copy == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < len && !is_block; i++)
        if (copy[i] == '\n')
            copy[i] = ' ';
    r->yaml.line += value->start_mark.line + is_block;
    e = wp_yaml_open(&r->yaml, copy, len);
    if (e == 0) {
        const yaml_node_t *root = wp_yaml_root(&r->yaml);

        e = wp_yaml_is_null(root) ? 0 : read(r, root);
        wp_yaml_close(&r->yaml);
    }
    r->yaml = outer;
    return e;
}

/* "NAME=DOMAIN,NAME=DOMAIN" */
static int read_federations(struct reader *r, const yaml_node_t *value)
{
    struct wp_kube_dns *k = r->to;
    const char *s = wp_yaml_scalar(value);

    k->federations = wp_arena_array(r->yaml.arena, WP_KUBE_DNS_OTHERS_MAX, sizeof(*k->federations));
    if (k->federations == NULL)
        return -ENOMEM;
    for (s += strspn(s, ", \n"); *s != '\0'; s += strspn(s, ", \n")) {
        struct wp_kube_dns_federation *f = &k->federations[k->n_federations];
        size_t len = strcspn(s, ", \n");
        const char *equals = memchr(s, '=', len);

        if (k->n_federations == WP_KUBE_DNS_OTHERS_MAX)
            return wp_yaml_refuse(&r->yaml, value, "federations", "too many");
        f->name = equals != NULL ? domain(r->yaml.arena, s, (size_t)(equals - s)) : NULL;
        f->domain = equals != NULL
                        ? domain(r->yaml.arena, equals + 1, len - 1 - (size_t)(equals - s))
                        : NULL;
        if (f->name == NULL || f->domain == NULL) {
            const char *word = wp_arena_strndup(r->yaml.arena, s, len);

            return word == NULL ? -ENOMEM
                                : wp_yaml_refuse(&r->yaml, value, word, "is not NAME=DOMAIN");
        }
        k->n_federations++;
        s += len;
    }
    return 0;
}

/* --- the ConfigMap -------------------------------------------------------------------------- */

static int read_unknown(struct reader *r, const yaml_node_t *key)
{
    static const char allowed[] =
        "-._0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    struct wp_kube_dns *k = r->to;
    const char *word = wp_yaml_scalar(key);

    if (word[0] == '\0' || word[strspn(word, allowed)] != '\0' || has_nul(key))
        return wp_yaml_refuse(&r->yaml, key, "data", "a key that no ConfigMap can have");
    if (k->unknown == NULL)
        k->unknown = wp_arena_array(r->yaml.arena, WP_KUBE_DNS_OTHERS_MAX, sizeof(*k->unknown));
    if (k->unknown == NULL)
        return -ENOMEM;
    if (k->n_unknown == WP_KUBE_DNS_OTHERS_MAX)
        return wp_yaml_refuse(&r->yaml, key, "data", "too many keys");
    k->unknown[k->n_unknown] = wp_arena_strdup(r->yaml.arena, word);
    return k->unknown[k->n_unknown++] != NULL ? 0 : -ENOMEM;
}

static int read_pair(struct reader *r, const yaml_node_t *key, const yaml_node_t *value)
{
    const char *word = wp_yaml_scalar(key);

    if (word == NULL)
        return wp_yaml_refuse(&r->yaml, key, "data", "a key that is no text");
    if (strcmp(word, "stubDomains") != 0 && strcmp(word, "upstreamNameservers") != 0 &&
        strcmp(word, "federations") != 0)
        return read_unknown(r, key);
    if (wp_yaml_is_null(value))
        return 0;
    if (wp_yaml_scalar(value) == NULL)
        return wp_yaml_refuse(&r->yaml, value, word, "is not a text");
    if (has_nul(value))
        return wp_yaml_refuse(&r->yaml, value, word, "holds a NUL");
    if (word[0] == 's' && r->to->stubs == NULL)
        return read_json(r, value, read_stubs);
    if (word[0] == 'u' && r->to->upstreams.n == 0)
        return read_json(r, value, read_upstreams);
    if (word[0] == 'f' && r->to->federations == NULL)
        return read_federations(r, value);
    return wp_yaml_refuse(&r->yaml, key, word, "stands twice");
}

static int read_map(struct reader *r)
{
    const yaml_node_t *root = wp_yaml_root(&r->yaml), *data;
    const char *kind;
    int e;

    if (wp_yaml_is_null(root)) {
        snprintf(r->yaml.why, WP_KUBE_DNS_WHY, "line 1: there is nothing");
        return WP_ECONFIG;
    }
    e = wp_yaml_text(&r->yaml, root, "kind", &kind);
    if (e == 0 && (kind == NULL || strcmp(kind, "ConfigMap") != 0))
        return wp_yaml_refuse(&r->yaml, root, kind != NULL ? kind : "kind",
                              kind != NULL ? "is not a ConfigMap" : "is missing");
    if (e == 0)
        e = wp_yaml_member(&r->yaml, root, "data", &data);
    if (e < 0 || data == NULL)
        return e;
    if (data->type != YAML_MAPPING_NODE)
        return wp_yaml_refuse(&r->yaml, data, "data", "is not a mapping");
    for (const yaml_node_pair_t *p = data->data.mapping.pairs.start;
         e == 0 && p < data->data.mapping.pairs.top; p++)
        e = read_pair(r, wp_yaml_node(&r->yaml, p->key), wp_yaml_node(&r->yaml, p->value));
    return e;
}

int wp_kube_dns_parse(const char *text, size_t len, const char *cluster, struct wp_arena *a,
                      char why[WP_KUBE_DNS_WHY], struct wp_kube_dns *ret)
{
    struct wp_kube_dns k = {0};
    struct reader r = {.yaml = {.before = "", .why = why, .arena = a}, .to = &k};
    int e;

    static_assert((int)WP_KUBE_DNS_WHY == (int)WP_YAML_WHY, "one text, two names");
    snprintf(why, WP_KUBE_DNS_WHY, "out of memory");
    if (len > WP_KUBE_DNS_MAX) {
        snprintf(why, WP_KUBE_DNS_WHY, "larger than %d octets", WP_KUBE_DNS_MAX);
        return WP_ECONFIG;
    }
    k.cluster = domain(a, cluster, strlen(cluster));
    if (k.cluster == NULL) {
        snprintf(why, WP_KUBE_DNS_WHY, "%.300s: is not a domain name", cluster);
        return WP_ECONFIG;
    }
    e = wp_yaml_open(&r.yaml, text, len);
    if (e < 0)
        return e;
    e = read_map(&r);
    wp_yaml_close(&r.yaml);
    if (e == 0)
        *ret = k;
    return e;
}
