/* A ConfigMap of kube-dns. Properties: what is refused is told with its line, and gives nothing; what is good gives a Corefile that
 * reads, with one block for each stub domain and in each the servers that were said, and nothing but comments above. */
#include "fuzz.h"

#include "backends/kubernetes/kube_dns.h"
#include "waypost/base/arena.h"
#include "waypost/server/config.h"

enum { MEMORY_MAX = 64 << 20 };

static const struct wp_line *find(const struct wp_conf_block *b, const char *word)
{
    for (unsigned i = 0; i < b->n_lines; i++)
        if (strcmp(b->lines[i].words[0], word) == 0)
            return &b->lines[i];
    return NULL;
}

static void check_servers(const struct wp_conf_block *b, const struct wp_kube_dns_servers *s)
{
    const struct wp_line *l = find(b, "forward");

    CHECK(l != NULL && l->n_words == 2 + (s->n > 0 ? s->n : 1) && strcmp(l->words[1], ".") == 0);
    for (unsigned i = 0; i < s->n; i++)
        CHECK(strcmp(l->words[2 + i], s->at[i]) == 0);
}

static void check_corefile(const struct wp_kube_dns *k, struct wp_arena *arena)
{
    struct wp_conf_report report;
    struct wp_conf conf;
    char *text = NULL;
    size_t len = 0;
    int r;
    FILE *f = open_memstream(&text, &len);

    CHECK(f != NULL);
    wp_kube_dns_corefile(k, f);
    CHECK(fclose(f) == 0 && strlen(text) == len);
    wp_conf_report_init(&report, arena);
    r = wp_conf_parse("/nonexistent/Corefile", text, len, arena, &report, &conf);
    for (const struct wp_conf_error *e = report.first; e != NULL; e = e->next) /* a build may leave directives out */
        CHECK(strstr(wp_conf_error_text(&report, e), "is not in this build") != NULL);
    CHECK((r == 0) == (report.first == NULL) && conf.n_blocks == 1 + k->n_stubs);
    check_servers(&conf.blocks[0], &k->upstreams);
    if (r == 0)
        CHECK(strcmp(find(&conf.blocks[0], "kubernetes")->words[1], k->cluster) == 0);
    for (unsigned i = 0; i < k->n_stubs; i++)
        check_servers(&conf.blocks[1 + i], &k->stubs[i].servers);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[WP_KUBE_DNS_WHY] = "";
    struct wp_kube_dns k = {0};
    struct wp_arena arena;
    int r;

    wp_arena_init(&arena, MEMORY_MAX);
    r = wp_kube_dns_parse((const char *)data, size, "cluster.local", &arena, why, &k);
    CHECK(r == 0 || r == WP_ECONFIG);
    if (r == 0)
        check_corefile(&k, &arena);
    else
        CHECK(strstr(why, "line ") != NULL && k.cluster == NULL);
    wp_arena_done(&arena);
    return 0;
}
