/* What observers add to a question on its worker: one Corefile after another without and with log,
 * prometheus and errors, questions run straight through the router in turns of 64. Best of several
 * rounds in nanoseconds, because the machine is shared; and what the log thread spends for a line.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "waypost/plugin/metric.h"
#include "waypost/server/gen.h"
#include "waypost/server/log.h"
#include "waypost/server/router.h"
#include "waypost/server/worker.h"

enum { ROUNDS = 40, TURNS = 400, BATCH = 64 };

static struct wp_loop *admin, *loop;
static struct wp_worker worker;

static const char *const observers[][2] = {
    {"bare", ""},
    {"log", "log\n"},
    {"prometheus", "prometheus 127.0.0.1:0\n"},
    {"both", "prometheus 127.0.0.1:0\nlog\n"},
    {"both, errors", "prometheus 127.0.0.1:0\nerrors\nlog\n"},
};

static double cpu_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void *run_admin(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

static struct wp_gen *load(const char *text)
{
    struct wp_conf_source src = {.path = NULL, .default_port = 53};
    struct wp_arena arena;
    struct wp_conf_report report;
    struct wp_gen *gen = NULL;
    struct wp_env env = {.workers = &loop, .n_workers = 1, .admin = admin};

    wp_arena_init(&arena, 0);
    wp_conf_report_init(&report, &arena);
    if (wp_gen_new(&src, text, strlen(text), false, 1, &report, &gen) < 0 ||
        wp_gen_start(gen, &env, NULL, &report) < 0) {
        fprintf(stderr, "%s\n", report.first != NULL ? report.first->text : "?");
        exit(1);
    }
    wp_arena_done(&arena);
    return gen;
}

/* One turn of a busy worker. */
static void turn(const struct wp_route *route, struct wp_query *q, const uint8_t *wire, size_t len)
{
    uint64_t now = wp_loop_clock(loop);

    for (int i = 0; i < BATCH; i++) {
        wp_query_reset(q);
        q->wire = wire;
        q->wire_len = (uint32_t)len;
        q->transport = WP_UDP;
        q->stream = false;
        q->client = (struct wp_addr){.family = 4, .ip = {192, 0, 2, 7}, .port = 40000};
        q->local = (struct wp_addr){.family = 4, .ip = {192, 0, 2, 1}, .port = 53};
        q->peer = q->client;
        q->route = route;
        q->start_ns = now;
        if (wp_query_run(q) != WP_STEP_DONE)
            exit(1);
    }
}

static double run(const char *what, const char *text, double bare)
{
    static const uint8_t wire[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\3www\7example\3org\0\0\1\0\1";
    struct wp_gen *gen = load(text);
    struct wp_query *q = wp_query_get(&worker);
    double best = 1e9, others = 0;
    uint64_t lines = 0;

    for (int r = 0; r < ROUNDS; r++) {
        double all = cpu_ns(CLOCK_PROCESS_CPUTIME_ID), mine = cpu_ns(CLOCK_THREAD_CPUTIME_ID),
               spent;
        for (int t = 0; t < TURNS; t++)
            turn(gen->groups[0].route, q, wire, sizeof(wire) - 1);
        spent = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - mine;
        wp_log_flush();
        others += cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - all - spent;
        lines += (uint64_t)TURNS * BATCH;
        if (spent / (TURNS * BATCH) < best)
            best = spent / (TURNS * BATCH);
    }
    printf("%-14s %6.1f ns a question, %+6.1f; other threads %6.1f ns\n", what, best, best - bare,
           others / (double)lines);
    wp_query_put(q);
    wp_gen_free(gen);
    return best;
}

int main(int argc, char **argv)
{
    const char *backend = argc > 1 ? argv[1] : "whoami\n";
    pthread_t thread;
    double bare = 0;

    wp_log_set_fd(
        open(argc > 2 ? argv[2] : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (wp_loop_new(1, &admin) < 0 || wp_loop_new(0, &loop) < 0 || wp_log_start(2) < 0 ||
        wp_worker_init(&worker, loop, 16) < 0)
        return 1;
    pthread_create(&thread, NULL, run_admin, admin);
    for (size_t i = 0; i < WP_COUNT(observers); i++) {
        char text[1024];
        double ns;
        snprintf(text, sizeof(text), ".:53 {\n%s%s}\n", observers[i][1], backend);
        ns = run(observers[i][0], text, bare);
        if (i == 0)
            bare = ns;
    }
    wp_log_stop();
    wp_loop_stop(admin);
    pthread_join(thread, NULL);
    wp_worker_done(&worker);
    wp_loop_free(loop);
    wp_loop_free(admin);
    return 0;
}
