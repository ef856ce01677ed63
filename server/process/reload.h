/* Loading the Corefile again. Main thread only. */
#pragma once
#include "server/process/process.h"

struct wp_reloader {
    struct wp_process *process;
    const struct wp_conf_source *source;
    char bad[129];       /* hash of the version that failed */
    char unreadable[512]; /* why the file could not be parsed, "": it could */
    char published[129]; /* label value of the version metric */
};

/* SIGUSR1, SIGHUP. */
void wp_reload_now(struct wp_reloader *r, const char *signal_name);
/* Asked by plugin `reload`. */
void wp_reload_if_changed(struct wp_reloader *r);
/* "Running configuration SHA512 = ...", when some block has `reload`. */
void wp_reload_say_version(struct wp_reloader *r);
