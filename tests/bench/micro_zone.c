/* Zones: how long a large file takes to load, what a name costs, and what an answer costs.
 *   micro_zone [names]      (default 1000000) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "backends/common/zone_load.h"
#include "waypost/dns/types.h"
#include "waypost/server/worker.h"

enum { ASKED = 2000000 };

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void write_zone(FILE *f, unsigned n)
{
    fputs("$TTL 300\n@ SOA ns admin 1 7200 900 1209600 60\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\n"
          "ns2 A 192.0.2.2\n*.wild A 192.0.2.3\nalias CNAME host-1\n@ MX 10 host-2\n",
          f);
    for (unsigned i = 0; i < n; i++)
        fprintf(f, "host-%u 300 IN A 10.%u.%u.%u\n", i, i >> 16 & 255, i >> 8 & 255, i & 255);
}

static struct wp_query *question(struct wp_worker *w, const char *text, uint16_t type)
{
    struct wp_query *q = wp_query_get(w);
    struct wp_name name;
    uint8_t *wire = wp_query_in(q);

    if (wp_name_parse(text, &name) < 0 || wp_qname_set(&q->msg.qname, name.wire, name.len) < 0)
        abort();
    memcpy(wire, name.wire, name.len);
    q->msg.edns = (struct wp_edns){0};
    q->msg.flags = 0;
    q->question = wire;
    q->question_len = (uint16_t)(name.len + 4);
    q->msg.qtype = type;
    return q;
}

/* The same question again and again: what the answer itself costs. */
static void answer(struct wp_zone *z, struct wp_worker *w, const char *name, uint16_t type)
{
    struct wp_query *q = question(w, name, type);
    double start = now_s();
    int step;

    for (unsigned i = 0; i < ASKED; i++) {
        q->n_deps = 0;
        if (wp_zone_answer(z, q, &step) == WP_ZONE_NO_NAME)
            step = wp_zone_deny(z, q);
        if (step != WP_STEP_DONE)
            abort();
    }
    printf("%-24s %5.0f ns, %u octets\n", name, (now_s() - start) / ASKED * 1e9, q->reply.len);
    wp_query_put(q);
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    char path[] = "/tmp/wp_bench_zone_XXXXXX";
    struct wp_zone_load l = {.path = path, .known_serial = -1};
    struct wp_worker w;
    struct wp_loop *loop;
    struct wp_name origin;
    struct wp_arena a;
    struct rusage ru;
    double start;
    FILE *f = fdopen(mkstemp(path), "w");

    if (f == NULL || wp_name_parse("example.org.", &origin) < 0)
        return 1;
    write_zone(f, n);
    fclose(f);
    wp_arena_init(&a, 0);
    l.origin = &origin;
    l.arena = &a;
    start = now_s();
    if (wp_zone_load(&l) < 0)
        return 1;
    printf("%u names loaded in %.2f s, %.0f octets each", n, now_s() - start,
           (double)wp_zone_octets(l.zone) / n);
    getrusage(RUSAGE_SELF, &ru);
    printf(", at most %ld MB on the way\n", ru.ru_maxrss / 1024);
    unlink(path);
    if (wp_loop_new(0, &loop) < 0 || wp_worker_init(&w, loop, 10) < 0)
        return 1;
    answer(l.zone, &w, "host-7.example.org", WP_TYPE_A);
    answer(l.zone, &w, "host-7.example.org", WP_TYPE_TXT);
    answer(l.zone, &w, "nope.example.org", WP_TYPE_A);
    answer(l.zone, &w, "x.wild.example.org", WP_TYPE_A);
    answer(l.zone, &w, "alias.example.org", WP_TYPE_A);
    answer(l.zone, &w, "example.org", WP_TYPE_MX);
    start = now_s();
    wp_zone_unref(l.zone);
    printf("freed in %.1f ms\n", (now_s() - start) * 1e3);
    wp_worker_done(&w);
    wp_loop_free(loop);
    wp_arena_done(&a);
    return 0;
}
