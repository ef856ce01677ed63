/* Counts and limits of one listening address. */
#include "waypost/server/guard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "server/guard/guard_priv.h"

static const char *const limit_names[WP_LIMITS] = {
    [WP_LIMIT_CONNECTIONS] = "connections",
    [WP_LIMIT_PER_CLIENT] = "per_client",
    [WP_LIMIT_STREAMS] = "streams",
    [WP_LIMIT_PIPELINE] = "pipeline",
    [WP_LIMIT_IN_FLIGHT] = "in_flight",
    [WP_LIMIT_HEADER] = "header",
    [WP_LIMIT_BODY] = "body",
    [WP_LIMIT_READ_TIME] = "read_time",
    [WP_LIMIT_WRITE_TIME] = "write_time",
    [WP_LIMIT_IDLE_TIME] = "idle_time",
    [WP_LIMIT_HANDSHAKE_TIME] = "handshake_time",
    [WP_LIMIT_HANDSHAKES] = "handshakes",
    [WP_LIMIT_H2_RESETS] = "h2_resets",
    [WP_LIMIT_H2_PINGS] = "h2_pings",
    [WP_LIMIT_H2_SETTINGS] = "h2_settings",
    [WP_LIMIT_H2_CONTINUATION] = "h2_continuation",
    [WP_LIMIT_H2_EMPTY] = "h2_empty",
    [WP_LIMIT_H2_WINDOW] = "h2_window",
    [WP_LIMIT_MEMORY] = "memory",
    [WP_LIMIT_DESCRIPTORS] = "descriptors",
    [WP_LIMIT_ACCEPT_RATE] = "accept_rate",
};
static const char *const reject_names[WP_GUARD_REJECTS] = {
    [WP_INTAKE_OK] = NULL,
    [WP_INTAKE_IGNORE] = "not_a_query",
    [WP_INTAKE_NOTIMP] = "opcode",
    [WP_INTAKE_FORMERR_HEAD] = "counts",
    [WP_INTAKE_FORMERR] = "malformed",
    [WP_INTAKE_BADVERS] = "edns_version",
    [WP_INTAKE_NO_QUESTION] = "no_question",
    [WP_INTAKE_COOKIE] = NULL,
    [WP_INTAKE_BADCOOKIE] = "cookie",
};
static const char *const tls_names[WP_GUARD_TLS_RESULTS] = {"full", "resumed", "failed"};

static const struct wp_family refused_family = {
    .name = "waypost_refused_total",
    .help = "What a limit of a listener refused or ended, by limit.",
    .kind = WP_COUNTER,
    .labels = {"server", "limit"},
};
static const struct wp_family rejected_family = {
    .name = "waypost_rejected_total",
    .help = "Messages that are not an admissible query, by reason.",
    .kind = WP_COUNTER,
    .labels = {"server", "reason"},
};
static const struct wp_family tls_family = {
    .name = "waypost_tls_handshakes_total",
    .help = "TLS handshakes of clients, by result.",
    .kind = WP_COUNTER,
    .labels = {"server", "result"},
};
static const struct wp_family connections_family = {
    .name = "waypost_connections",
    .help = "Open stream connections.",
    .kind = WP_GAUGE,
    .labels = {"server"},
};

/* Few, made at start or reload, never dropped: a list is enough. */
static struct wp_guard_counts *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

static double read_connections(void *arg)
{
    struct wp_guard_counts *c = arg;

    return atomic_load_explicit(&c->connections, memory_order_relaxed);
}

static void make_series(const struct wp_family *f, const char *label, const char *const *names,
                        size_t n, struct wp_series **ret)
{
    for (size_t i = 0; i < n; i++)
        if (names[i] != NULL)
            ret[i] = wp_metric_series(f, (const char *const[]){label, names[i]});
}

static struct wp_guard_counts *counts_new(const char *label)
{
    struct wp_guard_counts *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->label = strdup(label);
    if (c->label == NULL) {
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->clients_lock, NULL);
    make_series(&refused_family, label, limit_names, WP_LIMITS, c->refused);
    make_series(&rejected_family, label, reject_names, WP_GUARD_REJECTS, c->rejected);
    return c;
}

struct wp_guard_counts *wp_guard_counts_for(const char *label)
{
    struct wp_guard_counts *c;

    pthread_mutex_lock(&all_lock);
    for (c = all; c != NULL && strcmp(c->label, label) != 0; c = c->next)
        ;
    if (c == NULL) {
        c = counts_new(label);
        if (c != NULL) {
            c->next = all;
            all = c;
        }
    }
    pthread_mutex_unlock(&all_lock);
    return c;
}

/* Series of streams only are made when the first connection comes: a UDP-only process would
 * show them for ever as zero. Any worker; the mutex of wp_metric_series makes a race harmless. */
static void stream_series(struct wp_guard_counts *c)
{
    if (atomic_exchange_explicit(&c->has_stream, true, memory_order_relaxed))
        return;
    wp_metric_read(wp_metric_series(&connections_family, (const char *const[]){c->label}),
                   read_connections, c);
}

bool wp_guard_connect(const struct wp_group *g, struct wp_guard_slot *slot)
{
    struct wp_guard_counts *c = g->counts;
    uint32_t max = g->limits.max_connections, had;

    if (c == NULL)
        return true;
    had = atomic_fetch_add_explicit(&c->connections, 1, memory_order_relaxed);
    if (max > 0 && had >= max) {
        atomic_fetch_sub_explicit(&c->connections, 1, memory_order_relaxed);
        return false;
    }
    if (had >= atomic_load_explicit(&c->most, memory_order_relaxed))
        atomic_store_explicit(&c->most, had + 1, memory_order_relaxed);
    if (!atomic_load_explicit(&c->has_stream, memory_order_relaxed))
        stream_series(c);
    slot->counts = c;
    return true;
}

void wp_guard_leaving(const struct wp_guard_slot *slot, bool leaving)
{
    if (slot->counts != NULL)
        atomic_fetch_add_explicit(&slot->counts->leaving, leaving ? 1 : -1u, memory_order_relaxed);
}

void wp_guard_disconnect(struct wp_guard_slot *slot)
{
    if (slot->client != NULL)
        wp_guard_client_leave(slot->counts, slot->client);
    if (slot->counts != NULL)
        atomic_fetch_sub_explicit(&slot->counts->connections, 1, memory_order_relaxed);
    *slot = (struct wp_guard_slot){0};
}

bool wp_guard_is_full(const struct wp_group *g)
{
    return g->limits.max_connections > 0 && wp_guard_connections(g) >= g->limits.max_connections;
}

uint32_t wp_guard_connections(const struct wp_group *g)
{
    return g->counts == NULL ? 0
                             : atomic_load_explicit(&g->counts->connections, memory_order_relaxed);
}

uint32_t wp_guard_most(const struct wp_group *g)
{
    return g->counts == NULL ? 0
                             : atomic_exchange_explicit(&g->counts->most, wp_guard_connections(g),
                                                        memory_order_relaxed);
}

/* --- pressure ------------------------------------------------------------------------------ */

#define SECOND_NS UINT64_C(1000000000)
#define IDLE_LEAST_NS (SECOND_NS / 5)

static uint32_t staying(const struct wp_group *g)
{
    uint32_t leaving =
        g->counts == NULL ? 0 : atomic_load_explicit(&g->counts->leaving, memory_order_relaxed);
    uint32_t n = wp_guard_connections(g);

    return n > leaving ? n - leaving : 0; /* read one after the other */
}

uint64_t wp_guard_idle_ns(const struct wp_group *g)
{
    const struct wp_limits *l = &g->limits;
    uint32_t n = staying(g), left = n < l->max_connections ? l->max_connections - n : 0;
    uint32_t plenty = l->max_connections / 8; /* small limits: none, they are full at once */
    uint64_t idle;

    if (WP_LIKELY(left >= plenty) || l->idle_ns <= IDLE_LEAST_NS)
        return l->idle_ns;
    idle = l->idle_ns / plenty * left;
    return idle > IDLE_LEAST_NS ? idle : IDLE_LEAST_NS;
}

/* One number stands for a bucket: the time up to which the rate is used up. It may run ahead of the
 * clock by a second, which is a second's worth at once. */
uint64_t wp_guard_accept_wait_ns(const struct wp_group *g, uint64_t now_ns)
{
    uint64_t due;

    if (g->limits.accept_rate == 0 || g->counts == NULL)
        return 0;
    due = atomic_load_explicit(&g->counts->accept_due_ns, memory_order_relaxed) +
          SECOND_NS / g->limits.accept_rate;
    return due > now_ns + SECOND_NS ? due - now_ns - SECOND_NS : 0;
}

void wp_guard_accepted(const struct wp_group *g, uint64_t now_ns)
{
    uint64_t had, due;

    if (g->limits.accept_rate == 0 || g->counts == NULL)
        return;
    had = atomic_load_explicit(&g->counts->accept_due_ns, memory_order_relaxed);
    do
        due = (had > now_ns ? had : now_ns) + SECOND_NS / g->limits.accept_rate;
    while (!atomic_compare_exchange_weak_explicit(&g->counts->accept_due_ns, &had, due,
                                                  memory_order_relaxed, memory_order_relaxed));
}

void wp_guard_refused(const struct wp_group *g, int worker, enum wp_guard_limit limit)
{
    if (g->counts != NULL)
        wp_metric_add(g->counts->refused[limit], worker, 1);
}

void wp_guard_handshake(const struct wp_group *g, int worker, enum wp_guard_tls result)
{
    struct wp_guard_counts *c = g->counts;

    if (c == NULL)
        return;
    if (!atomic_load_explicit(&c->has_tls, memory_order_acquire)) {
        struct wp_series *s[WP_GUARD_TLS_RESULTS];

        /* made once; a race makes the same series twice, which is the same pointers */
        make_series(&tls_family, c->label, tls_names, WP_GUARD_TLS_RESULTS, s);
        for (unsigned i = 0; i < WP_GUARD_TLS_RESULTS; i++)
            atomic_store_explicit(&c->tls[i], s[i], memory_order_relaxed);
        atomic_store_explicit(&c->has_tls, true, memory_order_release);
    }
    wp_metric_add(atomic_load_explicit(&c->tls[result], memory_order_relaxed), worker, 1);
}
