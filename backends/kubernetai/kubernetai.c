/* kubernetai: several clusters in one server block. Each line is a kubernetes of its own, with its
 * own options and connection; what kubernetes does is asked of it by its contract. */
#include "backends/kubernetai/kubernetai.h"

#include <string.h>
#include <time.h>

#include "waypost/dns/edns.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/report.h"

extern const struct wp_plugin wp_plugin_kubernetes;
static const struct wp_plugin *const each = &wp_plugin_kubernetes;

/* --- configuration ----------------------------------------------------------------------------- */

static int begin(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetai *p = self;
    struct kubernetai_stanza *st = wp_arena_zalloc(s->arena, sizeof(*st));
    int r;

    if (st == NULL)
        return -ENOMEM;
    r = each->new (&st->k, s);
    if (r < 0)
        return r;
    if (p->last != NULL)
        p->last->next = st;
    else
        p->first = st;
    p->last = st;
    return each->begin(&st->k, s, l);
}

static const struct wp_option *row_of(const char *word)
{
    for (const struct wp_option *o = each->options; o->name != NULL; o++) {
        if (strcmp(o->name, word) == 0)
            return o;
    }
    return NULL;
}

/* A line of kubernetes, for the newest of them. */
static int read_line(struct wp_setup *s, struct kubernetes *k, const struct wp_option *row,
                     const struct wp_line *l)
{
    struct wp_fall *fall = (struct wp_fall *)((char *)k + row->offset);

    if (row->kind != WP_OPT_FALL)
        return row->parse(k, s, l);
    fall->on = true;
    fall->zones = (struct wp_zones){0};
    return wp_setup_zones(s, l->words + 1, l->n_words - 1, &fall->zones);
}

static int parse_head(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return read_line(s, &((struct kubernetai *)self)->last->k, row_of(""), l);
}

static int parse_option(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const struct wp_option *row = l->words[0][0] != '\0' ? row_of(l->words[0]) : NULL;

    if (row == NULL)
        return wp_setup_error(s, l, "unknown property '%s'", l->words[0]);
    return read_line(s, &((struct kubernetai *)self)->last->k, row, l);
}

static int parse_merge(void *self, struct wp_setup *s, const struct wp_line *l)
{
    ((struct kubernetai *)self)->last->merge = true;
    return l->n_words > 1 ? wp_setup_arg_error(s, l) : 0;
}

static int end(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return each->end(&((struct kubernetai *)self)->last->k, s, l);
}

static int kubernetai_check(void *self, struct wp_setup *s)
{
    int worst = 0;

    for (struct kubernetai_stanza *st = ((struct kubernetai *)self)->first; st != NULL;
         st = st->next) {
        int r = each->check(&st->k, s);

        worst = r < 0 ? r : worst;
    }
    return worst;
}

/* --- life ---------------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* They are reached all at once: the longest of the times, not their sum. */
static void wait_for_all(const struct kubernetai *p)
{
    int64_t begun = now_ns();

    for (const struct kubernetai_stanza *st = p->first; st != NULL; st = st->next) {
        int64_t left = st->k.startup_timeout_ns - (now_ns() - begun);
        char zone[WP_NAME_TEXT_MAX];

        if (st->k.startup_timeout_ns == 0 || wp_kube_cluster_is_synced(st->k.cluster))
            continue;
        if (left <= 0 || !wp_kube_cluster_wait(st->k.cluster, left))
            wp_log(WP_WARNING, "kubernetai", "starting server with unsynced Kubernetes API: %s",
                   wp_name_text(st->k.primary->name, zone));
    }
}

static int kubernetai_start(void *self, struct wp_env *env)
{
    struct kubernetai *p = self;

    for (struct kubernetai_stanza *st = p->first; st != NULL; st = st->next) {
        int64_t timeout_ns = st->k.startup_timeout_ns;
        int r;

        st->k.startup_timeout_ns = 0; /* not one after the other */
        r = each->start(&st->k, env);
        st->k.startup_timeout_ns = timeout_ns;
        if (r < 0)
            return r;
    }
    wait_for_all(p);
    return 0;
}

static void kubernetai_stop(void *self)
{
    for (struct kubernetai_stanza *st = ((struct kubernetai *)self)->first; st != NULL;
         st = st->next)
        each->stop(&st->k);
}

/* One cluster that is away does not keep the server from those that are not. */
static bool kubernetai_is_ready(void *self)
{
    for (struct kubernetai_stanza *st = ((struct kubernetai *)self)->first; st != NULL;
         st = st->next) {
        if (each->is_ready(&st->k))
            return true;
    }
    return false;
}

/* --- questions ----------------------------------------------------------------------------------- */

/* Was it asked already, with another of its like? */
static bool has_been_joined(const struct kubernetai *p, const struct kubernetai_stanza *st,
                            const struct wp_qname *name, const struct kubernetes_zone *zone)
{
    for (const struct kubernetai_stanza *b = p->first; b != st; b = b->next) {
        const struct kubernetes_zone *z = b->merge ? kubernetes_zone_match(&b->k, name) : NULL;

        if (z != NULL && z->len == zone->len)
            return true;
    }
    return false;
}

int kubernetai_tell_unknown(struct wp_query *q)
{
    return wp_reply_ede(q, WP_EDE_NOT_READY, "a cluster of this zone has not been reached yet");
}

static int kubernetai_serve(void *self, struct wp_query *q)
{
    struct kubernetai *p = self;
    bool joins = kubernetai_joins(q->msg.qtype), unknown = false;

    for (struct kubernetai_stanza *st = p->first; st != NULL; st = st->next) {
        const struct kubernetes_zone *zone = kubernetes_zone_match(&st->k, &q->msg.qname);
        int r;

        if (zone == NULL)
            continue;
        if (!st->merge || !joins)
            r = each->serve(&st->k, q);
        else if (has_been_joined(p, st, &q->msg.qname, zone))
            continue;
        else
            r = kubernetai_join(st, q, zone);
        if (r == WP_STEP_DONE && unknown && q->reply.begun && q->reply.rcode == WP_RCODE_NXDOMAIN)
            return kubernetai_tell_unknown(q) < 0 ? WP_ESPACE : r;
        if (r != WP_STEP_NEXT)
            return r;
        unknown |= !wp_kube_cluster_has_data(st->k.cluster);
    }
    return WP_STEP_NEXT;
}

static void kubernetai_prefetch(const void *self, const struct wp_query *q, unsigned step)
{
    const struct kubernetai *p = self;

    for (const struct kubernetai_stanza *st = p->first; st != NULL; st = st->next)
        each->prefetch(&st->k, q, step);
}

/* What is set last is what is read: the first of them is asked last. */
static void describe(struct kubernetai_stanza *st, struct wp_query *q)
{
    if (st == NULL)
        return;
    describe(st->next, q);
    each->metadata(&st->k, q);
}

static void kubernetai_metadata(void *self, struct wp_query *q)
{
    describe(((struct kubernetai *)self)->first, q);
}

static const uint8_t *kubernetai_search(void *self, struct wp_query *q)
{
    const uint8_t *names = NULL;

    for (struct kubernetai_stanza *st = ((struct kubernetai *)self)->first;
         st != NULL && names == NULL; st = st->next)
        names = each->search(&st->k, q);
    return names;
}

static void kubernetai_status(void *self, struct wp_report *r)
{
    wp_report_list(r, "clusters");
    for (struct kubernetai_stanza *st = ((struct kubernetai *)self)->first; st != NULL;
         st = st->next) {
        wp_report_open(r, NULL);
        each->status(&st->k, r);
        wp_report_close(r);
    }
    wp_report_close(r);
}

/* A zone of one line. What several of them hold is nobody's to give away whole. */
static int kubernetai_transfer(void *self, struct wp_query *q, struct wp_transfer *ret)
{
    struct kubernetai_stanza *holder = NULL;

    for (struct kubernetai_stanza *st = ((struct kubernetai *)self)->first; st != NULL;
         st = st->next) {
        const struct kubernetes_zone *zone = kubernetes_zone_match(&st->k, &q->msg.qname);

        if (zone == NULL || zone->len != q->msg.qname.len)
            continue;
        if (holder != NULL)
            return WP_ENOTFOUND; /* REFUSED, as without `transfer` */
        holder = st;
    }
    return holder != NULL ? each->transfer(&holder->k, q, ret) : WP_ENOTFOUND;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_head, .help = "zones to serve; none: the block's"},
    {.name = "merge",
     .kind = WP_OPT_CALL,
     .parse = parse_merge,
     .help = "answers are joined with those of other lines with it, for the same zone"},
    {.name = "*", .kind = WP_OPT_CALL, .parse = parse_option, .help = "the options of kubernetes"},
    {0},
};

extern const struct wp_plugin wp_plugin_kubernetai;
const struct wp_plugin wp_plugin_kubernetai = {
    .name = "kubernetai",
    .size = sizeof(struct kubernetai),
    .options = options,
    .repeat = WP_REPEAT_COMBINE,
    .begin = begin,
    .end = end,
    .check = kubernetai_check,
    .start = kubernetai_start,
    .serve = kubernetai_serve,
    .prefetch = kubernetai_prefetch,
    .metadata = kubernetai_metadata,
    .search = kubernetai_search,
    .transfer = kubernetai_transfer,
    .stop = kubernetai_stop,
    .is_ready = kubernetai_is_ready,
    .status = kubernetai_status,
    .status_place = WP_STATUS_BACKENDS,
};
