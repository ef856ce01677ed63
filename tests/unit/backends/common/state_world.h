/* A folder of its own, and sources that save "N: text" records in it. */
#pragma once
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backends/common/state.h"

static char world_dir[] = "/tmp/waypost-state-XXXXXX";

static int world_setup(void **state)
{
    (void)state;
    return mkdtemp(world_dir) != NULL ? 0 : -1;
}

static void world_empty(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char name[512];

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
        if (unlink(name) < 0)
            rmdir(name);
    }
    if (d != NULL)
        closedir(d);
}

static int world_teardown(void **state)
{
    (void)state;
    world_empty(world_dir);
    return rmdir(world_dir);
}

static inline struct wp_state *world_state(const char *dir, const char *backend,
                                           const char *identity, uint64_t max)
{
    struct wp_state_config c = {
        .dir = dir, .backend = backend, .source = "test", .identity = identity, .max_octets = max};
    struct wp_state *s = NULL;

    CHECK(wp_state_new(&c, &s) == 0);
    return s;
}

static void world_pause(void)
{
    struct timespec ms = {.tv_nsec = 200000};

    nanosleep(&ms, NULL);
}

/* Until the disk has it, or writing has failed. */
static void world_wait(struct wp_state *s)
{
    while (wp_state_is_busy(s))
        world_pause();
}

/* n records of len octets, each begins with its number and ends with `version`. 0 or the error
 * that ended the save. */
static inline int world_save(struct wp_state *s, uint32_t n, size_t len, uint8_t version)
{
    int r = wp_state_begin(s, 1, "meta", 4);

    for (uint32_t i = 0; r == 0 && i < n; i++) {
        uint8_t *to = NULL;
        while ((r = wp_state_room(s, len, &to)) == -EAGAIN)
            world_pause();
        if (r < 0)
            break;
        memset(to, 'x', len);
        memcpy(to, &i, sizeof(i));
        to[len - 1] = version;
    }
    if (r == 0)
        while ((r = wp_state_end(s)) == -EAGAIN)
            world_pause();
    if (r < 0)
        wp_state_cancel(s);
    world_wait(s);
    return r;
}

struct world_seen {
    uint32_t n;
    uint8_t version;
    bool mixed;
};

static inline int world_record(void *arg, const uint8_t *rec, size_t len)
{
    struct world_seen *seen = arg;
    uint32_t n;

    if (len < 5)
        return WP_EMALFORMED;
    memcpy(&n, rec, sizeof(n));
    seen->mixed |= n != seen->n || (n > 0 && rec[len - 1] != seen->version);
    seen->version = rec[len - 1];
    seen->n++;
    return 0;
}

/* 0 when it is whole. */
static inline int world_read(struct wp_state *s, struct world_seen *ret)
{
    struct wp_state_reader *reader = NULL;
    struct wp_state_info info;
    int r = wp_state_open(s, &info, &reader);

    *ret = (struct world_seen){0};
    if (r < 0)
        return r;
    CHECK(info.meta_len == 4 && memcmp(info.meta, "meta", 4) == 0);
    CHECK(info.known_ms >= info.saved_ms && info.known_ms <= wp_state_clock_ms());
    while ((r = wp_state_next(reader, world_record, ret)) == 1)
        ;
    wp_state_close(reader);
    return r;
}

static inline bool world_has(const char *path, const char *end)
{
    char name[512];
    struct stat st;

    snprintf(name, sizeof(name), "%s%s", path, end);
    return lstat(name, &st) == 0;
}
