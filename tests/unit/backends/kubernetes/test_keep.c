/* A cluster's data saved and restored: what one run had, the next one has. */
#include "kube_world.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../common/state_world.h"
#include "backends/kubernetes/keep.h"

/* --- an engine without a thread: timers run when the test says so --------------------------------- */

static struct wp_engine_timer *timers[8];
static uint64_t clock_ns = 1;

static uint64_t now(void)
{
    return clock_ns;
}

static void timer_cancel(struct wp_engine_timer *t)
{
    for (size_t i = 0; i < COUNT(timers); i++)
        if (timers[i] == t)
            timers[i] = NULL;
}

static void timer_set(struct wp_engine_timer *t, uint64_t due_ns)
{
    size_t i = 0;

    timer_cancel(t);
    while (timers[i] != NULL)
        i++;
    timers[i] = t;
    t->due_ns = due_ns;
}

static const struct wp_httpc_ops engine = {
    .now = now, .timer_set = timer_set, .timer_cancel = timer_cancel};

/* Half a second passes; what is due runs. */
static void pass(void)
{
    struct wp_engine_timer *due[COUNT(timers)];

    clock_ns += 500000000;
    memcpy(due, timers, sizeof(due));
    for (size_t i = 0; i < COUNT(due); i++)
        if (due[i] != NULL && timers[i] == due[i] && due[i]->due_ns <= clock_ns) {
            timers[i] = NULL;
            due[i]->fn(due[i]);
        }
    world_pause();
}

/* --- one run ---------------------------------------------------------------------------------------- */

struct run {
    struct kube_world w;
    struct wp_kube_keep *keep;
    int64_t age_s;
    bool is_restored, has_ended;
};

static void on_restored(void *arg, int64_t age_s)
{
    struct run *r = arg;

    r->age_s = age_s;
    r->is_restored = true;
}

static void on_ended(void *arg)
{
    ((struct run *)arg)->has_ended = true;
}

static void begin(struct run *r, const char *identity)
{
    struct wp_kube_keep_config c = {
        .http = &engine,
        .dir = world_dir,
        .name = "api.test:443",
        .identity = identity,
        .restored = on_restored,
        .ended = on_ended,
        .arg = r,
    };

    *r = (struct run){.w = {.decode = {.labels = true}}};
    kube_open(&r->w);
    c.store = r->w.store;
    CHECK(wp_kube_keep_new(&c, &r->keep) == 0);
    wp_kube_keep_restore(r->keep);
    for (int i = 0; i < 1000 && !r->is_restored; i++)
        pass();
    CHECK(r->is_restored);
}

static void end(struct run *r)
{
    if (wp_kube_keep_last(r->keep)) {
        for (int i = 0; i < 100000 && !r->has_ended; i++) {
            clock_ns -= 499000000; /* a disk may be slow, this clock must not run away from it */
            pass();
        }
        CHECK(r->has_ended);
    }
    wp_kube_keep_free(r->keep);
    for (size_t i = 0; i < COUNT(timers); i++)
        CHECK(timers[i] == NULL);
    kube_close(&r->w);
}

static size_t services(const struct run *r)
{
    return wp_kube_store_figures(r->w.store, WP_KUBE_SERVICES).objects;
}

static void test_next_run_has_it(void)
{
    struct run r;
    size_t n;

    begin(&r, "one");
    CHECK(r.age_s < 0);
    kube_load(&r.w, "cluster.jsonl");
    wp_kube_keep_changed(r.keep); /* not synced: nothing of it is worth keeping */
    wp_kube_keep_synced(r.keep);
    n = services(&r);
    CHECK(n > 10);
    end(&r);

    begin(&r, "one");
    CHECK(r.age_s >= 0 && r.age_s < 60 && services(&r) == n);
    CHECK(strcmp(kube_place(&r.w, 0, "shop", "web"), "none") != 0);
    end(&r);

    begin(&r, "another");
    CHECK(r.age_s < 0 && services(&r) == 0);
    end(&r);
}

/* A save that begins by itself, while the data changes. */
static void test_save_beside_changes(void)
{
    struct run r;
    size_t n;

    begin(&r, "beside");
    kube_load(&r.w, "cluster.jsonl");
    wp_kube_keep_synced(r.keep);
    for (int i = 0; i < 200; i++) {
        CHECK(kube_putf(&r.w, WP_KUBE_SERVICES,
                        "{'metadata':{'namespace':'shop','name':'s%d'},'spec':{'clusterIP':"
                        "'10.0.0.%d'}}",
                        i, i) == 1);
        wp_kube_keep_changed(r.keep);
        pass();
    }
    n = services(&r);
    end(&r);
    begin(&r, "beside");
    CHECK(services(&r) == n);
    end(&r);
}

/* A run that never was in step saves nothing over what is there. */
static void test_unsynced_run_keeps_the_file(void)
{
    struct run r;
    size_t n;

    begin(&r, "unsynced");
    kube_load(&r.w, "cluster.jsonl");
    wp_kube_keep_synced(r.keep);
    n = services(&r);
    end(&r);
    begin(&r, "unsynced");
    CHECK(kube_remove(&r.w, WP_KUBE_SERVICES, "shop", "web") == 1);
    wp_kube_keep_changed(r.keep);
    end(&r);
    begin(&r, "unsynced");
    CHECK(services(&r) == n);
    end(&r);
}

static void flip_last_octet(void)
{
    DIR *d = opendir(world_dir);
    struct dirent *e;
    char path[512];
    unsigned flipped = 0;

    CHECK(d != NULL);
    while ((e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);
        struct stat st;
        uint8_t octet;
        int fd;
        if (e->d_name[0] == '.' || (len > 5 && strcmp(e->d_name + len - 5, ".lock") == 0))
            continue;
        snprintf(path, sizeof(path), "%s/%s", world_dir, e->d_name);
        fd = open(path, O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0 && fstat(fd, &st) == 0);
        if (st.st_size > 0) {
            CHECK(pread(fd, &octet, 1, st.st_size - 1) == 1);
            octet ^= 1;
            CHECK(pwrite(fd, &octet, 1, st.st_size - 1) == 1);
            flipped++;
        }
        close(fd);
    }
    closedir(d);
    CHECK(flipped > 0);
}

/* Nothing of a file that proves bad at its end is served. */
static void test_bad_file(void)
{
    struct run r;

    world_empty(world_dir);
    begin(&r, "bad");
    kube_load(&r.w, "cluster.jsonl");
    wp_kube_keep_synced(r.keep);
    end(&r);
    flip_last_octet();
    begin(&r, "bad");
    CHECK(r.age_s < 0 && services(&r) == 0 && wp_kube_store_endpoints(r.w.store) == 0);
    CHECK(wp_kube_store_figures(r.w.store, WP_KUBE_PODS).objects == 0);
    end(&r);
}

RUN_TESTS_WITH(world_setup, world_teardown, TEST(test_next_run_has_it),
               TEST(test_save_beside_changes), TEST(test_unsynced_run_keeps_the_file),
               TEST(test_bad_file))
