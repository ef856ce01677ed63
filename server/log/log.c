#include "server/log/log_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_bool is_json;
static atomic_int n_debug;

void wp_log_set_json(bool json)
{
    atomic_store(&is_json, json);
}

bool wp_log_is_json(void)
{
    return atomic_load_explicit(&is_json, memory_order_relaxed);
}

void wp_log_debug_add(int n)
{
    atomic_fetch_add(&n_debug, n);
}

bool wp_log_is_debug(void)
{
    return atomic_load_explicit(&n_debug, memory_order_relaxed) > 0;
}

/* --- limits ----------------------------------------------------------------------------------- */

/* Lines that a limit held back, to be told by this thread's next line. */
static _Thread_local unsigned untold;

/* state: start of the window (s) in the upper half, then lines dropped, then lines passed. */
bool wp_log_allow(struct wp_log_limit *l, unsigned burst, unsigned every_s)
{
    struct timespec ts;
    uint64_t old = atomic_load_explicit(&l->state, memory_order_relaxed), new;
    bool allowed;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    do {
        uint32_t now = (uint32_t)ts.tv_sec + 1, start = (uint32_t)(old >> 32);
        unsigned dropped = (unsigned)(old >> 16) & 0xffff, passed = (unsigned)old & 0xffff;
        bool fresh = start == 0 || now - start >= every_s;
        allowed = fresh || passed < burst;
        untold = fresh ? dropped : 0;
        if (fresh) {
            start = now;
            passed = dropped = 0;
        }
        if (allowed && passed < 0xffff)
            passed++;
        if (!allowed && dropped < 0xffff)
            dropped++;
        new = (uint64_t)start << 32 | (uint64_t)dropped << 16 | passed;
    } while (!atomic_compare_exchange_weak_explicit(&l->state, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
    return allowed;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void emit(const char *line, size_t len)
{
    if (!wp_log_writer_put(line, len))
        wp_log_write_now(wp_log_fd(), line, len);
}

/* The text of a line, cut with "..." past the limit; its length. */
WP_PRINTF(2, 0)
static size_t format_text(char text[WP_LOG_LINE_MAX + 32], const char *fmt, va_list args)
{
    int n = vsnprintf(text, WP_LOG_LINE_MAX + 1, fmt, args);
    size_t len = n < 0 ? 0 : (size_t)n;

    if (len > WP_LOG_LINE_MAX) {
        memcpy(text + WP_LOG_LINE_MAX - 3, "...", 4);
        len = WP_LOG_LINE_MAX;
    }
    return len;
}

void wp_log(enum wp_level level, const char *plugin, const char *fmt, ...)
{
    char text[WP_LOG_LINE_MAX + 32], line[LOG_LINE_ROOM];
    va_list args;
    size_t len;

    if (level == WP_DEBUG && !wp_log_is_debug())
        return;
    va_start(args, fmt);
    len = format_text(text, fmt, args);
    va_end(args);
    if (untold > 0) {
        len += (size_t)snprintf(text + len, 32, " (%u more not shown)", untold);
        untold = 0;
    }
    emit(line, wp_log_line(line, sizeof(line), wp_log_is_json(), level, plugin, text, len));
}

/* One line of the log for the whole dump: its rows must not be torn apart by other lines. */
void wp_log_hexdump(const char *plugin, const void *data, size_t len, const char *what)
{
    enum { ROW = 16, SHOWN = 1024 };
    const uint8_t *p = data;
    char text[WP_LOG_LINE_MAX + 1024], line[LOG_LINE_ROOM];
    int at;

    if (!wp_log_is_debug())
        return;
    at = snprintf(text, 512, "[DEBUG] plugin/%s: %s", plugin, what);
    if (at > 511)
        at = 511;
    for (int i = 0; i < at; i++)
        text[i] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
    for (size_t i = 0; i < len && i < SHOWN; i++) {
        if (i % ROW == 0)
            at += snprintf(text + at, 16, "\ndebug: %06zx", i);
        at += snprintf(text + at, 4, " %02x", p[i]);
    }
    emit(line, wp_log_line_raw(line, sizeof(line), wp_log_is_json(), WP_DEBUG, text, (size_t)at));
}

void wp_log_print(const char *fmt, ...)
{
    char text[WP_LOG_LINE_MAX + 32], line[LOG_LINE_ROOM];
    va_list args;
    size_t len;

    va_start(args, fmt);
    len = format_text(text, fmt, args);
    va_end(args);
    emit(line, wp_log_line_raw(line, sizeof(line), wp_log_is_json(), WP_INFO, text, len));
}

void wp_log_fatal(const char *fmt, ...)
{
    char text[WP_LOG_LINE_MAX + 32], line[LOG_LINE_ROOM];
    va_list args;
    size_t len;

    va_start(args, fmt);
    len = format_text(text, fmt, args);
    va_end(args);
    wp_log_flush(); /* what led here comes first */
    wp_log_write_now(STDERR_FILENO, line,
                     wp_log_line_raw(line, sizeof(line), wp_log_is_json(), WP_FATAL, text, len));
}

/* No thread, or a caller without a ring: set-up and unit tests. */
static __attribute__((noinline)) void record_now(wp_log_format_fn *format, const void *rec,
                                                 size_t len)
{
    char line[WP_LOG_FORMAT_MAX + 128];

    len = wp_log_line_rec(line, sizeof(line), wp_log_is_json(), wp_log_unix_ns(), format, rec, len);
    if (len > 0)
        emit(line, len);
}

void wp_log_record(int worker, uint64_t at_ns, wp_log_format_fn *format, const void *rec,
                   size_t len)
{
    if (len > WP_LOG_RECORD_MAX)
        return;
    if (WP_LIKELY(wp_log_writer_runs() && wp_log_writer_has(worker)))
        wp_log_writer_record(worker, format, rec, len, at_ns);
    else
        record_now(format, rec, len);
}
