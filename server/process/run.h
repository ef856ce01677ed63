/* From a read command line to the exit code. */
#pragma once
#include "waypost/server/gen.h"

struct wp_run_options {
    struct wp_conf_source source;
    const char *text; /* the Corefile as read for this start */
    size_t len;
    const char *pidfile; /* NULL: none */
    bool quiet;
    void (*announce)(const struct wp_gen *gen); /* zone lines and banner */
};
/* Blocks until a signal ends it. The exit code; a start that fails exits with 1 itself. */
int wp_run(const struct wp_run_options *o);
