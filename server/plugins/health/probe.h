/* Asks an address for /health once a second and tells what is wrong. Admin loop only. */
#pragma once
#include "waypost/base/addr.h"
#include "waypost/plugin/loop.h"

struct health_probe {
    struct wp_loop *loop;
    struct wp_addr to;
    const char *url;       /* for the log */
    struct wp_io io;       /* fd -1: nothing under way */
    struct wp_timer next;  /* when to ask again */
    struct wp_timer limit; /* the question's time limit */
    uint64_t asked_ns;
    size_t n_read;
    char head[16]; /* "HTTP/1.1 200" */
};

void wp_health_probe_start(struct health_probe *p, struct wp_loop *loop, const struct wp_addr *to,
                           const char *url);
void wp_health_probe_stop(struct health_probe *p);
