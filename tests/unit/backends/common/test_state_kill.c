/* A process that saves and saves is killed at any moment, as by power loss for all that a process
 * can know: what is there afterwards is one of the saves, whole, and never older than one that was
 * there before. */
#include "state_world.h"

#include <signal.h>
#include <sys/wait.h>

enum { KILLS = 500, RECORDS = 4000, RECORD = 100, VERSIONS = 250 };

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
    unsigned seed = 1;

    for (unsigned i = 0; i < KILLS; i++) {
        struct timespec wait = {.tv_nsec = (long)(rand_r(&seed) % 6000) * 1000};
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
        if (r != 0)
            continue;
        CHECK(seen.n == RECORDS && !seen.mixed);
        CHECK(last == 0 || (unsigned)(seen.version + VERSIONS - last) % VERSIONS < VERSIONS / 2);
        newer += seen.version != last;
        same += seen.version == last;
        last = seen.version;
    }
    print_message("%u of %u kills left a newer save, %u the one before\n", newer, KILLS, same);
    CHECK(newer > 0 && same > 0); /* both sides of the moment were met */
}

RUN_TESTS_WITH(world_setup, world_teardown, TEST(test_kill))
