/* A cluster over the HTTP module and an API server in a process of its own, while workers read the store.
 * What each answer means: test_reflector.c. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "backends/kubernetes/cluster.h"
#include "loop_thread.h"
#include "tls/certs.h"
#include "waypost/base/grace.h"

enum { N = 3000, READERS = 2 };

static struct {
    pid_t pid;
    int in;
    char url[100];
} server;

static void write_objects(void)
{
    char path[300];
    FILE *f;

    snprintf(path, sizeof(path), "%s", cert_path("objects.jsonl"));
    f = fopen(path, "we");
    CHECK(f != NULL);
    fputs("{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"shop\"}}\n", f);
    for (unsigned i = 0; i < N; i++) {
        fprintf(f,
                "{\"kind\":\"Service\",\"metadata\":{\"name\":\"s%u\",\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":"
                "\"10.1.%u.%u\",\"ports\":[{\"port\":80}]}}\n",
                i, i / 256, i % 256);
        fprintf(f,
                "{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"s%u-x\",\"namespace\":\"shop\",\"labels\":{"
                "\"kubernetes.io/service-name\":\"s%u\"}},\"endpoints\":[{\"addresses\":[\"10.2.%u.%u\"]}]}\n",
                i, i, i / 256, i % 256);
    }
    CHECK(fclose(f) == 0);
}

static void server_start(bool watch_list)
{
    const char *end = strstr(__FILE__, "tests/unit/");
    char program[500], objects[300];
    int out[2];
    FILE *f;

    snprintf(program, sizeof(program), "%.*stests/fake/kube_api.py", (int)(end - __FILE__), __FILE__);
    snprintf(objects, sizeof(objects), "%s", cert_path("objects.jsonl"));
    CHECK(pipe2(out, 0) == 0);
    server.pid = fork();
    CHECK(server.pid >= 0);
    if (server.pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        unsetenv("LD_PRELOAD");
        execl("/usr/bin/python3", "python3", program, "--objects", objects, watch_list ? NULL : "--no-watch-list", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    f = fdopen(out[0], "r");
    CHECK(f != NULL && fgets(server.url, sizeof(server.url), f) != NULL);
    server.url[strcspn(server.url, "\n")] = '\0';
    fclose(f);
}

static void server_stop(void)
{
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
}

/* --- workers ------------------------------------------------------------------------------------- */

static struct {
    struct wp_kube_store *store;
    atomic_bool stop;
    atomic_size_t found;
} readers;

static void read_once(void)
{
    for (unsigned i = 0; i < N; i += 50) {
        char name[20];
        size_t len = (size_t)snprintf(name, sizeof(name), "s%u", i);
        const struct wp_kube_place *p = wp_kube_place_find(
            readers.store, wp_kube_place_hash("shop", 4, name, len), "shop", 4, name, len);
        if (p == NULL)
            continue;
        CHECK(wp_kube_text_is(wp_kube_place_name(p), name));
        atomic_fetch_add(&readers.found, 1);
    }
}

static void *read_on(void *arg)
{
    int slot = wp_grace_register();

    (void)arg;
    while (!atomic_load(&readers.stop)) {
        wp_grace_online(slot);
        read_once();
        wp_grace_offline(slot);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    wp_grace_unregister(slot);
    return NULL;
}

static void follow(bool watch_list)
{
    struct wp_kube_wants w = {.slices = true, .source = {.endpoint = server.url}};
    struct wp_kube_cluster *c, *same;
    pthread_t threads[READERS];
    char why[WP_KUBE_WHY] = "";

    server_start(watch_list);
    CHECK_AT(why, wp_kube_cluster_get(&w, why, &c) == 0);
    readers.store = c->store;
    atomic_store(&readers.stop, false);
    atomic_store(&readers.found, 0);
    for (unsigned i = 0; i < READERS; i++)
        CHECK(pthread_create(&threads[i], NULL, read_on, NULL) == 0);
    CHECK(wp_kube_cluster_wait(c, INT64_C(60000000000)) && wp_kube_cluster_is_synced(c));
    CHECK(wp_kube_store_figures(c->store, WP_KUBE_SERVICES).objects == N);
    CHECK(wp_kube_store_figures(c->store, WP_KUBE_SLICES).objects == N);
    CHECK(wp_kube_store_endpoints(c->store) == N && wp_kube_namespace_present(c->store, "shop", 4));
    WAIT_FOR(atomic_load(&readers.found) > 0 && atomic_load(&c->behind_since_ns) == 0);
    CHECK(wp_kube_cluster_get(&w, why, &same) == 0 && same == c);
    wp_kube_cluster_put(same);
    server_stop();
    WAIT_FOR(atomic_load(&c->behind_since_ns) != 0);
    CHECK(wp_kube_store_figures(c->store, WP_KUBE_SERVICES).objects == N);
    atomic_store(&readers.stop, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    wp_kube_cluster_put(c);
}

static void test_stream(void)
{
    follow(true);
}

static void test_list(void)
{
    follow(false);
}

/* Nobody is there: it is waited for as long as told, and no longer. */
static void test_nobody(void)
{
    struct wp_kube_wants w = {.source = {.endpoint = server.url}};
    struct wp_kube_cluster *c;
    char why[WP_KUBE_WHY] = "";

    CHECK(wp_kube_cluster_get(&w, why, &c) == 0);
    CHECK(!wp_kube_cluster_wait(c, 700000000) && !wp_kube_cluster_wait(c, 0));
    wp_kube_cluster_put(c);
}

static int set_up(void **state)
{
    (void)state;
    write_objects();
    return 0;
}

RUN_TESTS_WITH(set_up, NULL, TEST(test_stream), TEST(test_list), TEST(test_nobody))
