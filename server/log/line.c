#include "server/log/log_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "waypost/base/text.h"

uint64_t wp_log_unix_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t wp_log_mono_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* RFC 3339 in local time. The part that changes once a second is kept for each thread. */
static size_t put_time(char *out, size_t cap, uint64_t ns)
{
    static _Thread_local time_t kept;
    static _Thread_local char date[32], zone[8];
    time_t s = (time_t)(ns / 1000000000);
    int n;

    if (s != kept || date[0] == '\0') {
        struct tm tm;
        long offset;
        localtime_r(&s, &tm);
        offset = tm.tm_gmtoff / 60;
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
        if (offset == 0)
            memcpy(zone, "Z", 2);
        else
            snprintf(zone, sizeof(zone), "%c%02u:%02u", offset < 0 ? '-' : '+',
                     (unsigned)labs(offset) / 60 % 100, (unsigned)labs(offset) % 60);
        kept = s;
    }
    n = snprintf(out, cap, "%s.%06u%s", date, (unsigned)(ns % 1000000000 / 1000), zone);
    return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static size_t put(char *out, size_t cap, const char *s)
{
    size_t len = strlen(s);

    if (len > cap)
        len = cap;
    memcpy(out, s, len);
    return len;
}

const char *wp_level_text(enum wp_level level, bool json)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARNING", "ERROR", "FATAL"};

    return json && level == WP_WARNING ? "WARN" : names[level];
}

static size_t put_open(char *out, size_t cap, uint64_t ns)
{
    size_t at = put(out, cap, "{\"time\":\"");

    at += put_time(out + at, cap - at, ns);
    return at + put(out + at, cap - at, "\",");
}

static size_t json_line(char *out, size_t cap, enum wp_level level, const char *plugin,
                        const char *text, size_t len)
{
    size_t end = cap - 64; /* what must still fit after msg */
    size_t at = put_open(out, cap, wp_log_unix_ns());

    at += put(out + at, end - at, "\"level\":\"");
    at += put(out + at, end - at, wp_level_text(level, true));
    at += put(out + at, end - at, "\",\"msg\":\"");
    at += wp_json_escape(text, len, out + at, end - at);
    if (plugin != NULL) {
        at += put(out + at, cap - at, "\",\"plugin\":\"");
        at += put(out + at, cap - 4 - at, plugin);
    }
    return at + put(out + at, cap - at, "\"}\n");
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

size_t wp_log_line(char *out, size_t cap, bool json, enum wp_level level, const char *plugin,
                   const char *text, size_t len)
{
    size_t at = 0;

    if (json)
        return json_line(out, cap, level, plugin, text, len);
    at += put(out, cap, "[");
    at += put(out + at, cap - at, wp_level_text(level, false));
    at += put(out + at, cap - at, "] ");
    if (plugin != NULL) {
        at += put(out + at, cap - at, "plugin/");
        at += put(out + at, cap - at, plugin);
        at += put(out + at, cap - at, ": ");
    }
    for (size_t i = 0; i < len && at < cap - 1; i++)
        out[at++] = is_control(text[i]) ? ' ' : text[i];
    out[at++] = '\n';
    return at;
}

size_t wp_log_line_raw(char *out, size_t cap, bool json, enum wp_level level, const char *text,
                       size_t len)
{
    if (json)
        return json_line(out, cap, level, NULL, text, len);
    if (len > cap - 1)
        len = cap - 1;
    memcpy(out, text, len);
    out[len] = '\n';
    return len + 1;
}

size_t wp_log_line_rec(char *out, size_t cap, bool json, uint64_t time_ns, wp_log_format_fn *format,
                       const void *rec, size_t len)
{
    size_t at = json ? put_open(out, cap, time_ns) : 0;
    size_t n = format(rec, len, json, out + at, cap - 1 - at);

    if (n == 0)
        return 0;
    at += n;
    out[at++] = '\n';
    return at;
}
