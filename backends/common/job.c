#include "backends/common/job.h"

#include <stddef.h>

static struct wp_job *job_of(struct wp_mail *mail)
{
    return (struct wp_job *)((char *)mail - offsetof(struct wp_job, mail));
}

static void on_end(struct wp_mail *mail)
{
    struct wp_job *j = job_of(mail);

    if (j->left)
        return; /* stop() takes it from here */
    pthread_join(j->thread, NULL);
    j->running = false;
    j->done(j);
}

static void *run(void *arg)
{
    struct wp_job *j = arg;

    j->work(j);
    j->mail.fn = on_end;
    wp_loop_post(j->loop, &j->mail);
    return NULL;
}

int wp_job_start(struct wp_job *j)
{
    int e;

    if (atomic_load(&j->stopping))
        return WP_ECANCELLED;
    e = pthread_create(&j->thread, NULL, run,
                       j); /* the loop's thread takes no signals: nor will it */
    j->running = e == 0;
    return -e;
}

static void leave(void *arg, struct wp_loop *loop)
{
    struct wp_job *j = arg;

    (void)loop;
    j->left = j->running;
}

static void pass_by(void *arg, struct wp_loop *loop)
{
    (void)arg;
    (void)loop;
}

bool wp_job_stop(struct wp_job *j)
{
    if (j->loop == NULL)
        return false;
    atomic_store(&j->stopping, true);
    wp_loop_call(j->loop, leave, j);
    if (!j->left)
        return false;
    pthread_join(j->thread, NULL);
    wp_loop_call(j->loop, pass_by, NULL); /* its mail has been read when this returns */
    j->running = j->left = false;
    return true;
}
