/* What the common questions cost: A, SRV and no data by `nomad`, beside the same names in a zone file, asked in no
 * order so that caches of the machine do not help, in batches as a listener has them. The best of several rounds,
 * because the machine is shared. micro_nomad_answer [services] [instances]      (default 5000, 1) */
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
#include "backends/nomad/nomad_world.h"

enum { ROUNDS = 30, ASKED = 100000, NAMESPACES = 20, BATCH = 32 };

extern const struct wp_plugin wp_plugin_file;

static unsigned n_services = 5000, n_instances = 1;
static struct wp_name *names;
static struct wp_query *batch[BATCH];

static void make_name(unsigned i)
{
    char text[200];

    snprintf(text, sizeof(text), "service-%05u.namespace-%02u.service.nomad", i, i % NAMESPACES);
    CHECK(wp_name_parse(text, &names[i]) == 0);
}

static void fill(struct nomad_world *w)
{
    char name[40], namespace[40], text[4096];

    for (unsigned i = 0; i < n_services; i++) {
        size_t at = 0;
        snprintf(name, sizeof(name), "service-%05u", i);
        snprintf(namespace, sizeof(namespace), "namespace-%02u", i % NAMESPACES);
        if (i < NAMESPACES)
            nomad_world_service(w, "", namespace, "");
        for (unsigned k = 0; k < n_instances && at + 40 < sizeof(text); k++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s10.%u.%u.%u:%u", k > 0 ? "," : "",
                                   k, i >> 8 & 255, i & 255, 20000 + k);
        nomad_world_service(w, name, namespace, text);
    }
}

static void *load_file(struct loaded *l, char *path)
{
    char text[200];
    FILE *f = fdopen(mkstemp(path), "w");

    CHECK(f != NULL);
    fputs("$TTL 30\n@ SOA ns1 hostmaster 1 7200 1800 86400 5\n@ NS ns1\n", f);
    for (unsigned i = 0; i < n_services; i++)
        for (unsigned k = 0; k < n_instances; k++) {
            fprintf(f, "service-%05u.namespace-%02u A 10.%u.%u.%u\n", i, i % NAMESPACES, k,
                    i >> 8 & 255, i & 255);
            fprintf(f, "service-%05u.namespace-%02u SRV 10 10 %u service-%05u.namespace-%02u\n", i,
                    i % NAMESPACES, 20000 + k, i, i % NAMESPACES);
        }
    fclose(f);
    snprintf(text, sizeof(text), "service.nomad {\nfile %s\n}\n", path);
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

static void set(struct wp_query *q, const struct wp_name *name, uint16_t type)
{
    uint8_t *wire = wp_query_in(q);

    memcpy(wire, name->wire, name->len);
    CHECK(wp_qname_set(&q->msg.qname, wire, name->len) > 0);
    q->question = wire;
    q->question_len = (uint16_t)(name->len + 4);
    q->msg.qtype = type;
    q->msg.edns = (struct wp_edns){0};
    q->msg.flags = 0;
    q->n_deps = 0;
}

/* One round; nanoseconds for a question. */
static double ask_all(const struct wp_plugin *p, void *self, uint16_t type)
{
    double began = cpu_ns();
    uint32_t at = 1;

    for (unsigned i = 0; i < ASKED / BATCH; i++) {
        for (unsigned k = 0; k < BATCH; k++) {
            at = at * 1664525 + 1013904223;
            set(batch[k], &names[(at >> 8) % n_services], type);
            if (p->prefetch != NULL)
                p->prefetch(self, batch[k], 0);
        }
        for (unsigned k = 0; k < BATCH; k++) {
            if (k % 8 == 0 && p->prefetch != NULL)
                for (unsigned j = k; j < k + 8; j++)
                    p->prefetch(self, batch[j], 1);
            CHECK(p->serve(self, batch[k]) == WP_STEP_DONE);
            wp_arena_reset(batch[k]->arena);
        }
    }
    return (cpu_ns() - began) / ASKED;
}

int main(int argc, char **argv)
{
    static const uint16_t types[] = {WP_TYPE_A, WP_TYPE_SRV, WP_TYPE_AAAA};
    static struct nomad_world w;
    static struct loaded l;
    char path[] = "/tmp/wp_bench_nomad_XXXXXX";
    double best[2 * COUNT(types)];
    void *file;

    if (argc > 1)
        n_services = (unsigned)strtoul(argv[1], NULL, 10);
    if (argc > 2)
        n_instances = (unsigned)strtoul(argv[2], NULL, 10);
    names = calloc(n_services, sizeof(*names));
    CHECK(names != NULL && n_instances > 0 && n_instances <= 100);
    for (unsigned i = 0; i < n_services; i++)
        make_name(i);
    nomad_world_open(&w, "service.nomad", "nomad");
    fill(&w);
    file = load_file(&l, path);
    for (unsigned k = 0; k < BATCH; k++) {
        batch[k] = wp_query_get(&w.asker.worker);
        batch[k]->route = w.asker.group.route;
    }
    for (unsigned k = 0; k < COUNT(best); k++)
        best[k] = 1e9;
    for (int i = 0; i < ROUNDS; i++)
        for (unsigned k = 0; k < COUNT(best); k++) {
            bool nomad = k % 2 == 0;
            double ns = ask_all(nomad ? &wp_plugin_nomad : &wp_plugin_file, nomad ? (void *)w.p : file,
                                types[k / 2]);
            best[k] = ns < best[k] ? ns : best[k];
        }
    printf("%u services of %u, nanoseconds for an answer, nomad and file: A %.0f %.0f, SRV %.0f %.0f, no "
           "data %.0f %.0f\n",
           n_services, n_instances, best[0], best[1], best[2], best[3], best[4], best[5]);
    for (unsigned k = 0; k < BATCH; k++)
        wp_query_put(batch[k]);
    conf_unload(&l);
    nomad_world_close(&w);
    free(names);
    return 0;
}
