/* A process that saves and saves is killed at any moment, as by power loss for all that a process
 * can know: what is there afterwards is one of the saves, whole, and never older than one that was
 * there before. */
#include "state_world.h"

#include <signal.h>
#include <sys/wait.h>

enum {
    KILLS = 500,
    RECORDS = 4000,
    RECORD = 100,
    VERSIONS = 250,
    SECONDS = 20,
    LEAST_US = 1000,
    MOST_US = 900000
};

/* Saves version after version until it is killed. */
static void save_on(uint8_t version)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);

    (void)freopen("/dev/null", "w", stdout); /* each of them tells of its first save */
    for (;;) {
        version = (uint8_t)(version % VERSIONS + 1);
        if (world_save(s, RECORDS, RECORD, version) < 0)
            _exit(1);
    }
}

static void test_kill(void)
{
    struct wp_state *s;
    struct world_seen seen = {0};
    unsigned newer = 0, same = 0;
    uint8_t last = 0;
    unsigned seed = 1, most_us = 6000, i = 0;
    time_t end = time(NULL) + SECONDS;

    for (; i < KILLS && (time(NULL) < end || newer == 0); i++) {
        struct timespec wait = {.tv_nsec = (long)(rand_r(&seed) % most_us) * 1000};
        pid_t pid = fork();
        int status = 0, r;
        CHECK(pid >= 0);
        if (pid == 0)
            save_on(last);
        nanosleep(&wait, NULL);
        CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        s = world_state(world_dir, "test", "id", 0);
        r = world_read(s, &seen);
        CHECK(r == 0 || (r == WP_ENOTFOUND && last == 0));
        CHECK(!world_has(wp_state_path(s), ".bad"));
        wp_state_free(s);
        /* about as long as a save takes here: one in three comes to its end */
        most_us = r == 0 && seen.version != last ? most_us - most_us / 4 : most_us + most_us / 8;
        most_us = most_us < LEAST_US ? LEAST_US : most_us > MOST_US ? MOST_US : most_us;
        if (r != 0)
            continue;
        CHECK(seen.n == RECORDS && !seen.mixed);
        CHECK(last == 0 || (unsigned)(seen.version + VERSIONS - last) % VERSIONS < VERSIONS / 2);
        newer += seen.version != last;
        same += seen.version == last;
        last = seen.version;
    }
    print_message("%u of %u kills left a newer save, %u the one before\n", newer, i, same);
    CHECK(newer > 0 && same > 0); /* both sides of the moment were met */
}

RUN_TESTS_WITH(world_setup, world_teardown, TEST(test_kill))
