/* What the process tells of itself on its Unix socket (local_socket.h): /status, and /explain,
 * which asks a question and tells its way. Main thread, loops run. */
#pragma once
#include "waypost/base/err.h"

struct wp_admin;
struct wp_gen;
struct wp_loop;

int wp_admin_new(struct wp_loop *admin, struct wp_loop *const *workers, int n_workers,
                 struct wp_admin **ret) WP_MUSTCHECK;
void wp_admin_free(struct wp_admin *a); /* closed, or no loop runs; accepts NULL */
/* The Corefile's path, NULL: the built-in one. Lives as long as the process. */
void wp_admin_conf(struct wp_admin *a, const char *path);
/* A generation is in service: its directive `admin` holds, and the pages tell of it. When this
 * returns nothing of the one before is looked at any more. */
void wp_admin_serve(struct wp_admin *a, const struct wp_gen *gen);
/* A reload begins; wp_admin_serve or wp_admin_reload_failed says how it ends. */
void wp_admin_reload_begins(struct wp_admin *a);
void wp_admin_reload_failed(struct wp_admin *a, const char *why);
/* No socket, no pages; the generation is not looked at any more. */
void wp_admin_close(struct wp_admin *a);
/* The process ends at once: takes the socket's file away. */
void wp_admin_remove(const struct wp_admin *a);
