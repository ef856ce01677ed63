#include "backends/kubernetes/kubeconfig.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "backends/common/yaml_tree.h"
#include "waypost/base/arena.h"
#include "waypost/base/text.h"

struct reader {
    struct wp_yaml yaml;
    const char *path;
};

static int text(struct reader *r, const yaml_node_t *map, const char *name, const char **ret)
{
    return wp_yaml_text(&r->yaml, map, name, ret);
}

static int truth(struct reader *r, const yaml_node_t *map, const char *name, bool *ret)
{
    static const char *const yes[] = {"true", "yes", "on", "y"}, *const no[] = {"false", "no",
                                                                                "off", "n"};
    const yaml_node_t *n;
    int e = wp_yaml_member(&r->yaml, map, name, &n);

    if (e < 0 || n == NULL)
        return e;
    for (size_t i = 0; wp_yaml_scalar(n) != NULL && i < WP_COUNT(yes); i++) {
        bool is = wp_text_ieq(wp_yaml_scalar(n), yes[i]);
        if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
            (is || wp_text_ieq(wp_yaml_scalar(n), no[i]))) {
            *ret = is;
            return 0;
        }
    }
    return wp_yaml_refuse(&r->yaml, n, name, "is neither true nor false");
}

static int path(struct reader *r, const yaml_node_t *map, const char *name, const char **ret)
{
    const char *slash = strrchr(r->path, '/');
    int e = text(r, map, name, ret);

    if (e < 0 || *ret == NULL || **ret == '/' || slash == NULL)
        return e;
    *ret = wp_arena_printf(r->yaml.arena, "%.*s/%s", (int)(slash - r->path), r->path, *ret);
    return *ret != NULL ? 0 : -ENOMEM;
}

/* Standard base64 with its padding; line ends do not count. */
static bool decode(char *s, size_t *ret_len)
{
    size_t n = 0, pad = 0, len;

    for (const char *p = s; *p != '\0'; p++) {
        if (*p == '\r' || *p == '\n')
            continue;
        if (*p == '-' || *p == '_' || (pad > 0 && *p != '='))
            return false;
        pad += *p == '=';
        s[n++] = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    }
    if (n % 4 != 0 || pad > 2 ||
        wp_base64url_decode(s, n - pad, (uint8_t *)s, n, &len) < 0) /* it reads before it writes */
        return false;
    s[len] = '\0';
    *ret_len = len;
    return true;
}

static int data(struct reader *r, const yaml_node_t *map, const char *name, const char **ret)
{
    const yaml_node_t *n;
    const char *word;
    size_t len;
    char *copy;
    int e = text(r, map, name, &word);

    if (e < 0 || word == NULL)
        return e;
    copy = wp_arena_strdup(r->yaml.arena, word);
    if (copy == NULL)
        return -ENOMEM;
    if (decode(copy, &len) && strlen(copy) == len) {
        *ret = copy;
        return 0;
    }
    e = wp_yaml_member(&r->yaml, map, name, &n);
    return e < 0 ? e : wp_yaml_refuse(&r->yaml, n, name, "illegal base64 data");
}

/* --- lists --------------------------------------------------------------------------------- */

/* *ret: what `kind` holds under the name: member `inner` of the element so named; NULL: no such
 * element. */
static int named(struct reader *r, const char *kind, const char *inner, const char *name,
                 const yaml_node_t **ret)
{
    const yaml_node_t *list, *found = NULL;
    int e = wp_yaml_member(&r->yaml, wp_yaml_root(&r->yaml), kind, &list);

    *ret = NULL;
    if (e < 0 || list == NULL)
        return e;
    if (list->type != YAML_SEQUENCE_NODE)
        return wp_yaml_refuse(&r->yaml, list, kind, "is not a list");
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++) {
        const yaml_node_t *element = wp_yaml_node(&r->yaml, *i), *word;
        e = wp_yaml_member(&r->yaml, element, "name", &word);
        if (e < 0)
            return e;
        if (wp_yaml_scalar(word) == NULL || strcmp(wp_yaml_scalar(word), name) != 0)
            continue;
        if (found != NULL)
            return wp_yaml_refuse(&r->yaml, word, name, "duplicate name");
        found = element;
    }
    if (found == NULL)
        return 0;
    e = wp_yaml_member(&r->yaml, found, inner, ret);
    if (e == 0 && *ret == NULL)
        *ret = found; /* it is there, and holds nothing */
    return e;
}

/* *ret: NULL when it is no text. */
static int item_text(struct reader *r, int node, const char **ret)
{
    const yaml_node_t *n = wp_yaml_node(&r->yaml, node);
    const char *s = wp_yaml_scalar(n);

    *ret = NULL;
    if (s == NULL || strlen(s) != n->data.scalar.length)
        return 0;
    *ret = wp_arena_strdup(r->yaml.arena, s);
    return *ret != NULL ? 0 : -ENOMEM;
}

static int read_groups(struct reader *r, const yaml_node_t *user, struct wp_kubeconfig *k)
{
    const yaml_node_t *list;
    int e = wp_yaml_member(&r->yaml, user, "as-groups", &list);

    if (e < 0 || list == NULL)
        return e;
    if (list->type != YAML_SEQUENCE_NODE)
        return wp_yaml_refuse(&r->yaml, list, "as-groups", "is not a list");
    k->groups = wp_arena_array(r->yaml.arena, WP_KUBECONFIG_LIST_MAX, sizeof(*k->groups));
    if (k->groups == NULL)
        return -ENOMEM;
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++) {
        if (k->n_groups == WP_KUBECONFIG_LIST_MAX)
            return wp_yaml_refuse(&r->yaml, list, "as-groups", "too many");
        e = item_text(r, *i, &k->groups[k->n_groups]);
        if (e < 0)
            return e;
        if (k->groups[k->n_groups++] == NULL)
            return wp_yaml_refuse(&r->yaml, list, "as-groups", "is not a list of texts");
    }
    return 0;
}

static int read_values(struct reader *r, const yaml_node_t *list, const char *name,
                       struct wp_kubeconfig *k)
{
    int e;

    if (list->type != YAML_SEQUENCE_NODE)
        return wp_yaml_refuse(&r->yaml, list, "as-user-extra", "is not a mapping of lists");
    for (const yaml_node_item_t *i = list->data.sequence.items.start;
         i < list->data.sequence.items.top; i++) {
        if (k->n_extra == WP_KUBECONFIG_LIST_MAX)
            return wp_yaml_refuse(&r->yaml, list, "as-user-extra", "too many");
        k->extra[k->n_extra].name = name;
        e = item_text(r, *i, &k->extra[k->n_extra].value);
        if (e < 0)
            return e;
        if (k->extra[k->n_extra++].value == NULL)
            return wp_yaml_refuse(&r->yaml, list, "as-user-extra",
                                  "is not a mapping of lists of texts");
    }
    return 0;
}

static int read_extra(struct reader *r, const yaml_node_t *user, struct wp_kubeconfig *k)
{
    const yaml_node_t *map;
    int e = wp_yaml_member(&r->yaml, user, "as-user-extra", &map);

    if (e < 0 || map == NULL)
        return e;
    if (map->type != YAML_MAPPING_NODE)
        return wp_yaml_refuse(&r->yaml, map, "as-user-extra", "is not a mapping of lists");
    k->extra = wp_arena_array(r->yaml.arena, WP_KUBECONFIG_LIST_MAX, sizeof(*k->extra));
    if (k->extra == NULL)
        return -ENOMEM;
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
         e == 0 && p < map->data.mapping.pairs.top; p++) {
        const char *name;
        e = item_text(r, p->key, &name);
        if (e < 0)
            return e;
        if (name == NULL)
            return wp_yaml_refuse(&r->yaml, map, "as-user-extra", "a key that is no text");
        e = read_values(r, wp_yaml_node(&r->yaml, p->value), name, k);
    }
    return e;
}

/* --- the parts ----------------------------------------------------------------------------- */

static int read_cluster(struct reader *r, const yaml_node_t *c, struct wp_kubeconfig *k)
{
    int e = text(r, c, "server", &k->server);

    if (e == 0)
        e = path(r, c, "certificate-authority", &k->ca_file);
    if (e == 0)
        e = data(r, c, "certificate-authority-data", &k->ca_pem);
    if (e == 0)
        e = text(r, c, "tls-server-name", &k->server_name);
    if (e == 0)
        e = text(r, c, "proxy-url", &k->proxy_url);
    if (e == 0)
        e = truth(r, c, "insecure-skip-tls-verify", &k->insecure);
    return e == 0 ? truth(r, c, "disable-compression", &k->no_compression) : e;
}

/* Programs that make credentials are not run: who may start them from a DNS server's configuration
 * would be a question of its own. */
static int refuse_helpers(struct reader *r, const yaml_node_t *user)
{
    static const char *const names[] = {"exec", "auth-provider"};

    for (size_t i = 0; i < WP_COUNT(names); i++) {
        const yaml_node_t *n;
        int e = wp_yaml_member(&r->yaml, user, names[i], &n);
        if (e < 0)
            return e;
        if (n != NULL)
            return wp_yaml_refuse(&r->yaml, n, names[i],
                                  "not supported: use token, tokenFile or a client certificate");
    }
    return 0;
}

static int read_user(struct reader *r, const yaml_node_t *u, struct wp_kubeconfig *k)
{
    const struct {
        const char *name;
        const char **at;
        int (*read)(struct reader *r, const yaml_node_t *map, const char *name, const char **ret);
    } rows[] = {
        {"client-certificate", &k->cert_file, path},
        {"client-certificate-data", &k->cert_pem, data},
        {"client-key", &k->key_file, path},
        {"client-key-data", &k->key_pem, data},
        {"token", &k->token, text},
        {"tokenFile", &k->token_file, path},
        {"username", &k->username, text},
        {"password", &k->password, text},
        {"as", &k->as, text},
        {"as-uid", &k->as_uid, text},
    };
    int e = refuse_helpers(r, u);

    for (size_t i = 0; e == 0 && i < WP_COUNT(rows); i++)
        e = rows[i].read(r, u, rows[i].name, rows[i].at);
    if (e == 0)
        e = read_groups(r, u, k);
    return e == 0 ? read_extra(r, u, k) : e;
}

static int check_kind(struct reader *r, const yaml_node_t *root)
{
    const char *kind, *version;
    int e = text(r, root, "kind", &kind);

    if (e == 0)
        e = text(r, root, "apiVersion", &version);
    if (e < 0)
        return e;
    if ((kind == NULL || strcmp(kind, "Config") == 0) &&
        (version == NULL || strcmp(version, "v1") == 0))
        return 0;
    snprintf(r->yaml.why, WP_KUBE_WHY,
             "error loading config file \"%.300s\": no kind \"%.60s\" is registered for version "
             "\"%.60s\"",
             r->path, kind != NULL ? kind : "Config", version != NULL ? version : "v1");
    return WP_ECONFIG;
}

static int nothing_chosen(struct reader *r)
{
    snprintf(r->yaml.why, WP_KUBE_WHY,
             "invalid configuration: no configuration has been provided, try setting "
             "KUBERNETES_MASTER environment variable");
    return WP_ENOTFOUND;
}

/* *ret: the context's mapping. */
static int find_context(struct reader *r, const char *context, const yaml_node_t **ret)
{
    const yaml_node_t *root = wp_yaml_root(&r->yaml);
    const char *current;
    int e = check_kind(r, root);

    if (e == 0)
        e = text(r, root, "current-context", &current);
    if (e < 0)
        return e;
    if (context != NULL && context[0] == '\0')
        context = NULL;
    if (context == NULL && current == NULL)
        return nothing_chosen(r);
    e = named(r, "contexts", "context", context != NULL ? context : current, ret);
    if (e < 0 || *ret != NULL)
        return e;
    if (context != NULL)
        snprintf(r->yaml.why, WP_KUBE_WHY, "context \"%.200s\" does not exist", context);
    else
        snprintf(r->yaml.why, WP_KUBE_WHY,
                 "invalid configuration: [context was not found for specified context: %.200s, "
                 "cluster has no server defined]",
                 current);
    return WP_ECONFIG;
}

static int read_tree(struct reader *r, const char *context, struct wp_kubeconfig *k)
{
    const yaml_node_t *at, *cluster, *user;
    const char *name;
    int e = find_context(r, context, &at);

    if (e == 0)
        e = text(r, at, "cluster", &name);
    if (e < 0)
        return e;
    k->cluster_name = name != NULL ? name : "";
    e = named(r, "clusters", "cluster", k->cluster_name, &cluster);
    if (e < 0)
        return e;
    if (cluster == NULL)
        return wp_yaml_refuse(&r->yaml, at, k->cluster_name,
                              name != NULL ? "no such cluster" : "no cluster is named");
    e = read_cluster(r, cluster, k);
    if (e == 0)
        e = text(r, at, "user", &name);
    if (e < 0)
        return e;
    k->user_name = name != NULL ? name : "";
    e = named(r, "users", "user", k->user_name, &user);
    return e < 0 || user == NULL ? e : read_user(r, user, k); /* without a user: nobody */
}

int wp_kubeconfig_parse(const char *octets, size_t len, const char *file, const char *context,
                        struct wp_arena *a, char why[WP_KUBE_WHY], struct wp_kubeconfig *ret)
{
    char before[400];
    struct reader r = {.yaml = {.before = before, .why = why, .arena = a}, .path = file};
    struct wp_kubeconfig k = {0};
    int e;

    static_assert((int)WP_KUBE_WHY == (int)WP_YAML_WHY, "one text, two names");
    snprintf(before, sizeof(before), "error loading config file \"%.300s\": ", file);
    snprintf(why, WP_KUBE_WHY, "out of memory");
    if (len > WP_KUBECONFIG_MAX) {
        snprintf(why, WP_KUBE_WHY, "error loading config file \"%.300s\": larger than %d octets",
                 file, WP_KUBECONFIG_MAX);
        return WP_ECONFIG;
    }
    e = wp_yaml_open(&r.yaml, octets, len);
    if (e < 0)
        return e;
    e = read_tree(&r, context, &k); /* an empty file has no root, and so no member either */
    wp_yaml_close(&r.yaml);
    if (e == 0)
        *ret = k;
    return e;
}
