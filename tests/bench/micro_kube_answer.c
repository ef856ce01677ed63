/* What the common question costs: addresses of services by `kubernetes`, beside the same names in a
 * zone file, asked in no order so that caches of the machine do not help. The best of several
 * rounds, because the machine is shared. micro_kube_answer [services]      (default 10000) */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
#define CHECK_AT(what, cond) CHECK(((void)(what), (cond)))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define print_error(...) fprintf(stderr, __VA_ARGS__)
#include "backends/kubernetes/answer_world.h"

enum { ROUNDS = 30, ASKED = 100000, NAMESPACES = 200 };

extern const struct wp_plugin wp_plugin_file;

static unsigned n_services = 10000;
static struct wp_name *names;

static void make_name(unsigned i)
{
    char text[200];

    snprintf(text, sizeof(text), "service-%05u.namespace-%03u.svc.cluster.local", i,
             i % NAMESPACES);
    CHECK(wp_name_parse(text, &names[i]) == 0);
}

static void fill(struct answer_world *w)
{
    for (unsigned i = 0; i < NAMESPACES; i++)
        CHECK(kube_putf(&w->kube, WP_KUBE_NAMESPACES, "{'metadata':{'name':'namespace-%03u'}}",
                        i) == 1);
    for (unsigned i = 0; i < n_services; i++)
        CHECK(kube_putf(&w->kube, WP_KUBE_SERVICES,
                        "{'metadata':{'name':'service-%05u','namespace':'namespace-%03u'},'spec':{'"
                        "clusterIP':'10.%u.%u.%u',"
                        "'ports':[{'name':'http','port':80},{'name':'metrics','port':9100}]}}",
                        i, i % NAMESPACES, i >> 16 & 255, i >> 8 & 255, i & 255) == 1);
}

static void *load_file(struct loaded *l, char *path)
{
    char text[200];
    FILE *f = fdopen(mkstemp(path), "w");

    CHECK(f != NULL);
    fputs("$TTL 5\n@ SOA ns.dns hostmaster 1 7200 1800 86400 5\n@ NS ns.dns\n", f);
    for (unsigned i = 0; i < n_services; i++)
        fprintf(f, "service-%05u.namespace-%03u.svc A 10.%u.%u.%u\n", i, i % NAMESPACES,
                i >> 16 & 255, i >> 8 & 255, i & 255);
    fclose(f);
    snprintf(text, sizeof(text), "cluster.local {\nfile %s\n}\n", path);
    conf_load(l, text);
    CHECK(l->r == 0);
    unlink(path);
    return wp_block_plugin(&l->blocks[0], "file");
}

static double cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One round; nanoseconds for a question. */
static double ask_all(struct wp_query *q, const struct wp_plugin *p, void *self, uint16_t type)
{
    uint8_t *wire = wp_query_in(q);
    double began = cpu_ns();
    uint32_t at = 1;

    for (unsigned i = 0; i < ASKED; i++) {
        const struct wp_name *name;
        at = at * 1664525 + 1013904223;
        name = &names[(at >> 8) % n_services];
        memcpy(wire, name->wire, name->len);
        CHECK(wp_qname_set(&q->msg.qname, wire, name->len) > 0);
        q->question = wire;
        q->question_len = (uint16_t)(name->len + 4);
        q->msg.qtype = type;
        q->msg.flags = 0;
        q->n_deps = 0;
        CHECK(p->serve(self, q) == WP_STEP_DONE);
    }
    return (cpu_ns() - began) / ASKED;
}

int main(int argc, char **argv)
{
    static struct answer_world w;
    static struct loaded l;
    char path[] = "/tmp/wp_bench_kube_XXXXXX";
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    struct wp_query *q;
    void *file;

    if (argc > 1)
        n_services = (unsigned)strtoul(argv[1], NULL, 10);
    names = calloc(n_services, sizeof(*names));
    CHECK(names != NULL);
    for (unsigned i = 0; i < n_services; i++)
        make_name(i);
    answer_open(&w, "kubernetes cluster.local in-addr.arpa ip6.arpa");
    fill(&w);
    file = load_file(&l, path);
    q = wp_query_get(&w.asker.worker);
    for (int i = 0; i < ROUNDS; i++)
        for (int k = 0; k < 4; k++) {
            bool kube = k % 2 == 0;
            double ns = ask_all(q, kube ? &wp_plugin_kubernetes : &wp_plugin_file,
                                kube ? (void *)w.p : file, k < 2 ? WP_TYPE_A : WP_TYPE_AAAA);
            best[k] = ns < best[k] ? ns : best[k];
        }
    printf("%u services, nanoseconds for an answer: kubernetes A %.0f, file A %.0f; no data: "
           "kubernetes %.0f, file %.0f\n",
           n_services, best[0], best[1], best[2], best[3]);
    wp_query_put(q);
    conf_unload(&l);
    answer_close(&w);
    free(names);
    return 0;
}
