/* Log lines about what is not as it should be: one when it begins, one each minute, one when it is over. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backends/nomad/source_priv.h"
#include "waypost/base/hash.h"

void wp_nomad_tell(struct wp_nomad_source_own *o, enum wp_nomad_troubles what, enum wp_level level,
                   const char *fmt, ...)
{
    struct wp_nomad_trouble *t = &o->trouble[what];
    uint64_t now = o->h->now();
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    pthread_mutex_lock(&o->lock);
    snprintf(o->error, sizeof(o->error), "%.250s", text);
    o->error_ms = wp_state_clock_ms();
    pthread_mutex_unlock(&o->lock);
    if (t->since_ns == 0)
        t->since_ns = now;
    if (t->told_ns != 0 && now - t->told_ns < wp_nomad_ms(WP_NOMAD_TELL_MS))
        return;
    t->told_ns = now;
    if (strncmp(text, o->name, strlen(o->name)) == 0) /* the agent's name is the source's */
        wp_log(level, "nomad", "%s", text);
    else
        wp_log(level, "nomad", "%s: %s", o->name, text);
}

void wp_nomad_tell_over(struct wp_nomad_source_own *o, enum wp_nomad_troubles what,
                        const char *words)
{
    struct wp_nomad_trouble *t = &o->trouble[what];

    if (t->since_ns == 0)
        return;
    wp_log(WP_INFO, "nomad", "%s: %s, after %.1f s", o->name, words,
           (double)(o->h->now() - t->since_ns) / 1e9);
    *t = (struct wp_nomad_trouble){0};
}
