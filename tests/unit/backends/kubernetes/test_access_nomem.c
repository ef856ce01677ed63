/* Access to an API server when memory runs out at any point: an error or all of it, never a part. */
#include "check.h"
#include "failmalloc.h"

#include <stdlib.h>
#include <unistd.h>
#include "backends/kubernetes/access.h"

static const uint64_t T0 = 1000000000000u;
static char dir[] = "/tmp/waypost-access-nomem-XXXXXX";

static const char *in_dir(const char *name)
{
    static struct {
        const char *name;
        char path[200];
    } known[4];
    size_t i = 0;

    while (known[i].name != NULL && strcmp(known[i].name, name) != 0)
        i++;
    known[i].name = name;
    snprintf(known[i].path, sizeof(known[i].path), "%s/%s", dir, name);
    return known[i].path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "we");

    CHECK(f != NULL);
    fputs(text, f);
    fclose(f);
}

/* Opens, makes a request, and one more after the files have changed. */
static void sweep(const struct wp_kube_source *s, size_t n_headers)
{
    for (long n = 0;; n++) {
        char why[WP_KUBE_WHY];
        struct wp_kube_access *a = NULL;
        struct wp_httpc_request q = {0};
        int r;

        put("token", "one");
        put("ca.crt", "-----BEGIN CERTIFICATE-----\nA\n");
        failmalloc_after(n);
        r = wp_kube_access_new(s, T0, why, &a);
        if (r == 0)
            r = wp_kube_access_next(a, T0, NULL, 0, &q);
        if (r == 0) {
            long left = failmalloc_left;
            bool met = failmalloc_stop();
            put("token", "two");
            put("ca.crt", "-----BEGIN CERTIFICATE-----\nB\n");
            if (!met)
                failmalloc_after(left);
            r = wp_kube_access_next(a, T0 + 1000000000000u, NULL, 0, &q);
        }
        if (!failmalloc_stop() && r == 0) {
            CHECK(q.n_headers == n_headers);
            wp_kube_access_free(a);
            CHECK(n > 2);
            return;
        }
        /* libyaml's own memory is not ours to fail: what is not ours may go well */
        CHECK(r == -ENOMEM || r == 0);
        CHECK(n < 200);
        wp_kube_access_free(a);
    }
}

static void test_account(void)
{
    const struct wp_kube_source s = {.account_dir = dir};

    setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    sweep(&s, 1);
}

static void test_endpoint(void)
{
    const struct wp_kube_source s = {.endpoint = "https://u:p@a:1/b", .ca = in_dir("ca.crt")};

    put("ca.crt", "-----BEGIN CERTIFICATE-----\nA\n");
    sweep(&s, 1);
}

static void test_kubeconfig(void)
{
    const struct wp_kube_source s = {.kubeconfig = in_dir("config")};

    put("config", "clusters:\n- name: c\n  cluster: {server: 'https://a', certificate-authority: ca.crt, proxy-url: 'socks5://p:1'}\n"
                  "users:\n- name: u\n  user: {tokenFile: token, as: w, as-groups: [g], as-user-extra: {a b: [d, e]}}\n"
                  "contexts:\n- name: x\n  context: {cluster: c, user: u}\ncurrent-context: x\n");
    sweep(&s, 5);
}

static int set_up(void **state)
{
    (void)state;
    CHECK(mkdtemp(dir) != NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(in_dir("token"));
    unlink(in_dir("ca.crt"));
    unlink(in_dir("config"));
    return rmdir(dir);
}

RUN_TESTS_WITH(set_up, tear_down, TEST(test_account), TEST(test_endpoint), TEST(test_kubeconfig))
