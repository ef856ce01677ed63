/* The running process, for main. Main thread only. */
#pragma once
#include <stdbool.h>
#include "waypost/server/gen.h"

struct wp_process;

/* Starts the workers (one per CPU this process may use) and the admin thread. Signals that main
 * handles must be blocked before. */
int wp_process_new(struct wp_process **ret) WP_MUSTCHECK;
void wp_process_free(struct wp_process *p); /* generations gone before */

/* Put a generation in service: start() of its instances, sockets, listeners. On failure the
 * current generation is untouched and `gen` is the caller's to free. */
int wp_process_apply(struct wp_process *p, struct wp_gen *gen, struct wp_conf_report *report) WP_MUSTCHECK;
struct wp_gen *wp_process_gen(const struct wp_process *p);
struct wp_loop *wp_process_admin(const struct wp_process *p);
struct wp_admin *wp_process_status(const struct wp_process *p); /* waypost/server/admin.h */
int wp_process_workers(const struct wp_process *p);

/* Becomes readable when something is to be looked at: call wp_process_reap then. */
int wp_process_event_fd(const struct wp_process *p);
/* Free generations whose last query has ended. */
void wp_process_reap(struct wp_process *p);

/* The end, in this order: streams drain (UDP goes on answering), everything closes, queries that
 * wait end, the generation ends. */
void wp_process_drain(struct wp_process *p);
bool wp_process_is_drained(const struct wp_process *p);
void wp_process_close(struct wp_process *p);
bool wp_process_is_idle(const struct wp_process *p);
