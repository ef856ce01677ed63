/* loop: does what this server forwards come back to it? At the start a HINFO query for a name that
 * nobody can guess is asked of ourselves. If it is seen again while it is on its way, a second one
 * is asked, for a name that has not been sent before: only when that comes back too the process
 * ends. So a client that has got hold of the first name cannot end it (CVE-2026-26018). */
#include "server/plugins/loop/loop.h"

#include <stdio.h>
#include <unistd.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"

enum { SEEN_MAX = 2 }; /* more is a loop, whoever asked */
static const uint16_t hinfo = WP_TYPE_HINFO;

/* "127.0.0.1:53", ":53". */
static void address_text(const struct loop *l, char *buf, size_t cap)
{
    const struct wp_block *b = l->env->block;
    char text[WP_ADDR_TEXT_MAX];

    if (b->set.n_bind == 0)
        snprintf(buf, cap, ":%u", l->target.port);
    else
        snprintf(buf, cap, "%s", wp_addr_text(&l->target, text));
}

static void end_process(const struct loop *l, const struct wp_query *q)
{
    char from[WP_ADDR_TEXT_MAX], to[WP_ADDR_TEXT_MAX], name[WP_NAME_TEXT_MAX];

    address_text(l, to, sizeof(to));
    wp_log(WP_FATAL, "loop",
           "Loop (%s -> %s) detected for zone \"%s\", see "
           "https://coredns.io/plugins/loop#troubleshooting. Query: \"HINFO %s\"",
           wp_addr_text(&q->client, from), to, l->env->block->keys[0].text,
           wp_name_text(q->msg.qname.wire, name));
    wp_log_flush();
    _exit(1);
}

static bool is_own(const struct loop *l, const struct wp_query *q)
{
    return q->client.port == atomic_load_explicit(&l->own_port, memory_order_relaxed) &&
           wp_addr_equal_ip(&q->client, &l->target);
}

/* The probe's name was asked. */
static void met(struct loop *l, const struct wp_query *q, int stage)
{
    unsigned seen = atomic_fetch_add(&l->seen, 1) + 1;

    if (is_own(l, q)) {
        atomic_store(&l->own_seen, true);
        return;
    }
    if (!atomic_load(&l->own_seen) && seen <= SEEN_MAX)
        return; /* perhaps ours through something that changes addresses */
    if (stage == LOOP_CONFIRMING)
        end_process(l, q);
    if (!atomic_exchange(&l->back, true))
        loop_probe_back(l);
}

static int loop_serve(void *self, struct wp_query *q)
{
    struct loop *l = self;
    int stage = atomic_load_explicit(&l->stage, memory_order_acquire);

    if (WP_UNLIKELY(stage != LOOP_OFF) && q->msg.qtype == hinfo &&
        wp_name_equal(q->msg.qname.wire, l->name[stage - LOOP_PROBING].wire))
        met(l, q, stage);
    return WP_STEP_NEXT;
}

static int loop_start(void *self, struct wp_env *env)
{
    struct loop *l = self;

    l->env = env;
    return loop_probe_start(l);
}

static void loop_stop(void *self)
{
    loop_probe_stop(self);
}

static const struct wp_option options[] = {{0}};

const struct wp_plugin wp_plugin_loop = {
    .name = "loop",
    .size = sizeof(struct loop),
    .options = options,
    .repeat = WP_REPEAT_ERROR,
    .start = loop_start,
    .serve = loop_serve,
    .quiesce = loop_stop,
    .stop = loop_stop,
};
