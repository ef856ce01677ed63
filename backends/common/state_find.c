/* Which file is read: our own, or, when there is none, one that was saved under a name that has
 * changed a little since. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/common/state_priv.h"
#include "waypost/plugin/log.h"

enum { LOOKED_AT_MAX = 1000 };
#define SUFFIX ".state"

bool wp_state_is_trusted(const struct stat *st)
{
    return (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* When that file's data was last known to be good; 0: it is not for us. */
static int64_t known_ms(const struct wp_state *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct wp_state_reader *reader = NULL;
    struct wp_state_info info;
    struct stat st;
    char why[128];

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) < 0 || !wp_state_is_trusted(&st)) {
        close(fd);
        return 0;
    }
    if (wp_state_reader_new(fd, &s->c, &info, why, &reader) < 0)
        return 0;
    wp_state_close(reader);
    return info.known_ms;
}

/* "/x/etcd-0123.state": "/x/etcd-0123.lock". */
static int lock_of(const char *path)
{
    char lock[4096];
    int n = snprintf(lock, sizeof(lock), "%.*s.lock", (int)(strlen(path) - strlen(SUFFIX)), path);
    int fd = n > 0 && (size_t)n < sizeof(lock) ? wp_state_lock(lock) : -ENAMETOOLONG;

    if (fd >= 0)
        (void)unlink(lock);
    return fd;
}

static bool is_one(const struct wp_state *s, const char *name)
{
    size_t n = strlen(name), backend = strlen(s->c.backend);

    return strncmp(name, s->c.backend, backend) == 0 && name[backend] == '-' &&
           n > strlen(SUFFIX) && strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0;
}

static void find_newest(const struct wp_state *s, DIR *dir, char best[4096])
{
    int64_t newest = 0;

    for (int i = 0; i < LOOKED_AT_MAX; i++) {
        const struct dirent *e = readdir(dir);
        char path[4096];
        int64_t ms;
        int n;
        if (e == NULL)
            return;
        if (!is_one(s, e->d_name))
            continue;
        n = snprintf(path, sizeof(path), "%s/%s", s->c.dir, e->d_name);
        if (n < 0 || (size_t)n >= sizeof(path))
            continue;
        ms = known_ms(s, path);
        if (ms > newest) {
            newest = ms;
            memcpy(best, path, (size_t)n + 1);
        }
    }
}

void wp_state_adopt(struct wp_state *s)
{
    DIR *dir = s->c.is_kin != NULL ? opendir(s->c.dir) : NULL;
    char best[4096] = "";
    int lock;

    if (dir == NULL)
        return;
    find_newest(s, dir, best);
    closedir(dir);
    if (*best == '\0')
        return;
    lock = lock_of(best);
    if (lock == -EBUSY)
        return; /* whoever saves it is alive */
    if (rename(best, s->path) == 0)
        wp_log(WP_INFO, s->c.backend, "%s: what was saved before a change of its configuration is taken over from %s",
               s->c.source, best);
    if (lock >= 0)
        close(lock);
}
