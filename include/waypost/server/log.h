/* Starting and stopping the log thread, and the lines that only the program's life writes.
 * Before wp_log_start and after wp_log_stop lines are written at once by the caller: what
 * set-up says comes out in order, and unit tests need no thread. */
#pragma once
#include <stdbool.h>
#include "waypost/plugin/log.h"

/* Text (false) or JSON, for the whole process; before anything is logged. */
void wp_log_set_json(bool json);
/* Where lines go instead of stdout; before wp_log_start. */
void wp_log_set_fd(int fd);
/* Start the log thread with rings for loops 0..n_loops-1. 0 or a negative error. */
int wp_log_start(int n_loops) WP_MUSTCHECK;
/* Write what is queued (for at most a second when the reader is stuck), end the thread. */
void wp_log_stop(void);

/* Zone lines, banner, signals, reload: the text as it is, which may have several lines. JSON: one
 * INFO record without plugin, whose msg is the whole text. */
void wp_log_print(const char *fmt, ...) WP_PRINTF(1, 2);
/* A fatal start error: stderr, at once; the plain text, or one FATAL record. */
void wp_log_fatal(const char *fmt, ...) WP_PRINTF(1, 2);
