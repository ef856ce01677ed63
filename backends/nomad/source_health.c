/* Checks of allocations, of a source with `health`. They are a matter of each allocation's client: that one does
 * not answer says nothing of the agent that was asked. */
#include "backends/nomad/source_priv.h"

static int agent(void *arg)
{
    const struct wp_nomad_source_own *o = arg;

    return wp_nomad_agent_is_ready(o) ? (int)o->agent : -1;
}

/* What is published has no allocations: with the next reading each instance gets its verdict. */
static void on_changed(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name)
{
    struct wp_nomad_source_own *o = arg;
    struct wp_nomad_item *i =
        wp_nomad_item_find(&o->items, name.at, name.len, namespace.at, namespace.len);

    if (i == NULL)
        return;
    wp_nomad_read(o, i, WP_NOMAD_URGENT);
    wp_nomad_reads_run(o);
}

static void on_counted(void *arg, int status, int err)
{
    wp_nomad_count_request(arg, status, err);
}

int wp_nomad_source_health(struct wp_nomad_source_own *o)
{
    const struct wp_nomad_health_config c = {
        .h = o->h,
        .access = o->access,
        .interval_ns = (uint64_t)o->wants.health_interval_ns,
        .agent = agent,
        .changed = on_changed,
        .counted = on_counted,
        .arg = o,
    };
    int r = o->wants.health ? wp_nomad_health_new(&c, &o->health) : 0;

    if (o->health != NULL) {
        o->build.is_unhealthy = wp_nomad_health_is_unhealthy;
        o->build.arg = o->health;
    }
    return r;
}

void wp_nomad_source_health_stop(struct wp_nomad_source_own *o)
{
    wp_nomad_health_free(o->health);
    o->health = NULL;
    o->build.is_unhealthy = NULL;
}
