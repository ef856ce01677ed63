/* Where a running process can be asked, and how others find it. The Unix socket of a process is
 * PID.sock in the first of these directories that it can write to: the service manager's
 * RUNTIME_DIRECTORY, /run/waypost (made when it can be), $XDG_RUNTIME_DIR/waypost (made). With none of
 * them (a container whose files are read-only) it has a name and no file: "@waypost/PID", of the
 * network namespace ("@waypost/PID-2" when another container in it has that). WAYPOST_RUNTIME_DIR, when it is set, stands for all of these places. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "waypost/base/err.h"

enum { WP_LOCAL_PATH_MAX = 108 }; /* of struct sockaddr_un, with the NUL */

struct wp_local_socket {
    int fd;
    char path[WP_LOCAL_PATH_MAX]; /* "@...": it has no file */
    dev_t dev; /* of the file that was made */
    ino_t ino;
};
/* A listening, non-blocking socket of mode 0600. path NULL: at the usual places. A file there that
 * nobody listens on any more is replaced; so are those of dead processes beside it. 0, or negative
 * with the reason. */
int wp_local_socket_open(const char *path, char why[256], struct wp_local_socket *ret) WP_MUSTCHECK;
/* Take the file away, if it is still ours; the descriptor is somebody else's by now. */
void wp_local_socket_remove(const struct wp_local_socket *s);

/* A connected, blocking socket, or -errno; -ECONNREFUSED: nobody listens. */
int wp_local_socket_connect(const char *path);
/* The sockets at all usual places, dead ones included, each once; stops when fn returns non-zero
 * and returns that. */
int wp_local_socket_each(int (*fn)(void *arg, const char *path, long pid), void *arg);
