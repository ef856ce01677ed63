/* The HTTP client's way to the server: names, TLS, proxies. Names are looked up by this program: CMake
 * exports its symbols, so that libcurl finds the getaddrinfo below. */
#include "http_world.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <sys/time.h>

/* --- names --------------------------------------------------------------------------------- */

typedef int getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
static getaddrinfo_fn *real_getaddrinfo;
static atomic_bool slow_may_end;
static atomic_uint slow_asked;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret)
{
    if (node != NULL && strcmp(node, "slow.test") == 0) {
        atomic_fetch_add(&slow_asked, 1);
        while (!atomic_load(&slow_may_end))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        return EAI_NONAME;
    }
    if (node != NULL && strcmp(node, "none.test") == 0)
        return EAI_NONAME;
    if (node != NULL && strstr(node, ".test") != NULL)
        node = "127.0.0.1";
    return real_getaddrinfo(node, service, hints, ret);
}

static void test_no_such_name(void)
{
    struct got *g = call_new("http://none.test/", false);

    call_run(g);
    CHECK(g->err == WP_EUNREACHABLE && strcmp(g->text, "none.test:80: no such host") == 0);
    call_free(g);
}

/* A resolver that hangs holds up its own call only, and not longer than that wants to wait. */
static void test_slow_name(void)
{
    struct got *slow = call_new("http://slow.test/", false), *g, *dropped;

    slow->r.connect_ms = 300;
    http->post(&slow->post);
    WAIT_FOR(atomic_load(&slow_asked) == 1);
    g = call_new(url(server.plain, "/hello"), false);
    call_run(g);
    CHECK(g->err == 0);
    call_free(g);
    WAIT_FOR(atomic_load(&slow->done));
    CHECK(slow->err == WP_ETIMEOUT && strcmp(slow->text, "slow.test:80: no connection in time") == 0);
    call_free(slow);
    dropped = call_new("http://slow.test/", false);
    http->post(&dropped->post);
    WAIT_FOR(atomic_load(&slow_asked) == 2);
    visit(drop_it, dropped);
    visit(nothing, NULL); /* comes although the name is still being looked up */
    CHECK(dropped->ends == 0);
    call_free(dropped);
    atomic_store(&slow_may_end, true);
}

/* --- TLS ----------------------------------------------------------------------------------- */

/* The test's CA in a folder of its own, under the name by which OpenSSL finds it. */
static const char *ca_folder(void)
{
    static char path[200];
    char file[260];
    FILE *f = fopen(cert_path("ca.pem"), "re");
    X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

    CHECK(x != NULL);
    fclose(f);
    snprintf(path, sizeof(path), "%s", cert_path("cas"));
    mkdir(path, 0700);
    snprintf(file, sizeof(file), "%s/%08lx.0", path, X509_subject_name_hash(x));
    CHECK(symlink(cert_path("ca.pem"), file) == 0 || errno == EEXIST);
    X509_free(x);
    return path;
}

static void test_tls(void)
{
    const struct {
        const char *what;
        int port;
        struct wp_httpc_tls tls;
        const char *host; /* NULL: 127.0.0.1 */
        int err;
        const char *text;
    } cases[] = {
        {"CA as text", server.tls, {.ca_pem = server.ca}, NULL, 0, ""},
        {"CA as a file", server.tls, {.ca_file = cert_path("ca.pem")}, NULL, 0, ""},
        {"folder of CAs", server.tls, {.ca_dir = ca_folder()}, NULL, 0, ""},
        {"folder of CAs, without this one", server.stranger, {.ca_dir = ca_folder()}, NULL, WP_ETLS, "signed by an unknown authority"},
        {"folder of CAs, beside a file", server.tls, {.ca_dir = ca_folder(), .ca_file = cert_path("stranger.pem")}, NULL, 0, ""},
        {"by name", server.tls, {.ca_pem = server.ca}, "api.test", 0, ""},
        {"no CA of ours", server.tls, {0}, NULL, WP_ETLS, "signed by an unknown authority"},
        {"empty CA", server.tls, {.ca_pem = ""}, NULL, WP_ETLS, "no CA certificate"},
        {"text without a CA", server.tls, {.ca_pem = "text\n"}, NULL, WP_ETLS, "no CA certificate"},
        {"no such CA file", server.tls, {.ca_file = "/nosuch"}, NULL, WP_ETLS, "no CA certificate"},
        {"another CA", server.stranger, {.ca_pem = server.ca}, NULL, WP_ETLS, "signed by an unknown authority"},
        {"expired", server.expired, {.ca_pem = server.ca}, NULL, WP_ETLS, "certificate has expired"},
        {"wrong name", server.wrong, {.ca_pem = server.ca}, "api.test", WP_ETLS, "not for this name"},
        {"asked by its name", server.wrong, {.ca_pem = server.ca, .server_name = "else.test"}, "api.test", 0, ""},
        {"asked by an address", server.wrong, {.ca_pem = server.ca, .server_name = "127.0.0.1"}, "api.test", 0, ""},
        {"asked by another name", server.tls, {.ca_pem = server.ca, .server_name = "no.test"}, NULL, WP_ETLS, "not for this name"},
        {"insecure: another CA", server.stranger, {.insecure = true}, NULL, 0, ""},
        {"insecure: expired, wrong name", server.expired, {.insecure = true}, "b.test", 0, ""},
        {"key of another certificate", server.client,
         {.ca_pem = server.ca, .cert_file = cert_path("user.pem"), .key_file = cert_path("key.pem")}, NULL, WP_ETLS,
         "our client certificate or its key is not usable"},
        {"client certificate", server.client,
         {.ca_pem = server.ca, .cert_file = cert_path("user.pem"), .key_file = cert_path("user.key")}, NULL, 0, ""},
        {"client certificate that is none", server.client,
         {.ca_pem = server.ca, .cert_pem = "text", .key_pem = "text"}, NULL, WP_ETLS,
         "our client certificate or its key is not usable"},
        {"server speaks no TLS", server.plain, {.ca_pem = server.ca}, NULL, WP_ETLS, "TLS: "},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[100], peer[60];
        struct got *g;

        snprintf(peer, sizeof(peer), "%s:%d: ", cases[i].host != NULL ? cases[i].host : "127.0.0.1", cases[i].port);
        snprintf(text, sizeof(text), "https://%.*s/hello", (int)strlen(peer) - 2, peer);
        g = call_new(text, false);
        g->r.tls = &cases[i].tls;
        call_run(g);
        if (g->err != cases[i].err || strstr(g->text, cases[i].text) == NULL)
            print_error("%s: %d %s\n", cases[i].what, g->err, g->text);
        CHECK_AT(cases[i].what, g->err == cases[i].err && strstr(g->text, cases[i].text) != NULL);
        CHECK_AT(cases[i].what, g->err == 0 ? g->status == 200 : strstr(g->text, peer) == g->text);
        call_free(g);
    }
}

/* With TLS 1.3 the refusal comes after the handshake, and may be overtaken by the end of the connection. */
static void test_no_client_certificate(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *g = call_new(url(server.client, "/hello"), false);

    g->r.tls = &tls;
    call_run(g);
    CHECK(g->status == 0 && ((g->err == WP_ETLS && strstr(g->text, "alert certificate required") != NULL) ||
                             (g->err == WP_ECLOSED && strstr(g->text, ": connection ") != NULL)));
    call_free(g);
}

static void test_client_certificate_as_text(void)
{
    char cert[4096], key[4096];
    struct wp_httpc_tls tls = {.ca_pem = server.ca, .cert_pem = cert, .key_pem = key};
    struct got *g = call_new(url(server.client, "/hello"), false);

    read_file(cert_path("user.pem"), cert, sizeof(cert));
    read_file(cert_path("user.key"), key, sizeof(key));
    g->r.tls = &tls;
    call_run(g);
    CHECK(g->err == 0 && g->status == 200);
    call_free(g);
}

/* The server is asked for by one name and told the other: the URL's. */
static void test_server_name_keeps_host(void)
{
    for (int http1 = 0; http1 < 2; http1++) {
        struct wp_httpc_tls tls = {.ca_pem = server.ca, .server_name = "else.test"};
        char text[80], want[80];
        struct got *g;

        snprintf(text, sizeof(text), "https://api.test:%d/echo", server.wrong);
        snprintf(want, sizeof(want), http1 ? "\nhost: api.test:%d\n" : "\n:authority: api.test:%d\n", server.wrong);
        g = call_new(text, false);
        g->r.tls = &tls;
        g->r.http1 = http1 == 1;
        call_run(g);
        CHECK(g->err == 0 && strstr(g->body, want) != NULL);
        call_free(g);
    }
    {
        struct wp_httpc_tls tls = {.ca_pem = server.ca, .server_name = "no name"};
        struct got *g = call_new(url(server.tls, "/hello"), false);
        g->r.tls = &tls;
        call_run(g);
        CHECK(g->started == WP_ECONFIG);
        call_free(g);
    }
}

/* A connection made with other CAs is not taken. */
static void test_new_ca_new_connection(void)
{
    struct wp_httpc_tls tls = trusting();
    struct got *g = call_new(url(server.tls, "/hello"), false);
    char other[4096];

    g->r.tls = &tls;
    call_run(g);
    CHECK(g->err == 0);
    call_free(g);
    read_file(cert_path("stranger.pem"), other, sizeof(other));
    tls.ca_pem = other;
    g = call_new(url(server.tls, "/hello"), false);
    g->r.tls = &tls;
    call_run(g);
    CHECK(g->err == WP_ETLS);
    call_free(g);
}

/* --- proxies ------------------------------------------------------------------------------- */

static void test_proxy(void)
{
    char proxy[60], text[80];
    const struct {
        const char *what, *host, *variable, *value, *given;
        bool env, secure;
        int err;
        bool through; /* an http: request, in absolute form */
    } cases[] = {
        {"none", "api.test", "http_proxy", proxy, NULL, false, false, 0, false},
        {"http_proxy", "api.test", "http_proxy", proxy, NULL, true, false, 0, true},
        {"HTTP_PROXY", "api.test", "HTTP_PROXY", proxy, NULL, true, false, 0, true},
        {"of the other scheme", "api.test", "HTTPS_PROXY", proxy, NULL, true, false, 0, false},
        {"NO_PROXY", "past.test", "http_proxy", proxy, NULL, true, false, 0, false},
        {"loopback", "127.0.0.1", "http_proxy", proxy, NULL, true, false, 0, false},
        {"localhost", "localhost", "http_proxy", proxy, NULL, true, false, 0, false},
        {"given", "api.test", NULL, NULL, proxy, false, false, 0, true},
        {"given, not the environment's", "api.test", "http_proxy", "http://none.test:1", proxy, true, false, 0, true},
        {"no such proxy", "api.test", "http_proxy", "http://none.test:1", NULL, true, false, WP_EUNREACHABLE, false},
        {"HTTPS_PROXY", "api.test", "HTTPS_PROXY", proxy, NULL, true, true, 0, false},
        {"https_proxy", "api.test", "https_proxy", "http://none.test:1", NULL, true, true, WP_EUNREACHABLE, false},
        {"tunnel refused", "refused.test", "https_proxy", proxy, NULL, true, true, WP_ECLOSED, false},
    };

    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", server.plain);
    setenv("NO_PROXY", "past.test", 1);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_httpc_tls tls = trusting();
        struct got *g;

        if (cases[i].variable != NULL)
            setenv(cases[i].variable, cases[i].value, 1);
        snprintf(text, sizeof(text), "http%s://%s:%d/echo", cases[i].secure ? "s" : "", cases[i].host,
                 cases[i].secure ? server.tls : server.plain);
        g = call_new(text, false);
        g->r.tls = &tls;
        g->r.proxy = cases[i].given;
        g->r.proxy_env = cases[i].env;
        call_run(g);
        if (g->err != cases[i].err)
            print_error("%s: %d %s\n", cases[i].what, g->err, g->text);
        CHECK_AT(cases[i].what, g->err == cases[i].err);
        CHECK_AT(cases[i].what, (strstr(g->body, "GET http://") == g->body) == cases[i].through);
        if (cases[i].variable != NULL)
            unsetenv(cases[i].variable);
        call_free(g);
    }
}

static int set_up(void **state)
{
    real_getaddrinfo = (getaddrinfo_fn *)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");
    CHECK(real_getaddrinfo != NULL);
    return http_set_up(state);
}

RUN_TESTS_WITH(set_up, http_tear_down, TEST(test_no_such_name), TEST(test_slow_name), TEST(test_tls), TEST(test_no_client_certificate),
               TEST(test_client_certificate_as_text), TEST(test_server_name_keeps_host),
               TEST(test_new_ca_new_connection), TEST(test_proxy))
