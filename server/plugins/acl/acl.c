/* acl: who may ask what. The first matching policy of the first matching rule decides. */
#include <string.h>

#include "waypost/plugin/explain.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/plugin.h"

enum action { ALLOW, BLOCK, FILTER, DROP, ACTIONS };
static const char *const action_text[ACTIONS] = {"allow", "block", "filter", "drop"};

struct policy {
    enum action action;
    const uint16_t *types; /* none: all */
    unsigned n_types;
    const struct wp_cidr *nets; /* none: all */
    unsigned n_nets;
};

/* One `acl` line with its block. */
struct rule {
    struct rule *next;
    struct wp_zones zones;
    struct policy *policies;
    unsigned n;
};

enum { SERVERS = 32 };

struct acl {
    struct rule *first, **last;
    /* counters of each listener the block is on, found by label pointer */
    struct {
        _Atomic(const char *) server;
        struct wp_series *allowed;
    } meters[SERVERS];
};

static const struct wp_family families[ACTIONS] = {
    [ALLOW] = {.name = "coredns_acl_allowed_requests_total",
               .help = "Counter of DNS requests being allowed.",
               .kind = WP_COUNTER,
               .labels = {"server", "view"}},
    [BLOCK] = {.name = "coredns_acl_blocked_requests_total",
               .help = "Counter of DNS requests being blocked.",
               .kind = WP_COUNTER,
               .labels = {"server", "zone", "view"}},
    [FILTER] = {.name = "coredns_acl_filtered_requests_total",
                .help = "Counter of DNS requests being filtered.",
                .kind = WP_COUNTER,
                .labels = {"server", "zone", "view"}},
    [DROP] = {.name = "coredns_acl_dropped_requests_total",
              .help = "Counter of DNS requests being dropped.",
              .kind = WP_COUNTER,
              .labels = {"server", "zone", "view"}},
};

/* --- configuration --------------------------------------------------------------------------- */

static int acl_new(void *self, struct wp_setup *s)
{
    struct acl *p = self;

    (void)s;
    p->last = &p->first;
    return 0;
}

static int begin(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct acl *p = self;
    struct rule *r = wp_arena_zalloc(s->arena, sizeof(*r));
    int e;

    if (r == NULL)
        return -ENOMEM;
    e = wp_setup_zones(s, l->words + 1, l->n_words - 1, &r->zones);
    if (e < 0)
        return e;
    if (r->zones.n == 0)
        r->zones = *s->zones;
    r->policies = wp_arena_array(s->arena, l->n_options + 1, sizeof(*r->policies));
    if (r->policies == NULL)
        return -ENOMEM;
    *p->last = r;
    p->last = &r->next;
    return 0;
}

static struct rule *current(struct acl *p)
{
    return (struct rule *)((char *)p->last - offsetof(struct rule, next));
}

static bool is_keyword(const char *w)
{
    return strcasecmp(w, "type") == 0 || strcasecmp(w, "net") == 0;
}

/* Words of a `type` section: at .. the next keyword. */
static int parse_types(struct wp_setup *s, const struct wp_line *l, unsigned *at, struct policy *y,
                       bool *all)
{
    uint16_t *types = wp_arena_array(s->arena, y->n_types + l->n_words, sizeof(*types));

    if (types == NULL)
        return -ENOMEM;
    if (y->n_types > 0)
        memcpy(types, y->types, y->n_types * sizeof(*types));
    y->types = types;
    if (*at >= l->n_words || is_keyword(l->words[*at]))
        return wp_setup_error(s, l, "no token specified in \"type\" section");
    for (; *at < l->n_words && !is_keyword(l->words[*at]); ++*at) {
        if (strcmp(l->words[*at], "*") == 0)
            *all = true;
        else if (wp_type_parse(l->words[*at], &types[y->n_types]) == 0)
            y->n_types++;
        else
            return wp_setup_error(s, l, "unexpected token \"%s\"; expect legal QTYPE", l->words[*at]);
    }
    return 0;
}

static int parse_nets(struct wp_setup *s, const struct wp_line *l, unsigned *at, struct policy *y,
                      bool *all)
{
    struct wp_cidr *nets = wp_arena_array(s->arena, y->n_nets + l->n_words, sizeof(*nets));

    if (nets == NULL)
        return -ENOMEM;
    if (y->n_nets > 0)
        memcpy(nets, y->nets, y->n_nets * sizeof(*nets));
    y->nets = nets;
    if (*at >= l->n_words || is_keyword(l->words[*at]))
        return wp_setup_error(s, l, "no token specified in \"net\" section");
    for (; *at < l->n_words && !is_keyword(l->words[*at]); ++*at) {
        if (strcmp(l->words[*at], "*") == 0)
            *all = true;
        else if (wp_cidr_parse(l->words[*at], &nets[y->n_nets]) == 0)
            y->n_nets++;
        else
            return wp_setup_error(s, l, "illegal CIDR notation \"%s\"", l->words[*at]);
    }
    return 0;
}

static int parse_policy(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct rule *rule = current(self);
    struct policy *y = &rule->policies[rule->n];
    bool all_types = false, all_nets = false;
    unsigned at = 1;
    int e = 0;

    y->action = ACTIONS;
    for (unsigned i = 0; i < ACTIONS; i++) {
        if (strcasecmp(l->words[0], action_text[i]) == 0)
            y->action = (enum action)i;
    }
    if (y->action == ACTIONS)
        return wp_setup_error(s, l, "unexpected token \"%s\"; expect 'allow', 'block', 'filter' or 'drop'",
                              l->words[0]);
    while (at < l->n_words && e == 0) {
        const char *word = l->words[at++];

        if (strcasecmp(word, "type") == 0)
            e = parse_types(s, l, &at, y, &all_types);
        else if (strcasecmp(word, "net") == 0)
            e = parse_nets(s, l, &at, y, &all_nets);
        else
            e = wp_setup_error(s, l, "unexpected token \"%s\"; expect 'type | net'", word);
    }
    if (all_types)
        y->n_types = 0;
    if (all_nets)
        y->n_nets = 0;
    rule->n++;
    return e;
}

/* --- asking -------------------------------------------------------------------------------- */

static void text_of_zone(const uint8_t *zone, char buf[WP_NAME_TEXT_MAX])
{
    wp_name_text(zone, buf);
}

static void count_allowed(struct acl *p, struct wp_query *q)
{
    const char *server = wp_query_server(q);

    for (unsigned i = 0; i < SERVERS; i++) {
        const char *have = atomic_load_explicit(&p->meters[i].server, memory_order_acquire);
        const char *values[] = {server, ""};
        struct wp_series *s;

        if (have == server) {
            wp_metric_add(p->meters[i].allowed, q->worker, 1);
            return;
        }
        if (have != NULL)
            continue;
        /* the series is one for the process: two workers that race here write the same */
        s = wp_metric_series(&families[ALLOW], values);
        if (q->worker == 0) {
            p->meters[i].allowed = s;
            atomic_store_explicit(&p->meters[i].server, server, memory_order_release);
        }
        wp_metric_add(s, q->worker, 1);
        return;
    }
}

/* Refusals may cost a look-up of their series. */
static void count_refused(enum action a, const struct wp_query *q, const uint8_t *zone)
{
    char text[WP_NAME_TEXT_MAX];
    const char *values[] = {wp_query_server(q), text, ""};

    text_of_zone(zone, text);
    wp_metric_add(wp_metric_series(&families[a], values), q->worker, 1);
}

static bool matches(const struct policy *y, const struct wp_query *q)
{
    bool hit = y->n_types == 0;

    for (unsigned i = 0; !hit && i < y->n_types; i++)
        hit = y->types[i] == q->msg.qtype;
    if (!hit)
        return false;
    hit = y->n_nets == 0;
    for (unsigned i = 0; !hit && i < y->n_nets; i++)
        hit = wp_cidr_has(&y->nets[i], &q->client);
    return hit;
}

static int refuse(enum action a, struct wp_query *q, const uint8_t *zone)
{
    int r;

    count_refused(a, q, zone);
    if (a == DROP)
        return wp_query_drop(q);
    r = wp_reply_begin(q, a == BLOCK ? WP_RCODE_REFUSED : WP_RCODE_NOERROR, 0);
    if (r == 0)
        r = wp_reply_ede(q, a == BLOCK ? WP_EDE_BLOCKED : WP_EDE_FILTERED, NULL);
    return r < 0 ? r : WP_STEP_DONE;
}

/* What the rules say of one name. */
static enum action decide(const struct acl *p, const struct wp_query *q, const struct wp_qname *name,
                          const uint8_t **ret_zone)
{
    for (const struct rule *r = p->first; r != NULL; r = r->next) {
        const uint8_t *zone = wp_zones_match(&r->zones, name);

        for (unsigned i = 0; zone != NULL && i < r->n; i++) {
            if (matches(&r->policies[i], q)) {
                *ret_zone = zone;
                return r->policies[i].action;
            }
        }
    }
    return ALLOW;
}

/* A rewritten question must pass by both of its names, whatever stands before: rewriting is no
 * way around access control. */
static enum action decide_original(const struct acl *p, const struct wp_query *q, const uint8_t **ret_zone)
{
    const uint8_t *spelled = q->wire + WP_HEADER_LEN;
    struct wp_qname name;

    if (q->parent != NULL || q->wire == NULL || q->question == spelled ||
        wp_qname_set(&name, spelled, q->wire_len - WP_HEADER_LEN) < 0)
        return ALLOW;
    return decide(p, q, &name, ret_zone);
}

static void explain(struct wp_query *q, enum action a, const uint8_t *zone)
{
    struct wp_report *d = wp_explain_details(q);
    char text[WP_NAME_TEXT_MAX];

    wp_report_text(d, "verdict", action_text[a]);
    if (zone != NULL)
        wp_report_text(d, "rule_for", wp_name_text(zone, text));
}

static int acl_serve(void *self, struct wp_query *q)
{
    struct acl *p = self;
    const uint8_t *zone = NULL;
    enum action a = decide(p, q, &q->msg.qname, &zone);

    if (a == ALLOW)
        a = decide_original(p, q, &zone);
    if (WP_UNLIKELY(wp_query_is_explained(q)))
        explain(q, a, zone);
    if (a != ALLOW)
        return refuse(a, q, zone);
    count_allowed(p, q);
    return WP_STEP_NEXT;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_IGNORE, .help = "[ZONES...]"},
    {.name = "*", .kind = WP_OPT_CALL, .parse = parse_policy,
     .help = "allow|block|filter|drop [type QTYPE...] [net SOURCE...]"},
    {0},
};

const struct wp_plugin wp_plugin_acl = {
    .name = "acl",
    .size = sizeof(struct acl),
    .options = options,
    .repeat = WP_REPEAT_COMBINE,
    .new = acl_new,
    .begin = begin,
    .serve = acl_serve,
};
