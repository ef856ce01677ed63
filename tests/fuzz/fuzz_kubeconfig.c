/* A kubeconfig. Properties: what is refused is told with the file's name or in one of the known texts, and
 * gives nothing; what is good gives the same with a comment behind it; memory is bounded. */
#include "fuzz.h"

#include "backends/kubernetes/kubeconfig.h"
#include "waypost/base/arena.h"

enum { MEMORY_MAX = 8 << 20 };

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool equal(const struct wp_kubeconfig *a, const struct wp_kubeconfig *b)
{
    if (a->n_groups != b->n_groups || a->n_extra != b->n_extra || a->insecure != b->insecure)
        return false;
    for (size_t i = 0; i < a->n_groups; i++)
        if (!same(a->groups[i], b->groups[i]))
            return false;
    for (size_t i = 0; i < a->n_extra; i++)
        if (!same(a->extra[i].name, b->extra[i].name) || !same(a->extra[i].value, b->extra[i].value))
            return false;
    return same(a->server, b->server) && same(a->ca_file, b->ca_file) && same(a->ca_pem, b->ca_pem) &&
           same(a->cert_pem, b->cert_pem) && same(a->key_pem, b->key_pem) && same(a->token, b->token) &&
           same(a->token_file, b->token_file) && same(a->username, b->username) && same(a->password, b->password) &&
           same(a->as, b->as) && same(a->proxy_url, b->proxy_url) && same(a->server_name, b->server_name);
}

static int parse(const char *text, size_t len, struct wp_arena *arena, struct wp_kubeconfig *k)
{
    char why[WP_KUBE_WHY] = "";
    int r = wp_kubeconfig_parse(text, len, "/d/f", NULL, arena, why, k);

    CHECK(r == 0 || r == WP_ECONFIG || r == WP_ENOTFOUND);
    if (r < 0)
        CHECK(strstr(why, "error loading config file \"/d/f\": ") == why || strstr(why, "invalid configuration: ") == why);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char comment[] = "\n# end\n";
    struct wp_kubeconfig k = {0}, again = {0};
    struct wp_arena arena;
    char *longer = malloc(size + sizeof(comment));

    CHECK(longer != NULL);
    if (size > 0)
        memcpy(longer, data, size);
    memcpy(longer + size, comment, sizeof(comment));
    wp_arena_init(&arena, MEMORY_MAX);
    if (parse((const char *)data, size, &arena, &k) == 0) {
        CHECK(k.cluster_name != NULL && k.user_name != NULL);
        if (data[size - 1] == '\n' && parse(longer, size + sizeof(comment) - 1, &arena, &again) == 0)
            CHECK(equal(&k, &again));
    } else {
        CHECK(k.server == NULL && k.token == NULL && k.n_groups == 0);
    }
    wp_arena_done(&arena);
    free(longer);
    return 0;
}
