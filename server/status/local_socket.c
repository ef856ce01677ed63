#include "waypost/server/local_socket.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "waypost/base/text.h"

enum { BACKLOG = 64, DIRS = 3, PID_MAX = 4194304, NAMESAKES = 16 };
#define USUAL "/run/waypost"
#define ABSTRACT "@waypost/"

/* --- places ---------------------------------------------------------------------------------- */

struct dir {
    char path[WP_LOCAL_PATH_MAX];
    bool make;
};

static bool take(const char *path, size_t len, bool make, struct dir *ret)
{
    if (len == 0 || len >= sizeof(ret->path))
        return false;
    ret->make = make;
    memcpy(ret->path, path, len);
    ret->path[len] = '\0';
    return true;
}

/* The only place there is, when somebody says so. */
static const char *only_place(void)
{
    return getenv("WAYPOST_RUNTIME_DIR");
}

/* Those there are on this machine, best first. */
static unsigned dirs(struct dir out[DIRS])
{
    const char *named = getenv("RUNTIME_DIRECTORY"), *own = getenv("XDG_RUNTIME_DIR");
    char below[PATH_MAX];
    unsigned n = 0;
    int len;

    if (only_place() != NULL)
        return take(only_place(), strlen(only_place()), true, &out[0]);
    if (named != NULL) /* systemd: the first of several */
        n += take(named, strcspn(named, ":"), false, &out[n]);
    n += take(USUAL, strlen(USUAL), true, &out[n]);
    len = own != NULL && own[0] == '/' ? snprintf(below, sizeof(below), "%s/waypost", own) : 0;
    n += take(below, len > 0 ? (size_t)len : 0, true, &out[n]);
    return n;
}

/* "123.sock" */
static long pid_of(const char *name)
{
    const char *dot = strchr(name, '.');
    char digits[16];
    int64_t pid;

    if (dot == NULL || strcmp(dot, ".sock") != 0 || (size_t)(dot - name) >= sizeof(digits))
        return 0;
    memcpy(digits, name, (size_t)(dot - name));
    digits[dot - name] = '\0';
    return wp_int_parse(digits, 1, PID_MAX, &pid) == 0 ? (long)pid : 0;
}

static int each_in(const char *dir, int (*fn)(void *arg, const char *path, long pid), void *arg)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int r = 0;

    while (d != NULL && r == 0 && (e = readdir(d)) != NULL) {
        char path[WP_LOCAL_PATH_MAX];
        long pid = pid_of(e->d_name);
        int n = pid > 0 ? snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) : -1;

        if (n > 0 && n < (int)sizeof(path))
            r = fn(arg, path, pid);
    }
    if (d != NULL)
        closedir(d);
    return r;
}

/* "123", and "123-2" of a namesake. */
static long abstract_pid(const char *text)
{
    char digits[16];
    size_t len = strcspn(text, "-");
    int64_t pid;

    if (len >= sizeof(digits))
        return 0;
    memcpy(digits, text, len);
    digits[len] = '\0';
    return wp_int_parse(digits, 1, PID_MAX, &pid) == 0 ? (long)pid : 0;
}

/* Listening sockets without a file; each stands in the table once, its connections beside it with
 * other flags. */
static int each_abstract(int (*fn)(void *arg, const char *path, long pid), void *arg)
{
    FILE *f = fopen("/proc/net/unix", "re");
    char line[512];
    int r = 0;

    while (f != NULL && r == 0 && fgets(line, sizeof(line), f) != NULL) {
        const char *at = strstr(line, " " ABSTRACT);
        unsigned flags = 0;
        long pid;

        line[strcspn(line, "\n")] = '\0';
        if (at != NULL && sscanf(line, "%*s %*s %*s %x", &flags) == 1 && (flags & 0x10000) != 0 &&
            (pid = abstract_pid(at + sizeof(ABSTRACT))) > 0) /* __SO_ACCEPTCON */
            r = fn(arg, at + 1, pid);
    }
    if (f != NULL)
        fclose(f);
    return r;
}

int wp_local_socket_each(int (*fn)(void *arg, const char *path, long pid), void *arg)
{
    struct dir d[DIRS];
    unsigned n = dirs(d);
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++) {
        struct stat a, b;
        bool seen = stat(d[i].path, &a) < 0;

        for (unsigned k = 0; k < i && !seen; k++)
            seen = stat(d[k].path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
        if (!seen)
            r = each_in(d[i].path, fn, arg);
    }
    return r != 0 || only_place() != NULL ? r : each_abstract(fn, arg);
}

/* --- one socket ------------------------------------------------------------------------------ */

static int address_of(const char *path, struct sockaddr_un *ret, socklen_t *ret_len)
{
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(ret->sun_path))
        return -ENAMETOOLONG;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, len);
    if (path[0] == '@')
        ret->sun_path[0] = '\0';
    *ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (path[0] != '@'));
    return 0;
}

int wp_local_socket_connect(const char *path)
{
    struct sockaddr_un a;
    socklen_t len;
    int r = address_of(path, &a, &len), fd;

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, len) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static int remove_dead(void *arg, const char *path, long pid)
{
    struct stat st;
    int fd;

    (void)arg;
    (void)pid;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return 0;
    fd = wp_local_socket_connect(path);
    if (fd >= 0)
        close(fd);
    else if (fd == -ECONNREFUSED)
        unlink(path);
    return 0;
}

static int listen_at(const char *path, mode_t mode)
{
    struct sockaddr_un a;
    socklen_t len;
    int r = address_of(path, &a, &len), fd;

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* the mode first: nobody else can connect before anybody listens */
    if (bind(fd, (struct sockaddr *)&a, len) < 0 || (path[0] != '@' && chmod(path, mode) < 0) ||
        listen(fd, BACKLOG) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* Under another name first: a file with the name is one that listens, or is dead. */
static int open_file(const char *path, struct wp_local_socket *ret)
{
    char other[WP_LOCAL_PATH_MAX];
    struct stat st;
    int n, fd;

    (void)remove_dead(NULL, path, 0);
    if (lstat(path, &st) == 0)
        return -EADDRINUSE;
    n = snprintf(other, sizeof(other), "%s~", path);
    if (n >= (int)sizeof(other))
        return -ENAMETOOLONG;
    (void)remove_dead(NULL, other, 0);
    fd = listen_at(other, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return fd;
    if (stat(other, &st) < 0 || rename(other, path) < 0) {
        int r = -errno;

        unlink(other);
        close(fd);
        return r;
    }
    *ret = (struct wp_local_socket){.fd = fd, .dev = st.st_dev, .ino = st.st_ino};
    strcpy(ret->path, path);
    return 0;
}

/* Process ids are not unique in a network that several containers share. */
static int open_abstract(struct wp_local_socket *ret)
{
    int fd = -EADDRINUSE;

    for (int i = 1; i <= NAMESAKES && fd == -EADDRINUSE; i++) {
        int n = snprintf(ret->path, sizeof(ret->path), ABSTRACT "%ld", (long)getpid());

        if (i > 1)
            snprintf(ret->path + n, sizeof(ret->path) - (size_t)n, "-%d", i);
        fd = listen_at(ret->path, 0);
    }
    ret->fd = fd;
    return fd < 0 ? fd : 0;
}

static int open_usual(struct wp_local_socket *ret)
{
    char name[512];
    struct dir d[DIRS];
    unsigned n = dirs(d);

    for (unsigned i = 0; i < n; i++) {
        if (d[i].make)
            (void)mkdir(d[i].path, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH);
        if (access(d[i].path, W_OK | X_OK) < 0)
            continue;
        (void)each_in(d[i].path, remove_dead, NULL);
        snprintf(name, sizeof(name), "%s/%ld.sock", d[i].path, (long)getpid());
        if (open_file(name, ret) == 0)
            return 0;
    }
    return only_place() != NULL ? -EACCES : open_abstract(ret);
}

int wp_local_socket_open(const char *path, char why[256], struct wp_local_socket *ret)
{
    int r = path != NULL ? open_file(path, ret) : open_usual(ret);

    if (r < 0)
        snprintf(why, 256, "%s: %s",
                 path != NULL ? path : only_place() != NULL ? only_place() : USUAL, wp_strerror(r));
    return r;
}

void wp_local_socket_remove(const struct wp_local_socket *s)
{
    struct stat st;

    if (s->path[0] != '@' && lstat(s->path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        unlink(s->path);
}
