/* The socket and what it tells, over the life of the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/status/status_priv.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/server/gen.h"
#include "waypost/server/http_local.h"

int64_t status_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int wp_admin_new(struct wp_loop *admin, struct wp_loop *const *workers, int n_workers,
                 struct wp_admin **ret)
{
    struct wp_admin *a = calloc(1, sizeof(*a));

    if (a == NULL)
        return -ENOMEM;
    a->loop = admin;
    a->workers = workers;
    a->n_workers = n_workers;
    a->started_ms = status_clock_ms();
    *ret = a;
    return 0;
}

void wp_admin_free(struct wp_admin *a)
{
    if (a == NULL)
        return;
    free((char *)(uintptr_t)a->told);
    free(a);
}

void wp_admin_conf(struct wp_admin *a, const char *path)
{
    a->conf = path; /* before there is a page that reads it */
}

/* --- the socket ------------------------------------------------------------------------------ */

static void close_socket(struct wp_admin *a)
{
    if (a->local == NULL)
        return;
    wp_local_socket_remove(&a->socket); /* first: nobody finds one that does not answer */
    wp_http_local_close(a->local);
    a->local = NULL;
}

static int open_socket(struct wp_admin *a, const char *path, char why[256])
{
    const struct wp_http_local_page pages[] = {
        {"/status", status_page, a},
        {"/explain", explain_page, a},
    };
    int r = wp_local_socket_open(path, why, &a->socket);

    if (r < 0)
        return r;
    r = wp_http_local_open(a->loop, a->socket.fd, pages, WP_COUNT(pages), &a->local);
    if (r < 0) {
        wp_local_socket_remove(&a->socket);
        snprintf(why, 256, "%s", wp_strerror(r));
    }
    return r;
}

/* The first block that says something counts; NULL: none does. */
static const char *wanted(const struct wp_gen *gen)
{
    for (unsigned i = 0; i < gen->n_blocks; i++)
        if (gen->blocks[i].set.admin != NULL)
            return gen->blocks[i].set.admin;
    return NULL;
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void tend_socket(struct wp_admin *a, const char *path)
{
    char why[256];

    if (a->number > 1 && is_same(path, a->told) && (a->local != NULL || is_same(path, "")))
        return;
    close_socket(a);
    free((char *)(uintptr_t)a->told);
    a->told = path != NULL ? strdup(path) : NULL;
    if (!is_same(path, "") && open_socket(a, path, why) < 0)
        wp_log(WP_INFO, NULL, "No admin socket: %s", why);
}

/* --- what it tells --------------------------------------------------------------------------- */

struct change {
    struct wp_admin *a;
    const struct wp_gen *gen;
    const char *why;
};

static void take_gen(void *arg, struct wp_loop *loop)
{
    const struct change *c = arg;

    if (c->a->number == 0)
        c->a->started_ns = wp_loop_clock(loop);
    c->a->gen = c->gen;
    c->a->loading_ns = 0;
    if (c->gen == NULL)
        return;
    c->a->number++;
    c->a->loaded_ms = status_clock_ms();
}

void wp_admin_serve(struct wp_admin *a, const struct wp_gen *gen)
{
    struct change c = {.a = a, .gen = gen};

    wp_loop_call(a->loop, take_gen, &c);
    tend_socket(a, wanted(gen));
}

static void take_begin(void *arg, struct wp_loop *loop)
{
    struct wp_admin *a = arg;

    a->loading_ns = wp_loop_clock(loop);
}

void wp_admin_reload_begins(struct wp_admin *a)
{
    wp_loop_call(a->loop, take_begin, a);
}

static void take_failure(void *arg, struct wp_loop *loop)
{
    const struct change *c = arg;

    (void)loop;
    c->a->loading_ns = 0;
    c->a->failed++;
    c->a->failed_ms = status_clock_ms();
    snprintf(c->a->why, sizeof(c->a->why), "%s", c->why);
}

void wp_admin_reload_failed(struct wp_admin *a, const char *why)
{
    struct change c = {.a = a, .why = why};

    wp_loop_call(a->loop, take_failure, &c);
}

void wp_admin_close(struct wp_admin *a)
{
    struct change c = {.a = a};

    close_socket(a);
    wp_loop_call(a->loop, take_gen, &c);
}

void wp_admin_remove(const struct wp_admin *a)
{
    if (a->local != NULL)
        wp_local_socket_remove(&a->socket);
}
