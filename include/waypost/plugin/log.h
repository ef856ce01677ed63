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

/* plugin NULL: a line without "plugin/NAME: ". Debug lines are dropped unless some block has
 * `debug`. Control characters become spaces, so a line stays a line. Lines must not hold
 * secrets. Not for the path of each query: it formats; use wp_log_record there. */
void wp_log(enum wp_level level, const char *plugin, const char *fmt, ...) WP_PRINTF(3, 4);
bool wp_log_is_debug(void); /* is it worth making a debug line? */
/* For the plugin `debug`: blocks that want debug lines; they are on while the sum is above 0. */
void wp_log_debug_add(int n);
/* "debug: 000000 12 34 ..." for each 16 octets, as text2pcap reads it, after a line with what it is
 * about. Nothing unless debug lines are on; at most 1 KiB of the data. */
void wp_log_hexdump(const char *plugin, const void *data, size_t len, const char *what);
/* Waits, at most a second, until all lines so far are written: before exit after a FATAL line. */
void wp_log_flush(void);

/* At most `burst` lines each `every_s`; what was dropped is said in the next line that this
 * thread writes after being allowed. Zeroed is ready; may be shared between threads. For lines
 * a client can provoke. */
struct wp_log_limit {
    _Atomic uint64_t state;
};
bool wp_log_allow(struct wp_log_limit *l, unsigned burst, unsigned every_s);

/* A line made later, by the log thread, from a fixed record (the query log). `format` writes
 * without newline into out and returns its length (0: no line):
 *   text: the whole line, "[INFO] ...";
 *   json: the object's members after "time", with the closing brace:
 *         "level":"INFO","msg":"..."}
 * `rec` is copied, at most WP_LOG_RECORD_MAX octets; what it points to must live as long as the
 * process or be held until wp_log_flush. `worker`: wp_loop_index of the calling loop: each loop
 * has its own ring, no lock. `at_ns`: when it happened, on the loops' clock: lines of several loops
 * are put in this order. A full ring drops the record and counts it. */
enum { WP_LOG_RECORD_MAX = 1024, WP_LOG_FORMAT_MAX = 16384 /* `cap` is at least this */ };
typedef size_t wp_log_format_fn(const void *rec, size_t len, bool json, char *out, size_t cap);
void wp_log_record(int worker, uint64_t at_ns, wp_log_format_fn *format, const void *rec, size_t len);
bool wp_log_is_json(void);
const char *wp_level_text(enum wp_level level, bool json); /* "WARNING", in JSON "WARN" */
