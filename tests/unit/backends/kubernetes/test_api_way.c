/* From a kubeconfig to items: access, HTTP client and splitter together, against a server. */
#include "backends/common/http_world.h"

#include "backends/kubernetes/access.h"
#include "backends/kubernetes/split.h"

static struct wp_kube_access *access_to;

static void set_up_access(void)
{
    char text[1000], why[WP_KUBE_WHY];
    struct wp_kube_source s = {.kubeconfig = cert_path("config")};

    cert_write_text("token", "one\n");
    snprintf(text, sizeof(text),
             "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:%d/', certificate-authority: ca.pem}}]\n"
             "users: [{name: u, user: {tokenFile: token}}]\n"
             "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
             server.tls);
    cert_write_text("config", text);
    if (wp_kube_access_new(&s, http->now(), why, &access_to) < 0)
        print_error("%s\n", why);
    CHECK(access_to != NULL);
}

/* A call to a path of the API server, with what access says. */
static struct got *api_call(const char *path, bool streams)
{
    char text[200];
    struct got *g;

    snprintf(text, sizeof(text), "%s%s", wp_kube_access_base(access_to), path);
    g = call_new(text, streams);
    CHECK(wp_kube_access_next(access_to, http->now(), NULL, 0, &g->r) == 0);
    return g;
}

/* 347: refused once; the token file has changed; the next request has the new token. */
static void test_token(void)
{
    struct got *g = api_call("/secret?token=one", false);

    call_run(g);
    CHECK(g->err == 0 && g->status == 200);
    call_free(g);
    cert_write_text("token", "two\n");
    for (int i = 0; i < 2; i++) {
        g = api_call("/secret?token=two", false);
        call_run(g);
        CHECK(g->err == 0 && g->status == (i == 0 ? 401 : 200));
        wp_kube_access_unauthorized(access_to);
        call_free(g);
    }
}

/* --- bodies into items ---------------------------------------------------------------------- */

static struct {
    struct wp_kube_split *split;
    unsigned n, wrong;
    int r;
} items;

static int on_item(void *arg, const char *type, const char *text, size_t len)
{
    char want[300];
    int n;

    (void)arg;
    n = type[0] != '\0' ? snprintf(want, sizeof(want), "{\"n\":%u}", items.n)
                        : snprintf(want, sizeof(want), "{\"metadata\":{\"name\":\"n%u\"},\"text\":\"", items.n);
    items.wrong += (type[0] != '\0' && strcmp(type, "ADDED") != 0) || len < (size_t)n || memcmp(text, want, (size_t)n) != 0 ||
                   text[len - 1] != '}';
    items.n++;
    return 0;
}

static int on_skipped(void *arg, const char *type, const char *head, size_t head_len, size_t len)
{
    (void)head_len;
    items.wrong++;
    return on_item(arg, type, head, len);
}

static const struct wp_kube_split_ops item_ops = {.item = on_item, .skipped = on_skipped};

static int feed(void *arg, const uint8_t *data, size_t len)
{
    (void)arg;
    items.r = wp_kube_split_feed(items.split, (const char *)data, len);
    return items.r;
}

static struct got *split_call(const char *path, enum wp_kube_split_kind kind)
{
    struct got *g = api_call(path, true);

    memset(&items, 0, sizeof(items));
    items.split = wp_kube_split_new(kind, &item_ops, NULL);
    CHECK(items.split != NULL);
    g->ops.body = feed;
    call_run(g);
    return g;
}

static void test_list(void)
{
    const char *rest;
    size_t len;
    struct got *g = split_call("/listing?n=20000", WP_KUBE_LIST);

    CHECK(g->r.gzip && g->err == 0 && g->status == 200 && strcmp(g->content_type, "application/json") == 0);
    CHECK(items.r == 0 && items.wrong == 0 && items.n == 20000);
    CHECK(wp_kube_split_end(items.split, &rest, &len) == 0);
    CHECK(strcmp(rest, "{\"kind\":\"List\",\"metadata\":{\"resourceVersion\":\"7\"},\"items\":[]}") == 0);
    wp_kube_split_free(items.split);
    call_free(g);
}

/* What came before the connection was lost has been told; the rest is known to be missing. */
static void test_watch(void)
{
    struct got *g = split_call("/events?n=100", WP_KUBE_WATCH);

    CHECK(g->err == WP_ECLOSED && g->status == 200);
    CHECK(items.r == 0 && items.wrong == 0 && items.n > 0 && items.n <= 100);
    wp_kube_split_free(items.split);
    call_free(g);
}

/* A page in place of a list ends the call at once. */
static void test_not_a_list(void)
{
    struct got *g = split_call("/pieces?n=1000", WP_KUBE_LIST);

    CHECK(g->err == WP_EMALFORMED && g->ends == 1 && items.n == 0);
    wp_kube_split_free(items.split);
    call_free(g);
}

static int set_up(void **state)
{
    int r = http_set_up(state);

    set_up_access();
    return r;
}

static int tear_down(void **state)
{
    wp_kube_access_free(access_to);
    return http_tear_down(state);
}

RUN_TESTS_WITH(set_up, tear_down, TEST(test_token), TEST(test_list), TEST(test_watch), TEST(test_not_a_list))
