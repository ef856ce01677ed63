/* A loop for a command that needs one. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "server/cli/command_priv.h"
#include "waypost/server/worker.h"

static void *run(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

int command_loop_start(struct command_loop *l)
{
    sigset_t all, before;
    int r = wp_loop_new(0, &l->loop);

    if (r < 0)
        return r;
    sigfillset(&all); /* they are for the command's own thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = -pthread_create(&l->thread, NULL, run, l->loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        wp_loop_free(l->loop);
        l->loop = NULL;
    }
    return r;
}

void command_loop_end(struct command_loop *l)
{
    if (l->loop == NULL)
        return;
    wp_loop_stop(l->loop);
    pthread_join(l->thread, NULL);
    wp_loop_free(l->loop);
    l->loop = NULL;
}
