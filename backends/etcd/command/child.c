#include "backends/etcd/command/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int etcd_signals_take(struct etcd_signals *s)
{
    static const int taken[] = {SIGTERM, SIGINT,  SIGHUP,   SIGUSR1,
                                SIGUSR2, SIGQUIT, SIGWINCH, SIGCHLD};
    sigset_t set;

    signal(SIGCHLD, SIG_DFL); /* who inherits "ignored" never hears of its children */
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
        sigaddset(&set, taken[i]);
    s->fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (s->fd < 0)
        return -errno;
    sigaddset(&set, SIGPIPE); /* writes tell by themselves */
    sigprocmask(SIG_BLOCK, &set, &s->before);
    return 0;
}

void etcd_signals_give_back(struct etcd_signals *s)
{
    close(s->fd);
    s->fd = -1;
}

int etcd_spawn(const struct etcd_signals *s, char **argv, bool its_group, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    short flags = POSIX_SPAWN_SETSIGMASK;
    int e = posix_spawnattr_init(&attr);

    if (e != 0)
        return -e;
    e = posix_spawn_file_actions_init(&actions);
    if (e != 0) {
        posix_spawnattr_destroy(&attr);
        return -e;
    }
    posix_spawnattr_setsigmask(&attr, &s->before);
    if (its_group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(&attr, 0);
        e = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    posix_spawnattr_setflags(&attr, flags);
    if (e == 0)
        e = posix_spawnp(ret, argv[0], &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -e;
}

int etcd_exit_code(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
