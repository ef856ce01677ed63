/* Running something on a loop's own thread and waiting for it: set-up and tear-down only. */
#include <semaphore.h>

#include "waypost/plugin/loop.h"

struct call {
    struct wp_mail mail;
    void (*fn)(void *arg, struct wp_loop *loop);
    void *arg;
    struct wp_loop *loop;
    sem_t done;
};

static void run(struct wp_mail *mail)
{
    struct call *c = (struct call *)mail;

    c->fn(c->arg, c->loop);
    sem_post(&c->done);
}

void wp_loop_call(struct wp_loop *loop, void (*fn)(void *arg, struct wp_loop *loop), void *arg)
{
    struct call c = {.mail = {.fn = run}, .fn = fn, .arg = arg, .loop = loop};

    sem_init(&c.done, 0, 0);
    wp_loop_post(loop, &c.mail);
    while (sem_wait(&c.done) != 0)
        ; /* interrupted */
    sem_destroy(&c.done);
}
