/* Reading the file and the Corefile's lines. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/hosts/hosts_priv.h"
#include "waypost/base/text.h"
#include "waypost/plugin/log.h"

enum { READ_AHEAD = 65536 };

static int take_file(void *arg, const struct wp_addr *addr, const char *name)
{
    return hosts_maker_add(arg, HOSTS_FILE, addr, name);
}

static int take_inline(void *arg, const struct wp_addr *addr, const char *name)
{
    return hosts_maker_add(arg, HOSTS_INLINE, addr, name);
}

static int read_lines(const struct hosts *h, struct hosts_text *t)
{
    int r = 0;

    hosts_text_init(t);
    for (unsigned i = 0; i < h->n_lines && r == 0; i++) {
        r = hosts_text_feed(t, h->lines[i], strlen(h->lines[i]));
        if (r == 0)
            r = hosts_text_feed(t, "\n", 1);
    }
    return r == 0 ? hosts_text_end(t) : r;
}

static int take_nothing(void *arg, const struct wp_addr *addr, const char *name)
{
    (void)arg;
    (void)addr;
    (void)name;
    return 0;
}

void hosts_tell_lines(const struct hosts *h)
{
    struct hosts_text t = {.fn = take_nothing, .source = "Inline hosts entries"};

    if (read_lines(h, &t) < 0)
        return; /* nothing that is taken can fail */
}

/* What could be read before an error counts. */
static int read_octets(struct hosts *h, struct hosts_text *t, int fd)
{
    char buf[READ_AHEAD];

    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            const char *why = wp_strerror(-errno);
            wp_log(WP_ERROR, "hosts", "Failed to parse hosts file \"%s\": read %s: %c%s", h->path,
                   h->path, wp_lower((uint8_t)why[0]), why + 1);
        }
        if (n <= 0)
            return hosts_text_end(t);
        if (atomic_load_explicit(&h->job.stopping, memory_order_relaxed))
            return WP_ECANCELLED;
        r = hosts_text_feed(t, buf, (size_t)n);
        if (r < 0)
            return r;
    }
}

/* WP_EEXISTS: it is what it was. */
static int read_file(struct hosts *h, struct hosts_maker *m)
{
    char source[600];
    struct hosts_text t = {.fn = take_file, .arg = m, .source = source};
    int fd = open(h->path, O_RDONLY | O_CLOEXEC), r;
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        r = -errno;
        goto out;
    }
    r = WP_EEXISTS;
    if (h->was_read && st.st_size == h->size && st.st_mtim.tv_sec == h->mtime.tv_sec &&
        st.st_mtim.tv_nsec == h->mtime.tv_nsec)
        goto out;
    snprintf(source, sizeof(source), "Hosts file \"%s\"", h->path);
    hosts_text_init(&t);
    r = read_octets(h, &t, fd);
    if (r < 0)
        goto out;
    h->was_read = true;
    h->size = st.st_size;
    h->mtime = st.st_mtim;
out:
    close(fd);
    return r;
}

int hosts_load(struct hosts *h, struct hosts_table **ret)
{
    const struct hosts_maker_config config = {
        .zones = &h->zones, .ttl = h->ttl, .no_reverse = h->no_reverse, .source = h->source};
    struct hosts_text lines = {.fn = take_inline, .quiet = true};
    struct hosts_maker *m = NULL;
    bool first = atomic_load_explicit(&h->table, memory_order_relaxed) == NULL;
    int r = hosts_maker_new(&config, &m);

    *ret = NULL;
    if (r < 0)
        return r;
    r = read_file(h, m);
    if (r == -ENOMEM || r == WP_ECANCELLED || (r < 0 && !first))
        goto out;
    lines.arg = m;
    r = read_lines(h, &lines);
    if (r == 0)
        r = hosts_maker_finish(m, ret);
out:
    hosts_maker_free(m);
    return r == -ENOMEM ? r : 0;
}
