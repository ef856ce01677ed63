/* Inside the guard. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "waypost/plugin/metric.h"
#include "waypost/server/guard.h"

enum { WP_GUARD_REJECTS = WP_INTAKE_BADCOOKIE + 1, WP_GUARD_BUCKETS = 1024 };

struct wp_guard_client {
    struct wp_guard_client *next;
    uint8_t family, ip[16]; /* a /32 or a /64 */
    uint32_t n;
};

struct wp_guard_counts {
    struct wp_guard_counts *next;
    char *label;
    _Atomic uint32_t connections, leaving;
    _Atomic uint32_t most; /* connections at a time, about, since wp_guard_most */
    _Atomic uint64_t accept_due_ns; /* when the connections accepted so far were due, at the rate */
    atomic_bool has_stream, has_tls;
    struct wp_series *refused[WP_LIMITS];
    struct wp_series *rejected[WP_GUARD_REJECTS];
    _Atomic(struct wp_series *) tls[WP_GUARD_TLS_RESULTS];
    /* Clients with an open connection; used only where a limit per client is set. At most as
     * many as there are connections. */
    pthread_mutex_t clients_lock;
    struct wp_guard_client *clients[WP_GUARD_BUCKETS];
};

/* The client of a slot loses one connection. */
void wp_guard_client_leave(struct wp_guard_counts *c, struct wp_guard_client *k);
/* cookie.c: on listeners where cookies are on, after the message's own verdict: looks at the client's
 * and makes the one that goes back. */
enum wp_intake wp_guard_cookie(struct wp_query *q, enum wp_intake verdict);
