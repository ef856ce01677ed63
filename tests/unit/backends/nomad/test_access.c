/* How agents are reached: lines and environment, addresses, what each request carries, files that change. */
#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/nomad/access.h"

#define PEM(word, text) "-----BEGIN " word "-----\n" text "\n-----END " word "-----\n"
#define CERT(text) PEM("CERTIFICATE", text)
#define KEY(text) PEM("EC PRIVATE KEY", text)

static const uint64_t MS = 1000000u, T0 = 1000000000000u;
static char dir[] = "/tmp/waypost-nomad-access-XXXXXX";
static char why[256];

static const char *const variables[] = {
    "NOMAD_ADDR",         "NOMAD_TOKEN",       "NOMAD_REGION",     "NOMAD_NAMESPACE",
    "NOMAD_HTTP_AUTH",    "NOMAD_CACERT",      "NOMAD_CAPATH",     "NOMAD_CLIENT_CERT",
    "NOMAD_CLIENT_KEY",   "NOMAD_TLS_SERVER_NAME", "NOMAD_SKIP_VERIFY",
};

static void clear_environment(void)
{
    for (size_t i = 0; i < COUNT(variables); i++)
        unsetenv(variables[i]);
}

/* "NAME" in the test's folder; one of eight buffers in turn. */
static const char *path_of(const char *name)
{
    static char path[8][200];
    static unsigned n;
    char *p = path[n++ % COUNT(path)];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    return p;
}

/* As whoever rotates secrets does it: never a file that is half written. */
static const char *store(const char *name, const char *text)
{
    char temp[220];
    FILE *f;

    snprintf(temp, sizeof(temp), "%s.new", path_of(name));
    f = fopen(temp, "we");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    CHECK(rename(temp, path_of(name)) == 0);
    return path_of(name);
}

static struct wp_nomad_access *open_good(const struct wp_nomad_agents *g)
{
    struct wp_nomad_access *a = NULL;
    int r = wp_nomad_access_new(g, why, &a);

    if (r != 0)
        print_error("%d %s\n", r, why);
    CHECK(r == 0 && a != NULL);
    return a;
}

static struct wp_httpc_request ask(struct wp_nomad_access *a, unsigned agent, const char *path)
{
    struct wp_httpc_request r = {.total_ms = 5000, .connect_ms = 700};
    int err = wp_nomad_access_request(a, agent, path, &r, why);

    if (err != 0)
        print_error("%d %s\n", err, why);
    CHECK(err == 0 && r.total_ms == 5000 && r.connect_ms == 700 && r.http1 && r.gzip && r.method == NULL);
    return r;
}

static const char *header(const struct wp_httpc_request *r, const char *name)
{
    for (size_t i = 0; i < r->n_headers; i++)
        if (strcmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return NULL;
}

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* --- addresses --------------------------------------------------------------------------------- */

static const struct {
    const char *address, *name, *url, *socket, *basic;
} addresses[] = {
    {"http://127.0.0.1:4646", "127.0.0.1:4646", "http://127.0.0.1:4646/v1/x", NULL, NULL},
    {"https://nomad.example:4646/", "nomad.example:4646", "https://nomad.example:4646/v1/x", NULL, NULL},
    {"HTTP://Nomad", "Nomad", "http://Nomad/v1/x", NULL, NULL},
    {"http://[2001:db8::1]:4646", "[2001:db8::1]:4646", "http://[2001:db8::1]:4646/v1/x", NULL, NULL},
    {"http://[::1]", "[::1]", "http://[::1]/v1/x", NULL, NULL},
    {"http://a:65535", "a:65535", "http://a:65535/v1/x", NULL, NULL},
    {"http://a:1/ui/jobs?x=y#z", "a:1", "http://a:1/v1/x", NULL, NULL},
    {"http://a?region=eu", "a", "http://a/v1/x", NULL, NULL},
    {"http://user:pass@a:1", "a:1", "http://a:1/v1/x", NULL, "Basic dXNlcjpwYXNz"},
    {"https://user@a", "a", "https://a/v1/x", NULL, "Basic dXNlcjo="},
    {"http://u%40x:p%3a@a", "a", "http://a/v1/x", NULL, "Basic dUB4OnA6"},
    {"unix:///secrets/api.sock", "unix:///secrets/api.sock", "http://127.0.0.1/v1/x",
     "/secrets/api.sock", NULL},
    {"unix:/secrets/api.sock", "unix:///secrets/api.sock", "http://127.0.0.1/v1/x", "/secrets/api.sock",
     NULL},
    {"UNIX:///x", "unix:///x", "http://127.0.0.1/v1/x", "/x", NULL},
};

static void test_addresses(void)
{
    clear_environment();
    for (size_t i = 0; i < COUNT(addresses); i++) {
        const char *what = addresses[i].address;
        const struct wp_nomad_agents g = {.addresses = &what, .n_addresses = 1};
        struct wp_nomad_access *a = open_good(&g);
        struct wp_httpc_request r = ask(a, 0, "/v1/x");
        CHECK_AT(what, wp_nomad_access_n(a) == 1 && same(wp_nomad_access_name(a, 0), addresses[i].name));
        CHECK_AT(what, same(r.url, addresses[i].url) && same(r.unix_path, addresses[i].socket));
        CHECK_AT(what, same(header(&r, "Authorization"), addresses[i].basic));
        CHECK_AT(what, header(&r, "X-Nomad-Token") == NULL);
        CHECK_AT(what, (r.tls != NULL) == (strncmp(r.url, "https", 5) == 0));
        CHECK_AT(what, r.proxy == NULL && r.proxy_env == (addresses[i].socket == NULL));
        CHECK_AT(what, strstr(wp_nomad_access_identity(a), "pass") == NULL);
        wp_nomad_access_free(a);
    }
    wp_nomad_access_free(NULL);
}

#define LONG "/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
static const struct {
    const char *address, *why;
} refused[] = {
    {"127.0.0.1:4646", "invalid address '127.0.0.1:4646': it begins with none of http://, https://, unix://"},
    {"localhost:4646", "invalid address 'localhost:4646': it begins with none of http://, https://, unix://"},
    {"", "invalid address '': it begins with none of http://, https://, unix://"},
    {"ftp://a", "invalid address 'ftp://a': it begins with none of http://, https://, unix://"},
    {"http:/a", "invalid address 'http:/a': it begins with none of http://, https://, unix://"},
    {"http://", "invalid address 'http://': no host, or a port beyond 1 to 65535"},
    {"http://:4646", "invalid address 'http://:4646': no host, or a port beyond 1 to 65535"},
    {"http://a:0", "invalid address 'http://a:0': no host, or a port beyond 1 to 65535"},
    {"http://a:65536", "invalid address 'http://a:65536': no host, or a port beyond 1 to 65535"},
    {"http://a b", "invalid address 'http://a b': no host, or a port beyond 1 to 65535"},
    {"http://[::1", "invalid address 'http://[::1': no host, or a port beyond 1 to 65535"},
    {"http://user:secret@", "invalid address 'http://***@': no host, or a port beyond 1 to 65535"},
    {"http://user:sec@ret@a b", "invalid address 'http://***@a b': no host, or a port beyond 1 to 65535"},
    {"user:secret@a", "invalid address '***@a': it begins with none of http://, https://, unix://"},
    {"unix://", "invalid address 'unix://': no path of a socket: unix:///PATH"},
    {"unix:///", "invalid address 'unix:///': no path of a socket: unix:///PATH"},
    {"unix://secrets/api.sock", "invalid address 'unix://secrets/api.sock': no path of a socket: unix:///PATH"},
    {"unix://" LONG "4567890", "invalid address 'unix://" LONG "4567890': the path is too long for a socket"},
};

static void test_refused_addresses(void)
{
    clear_environment();
    for (size_t i = 0; i < COUNT(refused); i++) {
        const char *two[] = {"http://a", refused[i].address};
        const struct wp_nomad_agents g = {.addresses = two, .n_addresses = 2}, none = {0};
        struct wp_nomad_access *a = NULL;
        int r = wp_nomad_access_new(&g, why, &a);
        if (!same(why, refused[i].why))
            print_error("'%s'\n", why);
        CHECK_AT(refused[i].address, r == WP_ECONFIG && same(why, refused[i].why) && a == NULL);
        if (refused[i].address[0] == '\0')
            continue;
        setenv("NOMAD_ADDR", refused[i].address, 1);
        CHECK_AT(refused[i].address, wp_nomad_access_new(&none, why, &a) == WP_ECONFIG);
        unsetenv("NOMAD_ADDR");
    }
}

static void test_many_addresses(void)
{
    const char *many[WP_NOMAD_ADDRESSES_MAX + 1];
    struct wp_nomad_agents g = {.addresses = many, .n_addresses = WP_NOMAD_ADDRESSES_MAX};
    struct wp_nomad_access *a;

    clear_environment();
    setenv("NOMAD_HTTP_AUTH", "all", 1);
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = i == 1 ? "http://own@b" : i == 2 ? "unix:///c" : "http://a";
    a = open_good(&g);
    CHECK(wp_nomad_access_n(a) == WP_NOMAD_ADDRESSES_MAX && same(wp_nomad_access_name(a, 1), "b"));
    for (unsigned i = 0; i < 3; i++) {
        struct wp_httpc_request r = ask(a, i, "/v1/x");
        CHECK(same(header(&r, "Authorization"), i == 1 ? "Basic b3duOg==" : "Basic YWxsOg=="));
    }
    wp_nomad_access_free(a);
    g.n_addresses++;
    CHECK(wp_nomad_access_new(&g, why, &a) == WP_ECONFIG && same(why, "more than 32 addresses"));
}

/* --- lines and environment --------------------------------------------------------------------- */

#define PATH "/v1/service/web?namespace=default"

static const struct {
    const char *what, *env[4][2];
    struct wp_nomad_agents g;
    const char *path, *url, *token, *basic; /* path NULL: PATH */
} environment[] = {
    {"nothing said", {{0}}, {0}, NULL, "http://127.0.0.1:4646" PATH, NULL, NULL},
    {"NOMAD_ADDR", {{"NOMAD_ADDR", "https://a:1/"}}, {0}, NULL, "https://a:1" PATH, NULL, NULL},
    {"NOMAD_ADDR empty", {{"NOMAD_ADDR", ""}}, {0}, NULL, "http://127.0.0.1:4646" PATH, NULL, NULL},
    {"NOMAD_ADDR with a user", {{"NOMAD_ADDR", "http://u:p@a"}, {"NOMAD_HTTP_AUTH", "x:y"}}, {0}, NULL,
     "http://a" PATH, NULL, "Basic dTpw"},
    {"NOMAD_TOKEN", {{"NOMAD_TOKEN", "env\n"}}, {0}, NULL, "http://127.0.0.1:4646" PATH, "env", NULL},
    {"token wins", {{"NOMAD_TOKEN", "env"}}, {.token = "line"}, NULL, "http://127.0.0.1:4646" PATH,
     "line", NULL},
    {"an empty token says nothing", {{"NOMAD_TOKEN", "env"}}, {.token = ""}, NULL,
     "http://127.0.0.1:4646" PATH, "env", NULL},
    {"NOMAD_REGION", {{"NOMAD_REGION", "eu"}}, {0}, NULL, "http://127.0.0.1:4646" PATH "&region=eu",
     NULL, NULL},
    {"region wins", {{"NOMAD_REGION", "eu"}}, {.region = "us west/1"}, "/v1/x",
     "http://127.0.0.1:4646/v1/x?region=us%20west%2F1", NULL, NULL},
    {"NOMAD_NAMESPACE is not for reads of a namespace", {{"NOMAD_NAMESPACE", "ops"}}, {0}, NULL,
     "http://127.0.0.1:4646" PATH, NULL, NULL},
    {"nor for those of all", {{"NOMAD_NAMESPACE", "ops"}}, {0}, "/v1/services?index=1&namespace=*",
     "http://127.0.0.1:4646/v1/services?index=1&namespace=*", NULL, NULL},
    {"NOMAD_NAMESPACE", {{"NOMAD_NAMESPACE", "ops"}}, {0}, "/v1/agent/self",
     "http://127.0.0.1:4646/v1/agent/self?namespace=ops", NULL, NULL},
    {"NOMAD_NAMESPACE and region", {{"NOMAD_NAMESPACE", "ops"}, {"NOMAD_REGION", "eu"}}, {0},
     "/v1/x?filter=namespace", "http://127.0.0.1:4646/v1/x?filter=namespace&region=eu&namespace=ops",
     NULL, NULL},
    {"both first", {{"NOMAD_NAMESPACE", "ops"}, {"NOMAD_REGION", "eu"}}, {0}, "/v1/x",
     "http://127.0.0.1:4646/v1/x?region=eu&namespace=ops", NULL, NULL},
    {"NOMAD_HTTP_AUTH", {{"NOMAD_HTTP_AUTH", "u:p:q"}, {"NOMAD_TOKEN", "t"}}, {0}, NULL,
     "http://127.0.0.1:4646" PATH, "t", "Basic dTpwOnE="},
    {"NOMAD_HTTP_AUTH without password", {{"NOMAD_HTTP_AUTH", "u"}}, {0}, NULL,
     "http://127.0.0.1:4646" PATH, NULL, "Basic dTo="},
};

static void test_environment(void)
{
    for (size_t i = 0; i < COUNT(environment); i++) {
        const char *what = environment[i].what;
        struct wp_nomad_access *a;
        struct wp_httpc_request r;
        clear_environment();
        for (size_t j = 0; environment[i].env[j][0] != NULL; j++)
            setenv(environment[i].env[j][0], environment[i].env[j][1], 1);
        a = open_good(&environment[i].g);
        clear_environment(); /* all of it was read when it was made */
        r = ask(a, 0, environment[i].path != NULL ? environment[i].path : PATH);
        if (!same(r.url, environment[i].url))
            print_error("%s\n", r.url);
        CHECK_AT(what, same(r.url, environment[i].url));
        CHECK_AT(what, same(header(&r, "X-Nomad-Token"), environment[i].token));
        CHECK_AT(what, same(header(&r, "Authorization"), environment[i].basic));
        wp_nomad_access_free(a);
    }
}

static void test_refused_words(void)
{
    static const struct {
        const char *what, *env[2][2];
        struct wp_nomad_agents g;
        const char *why;
    } rows[] = {
        {"two tokens", {{0}}, {.token = "a", .token_file = "/b"},
         "token and token_file exclude each other"},
        {"token with a line end", {{0}}, {.token = "a\r\nX: y"},
         "the token cannot be used: a control character in the token"},
        {"NOMAD_TOKEN of blanks", {{"NOMAD_TOKEN", " "}}, {0},
         "the token cannot be used: no token in it"},
        {"certificate without key", {{0}}, {.cert_file = "/c"},
         "Both client cert and client key must be provided"},
        {"key without certificate", {{0}}, {.key_file = "/k"},
         "Both client cert and client key must be provided"},
        {"NOMAD_CLIENT_CERT alone", {{"NOMAD_CLIENT_CERT", "/c"}}, {0},
         "Both client cert and client key must be provided"},
        {"NOMAD_CLIENT_KEY alone", {{"NOMAD_CLIENT_KEY", "/k"}}, {0},
         "Both client cert and client key must be provided"},
        {"half a pair each", {{"NOMAD_CLIENT_KEY", "/k"}}, {.cert_file = "/c"},
         "Both client cert and client key must be provided"},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_nomad_access *a = NULL;
        int r;
        clear_environment();
        if (rows[i].env[0][0] != NULL)
            setenv(rows[i].env[0][0], rows[i].env[0][1], 1);
        r = wp_nomad_access_new(&rows[i].g, why, &a);
        CHECK_AT(rows[i].what, r == WP_ECONFIG && same(why, rows[i].why) && a == NULL);
    }
}

/* --- TLS --------------------------------------------------------------------------------------- */

static void test_tls_of_environment(void)
{
    static const char *const secure = "https://a";
    const struct wp_nomad_agents g = {.addresses = &secure, .n_addresses = 1};
    struct wp_nomad_access *a;
    struct wp_httpc_request r;

    clear_environment();
    a = open_good(&g);
    r = ask(a, 0, "/v1/x");
    CHECK(r.tls->ca_pem == NULL && r.tls->cert_pem == NULL && r.tls->key_pem == NULL);
    CHECK(r.tls->server_name == NULL && !r.tls->insecure);
    wp_nomad_access_free(a);
    setenv("NOMAD_CACERT", store("ca", CERT("A")), 1);
    setenv("NOMAD_CAPATH", "/nowhere", 1); /* the file wins */
    setenv("NOMAD_CLIENT_CERT", store("cert", CERT("C")), 1);
    setenv("NOMAD_CLIENT_KEY", store("key", KEY("K")), 1);
    setenv("NOMAD_TLS_SERVER_NAME", "server.global.nomad", 1);
    a = open_good(&g);
    r = ask(a, 0, "/v1/x");
    CHECK(same(r.tls->ca_pem, CERT("A")) && same(r.tls->cert_pem, CERT("C")) && same(r.tls->key_pem, KEY("K")));
    CHECK(same(r.tls->server_name, "server.global.nomad") && !r.tls->insecure);
    wp_nomad_access_free(a);
}

static void test_tls_of_lines(void)
{
    static const char *const both[] = {"https://a", "http://b"};
    struct wp_nomad_agents g = {.addresses = both, .n_addresses = 2, .server_name = "line"};
    struct wp_nomad_access *a;
    struct wp_httpc_request r;

    clear_environment();
    setenv("NOMAD_CACERT", "/nowhere", 1);
    setenv("NOMAD_CLIENT_CERT", "/nowhere", 1);
    setenv("NOMAD_CLIENT_KEY", "/nowhere", 1);
    setenv("NOMAD_TLS_SERVER_NAME", "environment", 1);
    g.ca_file = store("ca", CERT("A"));
    g.cert_file = store("cert", CERT("C"));
    g.key_file = store("key", KEY("K"));
    a = open_good(&g);
    r = ask(a, 0, "/v1/x");
    CHECK(same(r.tls->ca_pem, CERT("A")) && same(r.tls->cert_pem, CERT("C")) && same(r.tls->key_pem, KEY("K")));
    CHECK(same(r.tls->server_name, "line"));
    CHECK(ask(a, 1, "/v1/x").tls == NULL);
    wp_nomad_access_free(a);
}

/* In clear no file of TLS is asked for. */
static void test_tls_not_needed(void)
{
    const struct wp_nomad_agents g = {.ca_file = "/nowhere", .cert_file = "/nowhere", .key_file = "/nowhere"};
    struct wp_nomad_access *a;

    clear_environment();
    a = open_good(&g);
    CHECK(ask(a, 0, "/v1/x").tls == NULL);
    wp_nomad_access_free(a);
}

static void test_skip_verify(void)
{
    static const struct {
        const char *value;
        bool line, insecure;
    } rows[] = {{"1", false, true},     {"t", false, true},    {"TRUE", false, true},
                {"True", false, true},  {"true", false, true}, {"T", false, true},
                {"0", false, false},    {"false", false, false}, {"yes", false, false},
                {"tRUE", false, false}, {"", false, false},    {"0", true, true}};
    static const char *const secure = "https://a";

    clear_environment();
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct wp_nomad_agents g = {
            .addresses = &secure, .n_addresses = 1, .insecure = rows[i].line};
        struct wp_nomad_access *a;
        setenv("NOMAD_SKIP_VERIFY", rows[i].value, 1);
        a = open_good(&g);
        CHECK_AT(rows[i].value, ask(a, 0, "/v1/x").tls->insecure == rows[i].insecure);
        wp_nomad_access_free(a);
    }
}

/* Every certificate of a folder, whatever its file is called; hidden files, folders and what holds none are
 * passed over. */
static void test_ca_folder(void)
{
    static const char *const secure = "https://a";
    struct wp_nomad_agents g = {.addresses = &secure, .n_addresses = 1};
    struct wp_httpc_request r;
    struct wp_nomad_access *a;
    unsigned generation;

    clear_environment();
    CHECK(mkdir(path_of("cas"), 0700) == 0 && mkdir(path_of("cas/sub"), 0700) == 0);
    store("cas/README", "none here");
    store("cas/.hidden", CERT("H"));
    g.ca_dir = path_of("cas");
    a = open_good(&g);
    CHECK(wp_nomad_access_request(a, 0, "/v1/x", &(struct wp_httpc_request){0}, why) == WP_ECONFIG);
    CHECK(strncmp(why, "CA folder ", 10) == 0 && strstr(why, ": no certificate in it") != NULL);
    store("cas/b.pem", CERT("B"));
    store("cas/a.crt", CERT("A"));
    r = ask(a, 0, "/v1/x");
    CHECK(same(r.tls->ca_pem, CERT("A") "\n" CERT("B") "\n"));
    generation = wp_nomad_access_generation(a, T0, true);
    store("cas/c", CERT("C"));
    CHECK(wp_nomad_access_generation(a, T0 + WP_NOMAD_FILES_MS * MS, false) == generation + 1);
    CHECK(unlink(path_of("cas/a.crt")) == 0);
    CHECK(wp_nomad_access_generation(a, T0 + 2 * WP_NOMAD_FILES_MS * MS, false) == generation + 2);
    r = ask(a, 0, "/v1/x");
    CHECK(same(r.tls->ca_pem, CERT("B") "\n" CERT("C") "\n"));
    wp_nomad_access_free(a);
}

/* --- files that change ------------------------------------------------------------------------- */

static const char *token_now(struct wp_nomad_access *a)
{
    struct wp_httpc_request r = ask(a, 0, "/v1/x");

    return header(&r, "X-Nomad-Token");
}

static void test_token_file(void)
{
    struct wp_nomad_agents g = {.token_file = path_of("token")};
    struct wp_nomad_access *a;
    uint64_t now = T0;
    unsigned generation;

    clear_environment();
    setenv("NOMAD_TOKEN", "environment", 1);
    unlink(path_of("token"));
    a = open_good(&g); /* the file may come later: a task's token is written when the task starts */
    CHECK(wp_nomad_access_request(a, 0, "/v1/x", &(struct wp_httpc_request){0}, why) == WP_ECONFIG);
    CHECK(strncmp(why, "token file /tmp/", 16) == 0 && strstr(why, ": no such file or directory") != NULL);
    store("token", " one\n");
    CHECK(same(token_now(a), "one"));
    generation = wp_nomad_access_generation(a, now, false);
    store("token", "two");
    CHECK(wp_nomad_access_generation(a, now + WP_NOMAD_FILES_MS * MS - 1, false) == generation);
    CHECK(same(token_now(a), "one"));
    now += WP_NOMAD_FILES_MS * MS;
    CHECK(wp_nomad_access_generation(a, now, false) == ++generation && same(token_now(a), "two"));
    store("token", "three"); /* after a 403 at once */
    CHECK(wp_nomad_access_generation(a, now + 1, true) == ++generation && same(token_now(a), "three"));
    store("token", "three\n"); /* written again */
    CHECK(wp_nomad_access_generation(a, now + 2, true) == generation);
    wp_nomad_access_free(a);
}

/* What is not good leaves all as it was, until it is good again. */
static void test_token_goes_bad(void)
{
    static char large[WP_NOMAD_TOKEN_MAX + 2];
    struct wp_nomad_agents g = {.token_file = store("token", "good")};
    struct wp_nomad_access *a;
    unsigned generation;

    clear_environment();
    memset(large, 'x', sizeof(large) - 1);
    const char *const bad[] = {"", " \n", "a\x01z", "a\nb", large};
    a = open_good(&g);
    generation = wp_nomad_access_generation(a, T0, true);
    for (size_t i = 0; i < COUNT(bad); i++) {
        store("token", bad[i]);
        CHECK_AT(bad[i], wp_nomad_access_generation(a, T0, true) == generation && same(token_now(a), "good"));
    }
    unlink(path_of("token"));
    CHECK(wp_nomad_access_generation(a, T0, true) == generation && same(token_now(a), "good"));
    store("token", "good"); /* it is back */
    CHECK(wp_nomad_access_generation(a, T0, true) == generation);
    large[WP_NOMAD_TOKEN_MAX] = '\0';
    store("token", large);
    CHECK(wp_nomad_access_generation(a, T0, true) == generation + 1 && same(token_now(a), large));
    wp_nomad_access_free(a);
}

/* As Kubernetes mounts a secret: links to files in a folder behind a link, which is moved. */
static void test_moved_link(void)
{
    struct wp_nomad_agents g;
    struct wp_nomad_access *a;
    unsigned generation;

    clear_environment();
    CHECK(mkdir(path_of("v1"), 0700) == 0 && mkdir(path_of("v2"), 0700) == 0);
    store("v1/token", "one");
    store("v2/token", "two");
    CHECK(symlink("v1", path_of("data")) == 0 && symlink("data/token", path_of("linked")) == 0);
    g = (struct wp_nomad_agents){.token_file = path_of("linked")};
    a = open_good(&g);
    CHECK(same(token_now(a), "one"));
    generation = wp_nomad_access_generation(a, T0, false);
    CHECK(symlink("v2", path_of("data.new")) == 0 && rename(path_of("data.new"), path_of("data")) == 0);
    CHECK(wp_nomad_access_generation(a, T0 + WP_NOMAD_FILES_MS * MS, false) == generation + 1);
    CHECK(same(token_now(a), "two"));
    wp_nomad_access_free(a);
}

/* A certificate is never taken without a key, nor the other way round. */
static void test_rotated_pair(void)
{
    static const char *const secure = "https://a";
    struct wp_nomad_agents g = {.addresses = &secure, .n_addresses = 1};
    struct wp_nomad_access *a;
    unsigned generation;

    clear_environment();
    g.cert_file = store("cert", CERT("C1"));
    g.key_file = store("key", KEY("K1"));
    g.ca_file = store("ca", CERT("A1"));
    a = open_good(&g);
    generation = wp_nomad_access_generation(a, T0, false);
    store("cert", CERT("C2"));
    store("key", "being written");
    CHECK(wp_nomad_access_generation(a, T0, true) == generation);
    CHECK(same(ask(a, 0, "/v1/x").tls->cert_pem, CERT("C1")) && same(ask(a, 0, "/v1/x").tls->key_pem, KEY("K1")));
    store("key", KEY("K2"));
    CHECK(wp_nomad_access_generation(a, T0, true) == ++generation);
    CHECK(same(ask(a, 0, "/v1/x").tls->cert_pem, CERT("C2")) && same(ask(a, 0, "/v1/x").tls->key_pem, KEY("K2")));
    store("ca", CERT("A2"));
    CHECK(wp_nomad_access_generation(a, T0, true) == ++generation);
    CHECK(same(ask(a, 0, "/v1/x").tls->ca_pem, CERT("A2")));
    store("cert", "gone bad");
    CHECK(wp_nomad_access_generation(a, T0, true) == generation);
    wp_nomad_access_free(a);
}

/* --- identity ---------------------------------------------------------------------------------- */

static void test_identity(void)
{
    static const char *const one[] = {"http://a"}, *const path[] = {"http://a/ui"},
                      *const two[] = {"http://a", "http://b"}, *const user[] = {"http://u:secretpw@a"},
                      *const other_user[] = {"http://u:otherpw@a"}, *const socket[] = {"unix:///a"};
    static const struct wp_nomad_agents rows[] = {
        {.addresses = one, .n_addresses = 1},
        {.addresses = two, .n_addresses = 2},
        {.addresses = user, .n_addresses = 1},
        {.addresses = other_user, .n_addresses = 1},
        {.addresses = socket, .n_addresses = 1},
        {.addresses = one, .n_addresses = 1, .token = "secrettoken"},
        {.addresses = one, .n_addresses = 1, .token = "othertoken"},
        {.addresses = one, .n_addresses = 1, .token_file = "/t"},
        {.addresses = one, .n_addresses = 1, .region = "eu"},
        {.addresses = one, .n_addresses = 1, .ca_file = "/c"},
        {.addresses = one, .n_addresses = 1, .ca_dir = "/c"},
        {.addresses = one, .n_addresses = 1, .cert_file = "/c", .key_file = "/k"},
        {.addresses = one, .n_addresses = 1, .server_name = "n"},
        {.addresses = one, .n_addresses = 1, .insecure = true},
    };
    const struct wp_nomad_agents twin = {.addresses = path, .n_addresses = 1, .token = ""};
    struct wp_nomad_access *a[COUNT(rows)], *b;

    clear_environment();
    for (size_t i = 0; i < COUNT(rows); i++) {
        a[i] = open_good(&rows[i]);
        CHECK(strstr(wp_nomad_access_identity(a[i]), "pw") == NULL &&
              strstr(wp_nomad_access_identity(a[i]), "secrett") == NULL);
        for (size_t j = 0; j < i; j++)
            CHECK(!same(wp_nomad_access_identity(a[i]), wp_nomad_access_identity(a[j])));
    }
    b = open_good(&twin);
    CHECK(same(wp_nomad_access_identity(b), wp_nomad_access_identity(a[0])));
    wp_nomad_access_free(b);
    for (size_t i = 0; i < COUNT(rows); i++)
        wp_nomad_access_free(a[i]);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

RUN_TESTS_WITH(set_up, tear_down, TEST(test_addresses), TEST(test_refused_addresses),
               TEST(test_many_addresses), TEST(test_environment), TEST(test_refused_words),
               TEST(test_tls_of_environment), TEST(test_tls_of_lines), TEST(test_tls_not_needed),
               TEST(test_skip_verify), TEST(test_ca_folder), TEST(test_token_file),
               TEST(test_token_goes_bad), TEST(test_moved_link), TEST(test_rotated_pair),
               TEST(test_identity))
