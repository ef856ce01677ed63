/* A report in memory. */
#pragma once
#include <stdio.h>
#include "waypost/plugin/report.h"

enum report_kind {
    REPORT_OBJECT,
    REPORT_LIST,
    REPORT_TEXT,
    REPORT_INT,
    REPORT_BOOL,
    REPORT_NONE,
    REPORT_OCTETS,
    REPORT_S,
    REPORT_NS,
    REPORT_TIME,
};

struct wp_report_node {
    struct wp_report_node *next;
    const char *name; /* NULL: item of a list, or the report itself */
    enum report_kind kind;
    const char *text;
    int64_t n;
    struct wp_report_node *first, **last; /* OBJECT, LIST */
};

/* "2026-01-31T12:00:00.250Z" */
void report_time_text(int64_t unix_ms, char out[40]);
/* The whole report, incomplete or not, as its first node. */
struct wp_report_node *report_root(struct wp_report *r);
