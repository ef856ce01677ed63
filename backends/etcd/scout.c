/* Looking for a member to follow. All endpoints are asked for their status, each a little after the
 * one before, and the first suitable one wins: one that is dead, silent or cut off from its cluster
 * holds up none of the others. Attempts go on at short intervals, however long the search takes, so
 * that a cluster that is back is found at once: what is sent to a dead address costs it nothing. Where
 * an attempt is dear to the server (TLS that fails, a name that does not resolve), pauses grow.
 *
 * Beside the quick attempts there is a patient one for links that take longer than those wait. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/discover.h"
#include "backends/etcd/mirror_priv.h"

enum {
    STEP_MS = 100,      /* from one endpoint's first attempt to the next one's, */
    STEPS_MS = 500,     /* all of them within this, */
    WORSE_MS = 500,     /* an endpoint of lower priority: after this, or when the others have failed */
    SECOND_MS = 200,    /* and so long after the last: second choices count */
    AGAIN_MS = 500,     /* between the attempts at one endpoint, more or less a fifth */
    TLS_AGAIN_MS = 1000,
    AGAIN_MOST_MS = 5000,
    DEAR_MOST = 4, /* doublings */
};

static uint64_t jittered(struct wp_etcd_mirror *m, uint64_t ms)
{
    uint64_t fifth = wp_etcd_ms(ms) / 5;

    return 4 * fifth + wp_etcd_random(m) % (2 * fifth + 1);
}

static bool is_named(const struct wp_etcd_endpoint *e)
{
    return strncmp(e->target, "dns:", 4) == 0;
}

static bool is_first_try_over(const struct wp_etcd_scout *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (!s->seats[i].tried)
            return false;
    return true;
}

static bool has_second(const struct wp_etcd_scout *s)
{
    for (unsigned i = 0; i < s->n; i++)
        if (s->seats[i].grade == WP_ETCD_SECOND)
            return true;
    return false;
}

/* --- choosing ---------------------------------------------------------------------------------- */

/* Without a quorum a member's own view is better than nothing, where there is nothing. */
static enum wp_etcd_grade grade_of(struct wp_etcd_mirror *m, const struct wp_etcd_seat *seat,
                                   const struct wp_etcd_said *said)
{
    if (m->connected && m->life.doubt == WP_ETCD_SLOW && seat->at == m->at)
        return WP_ETCD_UNFIT;
    if (said->is_learner)
        return WP_ETCD_UNFIT;
    if (said->known && !said->has_leader) {
        m->was_without_quorum = true;
        return wp_etcd_load_is_cold(m) ? WP_ETCD_SECOND : WP_ETCD_UNFIT;
    }
    if (seat->at == m->shunned || (said->known && m->was_synced && said->cluster_id != m->cluster_id) ||
        (said->known && said->revision < wp_etcd_revision_seen(m)))
        return WP_ETCD_SECOND; /* behind, or of another cluster: unless nobody else is there */
    return WP_ETCD_GOOD;
}

static void win(struct wp_etcd_mirror *m, struct wp_etcd_seat *seat)
{
    struct wp_grpc_channel *channel = seat->quick.channel;
    struct wp_etcd_said said = seat->said;
    unsigned at = seat->at;

    seat->quick.channel = NULL;
    wp_etcd_scout_stop(m);
    wp_etcd_adopt(m, at, channel, &said);
}

static void choose_second(struct wp_etcd_mirror *m)
{
    struct wp_etcd_scout *s = &m->scout;

    for (unsigned i = 0; i < s->n; i++)
        if (s->seats[s->order[i]].grade == WP_ETCD_SECOND) {
            win(m, &s->seats[s->order[i]]);
            return;
        }
}

static void settle(struct wp_grpc_timer *t)
{
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, scout.settle));

    m->scout.settled = true;
    choose_second(m);
}

/* --- attempts ---------------------------------------------------------------------------------- */

static void attempt(struct wp_etcd_feeler *f);

static void drop(struct wp_etcd_mirror *m, struct wp_etcd_feeler *f)
{
    m->g->drop(f->call);
    m->g->channel_free(f->channel);
    f->call = NULL;
    f->channel = NULL;
}

static void again(struct wp_grpc_timer *t)
{
    struct wp_etcd_seat *seat =
        (struct wp_etcd_seat *)(void *)((char *)t - offsetof(struct wp_etcd_seat, timer));

    attempt(seat->quick.channel == NULL && is_named(&seat->m->src.endpoints[seat->at])
                ? &seat->patient /* a resolver takes its time, and is asked again by each attempt */
                : &seat->quick);
}

static void try_again_later(struct wp_etcd_seat *seat, uint64_t began_ns)
{
    struct wp_etcd_mirror *m = seat->m;
    uint64_t ms = (uint64_t)(m->src.tls ? TLS_AGAIN_MS : AGAIN_MS) << seat->dear;
    uint64_t due = began_ns + jittered(m, ms < AGAIN_MOST_MS ? ms : AGAIN_MOST_MS);

    seat->timer.fn = again;
    m->g->timer_set(&seat->timer, due > m->g->now() ? due : m->g->now() + wp_etcd_ms(1));
}

/* The first attempt at this one is over: the next one's need not wait for its turn. */
static void tried(struct wp_etcd_seat *seat)
{
    struct wp_etcd_mirror *m = seat->m;
    struct wp_etcd_scout *s = &m->scout;

    if (seat->tried)
        return;
    seat->tried = true;
    for (unsigned i = 0; i < s->n; i++) {
        struct wp_etcd_seat *next = &s->seats[s->order[i]];
        if (next->begun)
            continue;
        next->begun = true;
        m->g->timer_set(&next->timer, m->g->now());
        break;
    }
    if (!is_first_try_over(s))
        return;
    m->g->timer_set(&s->settle, m->g->now());
    if (!has_second(s))
        wp_etcd_round_failed(m);
}

/* What costs the server more than a refused connection. */
static bool is_dear(const char *message)
{
    return strstr(message, "andshake failed") != NULL || strstr(message, "certificate") != NULL ||
           strstr(message, "DNS resolution") != NULL;
}

static void failed(struct wp_etcd_seat *seat, int status, const char *message, const char *what)
{
    struct wp_etcd_mirror *m = seat->m;

    if (m->first_failure_ns == 0)
        m->first_failure_ns = m->g->now();
    seat->grade = WP_ETCD_UNFIT;
    wp_etcd_stats_error(m, seat->at, status);
    wp_etcd_trouble(m, seat->at, status, message, what);
    tried(seat);
}

static void not_connected(struct wp_etcd_feeler *f, int status, const char *message)
{
    struct wp_etcd_seat *seat = f->seat;
    struct wp_etcd_mirror *m = seat->m;
    bool is_quick = f == &seat->quick;

    drop(m, f);
    if (!is_dear(message))
        seat->dear = 0;
    else if (seat->dear < DEAR_MOST)
        seat->dear++;
    if (is_quick || is_named(&m->src.endpoints[seat->at]))
        try_again_later(seat, f->began_ns);
    if (is_quick && status == WP_GRPC_DEADLINE_EXCEEDED && seat->patient.call == NULL)
        attempt(&seat->patient);
    failed(seat, status, message, "connect");
}

static void answered(struct wp_etcd_seat *seat)
{
    struct wp_etcd_mirror *m = seat->m;
    const struct wp_etcd_said *said = &seat->said;

    seat->dear = 0;
    seat->grade = grade_of(m, seat, said);
    if (seat->grade == WP_ETCD_GOOD || (seat->grade == WP_ETCD_SECOND && m->scout.settled)) {
        win(m, seat);
        return;
    }
    try_again_later(seat, m->g->now()); /* on the same connection */
    if (seat->grade == WP_ETCD_SECOND)
        tried(seat);
    else if (said->is_learner)
        failed(seat, WP_GRPC_FAILED_PRECONDITION, "the member is a learner", "status");
    else if (said->known && !said->has_leader)
        failed(seat, WP_GRPC_UNAVAILABLE, "the member knows no leader: it is cut off, or there is none",
               "status");
}

static void status_came(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct wp_etcd_feeler *f = arg;
    struct wp_etcd_seat *seat = f->seat;
    struct wp_etcd_mirror *m = seat->m;

    f->call = NULL;
    if (status == WP_GRPC_UNAVAILABLE || status == WP_GRPC_DEADLINE_EXCEEDED) {
        not_connected(f, status, message);
        return;
    }
    if (f == &seat->patient) { /* it has the connection now */
        drop(m, &seat->quick);
        seat->quick.channel = f->channel;
        f->channel = NULL;
    } else {
        drop(m, &seat->patient);
    }
    wp_etcd_status_read(m, status, data, len, &seat->said);
    answered(seat);
}

static void open_channel(struct wp_etcd_feeler *f)
{
    struct wp_etcd_mirror *m = f->seat->m;
    char why[256] = "out of memory, or a target or certificate that gRPC refuses";
    int r = m->src.tls ? wp_etcd_files_read(m, why) : 0;

    if (r == 0)
        f->channel = wp_etcd_channel_new(m->g, &m->src, f->seat->at, &m->pem);
    if (f->channel == NULL)
        failed(f->seat, WP_GRPC_UNAVAILABLE, why, r < 0 ? "tls" : "connect");
}

static void attempt(struct wp_etcd_feeler *f)
{
    struct wp_etcd_seat *seat = f->seat;
    struct wp_etcd_mirror *m = seat->m;
    unsigned quick_ms = m->src.tls ? TLS_AGAIN_MS : AGAIN_MS;

    if (f->call != NULL)
        return;
    seat->begun = true;
    f->began_ns = m->g->now();
    if (f->channel == NULL)
        open_channel(f);
    if (f->channel != NULL)
        f->call = wp_etcd_ask_status(m, f->channel, f == &seat->quick ? quick_ms : WP_ETCD_CALL_MS,
                                     status_came, f);
    if (f->call != NULL)
        return;
    drop(m, f);
    try_again_later(seat, f->began_ns + wp_etcd_ms(AGAIN_MOST_MS / 2));
}

/* --- life -------------------------------------------------------------------------------------- */

int wp_etcd_scout_init(struct wp_etcd_mirror *m)
{
    struct wp_etcd_scout *s = &m->scout;
    unsigned n = m->src.discovery != NULL ? WP_ETCD_FOUND_MAX : m->src.n_endpoints;

    s->seats = calloc(n, sizeof(s->seats[0]));
    s->order = calloc(n, sizeof(s->order[0]));
    if (s->seats == NULL || s->order == NULL) {
        wp_etcd_scout_done(m);
        return -ENOMEM;
    }
    s->n = m->src.n_endpoints;
    for (unsigned i = 0; i < n; i++) {
        struct wp_etcd_seat *seat = &s->seats[i];
        seat->m = m;
        seat->at = i;
        seat->quick.seat = seat->patient.seat = seat;
    }
    return 0;
}

void wp_etcd_scout_resize(struct wp_etcd_mirror *m)
{
    m->scout.n = m->src.n_endpoints;
}

void wp_etcd_scout_done(struct wp_etcd_mirror *m)
{
    free(m->scout.seats);
    free(m->scout.order);
    m->scout = (struct wp_etcd_scout){0};
}

/* Of a lower priority: its turn comes when those before have had some time, or have failed. */
static bool is_worse(const struct wp_etcd_mirror *m, unsigned before, unsigned at)
{
    const struct wp_etcd_spot *places = m->discover.places;

    return places != NULL && places[at].priority > places[before].priority;
}

void wp_etcd_scout_begin(struct wp_etcd_mirror *m)
{
    struct wp_etcd_scout *s = &m->scout;
    unsigned step = STEPS_MS / (s->n + 1) < STEP_MS ? STEPS_MS / (s->n + 1) : STEP_MS;
    uint64_t due = m->g->now();

    if (s->running || s->n == 0)
        return;
    s->running = true;
    s->settled = false;
    for (unsigned i = 0; i < s->n; i++) {
        struct wp_etcd_seat *seat = &s->seats[(m->next_at + i) % s->n];
        s->order[i] = seat->at;
        seat->tried = seat->begun = false;
        seat->grade = WP_ETCD_UNFIT;
        seat->dear = 0;
        seat->timer.fn = again;
        if (i > 0)
            due += wp_etcd_ms(is_worse(m, s->order[i - 1], seat->at) ? WORSE_MS : step);
        m->g->timer_set(&seat->timer, due);
    }
    s->settle.fn = settle;
    m->g->timer_set(&s->settle, due + wp_etcd_ms(SECOND_MS));
}

void wp_etcd_scout_stop(struct wp_etcd_mirror *m)
{
    struct wp_etcd_scout *s = &m->scout;

    s->running = false;
    m->g->timer_cancel(&s->settle);
    for (unsigned i = 0; i < s->n; i++) {
        m->g->timer_cancel(&s->seats[i].timer);
        drop(m, &s->seats[i].quick);
        drop(m, &s->seats[i].patient);
    }
}
