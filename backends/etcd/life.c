/* Is the member still there? A connection that died silently says nothing, and neither does a watch
 * without changes. So a member that has been silent is asked for its status, on the connection of
 * the watch. When it does not answer, or has lost its cluster, another one is looked for while the
 * session goes on: a server that is merely slow is not left for one that is worse. */
#include "backends/etcd/mirror_priv.h"

enum {
    ASK_MS = 1000,  /* a member that has been silent for so long is asked, more or less a tenth, */
    WAIT_MS = 1500, /* and doubted when it says nothing for so long; */
    GONE_MS = 10000, /* given up when nobody else is there either */
    SLOW_MS = 1000,  /* a session that takes longer to come about: others are tried beside it, */
    SLOW_MOST = 3,   /* doubled so often, so that it comes about where everything is slow */
};

static struct wp_etcd_mirror *mirror_of(struct wp_grpc_timer *t)
{
    return (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, life.timer));
}

static void set_timer(struct wp_etcd_mirror *m, uint64_t ms)
{
    uint64_t tenth = wp_etcd_ms(ms) / 10;

    m->g->timer_set(&m->life.timer, m->g->now() + 9 * tenth + wp_etcd_random(m) % (2 * tenth));
}

static void doubt(struct wp_etcd_mirror *m, enum wp_etcd_doubt why)
{
    static const char *const texts[] = {
        [WP_ETCD_SILENT] = "the member is silent: looking for another one",
        [WP_ETCD_LEADERLESS] = "the member has lost its leader: looking for another one",
        [WP_ETCD_SLOW] = "the member takes long to answer: trying the others, too",
        [WP_ETCD_MOVED] = "DNS does not list the endpoint any more: looking for another one",
    };

    if (m->life.doubt != WP_ETCD_SURE && m->life.doubt != WP_ETCD_MOVED)
        return;
    m->life.doubt = why;
    m->life.doubted_ns = m->g->now();
    if (why == WP_ETCD_SLOW && m->src.n_endpoints == 1)
        return;
    wp_log(WP_WARNING, "etcd", "%s: %s", wp_etcd_endpoint_text(m), texts[why]);
    if (why == WP_ETCD_SILENT || why == WP_ETCD_LEADERLESS) {
        wp_etcd_stats_error(m, m->at, why == WP_ETCD_SILENT ? WP_GRPC_DEADLINE_EXCEEDED : WP_GRPC_UNAVAILABLE);
        wp_etcd_lose(m);
    }
    m->shunned = m->at;
    m->next_at = m->src.discovery != NULL ? 0 : m->at + 1;
    wp_etcd_scout_begin(m);
    if (why == WP_ETCD_SILENT)
        wp_etcd_discover_soon(m);
}

void wp_etcd_life_moved(struct wp_etcd_mirror *m)
{
    doubt(m, WP_ETCD_MOVED);
}

void wp_etcd_life_heard(struct wp_etcd_mirror *m)
{
    if (WP_LIKELY(m->life.doubt == WP_ETCD_SURE) || m->life.doubt == WP_ETCD_MOVED)
        return;
    m->life.doubt = WP_ETCD_SURE;
    wp_etcd_scout_stop(m);
    if (m->at == m->src.n_endpoints)
        doubt(m, WP_ETCD_MOVED);
    if (m->steady_ns != 0)
        wp_etcd_in_step(m);
}

/* --- asking ------------------------------------------------------------------------------------ */

static void status_came(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct wp_etcd_mirror *m = arg;
    struct wp_etcd_said said;

    (void)message;
    m->life.call = NULL;
    if (status == WP_GRPC_UNAVAILABLE || status == WP_GRPC_DEADLINE_EXCEEDED) {
        doubt(m, WP_ETCD_SILENT);
        set_timer(m, ASK_MS);
        return;
    }
    wp_etcd_status_read(m, status, data, len, &said);
    set_timer(m, ASK_MS);
    if (said.known && !said.has_leader) {
        doubt(m, WP_ETCD_LEADERLESS);
        return;
    }
    wp_etcd_seen(m, NULL);
    m->life.heard_ns = m->heard_ns;
    wp_etcd_life_heard(m);
}

static void look(struct wp_grpc_timer *t)
{
    struct wp_etcd_mirror *m = mirror_of(t);
    uint64_t now = m->g->now(), due = m->life.heard_ns + wp_etcd_ms(ASK_MS) * 9 / 10;
    bool is_sure = m->life.doubt == WP_ETCD_SURE || m->life.doubt == WP_ETCD_MOVED;

    if (m->steady_ns == 0) {
        doubt(m, WP_ETCD_SLOW);
        return;
    }
    if (is_sure && due > now) {
        m->g->timer_set(t, due);
        return;
    }
    if (!is_sure && now - m->life.doubted_ns > wp_etcd_ms(GONE_MS)) {
        wp_etcd_fail(m, WP_GRPC_DEADLINE_EXCEEDED, "no sign of life", "status");
        return;
    }
    m->life.call = wp_etcd_ask_status(m, m->watch_channel, WAIT_MS, status_came, m);
    if (m->life.call == NULL)
        set_timer(m, ASK_MS);
}

/* --- life -------------------------------------------------------------------------------------- */

void wp_etcd_life_watch(struct wp_etcd_mirror *m)
{
    m->life.timer.fn = look;
    if (m->life.call == NULL && !m->life.timer.is_set)
        set_timer(m, ASK_MS);
}

void wp_etcd_life_hurry(struct wp_etcd_mirror *m)
{
    unsigned doublings = m->in_a_row < SLOW_MOST ? m->in_a_row : SLOW_MOST;

    m->life.timer.fn = look;
    m->g->drop(m->life.call);
    m->life.call = NULL;
    set_timer(m, (uint64_t)SLOW_MS << doublings);
}

void wp_etcd_life_rest(struct wp_etcd_mirror *m)
{
    m->g->timer_cancel(&m->life.timer);
    m->g->drop(m->life.call);
    m->life.call = NULL;
    if (m->life.doubt == WP_ETCD_SLOW)
        wp_etcd_scout_stop(m);
    m->life.doubt = WP_ETCD_SURE;
}
