/* Which agent is asked. One is kept until it fails; then it is the next one's turn, and when all have
 * failed there is a rest, shorter first, then longer. */
#include <stdio.h>
#include <string.h>

#include "backends/nomad/source_priv.h"
#include "waypost/base/random.h"
#include "waypost/plugin/change.h"

static void go(struct wp_nomad_source_own *o);

static const char *agent_name(const struct wp_nomad_source_own *o)
{
    return wp_nomad_access_name(o->access, o->agent);
}

/* --- starting and stopping --------------------------------------------------------------------- */

static void drop_all(struct wp_nomad_source_own *o)
{
    wp_nomad_list_stop(o);
    wp_nomad_events_stop(o);
    wp_nomad_bells_stop(o);
    wp_nomad_reads_stop(o);
    wp_nomad_call_drop(&o->probe);
}

/* The agent is believed to be there: everything that it can tell is asked for. */
static void follow(struct wp_nomad_source_own *o)
{
    o->trying = false;
    wp_nomad_events_start(o);
    wp_nomad_list_start(o);
    wp_nomad_reads_run(o);
}

static void on_probe(void *arg, const struct wp_httpc_end *end)
{
    struct wp_nomad_call *c = arg;
    struct wp_nomad_source_own *o = c->own;
    struct wp_nomad_reply r;

    wp_nomad_judge(c, end, &r);
    if (r.verdict >= WP_NOMAD_BUSY)
        wp_nomad_agent_failed(o, &r);
    else if (o->trying)
        follow(o);
}

/* A sign of life, which needs no rights. What does not know the path is alive, too. */
static void probe(struct wp_nomad_source_own *o, unsigned total_ms)
{
    static const struct wp_httpc_call_ops ops = {.end = on_probe};
    const struct wp_nomad_limits limits = {.total_ms = total_ms};

    if (o->probe.http == NULL)
        wp_nomad_call(&o->probe, "/v1/status/leader?stale=", &limits, &ops);
}

static void go(struct wp_nomad_source_own *o)
{
    o->resting = false;
    o->heard_ns = o->h->now();
    if (o->trying)
        probe(o, WP_NOMAD_SIGN_MS);
    else
        follow(o);
}

static void next_agent(struct wp_nomad_source_own *o)
{
    o->agent = (o->agent + 1) % wp_nomad_access_n(o->access);
    atomic_store_explicit(&o->agent_told, o->agent, memory_order_relaxed);
    o->reason = WP_NOMAD_RELOAD_AGENT;
}

static void on_rest(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)t -
                                               offsetof(struct wp_nomad_source_own, rest));

    o->n_failed = 0;
    next_agent(o);
    go(o);
}

/* --- failing ----------------------------------------------------------------------------------- */

/* Nobody waits for an agent when there is none. */
static void tell_away(struct wp_nomad_source_own *o)
{
    if (!atomic_exchange(&o->s.away, true))
        wp_changed(o->state_key);
    wp_nomad_answer_all(o);
}

static void rest(struct wp_nomad_source_own *o)
{
    drop_all(o);
    o->resting = o->trying = true;
    tell_away(o);
    o->rest.fn = on_rest;
    o->h->timer_set(&o->rest, o->h->now() + wp_backoff_next(&o->backoff, wp_random()));
}

void wp_nomad_agent_rest(struct wp_nomad_source_own *o, const char *why)
{
    wp_nomad_tell(o, WP_NOMAD_OF_AGENTS, WP_WARNING, "%s: %s", agent_name(o), why);
    wp_nomad_lost_step(o, o->h->now());
    rest(o);
}

/* since_ns: servers hold a request for some seconds before they say that there is no leader. */
static void note_leaderless(struct wp_nomad_source_own *o, uint64_t since_ns)
{
    uint64_t now = o->h->now();

    if (o->leaderless_ns == 0)
        o->leaderless_ns = since_ns;
    wp_backoff_reset(&o->backoff); /* an election is over soon */
    if (o->wants.stale == WP_NOMAD_STALE_LEADERLESS && !o->stale &&
        now - o->leaderless_ns >= wp_nomad_ms(WP_NOMAD_LEADERLESS_MS)) {
        o->stale = true;
        wp_log(WP_WARNING, "nomad", "%s: no answer of a leader for %d s: any server may answer", o->name,
               WP_NOMAD_LEADERLESS_MS / 1000);
    }
}

/* One answer without sense is the answer's fault, some in a row are the agent's. */
static bool is_bearable(struct wp_nomad_source_own *o, const struct wp_nomad_reply *r)
{
    if (r->verdict == WP_NOMAD_NOMEM)
        return true;
    return r->verdict == WP_NOMAD_ODD && ++o->n_odd < WP_NOMAD_ODD_MOST;
}

bool wp_nomad_agent_failed(struct wp_nomad_source_own *o, const struct wp_nomad_reply *r)
{
    unsigned n = wp_nomad_access_n(o->access);
    uint64_t now = o->h->now(), silent = now - o->heard_ns > wp_nomad_ms(WP_NOMAD_SILENT_MS);
    const char *before = agent_name(o);

    wp_nomad_tell(o, WP_NOMAD_OF_AGENTS, r->verdict == WP_NOMAD_ODD ? WP_ERROR : WP_WARNING, "%s",
                  r->why);
    if (is_bearable(o, r))
        return false;
    o->n_odd = 0;
    wp_nomad_lost_step(o, silent ? o->heard_ns : now);
    if (r->verdict == WP_NOMAD_LEADERLESS)
        note_leaderless(o, now);
    else if (r->hung && !o->trying)
        note_leaderless(o, now - wp_nomad_ms(WP_NOMAD_READ_MS));
    if (r->verdict == WP_NOMAD_BUSY && o->reads_max > 1)
        o->reads_max /= 2;
    if (++o->n_failed >= n) {
        rest(o);
        return true;
    }
    drop_all(o);
    next_agent(o);
    wp_log(WP_INFO, "nomad", "%s: %s is asked instead of %s", o->name, agent_name(o), before);
    o->trying = true;
    go(o);
    return true;
}

/* --- answering --------------------------------------------------------------------------------- */

void wp_nomad_agent_lives(struct wp_nomad_source_own *o)
{
    o->heard_ns = o->h->now();
}

void wp_nomad_agent_serves(struct wp_nomad_source_own *o)
{
    o->n_failed = o->n_odd = 0;
    wp_backoff_reset(&o->backoff);
    atomic_store_explicit(&o->contact_ms, wp_state_clock_ms(), memory_order_relaxed);
    if (atomic_exchange(&o->s.away, false))
        wp_changed(o->state_key);
    wp_nomad_reached(o);
    if (o->leaderless_ns == 0 && o->stale && o->wants.stale == WP_NOMAD_STALE_LEADERLESS) {
        o->stale = false;
        wp_log(WP_INFO, "nomad", "%s: there is a leader again", o->name);
    }
    wp_nomad_tell_over(o, WP_NOMAD_OF_AGENTS, "answers again");
}

/* --- looking after it -------------------------------------------------------------------------- */

/* A token or a certificate is another one: whatever runs was begun with the old. */
static void look_at_files(struct wp_nomad_source_own *o)
{
    unsigned g = wp_nomad_access_generation(o->access, o->h->now(), false);

    if (g == o->generation)
        return;
    o->generation = g;
    o->new_token = true;
    o->filter_bad_ns = 0;
    wp_log(WP_INFO, "nomad", "%s: token or certificates have changed, everything is asked for anew",
           o->name);
    o->h->timer_cancel(&o->rest);
    drop_all(o);
    o->trying = o->s.away;
    o->reason = WP_NOMAD_RELOAD_TOKEN;
    go(o);
}

void wp_nomad_agent_denied(struct wp_nomad_source_own *o)
{
    if (wp_nomad_access_generation(o->access, o->h->now(), true) != o->generation)
        o->h->timer_set(&o->life, o->h->now());
}

static void on_life(struct wp_engine_timer *t)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)t -
                                               offsetof(struct wp_nomad_source_own, life));
    uint64_t now = o->h->now();

    look_at_files(o);
    if (!o->resting && now - o->heard_ns >= wp_nomad_ms(WP_NOMAD_SILENT_MS))
        probe(o, WP_NOMAD_READ_MS);
    o->h->timer_set(t, now + wp_nomad_ms(WP_NOMAD_LIFE_MS));
}

void wp_nomad_agent_start(struct wp_nomad_source_own *o)
{
    o->backoff = (struct wp_backoff){.first_ns = wp_nomad_ms(WP_NOMAD_BACKOFF_FIRST_MS),
                                     .most_ns = wp_nomad_ms(WP_NOMAD_BACKOFF_MOST_MS)};
    o->generation = wp_nomad_access_generation(o->access, o->h->now(), false);
    o->stale = o->wants.stale == WP_NOMAD_STALE_ALWAYS;
    o->reads_max = WP_NOMAD_READS;
    o->life.fn = on_life;
    o->h->timer_set(&o->life, o->h->now() + wp_nomad_ms(WP_NOMAD_LIFE_MS));
    go(o);
}

void wp_nomad_agent_stop(struct wp_nomad_source_own *o)
{
    o->stopped = true;
    o->h->timer_cancel(&o->rest);
    o->h->timer_cancel(&o->life);
    drop_all(o);
}
