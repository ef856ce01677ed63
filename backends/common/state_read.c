/* Reading a saved file. Its octets are not trusted: each length is checked against what the file
 * has, memory grows with octets that are there, and nothing is handed over before its checksum. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/common/state_priv.h"
#include "waypost/base/rd.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"

struct wp_state_reader {
    struct wp_state *s; /* NULL: a bare descriptor */
    int fd;
    uint64_t octets, left; /* of the file */
    uint32_t crc;
    uint64_t n_blocks, n_records;
    uint8_t *buf;
    size_t cap;
    char why[128];
};

static uint64_t rd64(struct wp_rd *rd)
{
    uint64_t high = wp_rd_u32(rd);

    return high << 32 | wp_rd_u32(rd);
}

static int bad(struct wp_state_reader *r, const char *why)
{
    snprintf(r->why, sizeof(r->why), "%s", why);
    return WP_EMALFORMED;
}

static int read_all(struct wp_state_reader *r, uint8_t *to, size_t len)
{
    if (len > r->left)
        return bad(r, "it ends early");
    while (len > 0) {
        ssize_t n = read(r->fd, to, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return bad(r, "it ends early");
        to += n;
        len -= (size_t)n;
        r->left -= (uint64_t)n;
    }
    return 0;
}

static int reserve(struct wp_state_reader *r, size_t len)
{
    uint8_t *buf;

    if (len <= r->cap)
        return 0;
    buf = realloc(r->buf, len);
    if (buf == NULL)
        return -ENOMEM;
    r->buf = buf;
    r->cap = len;
    return 0;
}

/* The next block's payload, in r->buf. */
static int read_block(struct wp_state_reader *r, uint8_t *ret_kind, size_t *ret_len)
{
    uint8_t head[WP_STATE_BLOCK_HEAD];
    size_t len;
    int ret = read_all(r, head, sizeof(head));

    if (ret < 0)
        return ret;
    len = wp_be32(head);
    if (len > WP_STATE_PAYLOAD_MAX || len + WP_STATE_CRC > r->left)
        return bad(r, len > WP_STATE_PAYLOAD_MAX ? "a block is too large" : "it ends early");
    ret = reserve(r, len + WP_STATE_CRC);
    if (ret == 0)
        ret = read_all(r, r->buf, len + WP_STATE_CRC);
    if (ret < 0)
        return ret;
    r->n_blocks++;
    r->crc = wp_state_crc(r->crc, head, sizeof(head));
    r->crc = wp_state_crc(r->crc, r->buf, len);
    if (wp_be32(r->buf + len) != r->crc) {
        snprintf(r->why, sizeof(r->why), "the checksum of block %llu does not match",
                 (unsigned long long)r->n_blocks);
        return WP_EMALFORMED;
    }
    r->crc = wp_state_crc(r->crc, r->buf + len, WP_STATE_CRC);
    *ret_kind = head[4];
    *ret_len = len;
    return 0;
}

/* The source's own words, or ones that do as well. */
static bool is_identity(struct wp_rd *rd, size_t len, const struct wp_state_config *c)
{
    const char *p = (const char *)wp_rd_bytes(rd, len);

    return p != NULL && ((len == strlen(c->identity) && memcmp(p, c->identity, len) == 0) ||
                         (c->is_kin != NULL && c->is_kin(c->identity, p, len)));
}

static bool is_word(struct wp_rd *rd, size_t len, const char *word)
{
    const uint8_t *p = wp_rd_bytes(rd, len);

    return p != NULL && len == strlen(word) && memcmp(p, word, len) == 0;
}

static int read_head(struct wp_state_reader *r, const struct wp_state_config *c,
                     struct wp_state_info *ret)
{
    struct wp_rd rd;
    uint8_t kind;
    const uint8_t *meta;
    size_t len;
    bool same;
    int e = read_block(r, &kind, &len);

    if (e < 0)
        return e;
    rd = wp_rd_from(r->buf, len);
    ret->saved_ms = (int64_t)rd64(&rd);
    same = is_word(&rd, wp_rd_u16(&rd), c->backend);
    ret->meta_len = wp_rd_u16(&rd);
    meta = wp_rd_bytes(&rd, ret->meta_len);
    same = is_identity(&rd, wp_rd_u32(&rd), c) && same;
    if (kind != WP_STATE_HEAD || rd.bad || wp_rd_left(&rd) > 0 || ret->meta_len > sizeof(ret->meta))
        return bad(r, "its first block is none");
    if (!same)
        return bad(r, "it is of another source");
    memcpy(ret->meta, meta, ret->meta_len);
    return 0;
}

static int read_start(struct wp_state_reader *r)
{
    uint8_t start[WP_STATE_START];
    int e = read_all(r, start, sizeof(start));

    if (e < 0)
        return e;
    if (memcmp(start, WP_STATE_MAGIC, 8) != 0)
        return bad(r, "it is no saved state");
    if (wp_be32(start + 8) != WP_STATE_VERSION) {
        snprintf(r->why, sizeof(r->why), "its format is version %u, this program knows %d",
                 wp_be32(start + 8), WP_STATE_VERSION);
        return WP_EMALFORMED;
    }
    r->crc = wp_state_crc(0, start, sizeof(start));
    return 0;
}

/* A file's own time is when its data was last confirmed; no future counts. */
static int64_t known_ms(const struct stat *st, int64_t saved_ms)
{
    int64_t ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000,
            now = wp_state_clock_ms();

    ms = ms > saved_ms ? ms : saved_ms;
    return ms < now ? ms : now;
}

int wp_state_reader_new(int fd, const struct wp_state_config *c, struct wp_state_info *ret_info,
                        char ret_why[128], struct wp_state_reader **ret)
{
    struct wp_state_reader *r = calloc(1, sizeof(*r));
    uint64_t max = c->max_octets != 0 ? c->max_octets : WP_STATE_OCTETS_MAX;
    struct stat st;
    int e = -ENOMEM;

    if (r == NULL) {
        close(fd);
        return e;
    }
    r->fd = fd;
    if (fstat(fd, &st) < 0)
        e = -errno;
    else if (!S_ISREG(st.st_mode))
        e = bad(r, "it is no file");
    else if ((uint64_t)st.st_size > max)
        e = bad(r, "it is larger than may be");
    else {
        r->octets = r->left = (uint64_t)st.st_size;
        e = read_start(r);
    }
    if (e == 0)
        e = read_head(r, c, ret_info);
    if (e < 0) {
        memcpy(ret_why, r->why, sizeof(r->why));
        wp_state_close(r);
        return e;
    }
    ret_info->known_ms = known_ms(&st, ret_info->saved_ms);
    *ret = r;
    return 0;
}

const char *wp_state_reader_why(const struct wp_state_reader *r)
{
    return r->why;
}

/* One is kept, so that it can be looked at. */
static void set_aside(const struct wp_state *s, const char *why)
{
    char to[4096];
    int n = snprintf(to, sizeof(to), "%s.bad", s->path);
    bool moved = n > 0 && (size_t)n < sizeof(to) && rename(s->path, to) == 0;

    wp_log(WP_WARNING, s->c.backend, "saved state %s is not used: %s; %s", s->path, why,
           moved ? "set aside as .bad" : "it cannot be moved");
}

static void tell_error(const struct wp_state *s, int e)
{
    wp_log(WP_WARNING, s->c.backend, "saved state %s cannot be read: %s", s->path, wp_strerror(e));
}

/* Before anything is read: the source is ours from here on, or another process's. */
static void claim(struct wp_state *s)
{
    struct stat st;

    if (s->lock_fd >= 0)
        return;
    s->lock_fd = wp_state_lock(s->lock_path);
    if (s->lock_fd == -EBUSY)
        wp_log(WP_WARNING, s->c.backend,
               "%s: another process saves to %s: this one reads it, and does not save",
               s->c.source, s->path);
    if (stat(s->c.dir, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
        wp_log(WP_WARNING, s->c.backend, "%s: everybody may write to the directory of saved state",
               s->c.dir);
}

/* The descriptor of the file, or of one that does as well. */
static int open_file(struct wp_state *s)
{
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    wp_state_adopt(s);
    fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd >= 0 ? fd : -errno;
}

int wp_state_open(struct wp_state *s, struct wp_state_info *ret_info, struct wp_state_reader **ret)
{
    struct stat st;
    char why[128];
    int fd, e;

    claim(s);
    fd = open_file(s);
    if (fd == -ENOENT || fd == -ENOTDIR)
        return WP_ENOTFOUND;
    if (fd < 0) {
        tell_error(s, fd);
        return fd;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    if (fstat(fd, &st) == 0 && !wp_state_is_trusted(&st)) {
        close(fd);
        set_aside(s, "it is another user's, or others may write it");
        return WP_EMALFORMED;
    }
    e = wp_state_reader_new(fd, &s->c, ret_info, why, ret);
    if (e == WP_EMALFORMED)
        set_aside(s, why);
    else if (e < 0)
        tell_error(s, e);
    if (e < 0)
        return e;
    (*ret)->s = s;
    atomic_store(&s->last_size, (*ret)->octets);
    wp_metric_set(s->stats.octets, (double)(*ret)->octets);
    return 0;
}

static int give_records(struct wp_state_reader *r, size_t len, wp_state_record_fn *fn, void *arg)
{
    struct wp_rd rd = wp_rd_from(r->buf, len);

    while (wp_rd_left(&rd) > 0) {
        size_t n = wp_rd_u32(&rd);
        const uint8_t *rec = wp_rd_bytes(&rd, n);
        int e;
        if (rec == NULL)
            return bad(r, "a record passes the end of its block");
        e = fn(arg, rec, n);
        if (e == WP_EMALFORMED)
            return bad(r, "it has a record that is none");
        if (e < 0)
            return e;
        r->n_records++;
    }
    return 1;
}

static int next(struct wp_state_reader *r, wp_state_record_fn *fn, void *arg)
{
    struct wp_rd rd;
    uint8_t kind;
    size_t len;
    int e = read_block(r, &kind, &len);

    if (e < 0)
        return e;
    if (kind == WP_STATE_RECORDS)
        return give_records(r, len, fn, arg);
    rd = wp_rd_from(r->buf, len);
    if (kind != WP_STATE_END || len != 8 || rd64(&rd) != r->n_records)
        return bad(r, "a block is none");
    return r->left > 0 ? bad(r, "something follows its end") : 0;
}

int wp_state_next(struct wp_state_reader *r, wp_state_record_fn *fn, void *arg)
{
    int e = next(r, fn, arg);

    if (r->s != NULL && e == WP_EMALFORMED)
        set_aside(r->s, r->why);
    else if (r->s != NULL && e < 0)
        tell_error(r->s, e);
    return e;
}

void wp_state_close(struct wp_state_reader *r)
{
    if (r == NULL)
        return;
    close(r->fd);
    free(r->buf);
    free(r);
}
