/* The temporary file of a save, from its first octet to its place. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "backends/common/state_priv.h"

enum { LOCK_TRIES = 3 };

uint32_t wp_state_crc(uint32_t crc, const void *octets, size_t len)
{
    return (uint32_t)crc32(crc, octets, (uInt)len);
}

struct wp_state_block *wp_state_block_new(enum wp_state_kind kind, size_t cap)
{
    struct wp_state_block *b = malloc(sizeof(*b) + WP_STATE_BLOCK_HEAD + cap +
                                      WP_STATE_CRC); /* filled before it is read */

    if (b == NULL)
        return NULL;
    b->next = NULL;
    b->kind = kind;
    b->len = 0;
    b->cap = cap;
    return b;
}

static int write_all(struct wp_state_file *f, const uint8_t *p, size_t len)
{
    if (len > f->max - f->octets)
        return WP_ELIMIT;
    while (len > 0) {
        ssize_t n = write(f->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
        f->octets += (uint64_t)n;
    }
    return 0;
}

/* The lock is of the file, not of its name: another process may have moved it meanwhile, or removed
 * it. */
int wp_state_lock(const char *path)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat mine, there;
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
            close(fd);
            return r;
        }
        if (fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
            mine.st_dev == there.st_dev)
            return fd;
        close(fd);
    }
    return -EBUSY;
}

int wp_state_file_open(struct wp_state_file *f)
{
    uint8_t start[WP_STATE_START];
    int r;

    if (mkdir(f->dir, 0700) < 0 && errno != EEXIST)
        return -errno;
    f->fd = wp_state_lock(f->temp); /* one name, so that a crash leaves one such file at most */
    if (f->fd < 0)
        return f->fd;
    f->octets = 0;
    memcpy(start, WP_STATE_MAGIC, 8);
    wp_put32(start + 8, WP_STATE_VERSION);
    f->crc = wp_state_crc(0, start, sizeof(start));
    r = ftruncate(f->fd, 0) < 0 || fchmod(f->fd, 0600) < 0 ? -errno : 0;
    return r < 0 ? r : write_all(f, start, sizeof(start));
}

int wp_state_file_block(struct wp_state_file *f, struct wp_state_block *b)
{
    size_t len = WP_STATE_BLOCK_HEAD + b->len;

    wp_put32(b->data, (uint32_t)b->len);
    b->data[4] = (uint8_t)b->kind;
    f->crc = wp_state_crc(f->crc, b->data, len);
    wp_put32(b->data + len, f->crc);
    f->crc = wp_state_crc(f->crc, b->data + len, WP_STATE_CRC);
    return write_all(f, b->data, len + WP_STATE_CRC);
}

static int sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

    if (fd < 0)
        return -errno;
    if (fsync(fd) < 0)
        r = -errno;
    close(fd);
    return r;
}

int wp_state_file_commit(struct wp_state_file *f)
{
    int r;

    if (fsync(f->fd) < 0 || rename(f->temp, f->path) < 0)
        return -errno;
    r = close(f->fd) < 0 ? -errno : 0;
    f->fd = -1;
    return r < 0 ? r : sync_dir(f->dir);
}

void wp_state_file_abandon(struct wp_state_file *f)
{
    if (f->fd < 0)
        return;
    (void)unlink(f->temp); /* the lock is still ours */
    close(f->fd);
    f->fd = -1;
}
