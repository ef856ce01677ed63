/* A mirror that saves: the world of etcd_world.h and a folder that outlives it. */
#pragma once
#include "etcd_world.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

static char keep_dir[] = "/tmp/waypost-keep-XXXXXX";

static int keep_setup(void **state)
{
    (void)state;
    return mkdtemp(keep_dir) != NULL ? 0 : -1;
}

static void keep_forget(void)
{
    DIR *d = opendir(keep_dir);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
}

static int keep_teardown(void **state)
{
    (void)state;
    keep_forget();
    return rmdir(keep_dir);
}

static inline void keep_fill(unsigned n, unsigned host)
{
    for (unsigned i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/k%03u/i", i);
        world_put_host(key, host);
    }
}

/* What is being written is on the disk. */
static inline void keep_written(struct wp_etcd_range *r)
{
    struct timespec step = {.tv_nsec = 200000};

    while (wp_state_is_busy(r->own->keep.state))
        nanosleep(&step, NULL);
}

/* A run that saves what the store holds, and ends. */
static inline void keep_save(void)
{
    struct wp_etcd_range *r = NULL;

    CHECK(world_follow(&r) == 0);
    world_run(5000);
    CHECK(wp_etcd_range_is_loaded(r));
    keep_written(r);
    wp_etcd_range_put(r);
    CHECK(world.users == 0);
}

static inline size_t keep_keys(const struct wp_etcd_range *r)
{
    size_t budget = 100000, n = 0;
    struct wp_etcd_snap s = wp_etcd_tree_snap(r->tree);
    struct wp_etcd_walk walk;

    wp_etcd_snap_walk(&s, "/z", 2, wp_etcd_path_hash("/z", 2, 0, wp_name_hash_root()), &walk);
    while (wp_etcd_walk_next(&walk, &budget) != NULL)
        n++;
    return n;
}

static inline bool keep_is_saved(const struct wp_etcd_range *r)
{
    return !wp_etcd_range_is_loaded(r) && wp_etcd_range_has_data(r);
}

static inline void keep_begin(void)
{
    world_begin();
    world.state_dir = keep_dir;
}
