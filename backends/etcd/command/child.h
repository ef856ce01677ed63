/* The command that a registration stands for, and children in general. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* The signals that are handed on, and SIGCHLD, blocked for this thread and all it starts; children
 * get the mask as it was. Before any other thread. */
struct etcd_signals {
    sigset_t before;
    int fd; /* signalfd */
};
/* 0 or -errno. */
int etcd_signals_take(struct etcd_signals *s);
void etcd_signals_give_back(struct etcd_signals *s);
/* Start a program of $PATH. its_group: in a process group of its own, without the terminal's
 * input. 0 or -errno. */
int etcd_spawn(const struct etcd_signals *s, char **argv, bool its_group, pid_t *ret);
/* As a shell says it: 128 and the signal's number. */
int etcd_exit_code(int wait_status);
