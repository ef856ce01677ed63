/* Mail between threads: a stack that posters push with compare-and-swap; the owner takes all
 * with one exchange and turns it round. Only the push onto an empty stack wakes the owner. */
#include "server/loop/loop_priv.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void wp_mail_wake(struct wp_loop *loop)
{
    uint64_t one = 1;

    /* EAGAIN: the counter is full, so it is readable; nothing else can fail here. */
    while (write(loop->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void wp_loop_post(struct wp_loop *loop, struct wp_mail *mail)
{
    struct wp_mail *head = atomic_load_explicit(&loop->mail, memory_order_relaxed);

    do
        mail->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->mail, &head, mail, memory_order_release,
                                                  memory_order_relaxed));
    if (head == NULL)
        wp_mail_wake(loop);
}

static void deliver(struct wp_io *io, uint32_t events)
{
    struct wp_loop *loop = io->loop;
    struct wp_mail *mail, *first = NULL;
    uint64_t count;

    (void)events;
    /* Reset before the take: a mail that comes after the take finds an empty stack and wakes
     * us again. */
    while (read(io->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    mail = atomic_exchange_explicit(&loop->mail, NULL, memory_order_acquire);
    while (mail != NULL) {
        struct wp_mail *older = mail->next;
        mail->next = first;
        first = mail;
        mail = older;
    }
    while (first != NULL) {
        struct wp_mail *next = first->next; /* fn may reuse or free it */
        first->fn(first);
        first = next;
    }
}

int wp_mail_init(struct wp_loop *loop)
{
    int r;

    loop->wake.fn = deliver;
    loop->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake.fd < 0)
        return -errno;
    r = wp_io_add(loop, &loop->wake, WP_IO_READ);
    if (r < 0)
        close(loop->wake.fd);
    return r;
}

void wp_mail_done(struct wp_loop *loop)
{
    wp_io_del(&loop->wake);
    close(loop->wake.fd);
}
