/* What health_probe.c (who wants what, when) and health_probe_io.c (one probe) share. */
#pragma once
#include "backends/common/health_probe.h"

enum { WP_PROBE_STATUS_LEN = 12 }; /* "HTTP/1.1 200" */

struct wp_probe_target {
    struct wp_probe_spec spec;    /* path: behind the struct */
    struct wp_probe_terms terms;  /* by lock */
    struct wp_probe *uses;        /* by lock */
    struct wp_probe_target *next; /* of the hash bucket; by lock */
    uint64_t hash;
    enum wp_probe_verdict verdict; /* by lock */
    enum wp_probe_result why;
    /* the admin thread's */
    struct wp_loop *loop;
    struct wp_mail begin, end;
    struct wp_timer timer, deadline;
    struct wp_probe_target *next_ready;
    bool is_ready, over;
    unsigned failed;
    uint64_t began_ns;
    struct wp_io io; /* fd -1: nothing under way */
    char reply[WP_PROBE_STATUS_LEN];
    size_t sent, got;
    char path[];
};

/* Begin a probe; wp_probe_done comes later, or at once. */
void wp_probe_start(struct wp_probe_target *t, uint64_t timeout_ns);
void wp_probe_stop(struct wp_probe_target *t);
void wp_probe_done(struct wp_probe_target *t, enum wp_probe_result r);
