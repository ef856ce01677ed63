/* Access to an API server: what each source gives a request, how credentials in files are kept fresh, and
 * what is refused at start, in CoreDNS's words. */
#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/kubernetes/access.h"

#define PEM(word, text) "-----BEGIN " word "-----\n" text "\n-----END " word "-----\n"
#define CERT(text) PEM("CERTIFICATE", text)
#define KEY(text) PEM("EC PRIVATE KEY", text)

static const uint64_t S = 1000000000u, T0 = 1000000000000u;
static char dir[] = "/tmp/waypost-access-XXXXXX";
static char why[WP_KUBE_WHY];

/* "NAME" in the test's folder; one of eight buffers in turn. */
static const char *in_dir(const char *name)
{
    static char path[8][200];
    static unsigned n;
    char *p = path[n++ % 8];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

static const char *put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "we");

    CHECK(f != NULL);
    fputs(text, f);
    fclose(f);
    return in_dir(name);
}

static struct wp_kube_access *good(const struct wp_kube_source *s)
{
    struct wp_kube_access *a = NULL;
    int r = wp_kube_access_new(s, T0, why, &a);

    if (r < 0)
        print_error("%s\n", why);
    CHECK(r == 0 && a != NULL);
    return a;
}

static struct wp_httpc_request next(struct wp_kube_access *a, uint64_t now_ns)
{
    static const struct wp_httpc_header accept = {"Accept", "application/json"};
    struct wp_httpc_request r = {0};

    CHECK(wp_kube_access_next(a, now_ns, &accept, 1, &r) == 0);
    CHECK(r.n_headers >= 1 && strcmp(r.headers[0].name, "Accept") == 0);
    return r;
}

static const char *header(const struct wp_httpc_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return NULL;
}

static bool has(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* --- the Pod's own account ------------------------------------------------------------------ */

static void account_env(const char *host, const char *port)
{
    if (host != NULL)
        setenv("KUBERNETES_SERVICE_HOST", host, 1);
    else
        unsetenv("KUBERNETES_SERVICE_HOST");
    if (port != NULL)
        setenv("KUBERNETES_SERVICE_PORT", port, 1);
    else
        unsetenv("KUBERNETES_SERVICE_PORT");
}

static void test_account(void)
{
    const struct wp_kube_source s = {.account_dir = dir};
    struct wp_kube_access *a = NULL;
    struct wp_httpc_request r;

    put("token", "\n first \n");
    put("ca.crt", CERT("A"));
    account_env("10.96.0.1", "443");
    a = good(&s);
    CHECK(has(wp_kube_access_base(a), "https://10.96.0.1:443") && has(wp_kube_access_host(a), "10.96.0.1:443"));
    r = next(a, T0);
    CHECK(r.n_headers == 2 && has(header(&r, "Authorization"), "Bearer first"));
    CHECK(r.tls != NULL && has(r.tls->ca_pem, CERT("A")) && r.tls->cert_pem == NULL && !r.tls->insecure);
    CHECK(r.proxy == NULL && r.proxy_env && r.gzip);
    wp_kube_access_free(a);
    account_env("2001:db8::1", "6443");
    a = good(&s);
    CHECK(has(wp_kube_access_base(a), "https://[2001:db8::1]:6443"));
    wp_kube_access_free(a);
    wp_kube_access_free(NULL);
}

static void test_no_account(void)
{
    static const char unset[] = "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and "
                                "KUBERNETES_SERVICE_PORT must be defined";
    const struct wp_kube_source s = {.account_dir = in_dir("nowhere")};
    char want[300];
    struct wp_kube_access *a = NULL;

    account_env(NULL, "443");
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, unset));
    account_env("a", NULL);
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, unset));
    account_env("", "");
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, unset));
    account_env("a", "1");
    snprintf(want, sizeof(want), "open %s/token: no such file or directory", s.account_dir);
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, want) && a == NULL);
}

/* 347: a token file is read again after 50 seconds, or at once after a 401. What is not good leaves the
 * token as it was. */
static void test_token_file(void)
{
    const struct wp_kube_source s = {.account_dir = dir};
    struct wp_kube_access *a;
    struct wp_httpc_request r;

    put("token", "one");
    put("ca.crt", CERT("A"));
    account_env("a", "1");
    a = good(&s);
    r = next(a, T0);
    CHECK(has(header(&r, "Authorization"), "Bearer one"));
    put("token", "two");
    r = next(a, T0 + 50 * S - 1);
    CHECK(has(header(&r, "Authorization"), "Bearer one"));
    r = next(a, T0 + 50 * S);
    CHECK(has(header(&r, "Authorization"), "Bearer two"));
    put("token", "three");
    wp_kube_access_unauthorized(a);
    r = next(a, T0 + 50 * S);
    CHECK(has(header(&r, "Authorization"), "Bearer three"));
    put("token", " \n");
    wp_kube_access_unauthorized(a);
    r = next(a, T0 + 51 * S);
    CHECK(has(header(&r, "Authorization"), "Bearer three"));
    put("token", "fo\nur");
    wp_kube_access_unauthorized(a);
    r = next(a, T0 + 51 * S);
    CHECK(has(header(&r, "Authorization"), "Bearer three"));
    unlink(in_dir("token"));
    wp_kube_access_unauthorized(a);
    r = next(a, T0 + 52 * S);
    CHECK(has(header(&r, "Authorization"), "Bearer three"));
    put("token", "five");
    r = next(a, T0 + 53 * S); /* it was looked at a second ago */
    CHECK(has(header(&r, "Authorization"), "Bearer three"));
    r = next(a, T0 + 200 * S);
    CHECK(has(header(&r, "Authorization"), "Bearer five"));
    CHECK(wp_kube_access_generation(a) == 1); /* the CA's first reading */
    wp_kube_access_free(a);
}

/* 358b: a CA file is read again after five minutes, or at once after TLS has failed. */
static void test_ca_file(void)
{
    const struct wp_kube_source s = {.endpoint = "https://a:1", .ca = put("ca", CERT("A"))};
    struct wp_kube_access *a = good(&s);
    struct wp_httpc_request r = next(a, T0);
    unsigned g = wp_kube_access_generation(a);

    CHECK(has(r.tls->ca_pem, CERT("A")) && r.n_headers == 1);
    put("ca", CERT("B"));
    r = next(a, T0 + 300 * S - 1);
    CHECK(has(r.tls->ca_pem, CERT("A")) && wp_kube_access_generation(a) == g);
    r = next(a, T0 + 300 * S);
    CHECK(has(r.tls->ca_pem, CERT("B")) && wp_kube_access_generation(a) == g + 1);
    r = next(a, T0 + 600 * S);
    CHECK(wp_kube_access_generation(a) == g + 1); /* the same again */
    put("ca", "");
    r = next(a, T0 + 900 * S);
    CHECK(has(r.tls->ca_pem, CERT("B")));
    put("ca", "no PEM");
    r = next(a, T0 + 1200 * S);
    CHECK(has(r.tls->ca_pem, CERT("B")));
    unlink(in_dir("ca"));
    r = next(a, T0 + 1500 * S);
    CHECK(has(r.tls->ca_pem, CERT("B")) && wp_kube_access_generation(a) == g + 1);
    put("ca", CERT("C"));
    wp_kube_access_tls_failed(a);
    r = next(a, T0 + 1501 * S);
    CHECK(has(r.tls->ca_pem, CERT("C")) && wp_kube_access_generation(a) == g + 2);
    wp_kube_access_free(a);
}

/* An empty file at start trusts nobody, not the system's CAs; an account without one has those. */
static void test_no_ca(void)
{
    struct wp_kube_source s = {.endpoint = "https://a:1", .ca = put("ca", "")};
    struct wp_kube_access *a = good(&s);
    struct wp_httpc_request r = next(a, T0);

    CHECK(r.tls->ca_pem != NULL && r.tls->ca_pem[0] == '\0');
    wp_kube_access_free(a);
    unlink(in_dir("ca.crt"));
    put("token", "one");
    account_env("a", "1");
    s = (struct wp_kube_source){.account_dir = dir};
    a = good(&s);
    r = next(a, T0);
    CHECK(r.tls->ca_pem == NULL);
    wp_kube_access_free(a);
}

static void test_pair(void)
{
    const struct wp_kube_source s = {
        .endpoint = "a:1", .cert = put("cert", CERT("1")), .key = put("key", KEY("1")), .ca = put("ca", CERT("A"))};
    struct wp_kube_access *a = good(&s);
    struct wp_httpc_request r = next(a, T0);
    unsigned g = wp_kube_access_generation(a);

    CHECK(has(wp_kube_access_base(a), "https://a:1")); /* there are files of TLS */
    CHECK(has(r.tls->cert_pem, CERT("1")) && has(r.tls->key_pem, KEY("1")));
    put("cert", CERT("2"));
    unlink(in_dir("key"));
    r = next(a, T0 + 300 * S); /* half of a pair */
    CHECK(has(r.tls->cert_pem, CERT("1")) && has(r.tls->key_pem, KEY("1")));
    put("key", KEY("2"));
    r = next(a, T0 + 600 * S);
    CHECK(has(r.tls->cert_pem, CERT("2")) && has(r.tls->key_pem, KEY("2")) && wp_kube_access_generation(a) == g + 1);
    put("key", KEY("3")); /* a key alone */
    wp_kube_access_tls_failed(a);
    r = next(a, T0 + 601 * S);
    CHECK(has(r.tls->cert_pem, CERT("2")) && has(r.tls->key_pem, KEY("3")));
    wp_kube_access_free(a);
}

/* --- endpoints ------------------------------------------------------------------------------ */

static void test_endpoints(void)
{
    static const struct {
        const char *text, *base, *host, *basic;
    } cases[] = {
        {"http://192.0.2.1:8080", "http://192.0.2.1:8080", "192.0.2.1:8080", NULL},
        {"https://api.test", "https://api.test", "api.test", NULL},
        {"HTTPS://api.test:1/", "https://api.test:1", "api.test:1", NULL},
        {"https://api.test/k8s/clusters/c-1//?x=y#z", "https://api.test/k8s/clusters/c-1", "api.test", NULL},
        {"https://[2001:db8::1]:6443/a", "https://[2001:db8::1]:6443/a", "[2001:db8::1]:6443", NULL},
        {"https://[2001:db8::1]", "https://[2001:db8::1]", "[2001:db8::1]", NULL},
        {"api.test:6443", "http://api.test:6443", "api.test:6443", NULL},
        {"api.test/", "http://api.test", "api.test", NULL},
        {"https://u:p@a:1/x", "https://a:1/x", "a:1", "Basic dTpw"},
        {"https://u%40x:p%3a%zz@a", "https://a", "a", "Basic dUB4OnA6JXp6"},
        {"http://u@a", "http://a", "a", "Basic dTo="},
    };
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"ftp://a", "unsupported protocol scheme \"ftp\""},
        {"unix:///run/x", "unsupported protocol scheme \"unix\""},
        {"http://", "failed to create kubernetes notification controller: \"host must be a URL or a host:port pair: \\\"http://\\\"\""},
        {"a:1/path", "host:port pair: \\\"a:1/path\\\""},
        {"https://a:0", "host:port pair"},
        {"https://a:65536", "host:port pair"},
        {"https://a:", "host:port pair"},
        {"https://:1", "host:port pair"},
        {"https://a:+1", "host:port pair"},
        {"https://[::1", "host:port pair"},
        {"https://[::1]x", "host:port pair"},
        {"https://a b", "host:port pair"},
        {"https://s3cret@b c", "host:port pair: \\\"b c\\\""},
        {"https://a/b c", "invalid character"},
        {"", "host:port pair"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct wp_kube_source s = {.endpoint = cases[i].text};
        struct wp_kube_access *a = good(&s);
        struct wp_httpc_request r = next(a, T0);
        CHECK_AT(cases[i].text, has(wp_kube_access_base(a), cases[i].base));
        CHECK_AT(cases[i].text, has(wp_kube_access_host(a), cases[i].host));
        CHECK_AT(cases[i].text, has(header(&r, "Authorization"), cases[i].basic));
        CHECK_AT(cases[i].text, (r.tls != NULL) == (strncmp(cases[i].base, "https", 5) == 0));
        wp_kube_access_free(a);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct wp_kube_source s = {.endpoint = bad[i].text};
        struct wp_kube_access *a = NULL;
        CHECK_AT(bad[i].text, wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && a == NULL);
        CHECK_AT(bad[i].text, strstr(why, bad[i].why) != NULL && strstr(why, "s3cret") == NULL);
    }
}

static void test_missing_files(void)
{
    const struct wp_kube_source s = {.endpoint = "https://a:1", .cert = "/a", .key = "/b", .ca = "/c"};
    struct wp_kube_access *a = NULL;

    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && a == NULL);
    CHECK(has(why, "invalid configuration: [unable to read client-cert /a for  due to open /a: no such file or directory, "
                   "unable to read client-key /b for  due to open /b: no such file or directory, unable to read "
                   "certificate-authority /c for  due to open /c: no such file or directory]"));
}

/* --- kubeconfig ----------------------------------------------------------------------------- */

static const char *config(const char *cluster, const char *user)
{
    char text[3000];

    snprintf(text, sizeof(text),
             "clusters:\n- name: c\n  cluster: {%s}\nusers:\n- name: u\n  user: {%s}\ncontexts:\n- name: x\n"
             "  context: {cluster: c, user: u}\ncurrent-context: x\n",
             cluster, user);
    return put("config", text);
}

static void test_kubeconfig(void)
{
    struct wp_kube_source s = {.endpoint = "http://not-this"};
    struct wp_kube_access *a;
    struct wp_httpc_request r;

    s.kubeconfig = config("server: 'https://a:6443', certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==, "
                          "tls-server-name: b, proxy-url: 'socks5://p:1', disable-compression: true",
                          "username: u, password: p, as: who, as-uid: '7', as-groups: [g, h], "
                          "as-user-extra: {'a b/c%': [d, e]}");
    a = good(&s);
    r = next(a, T0);
    CHECK(has(wp_kube_access_base(a), "https://a:6443") && has(r.tls->ca_pem, "-----BEGIN CERTIFICATE-----\n"));
    CHECK(has(r.tls->server_name, "b") && has(r.proxy, "socks5h://p:1") && !r.proxy_env && !r.gzip);
    CHECK(r.n_headers == 8 && has(header(&r, "Authorization"), "Basic dTpw"));
    CHECK(has(header(&r, "Impersonate-User"), "who") && has(header(&r, "Impersonate-Uid"), "7"));
    CHECK(has(header(&r, "Impersonate-Group"), "g") && has(header(&r, "Impersonate-Extra-a%20b%2Fc%25"), "d"));
    wp_kube_access_free(a);

    put("later", "token-file");
    s.kubeconfig = config("server: 'https://a', insecure-skip-tls-verify: true, proxy-url: 'http://p:1'", "token: t, tokenFile: later");
    a = good(&s);
    r = next(a, T0);
    CHECK(r.tls->insecure && r.tls->ca_pem == NULL && has(r.proxy, "http://p:1"));
    CHECK(has(header(&r, "Authorization"), "Bearer token-file"));
    unlink(in_dir("later"));
    wp_kube_access_free(a);
    a = good(&s); /* no such file: the other token */
    r = next(a, T0);
    CHECK(has(header(&r, "Authorization"), "Bearer t"));
    wp_kube_access_free(a);

    put("cert", CERT("1"));
    put("key", KEY("1"));
    s.kubeconfig = config("server: 'https://a'", "client-certificate: cert, client-key: key");
    a = good(&s);
    r = next(a, T0);
    CHECK(has(r.tls->cert_pem, CERT("1")) && has(r.tls->key_pem, KEY("1")) && r.n_headers == 1);
    wp_kube_access_free(a);
}

#define PEM_DATA "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
#define CONTROLLER "failed to create kubernetes notification controller: "

static void test_kubeconfig_flaws(void)
{
    static const struct {
        const char *cluster, *user, *why;
    } cases[] = {
        {"", "", "invalid configuration: no server found for cluster \"c\""},
        {"server: ''", "", "invalid configuration: no server found for cluster \"c\""},
        {"server: 'https://a', certificate-authority: nosuch", "",
         "invalid configuration: unable to read certificate-authority D/nosuch for c due to open D/nosuch: no such file or directory"},
        {"server: 'https://a', certificate-authority: ca, certificate-authority-data: " PEM_DATA, "",
         "invalid configuration: certificate-authority-data and certificate-authority are both specified for c. "
         "certificate-authority-data will override."},
        {"server: 'https://a'", "client-certificate: ca, client-certificate-data: " PEM_DATA ", client-key: ca, client-key-data: " PEM_DATA,
         "invalid configuration: [client-cert-data and client-cert are both specified for u. client-cert-data will override., "
         "client-key-data and client-key are both specified for u; client-key-data will override]"},
        {"server: 'https://a'", "client-certificate: nosuch",
         "invalid configuration: [client-key-data or client-key must be specified for u to use the clientCert authentication "
         "method., unable to read client-cert D/nosuch for u due to open D/nosuch: no such file or directory]"},
        {"server: 'https://a'", "token: a, username: b",
         "invalid configuration: more than one authentication method found for u; found [token basicAuth], only one is allowed"},
        {"server: 'https://a'", "as-groups: [a]",
         "invalid configuration: requesting uid, groups or user-extra for u without impersonating a user"},
        {"server: 'https://a', proxy-url: 'gopher:x'", "",
         "invalid configuration: invalid 'proxy-url' for cluster \"c\": unsupported scheme, must be http, https, or socks5"},
        {"server: 'https://a', certificate-authority-data: YQ==", "",
         CONTROLLER "\"unable to load root certificates: unable to parse bytes as PEM block\""},
        {"server: 'https://a', insecure-skip-tls-verify: true, certificate-authority: ca", "",
         CONTROLLER "\"specifying a root certificates file with the insecure flag is not allowed\""},
        {"server: 'https://a'", "client-certificate-data: YQ==, client-key-data: YQ==",
         CONTROLLER "\"tls: failed to find any PEM data in certificate input\""},
        {"server: 'https://a'", "client-certificate-data: " PEM_DATA ", client-key-data: YQ==",
         CONTROLLER "\"tls: failed to find any PEM data in key input\""},
        {"server: 'https://a'", "token: \"a\\nb\"", "invalid configuration: control character in the token of u"},
        {"server: 'https://a'", "as: \"a\\rb\"", "invalid configuration: control character in the value of Impersonate-User"},
        {"server: 'https://a'", "exec: {command: x}", "error loading config file \"D/config\": line 6: exec: not supported: use token, "
                                                      "tokenFile or a client certificate"},
    };

    put("ca", CERT("A"));
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct wp_kube_source s = {.kubeconfig = config(cases[i].cluster, cases[i].user)};
        struct wp_kube_access *a = NULL;
        char want[WP_KUBE_WHY] = "";

        for (const char *p = cases[i].why; *p != '\0'; p++) /* "D/" stands for the folder */
            snprintf(want + strlen(want), sizeof(want) - strlen(want), "%.*s", *p == 'D' && p[1] == '/' ? (int)strlen(dir) : 1,
                     *p == 'D' && p[1] == '/' ? dir : p);
        CHECK_AT(cases[i].why, wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && a == NULL);
        if (!has(why, want))
            print_error("%s\n%s\n", why, want);
        CHECK_AT(cases[i].why, has(why, want));
    }
}

/* Over http: nobody looks at certificates. */
static void test_http_needs_no_pem(void)
{
    const struct wp_kube_source s = {
        .kubeconfig = config("server: 'http://a', certificate-authority-data: YQ==", "client-certificate-data: YQ==, client-key-data: YQ==")};
    struct wp_kube_access *a = good(&s);
    struct wp_httpc_request r = next(a, T0);

    CHECK(r.tls == NULL);
    wp_kube_access_free(a);
}

static void test_kubeconfig_file(void)
{
    char want[600];
    struct wp_kube_source s = {.kubeconfig = in_dir("nosuch"), .account_dir = dir};
    struct wp_kube_access *a = NULL;

    snprintf(want, sizeof(want), "stat %s: no such file or directory", s.kubeconfig);
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, want));
    s.kubeconfig = dir;
    snprintf(want, sizeof(want), "error loading config file \"%s\": read %s: is a directory", dir, dir);
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, want));

    /* one that chooses nothing: the Pod's account, if this is a Pod */
    s.kubeconfig = put("config", "# nothing\n");
    account_env(NULL, NULL);
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && strstr(why, "no configuration has been provided") != NULL);
    account_env("10.96.0.1", "443");
    unlink(in_dir("token"));
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && strstr(why, "no configuration has been provided") != NULL);
    put("token", "t");
    a = good(&s);
    CHECK(has(wp_kube_access_base(a), "https://10.96.0.1:443"));
    wp_kube_access_free(a);
    s.context = "x";
    CHECK(wp_kube_access_new(&s, T0, why, &a) == WP_ECONFIG && has(why, "context \"x\" does not exist"));
}

static int set_up(void **state)
{
    (void)state;
    CHECK(mkdtemp(dir) != NULL);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"token", "ca.crt", "ca", "cert", "key", "config", "later"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(in_dir(names[i]));
    return rmdir(dir);
}

RUN_TESTS_WITH(set_up, tear_down, TEST(test_account), TEST(test_no_account), TEST(test_token_file), TEST(test_ca_file), TEST(test_no_ca),
               TEST(test_pair), TEST(test_endpoints), TEST(test_missing_files), TEST(test_kubeconfig), TEST(test_kubeconfig_flaws),
               TEST(test_http_needs_no_pem), TEST(test_kubeconfig_file))
