/* What one run knew, the next one answers with until an agent does. */
#include "source_world.h"

#include "../common/state_world.h"

static struct wp_nomad_wants wants(const char *filter)
{
    return (struct wp_nomad_wants){
        .fresh_s = 10, .absent_s = 5, .state_dir = world_dir, .filter = filter};
}

static unsigned files(void)
{
    DIR *d = opendir(world_dir);
    struct dirent *e;
    unsigned n = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);
        n += e->d_name[0] != '.' && (len < 5 || strcmp(e->d_name + len - 5, ".lock") != 0);
    }
    if (d != NULL)
        closedir(d);
    return n;
}

/* Until it is on the disk: a thread writes. */
static void let_save(void)
{
    for (unsigned n = 0; n < 20000 && files() == 0; n++) {
        world_pass(100);
        world_pause();
    }
    for (unsigned n = 0; n < 600; n++) { /* a minute: it is not written more often than each 30 s */
        world_pass(100);
        world_pause();
    }
    CHECK(files() > 0);
}

/* `web` and `solo` of a list that is believed, and the file of them. */
static void run_once(void)
{
    struct wp_nomad_wants w = wants(NULL);

    world_empty(world_dir);
    world_open(&w);
    world_load(false);
    let_save();
    world_close();
}

static void test_next_run_has_it(void)
{
    struct wp_nomad_wants w = wants(NULL);

    run_once();
    world_open(&w);
    CHECK(world.s->reached && world_addr("web") == 1 && world_addr("solo") == 2);
    CHECK(world.s->behind_since_ns != 0);
    /* as long as somebody may be asked, what is not there is not denied */
    CHECK(world_known("nope", "default") == WP_NOMAD_UNKNOWN);
    world_end(world_call("/v1/services?"), -ECONNREFUSED, "192.0.2.1:4646: connection refused");
    CHECK(world.s->away && world_addr("web") == 1);
    CHECK(world_known("nope", "default") == WP_NOMAD_ABSENT &&
          world_known("nope", "ops") == WP_NOMAD_UNKNOWN);
    world_close();
}

/* The agent answers: what it does not have any more is read once more, and goes. */
static void test_then_the_agent(void)
{
    struct wp_nomad_wants w = wants(NULL);
    uint32_t web;

    run_once();
    world_open(&w);
    web = world_version("web");
    world_answer(world_call("/v1/event/stream"), 404, 0, "");
    world_answer(world_call("/v1/services?"), 200, 20, WORLD_LIST(WORLD_NAME("web")));
    CHECK(world_addr("web") == 1 && world_addr("solo") == 2);
    world_serve("solo", 20, "");
    world_serve("web", 20, "10.0.0.1");
    CHECK(world_known("solo", "default") == WP_NOMAD_ABSENT && world_addr("web") == 1);
    CHECK(world.s->behind_since_ns == 0 && world_known("nope", "default") == WP_NOMAD_ABSENT);
    CHECK(world_version("web") == web + 1 || world_version("web") == web);
    let_save();
    world_close();
}

/* An agent without a list: each name is read when it is asked for, and known until then. */
static void test_then_no_list(void)
{
    struct wp_nomad_wants w = wants(NULL);

    run_once();
    world_open(&w);
    world_answer(world_call("/v1/event/stream"), 404, 0, "");
    world_answer(world_call("/v1/services?"), 404, 0, "");
    CHECK(world_addr("web") == 1 && world_known("nope", "default") == WP_NOMAD_UNKNOWN);
    CHECK(world.s->own->items.n_on_demand == 2);
    for (struct wp_httpc_call *c; (c = world_find("/v1/service/")) != NULL;)
        world_answer(c, 200, 1, "[]");
    let_save();
    world_close();
}

/* Another filter is other data. */
static void test_other_source(void)
{
    struct wp_nomad_wants w = wants("Port > 80");

    run_once();
    world_open(&w);
    CHECK(!world.s->reached && world_known("web", "default") == WP_NOMAD_UNKNOWN);
    world_close();
}

static void flip(void)
{
    DIR *d = opendir(world_dir);
    struct dirent *e;
    char path[512];

    while (d != NULL && (e = readdir(d)) != NULL) {
        uint8_t octet;
        int fd;
        snprintf(path, sizeof(path), "%s/%s", world_dir, e->d_name);
        fd = e->d_name[0] != '.' ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        if (lseek(fd, 0, SEEK_END) > 0) {
            off_t last = lseek(fd, 0, SEEK_END) - 1;
            CHECK(pread(fd, &octet, 1, last) == 1);
            octet ^= 1;
            CHECK(pwrite(fd, &octet, 1, last) == 1);
        }
        close(fd);
    }
    if (d != NULL)
        closedir(d);
}

/* Nothing of a file that proves bad is served. */
static void test_bad_file(void)
{
    struct wp_nomad_wants w = wants(NULL);

    run_once();
    flip();
    world_open(&w);
    CHECK(!world.s->reached && world_known("web", "default") == WP_NOMAD_UNKNOWN);
    CHECK(wp_nomad_store_figures(world.s->store).services == 0 && world.s->own->items.n == 0);
    world_load(false);
    CHECK(world.s->behind_since_ns == 0);
    let_save();
    world_close();
}

RUN_TESTS_WITH(world_setup, world_teardown, TEST(test_next_run_has_it), TEST(test_then_the_agent),
               TEST(test_then_no_list), TEST(test_other_source), TEST(test_bad_file))
