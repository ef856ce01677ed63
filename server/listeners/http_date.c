#include "http_priv.h"

#include <stdio.h>
#include <time.h>

void wp_http_date_text(int64_t unix_s, char to[WP_HTTP_DATE + 1])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t t = (time_t)unix_s;
    struct tm tm;
    char text[64];

    gmtime_r(&t, &tm); /* not strftime: its names follow the locale */
    snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
             tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
    snprintf(to, WP_HTTP_DATE + 1, "%.*s", WP_HTTP_DATE, text);
}

const char *wp_http_date(struct wp_http_pool *p)
{
    int64_t now = wp_loop_unix_time(p->worker->loop);

    if (WP_UNLIKELY(now != p->date_s)) {
        wp_http_date_text(now, p->date);
        p->date_s = now;
    }
    return p->date;
}
