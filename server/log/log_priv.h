/* The parts of the log: ring.c records of one loop, writer.c the thread and its queue of finished
 * lines, line.c making a line, log.c the calls. */
#pragma once
#include <stdatomic.h>
#include "waypost/server/log.h"

/* --- ring.c: one producer (a loop), one consumer (the log thread) --------------------------- */

struct wp_log_ring;
struct wp_log_rec {
    uint32_t len;   /* octets of data; UINT32_MAX: go on at the ring's start */
    uint32_t size;  /* octets taken in the ring */
    uint64_t at_ns; /* on the loops' clock */
    wp_log_format_fn *format;
    uint8_t data[];
};
enum { LOG_RING_SIZE = 4 << 20 }; /* about 30 000 records: 0.1 s of a busy worker */
int wp_log_ring_new(size_t size, struct wp_log_ring **ret) WP_MUSTCHECK; /* size: power of two */
void wp_log_ring_free(struct wp_log_ring *r);
enum wp_log_pushed { LOG_PUSHED, LOG_PUSHED_PAST_HALF, LOG_DROPPED };
enum wp_log_pushed wp_log_ring_push(struct wp_log_ring *r, wp_log_format_fn *format,
                                    const void *rec, size_t len, uint64_t at_ns);
const struct wp_log_rec *wp_log_ring_peek(struct wp_log_ring *r); /* NULL: empty */
void wp_log_ring_pop(struct wp_log_ring *r, const struct wp_log_rec *rec);
uint64_t wp_log_ring_dropped(const struct wp_log_ring *r);

/* --- line.c --------------------------------------------------------------------------------- */

enum { LOG_LINE_ROOM = 4 * WP_LOG_LINE_MAX }; /* a finished line with what JSON adds */
/* Each writes a finished line with its newline, returns the octets. */
size_t wp_log_line(char *out, size_t cap, bool json, enum wp_level level, const char *plugin,
                   const char *text, size_t len);
size_t wp_log_line_raw(char *out, size_t cap, bool json, enum wp_level level, const char *text,
                       size_t len);
size_t wp_log_line_rec(char *out, size_t cap, bool json, uint64_t time_ns, wp_log_format_fn *format,
                       const void *rec, size_t len);
uint64_t wp_log_unix_ns(void);
uint64_t wp_log_mono_ns(void);

/* --- writer.c ------------------------------------------------------------------------------- */

bool wp_log_writer_runs(void);
/* Finished lines; a full queue drops and counts them. False: no thread runs, write it yourself.
 * Any thread. */
bool wp_log_writer_put(const char *line, size_t len);
void wp_log_writer_record(int loop, wp_log_format_fn *format, const void *rec, size_t len,
                          uint64_t at_ns);
bool wp_log_writer_has(int loop); /* is there a ring for it? */
/* Straight to the descriptor, by the caller. */
void wp_log_write_now(int fd, const char *line, size_t len);
int wp_log_fd(void);
