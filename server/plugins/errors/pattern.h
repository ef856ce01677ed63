/* One `consolidate`: errors of a kind are counted, and told as a sum at the end of a period. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "waypost/base/regex.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"

struct errors_pattern {
    struct errors_pattern *next;
    struct wp_regex *regex;
    const char *text;
    int64_t period_ns;
    enum wp_level level;
    bool show_first;

    struct wp_loop *admin;
    struct wp_mail mail;    /* the first of a period, on its way to the admin loop */
    struct wp_timer timer;  /* end of the period; the admin loop's */
    _Atomic uint32_t count; /* in this period */
};

/* Count one; true if it is the first of a period. Any loop. */
bool wp_errors_pattern_count(struct errors_pattern *p);
/* Tell the sum now and run no more periods. Admin loop. */
void wp_errors_pattern_end(struct errors_pattern *p);
