/* Do the checks of instances fail? Only Nomad's clients know: each allocation is asked for its checks
 * again and again, `interval` apart, spread over that time and a few at once; one without checks rarely. What is
 * followed is learnt from the registrations that the owner reads, and is forgotten when they are not seen any more.
 *
 * An instance is unhealthy while a check of its service in its allocation has the status "failure". That nothing
 * can be learnt (403, 404, a client node away) says nothing: the last verdict stands for a while, then there is
 * none, and without a verdict an instance is well. All of it but the figures is the engine thread's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/http_client.h"
#include "backends/nomad/access.h"
#include "backends/nomad/decode.h"
#include "waypost/base/err.h"

enum {
    WP_NOMAD_CHECKS_FLYING = 4,      /* requests at a time */
    WP_NOMAD_CHECKS_GAP_MS = 5,      /* between the beginnings of two: 200 a second, whatever there is to ask */
    WP_NOMAD_CHECKS_TIMEOUT_MS = 5000,
    WP_NOMAD_CHECKS_RARE = 30,       /* intervals between two requests where nothing is to be learnt */
    WP_NOMAD_CHECKS_NEW = 3,         /* answers without checks until an allocation counts as one without */
    WP_NOMAD_CHECKS_SILENT = 3,      /* requests in a row without an answer until there is no verdict */
    WP_NOMAD_CHECKS_FORGET_S = 900,  /* of asking, without having been seen in a registration */
    WP_NOMAD_CHECKS_MAX = 65536,     /* allocations; others are not asked for, which is logged once */
    WP_NOMAD_CHECKS_TELL_S = 600,    /* a refusal is logged no more often */
    WP_NOMAD_CHECKS_BODY_MAX = 1 << 20,
};

struct wp_nomad_health_config {
    const struct wp_httpc_ops *h;
    struct wp_nomad_access *access;
    uint64_t interval_ns;
    /* Which agent is asked now; -1: none. */
    int (*agent)(void *arg);
    /* wp_nomad_health_is_unhealthy says something else than before for instances of this service, whose names are as in
     * the API: time to read it again. Not called from within a function of this header, and may call none but
     * wp_nomad_health_is_unhealthy. */
    void (*changed)(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name);
    /* A request has ended: as in wp_httpc_end. */
    void (*counted)(void *arg, int status, int err);
    void *arg;
};

struct wp_nomad_health;
int wp_nomad_health_new(const struct wp_nomad_health_config *c,
                        struct wp_nomad_health **ret) WP_MUSTCHECK;
void wp_nomad_health_free(struct wp_nomad_health *h); /* drops requests and timer; accepts NULL */

/* For wp_nomad_build: each registration that is read goes through here. */
bool wp_nomad_health_is_unhealthy(void *health, const struct wp_nomad_registration *r);

struct wp_nomad_health_figures {
    size_t allocations, with_checks, failing; /* failing: services of allocations */
};
/* Any thread. */
struct wp_nomad_health_figures wp_nomad_health_figures(const struct wp_nomad_health *h);
