/* k8s_external: names of a cluster's services for those outside of it. */
#include "backends/k8s_external/k8s_external.h"

#include <errno.h>
#include <string.h>

#include "waypost/plugin/block.h"

enum { TTL_S = 5, TTL_MAX_S = 3600 };

static int external_new(void *self, struct wp_setup *s)
{
    struct k8s_external *p = self;

    (void)s;
    p->apex = "dns";
    p->ttl_s = TTL_S;
    return 0;
}

/* The zones of a later line take the place of those before; everything else stays. */
static int parse_zones(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct k8s_external *p = self;

    p->directive = l;
    p->zones = (struct wp_zones){0};
    if (l->n_words > 1)
        return wp_setup_zones(s, l->words + 1, l->n_words - 1, &p->zones);
    p->zones = *s->zones;
    return 0;
}

static int parse_apex(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct k8s_external *p = self;
    struct wp_name name;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (wp_name_parse(l->words[1], &name) < 0 || name.len == 1)
        return wp_setup_error(s, l, "apex: '%s' is no domain name", l->words[1]);
    p->apex = l->words[1];
    return 0;
}

static int parse_ttl(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct k8s_external *p = self;
    int64_t v;
    int r;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    r = wp_setup_int(s, l, l->words[1], INT64_MIN, INT64_MAX, &v);
    if (r < 0)
        return r;
    if (v < 0 || v > TTL_MAX_S)
        return wp_setup_error(s, l, "ttl must be in range [0, 3600]: %lld", (long long)v);
    p->ttl_s = (uint32_t)v;
    return 0;
}

static int join(const char *label, const struct wp_name *suffix, struct wp_name *ret)
{
    struct wp_name head;
    int r = wp_name_parse(label, &head);

    return r < 0 ? r : wp_name_join(head.wire, head.len - 1u, suffix->wire, ret);
}

static int make_zone(struct k8s_external *p, struct wp_setup *s, unsigned i)
{
    struct external_zone *z = &p->zone[i];
    struct wp_name zone;
    char text[WP_NAME_TEXT_MAX];

    z->name = p->zones.zone[i];
    z->len = zone.len = (uint8_t)wp_name_size(z->name);
    z->labels = (uint8_t)wp_name_labels(z->name);
    memcpy(zone.wire, z->name, zone.len);
    if (join(p->apex, &zone, &z->apex) < 0 || join("ns1", &z->apex, &z->server) < 0 ||
        join("hostmaster", &z->apex, &z->mailbox) < 0)
        return wp_setup_error(s, p->directive, "the zone is too long for names below it: %s",
                              wp_name_text(z->name, text));
    wp_name_lower(z->apex.wire, z->apex.len);
    wp_name_lower(z->server.wire, z->server.len);
    wp_name_lower(z->mailbox.wire, z->mailbox.len);
    return 0;
}

/* Its instance comes about later than ours. */
static bool has_kubernetes(const struct wp_block *b)
{
    for (unsigned i = 0; i < b->n_lines; i++)
        if (strcmp(b->lines[i].words[0], "kubernetes") == 0)
            return true;
    return false;
}

static int external_check(void *self, struct wp_setup *s)
{
    struct k8s_external *p = self;
    int r = 0;

    p->zone = wp_arena_array(s->arena, p->zones.n, sizeof(*p->zone));
    if (p->zone == NULL)
        return -ENOMEM;
    for (unsigned i = 0; r == 0 && i < p->zones.n; i++)
        r = make_zone(p, s, i);
    if (r == 0 && !has_kubernetes(s->block))
        return wp_setup_fail(s, "kubernetes plugin not loaded");
    return r;
}

static int external_start(void *self, struct wp_env *env)
{
    struct k8s_external *p = self;

    p->k = wp_block_plugin(env->block, "kubernetes");
    return 0;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_zones, .help = "[ZONE...]"},
    {.name = "apex", .kind = WP_OPT_CALL, .parse = parse_apex,
     .help = "LABEL below which the zone's name server is; dns"},
    {.name = "ttl", .kind = WP_OPT_CALL, .parse = parse_ttl, .help = "seconds, 0 to 3600; 5"},
    {.name = "headless", .kind = WP_OPT_FLAG, .offset = offsetof(struct k8s_external, headless),
     .help = "services without cluster address are answered with their endpoints"},
    {.name = "fallthrough", .kind = WP_OPT_FALL, .offset = offsetof(struct k8s_external, fall),
     .help = "[ZONE...]"},
    {0},
};

extern const struct wp_plugin wp_plugin_k8s_external;
const struct wp_plugin wp_plugin_k8s_external = {
    .name = "k8s_external",
    .size = sizeof(struct k8s_external),
    .options = options,
    .repeat = WP_REPEAT_LAST,
    .new = external_new,
    .check = external_check,
    .start = external_start,
    .serve = k8s_external_serve,
    .transfer = k8s_external_transfer,
};
