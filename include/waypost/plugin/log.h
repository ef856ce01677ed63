/* Log lines: "[LEVEL] plugin/NAME: text" on stdout, or JSON objects. The line is formatted into
 * a bounded record and handed to the log thread: the caller never waits for a pipe. When the
 * queue is full the line is dropped and counted (waypost_log_dropped_total). Any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum wp_level { WP_DEBUG, WP_INFO, WP_WARNING, WP_ERROR, WP_FATAL };
enum { WP_LOG_LINE_MAX = 4000 }; /* octets of text; longer lines are cut with "..." */

/* plugin NULL: a line without "plugin/NAME: ". Debug lines are the caller's to suppress
 * (setup->debug); lines must not hold secrets. */
void wp_log(enum wp_level level, const char *plugin, const char *fmt, ...) WP_PRINTF(3, 4);

/* At most `burst` lines each `every_s`; what was dropped is said in the next line that passes.
 * Zeroed is ready; may be shared between threads. For lines a client can provoke. */
struct wp_log_limit {
    _Atomic uint64_t state;
};
bool wp_log_allow(struct wp_log_limit *l, unsigned burst, unsigned every_s);

/* A line made later, by the log thread, from a fixed record (the query log): `format` writes
 * text without newline into out and returns its length (0: no line). `rec` is copied, at most
 * WP_LOG_RECORD_MAX octets. Worker threads only: each has its own ring, no lock. */
enum { WP_LOG_RECORD_MAX = 1024 };
typedef size_t wp_log_format_fn(const void *rec, size_t len, bool json, char *out, size_t cap);
void wp_log_record(int worker, wp_log_format_fn *format, const void *rec, size_t len);
bool wp_log_is_json(void);
