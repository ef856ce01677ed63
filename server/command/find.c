/* The running process: the one there is, or the one that is named. */
#include "server/command/find.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "waypost/base/text.h"
#include "waypost/server/local_socket.h"

enum { FOUND_MAX = 64, PID_LIMIT = 4194304 };

const struct wp_arg ask_args[] = {
    {"socket", WP_ARG_TEXT, offsetof(struct ask_options, socket), "PATH|PID", NULL,
     "which process is meant, when several run or its socket has a place of its own", 0, 0},
    {"json", WP_ARG_FLAG, offsetof(struct ask_options, json), NULL, NULL, "as JSON", 0, 0},
    {0},
};

const struct wp_exit ask_exits[] = {
    {0, "the answer is on standard output"},
    {ASK_REFUSED, "the process says that the question cannot be answered, or did not answer"},
    {ASK_USAGE, "the command line cannot be read"},
    {ASK_NOBODY, "no waypost runs here that could be asked"},
    {ASK_SEVERAL, "several run: --socket says which one is meant"},
    {0, NULL},
};

struct found {
    long pid; /* the one that is looked for; 0: any */
    unsigned n, n_denied;
    bool has_own; /* what was found is of this container; others' do not count then */
    struct {
        char path[WP_LOCAL_PATH_MAX];
        long pid;
    } at[FOUND_MAX];
};

/* seen: the process's id as we see it, 0: it is in a container beside us, whose network or files we
 * share. */
static int take(struct found *f, const char *path, long pid, long seen)
{
    if (f->has_own && seen == 0)
        return 0;
    if (!f->has_own && seen != 0) {
        f->has_own = true;
        f->n = 0;
    }
    if (f->n == FOUND_MAX)
        return 1;
    snprintf(f->at[f->n].path, sizeof(f->at[0].path), "%s", path);
    f->at[f->n++].pid = seen != 0 ? seen : pid;
    return 0;
}

static int look_at(void *arg, const char *path, long pid)
{
    struct found *f = arg;
    int fd;

    if (f->pid != 0 && f->pid != pid)
        return 0;
    fd = wp_local_socket_connect(path);
    if (fd >= 0) {
        struct ucred peer;
        socklen_t len = sizeof(peer);
        int r = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);

        close(fd);
        if (r < 0 || (geteuid() != 0 && peer.uid != geteuid()))
            fd = -EACCES; /* a socket without a file has no mode */
        else
            return take(f, path, pid, peer.pid);
    }
    f->n_denied += fd == -EACCES || fd == -EPERM;
    return 0;
}

/* The command line of a process of this machine, "" when it cannot be seen. */
static const char *command_of(long pid, char buf[1024])
{
    char path[64];
    size_t n = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
    f = fopen(path, "re");
    if (f != NULL) {
        n = fread(buf, 1, 1023, f);
        fclose(f);
    }
    while (n > 0 && buf[n - 1] == '\0')
        n--;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)buf[i] < 0x20 || buf[i] == 0x7f)
            buf[i] = ' ';
    buf[n] = '\0';
    return buf;
}

static int tell_several(const char *command, const struct found *f)
{
    char buf[1024];

    fprintf(stderr, "waypost %s: several processes run; --socket PATH or PID says which one:\n",
            command);
    for (unsigned i = 0; i < f->n; i++)
        fprintf(stderr, "  %-8ld %s  %s\n", f->at[i].pid, f->at[i].path,
                command_of(f->at[i].pid, buf));
    return -ASK_SEVERAL;
}

static int tell_nobody(const char *command, const struct found *f)
{
    if (f->n_denied > 0)
        fprintf(stderr,
                "waypost %s: permission denied: only root and the user that waypost runs as may ask\n",
                command);
    else if (f->pid != 0)
        fprintf(stderr, "waypost %s: no waypost with a socket has the process id %ld\n", command,
                f->pid);
    else
        fprintf(stderr,
                "waypost %s: no running waypost was found; with `admin PATH` in its Corefile, say "
                "--socket PATH\n",
                command);
    return -ASK_NOBODY;
}

static int connect_to(const char *command, const char *path)
{
    int fd = wp_local_socket_connect(path);

    if (fd >= 0)
        return fd;
    fprintf(stderr, "waypost %s: %s: %s\n", command, path, wp_strerror(fd));
    return -ASK_NOBODY;
}

int find_process(const char *command, const char *socket)
{
    struct found f = {0};
    int64_t pid = 0;

    if (socket != NULL && wp_int_parse(socket, 1, PID_LIMIT, &pid) < 0)
        return connect_to(command, socket);
    f.pid = (long)pid;
    (void)wp_local_socket_each(look_at, &f);
    if (f.n > 1)
        return tell_several(command, &f);
    return f.n == 0 ? tell_nobody(command, &f) : connect_to(command, f.at[0].path);
}
