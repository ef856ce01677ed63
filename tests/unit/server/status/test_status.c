/* The socket of a process, and a worker that hangs. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "loop_thread.h"
#include "waypost/server/admin.h"
#include "waypost/server/gen.h"
#include "waypost/server/local_socket.h"

static char dir[] = "/tmp/waypost-unit-XXXXXX";

static char *get(const char *path, const char *target)
{
    static char in[65536];
    int fd = wp_local_socket_connect(path);
    char request[256];
    size_t len = 0;
    ssize_t n;

    CHECK(fd >= 0);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nConnection: close\r\n\r\n", target);
    CHECK(send(fd, request, strlen(request), 0) == (ssize_t)strlen(request));
    while ((n = recv(fd, in + len, sizeof(in) - 1 - len, 0)) > 0)
        len += (size_t)n;
    in[len] = '\0';
    close(fd);
    return in;
}

static int count(void *arg, const char *path, long pid)
{
    CHECK(strncmp(path, dir, strlen(dir)) == 0 && pid > 0);
    ++*(int *)arg;
    return 0;
}

static int n_sockets(void)
{
    int n = 0;

    CHECK(wp_local_socket_each(count, &n) == 0);
    return n;
}

static void begin(void)
{
    CHECK(mkdtemp(dir) != NULL && setenv("WAYPOST_RUNTIME_DIR", dir, 1) == 0);
}

/* What is dead is replaced; what lives, or is no socket, is left alone; only our own file goes. */
static void test_socket(void)
{
    struct wp_local_socket a, b;
    char path[128], why[256], dead[140];
    struct stat st;
    int old;
    FILE *f;

    CHECK(n_sockets() == 0 && wp_local_socket_open(NULL, why, &a) == 0);
    snprintf(path, sizeof(path), "%s/%ld.sock", dir, (long)getpid());
    CHECK(strcmp(a.path, path) == 0 && stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(n_sockets() == 1 && wp_local_socket_open(path, why, &b) == -EADDRINUSE && strstr(why, path) == why);
    close(a.fd);
    CHECK(wp_local_socket_connect(path) == -ECONNREFUSED);
    old = open(path, O_PATH | O_CLOEXEC); /* its inode is not used again */
    CHECK(wp_local_socket_open(path, why, &b) == 0); /* the file of a dead one */
    wp_local_socket_remove(&a);
    close(old);
    CHECK(access(path, F_OK) == 0);
    snprintf(dead, sizeof(dead), "%s/1.sock", dir);
    CHECK(wp_local_socket_open(dead, why, &a) == 0);
    close(a.fd);
    CHECK(n_sockets() == 2);
    wp_local_socket_remove(&b);
    close(b.fd);
    CHECK(wp_local_socket_open(NULL, why, &b) == 0 && n_sockets() == 1 && access(dead, F_OK) < 0);
    wp_local_socket_remove(&b);
    close(b.fd);
    f = fopen(dead, "we");
    CHECK(f != NULL && fclose(f) == 0 && wp_local_socket_open(dead, why, &b) == -EADDRINUSE);
    CHECK(unlink(dead) == 0 && n_sockets() == 0);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    CHECK(wp_local_socket_open(path, why, &b) == -ENAMETOOLONG && wp_local_socket_connect(path) == -ENAMETOOLONG);
    CHECK(wp_local_socket_open("", why, &b) < 0);
}

/* Its figures are missing, the others' and everything else is told; it may answer long after. */
static void test_worker_that_hangs(void)
{
    struct loop_thread admin, second;
    struct wp_worker workers[2];
    struct wp_loop *loops[2];
    struct wp_admin *a = NULL;
    struct wp_gen gen = {.n_blocks = 0};
    char path[128], *got;

    loop_thread_start(&admin);
    loop_thread_start(&second);
    CHECK(wp_loop_new(1, &loops[1]) == 0);
    loops[0] = second.loop;
    for (int i = 0; i < 2; i++)
        CHECK(wp_worker_init(&workers[i], loops[i], 10) == 0);
    CHECK(wp_admin_new(admin.loop, loops, 2, &a) == 0);
    wp_admin_serve(a, &gen);
    snprintf(path, sizeof(path), "%s/%ld.sock", dir, (long)getpid());
    got = get(path, "/status");
    CHECK(strstr(got, "HTTP/1.1 200 OK") == got);
    CHECK(strstr(got, "\"worker\": 0,\n      \"answers\": true") != NULL);
    CHECK(strstr(got, "\"worker\": 1,\n      \"answers\": false") != NULL);
    wp_loop_turn(loops[1], 0);
    CHECK(strstr(get(path, "/nothing"), "HTTP/1.1 404") != NULL);
    wp_admin_close(a);
    CHECK(n_sockets() == 0);
    loop_thread_stop(&admin);
    loop_thread_stop(&second);
    for (int i = 0; i < 2; i++)
        wp_worker_done(&workers[i]);
    wp_loop_free(loops[1]);
    wp_admin_free(a);
    CHECK(rmdir(dir) == 0);
}

RUN_TESTS(TEST(begin), TEST(test_socket), TEST(test_worker_that_hangs))
