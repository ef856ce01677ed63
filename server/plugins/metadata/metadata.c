/* metadata: values about a question that other plugins set and show. The router asks this
 * instance first; when it says yes it asks the providers. */
#include "waypost/plugin/plugin.h"

struct metadata {
    struct wp_zones zones;
};

static int metadata_check(void *self, struct wp_setup *s)
{
    struct metadata *p = self;

    if (p->zones.n == 0)
        p->zones = *s->zones;
    return 0;
}

static void collect(void *self, struct wp_query *q)
{
    const struct metadata *p = self;

    q->meta_on = wp_zones_match(&p->zones, &q->msg.qname) != NULL;
}

static int metadata_serve(void *self, struct wp_query *q)
{
    (void)self;
    (void)q;
    return WP_STEP_NEXT; /* collected before the chain */
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_ZONES, .offset = offsetof(struct metadata, zones), .help = "[ZONES...]"},
    {0},
};

const struct wp_plugin wp_plugin_metadata = {
    .name = "metadata",
    .size = sizeof(struct metadata),
    .options = options,
    .repeat = WP_REPEAT_ERROR,
    .check = metadata_check,
    .serve = metadata_serve,
    .metadata = collect,
};
