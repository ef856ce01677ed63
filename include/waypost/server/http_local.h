/* The admin server's pages on a Unix socket: for root and for the user of this process, whatever
 * the mode of the socket's file says. The same limits as on addresses. */
#pragma once
#include <stddef.h>
#include "waypost/plugin/http_admin.h"

struct wp_http_local;

struct wp_http_local_page {
    const char *path;
    wp_http_fn *fn;
    void *arg;
};
/* fd is bound and listens, non-blocking; it is taken, also on failure. From a thread that is no
 * loop's. */
int wp_http_local_open(struct wp_loop *admin, int fd, const struct wp_http_local_page *pages,
                       size_t n, struct wp_http_local **ret) WP_MUSTCHECK;
/* When it returns no page's function is running or will be called again. Accepts NULL. */
void wp_http_local_close(struct wp_http_local *local);
