/* Pages on a Unix socket. */
#include "waypost/server/http_local.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/admin/http_priv.h"

struct wp_http_local {
    struct wp_loop *admin;
    struct http_listener *listener;
    int fd, r;
    const struct wp_http_local_page *pages;
    size_t n;
};

/* The last page closes the listener, and with it the connections and the descriptor. */
static void close_all(void *arg, struct wp_loop *loop)
{
    struct wp_http_local *l = arg;

    (void)loop;
    while (l->listener->pages != NULL) {
        struct wp_http_page *next = l->listener->pages->next;

        free(l->listener->pages);
        l->listener->pages = next;
    }
    wp_http_listener_free(l->listener);
}

static void open_all(void *arg, struct wp_loop *loop)
{
    struct wp_http_local *l = arg;

    l->r = wp_http_listener_new(loop, l->fd, &l->listener);
    if (l->r < 0) {
        close(l->fd);
        return;
    }
    l->listener->is_local = true;
    for (size_t i = 0; i < l->n && l->r == 0; i++) {
        const struct wp_http_local_page *p = &l->pages[i];

        if (wp_http_page_new(l->listener, p->path, p->fn, p->arg, NULL) == NULL)
            l->r = -ENOMEM;
    }
    if (l->r < 0)
        close_all(l, loop);
}

int wp_http_local_open(struct wp_loop *admin, int fd, const struct wp_http_local_page *pages,
                       size_t n, struct wp_http_local **ret)
{
    struct wp_http_local *l = calloc(1, sizeof(*l));
    int r;

    if (l == NULL) {
        close(fd);
        return -ENOMEM;
    }
    *l = (struct wp_http_local){.admin = admin, .fd = fd, .pages = pages, .n = n};
    wp_loop_call(admin, open_all, l);
    r = l->r;
    if (r < 0)
        free(l);
    else
        *ret = l;
    return r;
}

void wp_http_local_close(struct wp_http_local *l)
{
    if (l == NULL)
        return;
    wp_loop_call(l->admin, close_all, l);
    free(l);
}

bool wp_http_peer_ok(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}
