/* Kubeconfigs: what each of their words gives, and how what is wrong is told. The texts of errors are
 * CoreDNS's where it has one that names the thing. */
#include "check.h"

#include <stdlib.h>

#include "backends/kubernetes/kubeconfig.h"
#include "waypost/base/arena.h"

static struct wp_arena arena;
static char why[WP_KUBE_WHY];

/* A configuration with one context, made of the given members. */
static const char *config(const char *cluster, const char *user)
{
    static char text[4000];

    snprintf(text, sizeof(text),
             "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {%s}\nusers:\n- name: u\n"
             "  user: {%s}\ncontexts:\n- name: x\n  context: {cluster: c, user: u, namespace: n}\n"
             "current-context: x\n",
             cluster, user);
    return text;
}

static int parse(const char *text, const char *context, struct wp_kubeconfig *k)
{
    wp_arena_reset(&arena);
    why[0] = '\0';
    return wp_kubeconfig_parse(text, strlen(text), "/dir/config", context, &arena, why, k);
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void test_cluster(void)
{
    struct wp_kubeconfig k;

    CHECK(parse(config("server: 'https://a:6443', certificate-authority: ca.pem, tls-server-name: b, "
                       "proxy-url: 'http://p:1', disable-compression: true",
                       ""),
                NULL, &k) == 0);
    CHECK(same(k.cluster_name, "c") && same(k.user_name, "u") && same(k.server, "https://a:6443"));
    CHECK(same(k.ca_file, "/dir/ca.pem") && k.ca_pem == NULL && same(k.server_name, "b"));
    CHECK(same(k.proxy_url, "http://p:1") && k.no_compression && !k.insecure);
    CHECK(parse(config("server: s, certificate-authority: /abs/ca.pem, insecure-skip-tls-verify: yes, "
                       "certificate-authority-data: aGVsbG8=, unknown: [1, {}]",
                       ""),
                "", &k) == 0);
    CHECK(same(k.ca_file, "/abs/ca.pem") && same(k.ca_pem, "hello") && k.insecure && !k.no_compression);
}

static void test_user(void)
{
    struct wp_kubeconfig k;

    CHECK(parse(config("server: s", "client-certificate: a/b.pem, client-key: /k.pem, token: t, "
                                    "tokenFile: ../t, username: n, password: p, as: who, as-uid: '7', "
                                    "as-groups: [g, h], as-user-extra: {one: [a, b], two: [], three: [c]}"),
                NULL, &k) == 0);
    CHECK(same(k.cert_file, "/dir/a/b.pem") && same(k.key_file, "/k.pem") && same(k.token, "t"));
    CHECK(same(k.token_file, "/dir/../t") && same(k.username, "n") && same(k.password, "p"));
    CHECK(same(k.as, "who") && same(k.as_uid, "7") && k.n_groups == 2 && same(k.groups[1], "h"));
    CHECK(k.n_extra == 3 && same(k.extra[1].name, "one") && same(k.extra[1].value, "b"));
    CHECK(same(k.extra[2].name, "three") && same(k.extra[2].value, "c"));
    CHECK(parse(config("server: s", "client-certificate-data: \"aGVs\\nbG8=\", client-key-data: aGVsbG8h, "
                                    "token: 'null', username: ~, password: "),
                NULL, &k) == 0);
    CHECK(same(k.cert_pem, "hello") && same(k.key_pem, "hello!") && same(k.token, "null"));
    CHECK(k.username == NULL && k.password == NULL && k.cert_file == NULL && k.n_groups == 0);
}

static void test_json(void)
{
    struct wp_kubeconfig k;

    CHECK(parse("{\"kind\":\"Config\",\"apiVersion\":\"v1\",\n\t\"current-context\":\"x\",\"preferences\":{},"
                "\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":\"https:\\/\\/a\\u002eb\"}}],"
                "\"users\":null,\"contexts\":[{\"name\":\"x\",\"context\":{\"cluster\":\"c\",\"user\":\"\"}}]}",
                NULL, &k) == 0);
    CHECK(same(k.server, "https://a.b") && same(k.user_name, "") && k.token == NULL);
}

static void test_contexts(void)
{
    static const char text[] = "clusters:\n- cluster: {server: one}\n  name: c1\n- {name: c2, cluster: {server: two}}\n"
                               "- name: bare\n"
                               "users: [{name: u2, user: {token: t}}, {name: u3}]\n"
                               "contexts:\n- {name: x1, context: {cluster: c1}}\n"
                               "- {name: x2, context: &both {cluster: c2, user: u2}}\n- {name: x3, context: *both}\n"
                               "- {name: x4, context: {cluster: c1, user: nobody}}\n"
                               "- {name: x5, context: {cluster: bare, user: u3}}\n"
                               "- {name: x6, context: {cluster: c1, cluster: c2}}\n"
                               "current-context: x1\n";
    static const struct {
        const char *context, *server, *token;
    } cases[] = {
        {NULL, "one", NULL}, {"", "one", NULL},   {"x1", "one", NULL}, {"x2", "two", "t"}, {"x3", "two", "t"},
        {"x4", "one", NULL}, {"x5", NULL, NULL}, {"x6", "two", NULL},
    };
    struct wp_kubeconfig k;

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *what = cases[i].context != NULL ? cases[i].context : "current";
        CHECK_AT(what, parse(text, cases[i].context, &k) == 0);
        CHECK_AT(what, same(k.server, cases[i].server) && same(k.token, cases[i].token));
    }
    CHECK(parse(text, "none", &k) == WP_ECONFIG && same(why, "context \"none\" does not exist"));
}

#define IN_FILE "error loading config file \"/dir/config\": "

static void test_errors(void)
{
    static const char nothing[] = "invalid configuration: no configuration has been provided, try setting "
                                  "KUBERNETES_MASTER environment variable";
    static const struct {
        const char *what, *text;
        int ret;
        const char *why;
    } cases[] = {
        {"empty file", "", WP_ENOTFOUND, nothing},
        {"null", "~", WP_ENOTFOUND, nothing},
        {"another document", "a: b\n---\ncurrent-context: x\n", WP_ENOTFOUND, nothing},
        {"no current context", "clusters: []\ncontexts: []\n", WP_ENOTFOUND, nothing},
        {"not YAML", "a: [", WP_ECONFIG, IN_FILE "yaml: line 2: did not find expected node content"},
        {"not YAML, later", "a: b\nb: {\nc: - d", WP_ECONFIG, IN_FILE "yaml: line 3: "},
        {"not UTF-8", "a: \xff", WP_ECONFIG, IN_FILE "yaml: line 1: "},
        {"a list", "[1, 2]", WP_ECONFIG, IN_FILE "line 1: kind: stands in something that is not a mapping"},
        {"a text", "\njust text", WP_ECONFIG, IN_FILE "line 2: kind: stands in"},
        {"kind", "apiVersion: v1\nkind: Pod", WP_ECONFIG, IN_FILE "no kind \"Pod\" is registered for version \"v1\""},
        {"version", "apiVersion: v2", WP_ECONFIG, IN_FILE "no kind \"Config\" is registered for version \"v2\""},
        {"current context unknown", "current-context: x\ncontexts: []", WP_ECONFIG,
         "invalid configuration: [context was not found for specified context: x, cluster has no server defined]"},
        {"context is a list", "current-context: [x]", WP_ECONFIG, IN_FILE "line 1: current-context: is not a text"},
        {"contexts are no list", "current-context: x\ncontexts: {x: y}", WP_ECONFIG, IN_FILE "line 2: contexts: is not a list"},
        {"element is a text", "current-context: x\ncontexts: [x]", WP_ECONFIG, IN_FILE "line 2: name: stands in"},
        {"context is a text", "current-context: x\ncontexts: [{name: x, context: y}]", WP_ECONFIG, IN_FILE "line 2: cluster: stands in"},
        {"duplicate name", "current-context: x\ncontexts:\n- name: x\n- name: x\n", WP_ECONFIG, IN_FILE "line 4: x: duplicate name"},
        {"no cluster named", "current-context: x\ncontexts:\n- {name: x, context: {user: u}}\n", WP_ECONFIG,
         IN_FILE "line 3: no cluster is named"},
        {"no such cluster", "current-context: x\ncontexts:\n- {name: x, context: {cluster: zz}}\n", WP_ECONFIG,
         IN_FILE "line 3: zz: no such cluster"},
        {"merged", "<<: {kind: Config}\ncurrent-context: x", WP_ECONFIG, IN_FILE "line 1: <<: merged mappings are not supported"},
        {"NUL", "current-context: \"x\\0y\"", WP_ECONFIG, IN_FILE "line 1: current-context: holds a NUL"},
    };
    static const struct {
        const char *cluster, *user, *why;
    } members[] = {
        {"server: [a]", "", "line 5: server: is not a text"},
        {"insecure-skip-tls-verify: 'true'", "", "line 5: insecure-skip-tls-verify: is neither true nor false"},
        {"disable-compression: 1", "", "line 5: disable-compression: is neither true nor false"},
        {"certificate-authority-data: '%%'", "", "line 5: certificate-authority-data: illegal base64 data"},
        {"certificate-authority-data: aGVsbG8", "", "line 5: certificate-authority-data: illegal base64 data"},
        {"certificate-authority-data: aGVsbG8=x", "", "line 5: certificate-authority-data: illegal base64 data"},
        {"certificate-authority-data: aGVs-G8=", "", "line 5: certificate-authority-data: illegal base64 data"},
        {"certificate-authority-data: AAAA", "", "line 5: certificate-authority-data: illegal base64 data"},
        {"", "client-key-data: a", "line 8: client-key-data: illegal base64 data"},
        {"", "exec: {command: aws}", "line 8: exec: not supported: use token, tokenFile or a client certificate"},
        {"", "auth-provider: {name: oidc}", "line 8: auth-provider: not supported: use token"},
        {"", "as-groups: g", "line 8: as-groups: is not a list"},
        {"", "as-groups: [[g]]", "line 8: as-groups: is not a list of texts"},
        {"", "as-user-extra: [a]", "line 8: as-user-extra: is not a mapping of lists"},
        {"", "as-user-extra: {a: b}", "line 8: as-user-extra: is not a mapping of lists"},
        {"", "as-user-extra: {a: [{}]}", "line 8: as-user-extra: is not a mapping of lists of texts"},
        {"", "token: {a: b}", "line 8: token: is not a text"},
    };
    struct wp_kubeconfig k, before;

    memset(&k, 0x55, sizeof(k));
    before = k;
    for (size_t i = 0; i < COUNT(cases); i++) {
        CHECK_AT(cases[i].what, parse(cases[i].text, NULL, &k) == cases[i].ret);
        if (strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)
            print_error("%s\n", why);
        CHECK_AT(cases[i].what, strncmp(why, cases[i].why, strlen(cases[i].why)) == 0);
    }
    for (size_t i = 0; i < COUNT(members); i++) {
        CHECK_AT(members[i].why, parse(config(members[i].cluster, members[i].user), NULL, &k) == WP_ECONFIG);
        if (strstr(why, members[i].why) == NULL)
            print_error("%s\n", why);
        CHECK_AT(members[i].why, strstr(why, members[i].why) == why + strlen(IN_FILE));
    }
    CHECK(memcmp(&k, &before, sizeof(k)) == 0);
}

/* What is not chosen is not looked at. */
static void test_other_users(void)
{
    char text[1000];
    struct wp_kubeconfig k;

    snprintf(text, sizeof(text), "%s\nusers: [{name: v, user: {exec: {command: a}}}, {name: u, user: {token: t}}]\n",
             config("server: s", ""));
    CHECK(parse(text, NULL, &k) == 0 && same(k.token, "t"));
}

/* --- bounds -------------------------------------------------------------------------------- */

static char *repeat(const char *s, size_t n)
{
    size_t len = strlen(s);
    char *text = malloc(len * n + 1);

    CHECK(text != NULL);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * len, s, len);
    text[len * n] = '\0';
    return text;
}

static void test_bombs(void)
{
    struct wp_kubeconfig k;
    char *text = repeat("[", 100000), *many = repeat("g, ", 300), groups[1200];

    CHECK(parse(text, NULL, &k) == WP_ECONFIG && strstr(why, "line 1: too deep") != NULL);
    free(text);
    text = repeat("- ", 100000);
    CHECK(parse(text, NULL, &k) == WP_ECONFIG && strstr(why, "line 1: too deep") != NULL);
    free(text);
    text = repeat("- a\n", 110000);
    CHECK(parse(text, NULL, &k) == WP_ECONFIG && strstr(why, "too much") != NULL);
    free(text);
    text = repeat("- &a b\n", 300);
    CHECK(parse(text, NULL, &k) == WP_ECONFIG && strstr(why, "line 258: too much") != NULL);
    free(text);
    text = repeat(" ", WP_KUBECONFIG_MAX + 1);
    CHECK(parse(text, NULL, &k) == WP_ECONFIG && strstr(why, "larger than 1048576 octets") != NULL);
    text[WP_KUBECONFIG_MAX] = '\0';
    CHECK(parse(text, NULL, &k) == WP_ENOTFOUND);
    free(text);
    snprintf(groups, sizeof(groups), "as: a, as-groups: [%s]", many);
    CHECK(parse(config("server: s", groups), NULL, &k) == WP_ECONFIG && strstr(why, "as-groups: too many") != NULL);
    snprintf(groups, sizeof(groups), "as: a, as-user-extra: {a: [%s]}", many);
    CHECK(parse(config("server: s", groups), NULL, &k) == WP_ECONFIG && strstr(why, "as-user-extra: too many") != NULL);
    free(many);
    /* each level names the one before it nine times: 9^20 if anybody followed them */
    text = malloc(4000);
    CHECK(text != NULL);
    strcpy(text, "l0: &l0 [x]\n");
    for (int i = 1; i < 20; i++)
        sprintf(text + strlen(text), "l%d: &l%d [*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d,*l%d]\n", i, i, i - 1, i - 1, i - 1,
                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    strcat(text, config("server: s", "token: t, as-groups: *l19"));
    CHECK(parse(text, NULL, &k) == WP_ECONFIG && strstr(why, "as-groups: is not a list of texts") != NULL);
    strcpy(text, "a: &a {b: *a}\n"); /* itself */
    strcat(text, config("server: s", "token: t"));
    CHECK(parse(text, NULL, &k) == 0 || strstr(why, "undefined alias") != NULL);
    free(text);
}

/* Every part of a good file gives a result, and nothing is read past its end. */
static void test_cut(void)
{
    const char *text = config("server: s, certificate-authority-data: aGVsbG8=", "token: t, as: w, as-groups: [g]");
    size_t len = strlen(text);
    struct wp_kubeconfig k;

    for (size_t i = 0; i < len; i++) {
        char *exact = malloc(i + (i == 0));
        CHECK(exact != NULL);
        memcpy(exact, text, i);
        wp_arena_reset(&arena);
        int r = wp_kubeconfig_parse(exact, i, "/dir/config", NULL, &arena, why, &k);
        CHECK(r == 0 || ((r == WP_ECONFIG || r == WP_ENOTFOUND) && why[0] != '\0'));
        free(exact);
    }
}

static int set_up(void **state)
{
    (void)state;
    wp_arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wp_arena_done(&arena);
    return 0;
}

RUN_TESTS_WITH(set_up, tear_down, TEST(test_cluster), TEST(test_user), TEST(test_json), TEST(test_contexts), TEST(test_errors),
               TEST(test_other_users), TEST(test_bombs), TEST(test_cut))
