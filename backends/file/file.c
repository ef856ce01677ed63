/* Zones from files. */
#include <errno.h>
#include <string.h>
#include "backends/common/zone_table.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"
#include "waypost/plugin/report.h"
#include "waypost/plugin/transfer.h"

#define RELOAD_DEFAULT_NS INT64_C(60000000000)

struct file {
    struct wp_fall fall; /* one for all zones */
    int64_t reload_ns;   /* as it stands now: goes on into later stanzas */
    bool by_mtime;
    struct wp_zone_slot **slots;
    unsigned n_slots, cap_slots;
    struct wp_zone_slot **stanza;
    unsigned n_stanza;
    struct wp_zone_table table;
    struct wp_zone_reloader reloader;
    struct wp_log_limit notify_log;
    const struct wp_block *block; /* where `transfer` may be */
};

/* --- set-up ---------------------------------------------------------------------------------- */

static int file_new(void *self, struct wp_setup *s)
{
    struct file *f = self;

    (void)s;
    f->reload_ns = RELOAD_DEFAULT_NS;
    return 0;
}

static struct wp_zone_slot *find_slot(const struct file *f, const uint8_t *zone)
{
    for (unsigned i = 0; i < f->n_slots; i++) {
        if (wp_name_equal(f->slots[i]->origin.wire, zone))
            return f->slots[i];
    }
    return NULL;
}

/* A zone that an earlier stanza named has the later one's file. */
static struct wp_zone_slot *slot_for(struct file *f, struct wp_setup *s, const uint8_t *zone)
{
    struct wp_zone_slot *slot = find_slot(f, zone);

    if (slot != NULL)
        return slot;
    if (f->n_slots == f->cap_slots) {
        unsigned cap = f->cap_slots > 0 ? f->cap_slots * 2 : 8;
        struct wp_zone_slot **more = wp_arena_array(s->arena, cap, sizeof(struct wp_zone_slot *));

        if (more == NULL)
            return NULL;
        if (f->n_slots > 0)
            memcpy(more, f->slots, f->n_slots * sizeof(struct wp_zone_slot *));
        f->slots = more;
        f->cap_slots = cap;
    }
    slot = wp_arena_zalloc(s->arena, sizeof(*slot));
    if (slot == NULL)
        return NULL;
    slot->origin.len = (uint8_t)wp_name_size(zone);
    memcpy(slot->origin.wire, zone, slot->origin.len);
    f->slots[f->n_slots++] = slot;
    return slot;
}

/* file DBFILE [ZONES...] */
static int read_stanza(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct file *f = self;
    struct wp_zones zones = *s->zones;
    const char *path;
    int r;

    if (line->n_words < 2)
        return wp_setup_arg_error(s, line);
    path = wp_setup_path(s, line->words[1]);
    if (path == NULL)
        return -ENOMEM;
    if (line->n_words > 2) {
        zones = (struct wp_zones){0};
        r = wp_setup_zones(s, line->words + 2, line->n_words - 2, &zones);
        if (r < 0)
            return r;
    }
    f->n_stanza = 0;
    f->stanza = wp_arena_array(s->arena, zones.n, sizeof(struct wp_zone_slot *));
    if (f->stanza == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < zones.n; i++) {
        struct wp_zone_slot *slot = slot_for(f, s, zones.zone[i]);

        if (slot == NULL)
            return -ENOMEM;
        slot->path = path;
        slot->source = wp_zone_source(path, &slot->origin);
        f->stanza[f->n_stanza++] = slot;
    }
    return 0;
}

static int file_end(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct file *f = self;

    (void)s;
    (void)line;
    for (unsigned i = 0; i < f->n_stanza; i++) {
        f->stanza[i]->reload_ns = f->reload_ns;
        f->stanza[i]->by_mtime = f->by_mtime;
    }
    return 0;
}

static int read_reload(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct file *f = self;

    if (line->n_words < 2)
        return wp_setup_fail(s, "reload duration value is expected");
    if (wp_duration_parse(line->words[1], &f->reload_ns) < 0)
        return wp_setup_fail(s, "plugin/file: time: invalid duration \"%s\"", line->words[1]);
    if (f->reload_ns < 0)
        return wp_setup_error(s, line, "reload duration '%s' is negative", line->words[1]);
    return 0;
}

static void warn_of(const struct wp_zone_slot *slot)
{
    const struct wp_zone *z = wp_zone_slot_zone(slot);
    char origin[WP_NAME_TEXT_MAX];

    if (z->n_foreign > 0)
        wp_log(WP_WARNING, "file",
               "%zu records of \"%s\" are outside of zone %s and are not served", z->n_foreign,
               slot->path, wp_name_text(slot->origin.wire, origin));
    if (z->n_long > 0)
        wp_log(WP_WARNING, "file",
               "%zu names of \"%s\" have more records of a type than a message holds", z->n_long,
               slot->path);
}

/* Load one zone. A file that cannot be opened may come later: *ret_missing tells of it. */
static int load_slot(struct wp_setup *s, struct wp_zone_slot *slot, const char **ret_missing)
{
    char origin[WP_NAME_TEXT_MAX];
    const char *error = NULL;
    int r = wp_zone_slot_load(slot, s->arena, &error);

    if (r == 0) {
        warn_of(slot);
        return 0;
    }
    if (r == WP_EEXISTS)
        error = wp_arena_printf(
            s->arena, "no change in SOA serial for origin %s in file %s, with 0 SOA serial",
            wp_name_text(slot->origin.wire, origin), slot->path);
    if (r == -ENOMEM || ((r == WP_EEXISTS || r == WP_ECONFIG) && error == NULL))
        return -ENOMEM;
    if (r != WP_EEXISTS && r != WP_ECONFIG) {
        *ret_missing = wp_zone_file_error(s->arena, "open", slot->path, r);
        return 0;
    }
    if (*ret_missing != NULL && slot->reload_ns > 0) {
        /* CoreDNS does not even look at the files that follow a missing one */
        wp_log(WP_ERROR, "file", "%s", error);
        return 0;
    }
    return wp_setup_fail(s, "%s", error);
}

static int file_check(void *self, struct wp_setup *s)
{
    struct file *f = self;
    const char *missing = NULL;
    char again[32];

    for (unsigned i = 0; i < f->n_slots; i++) {
        int r = load_slot(s, f->slots[i], &missing);
        if (r < 0)
            return r;
    }
    if (missing != NULL && f->reload_ns == 0)
        return wp_setup_fail(s, "plugin/file: %s", missing);
    if (missing != NULL) {
        wp_duration_text(f->reload_ns, again);
        wp_log(WP_WARNING, "file", "Failed to open \"%s\": trying again in %s", missing, again);
    }
    return wp_zone_table_init(&f->table, s->arena, f->slots, f->n_slots);
}

/* --- running --------------------------------------------------------------------------------- */

static void tell_of(void *arg, struct wp_zone_slot *slot)
{
    const struct file *f = arg;

    wp_zone_is_new(f->block, "file", slot->origin.wire);
}

static void tell_of_all(void *arg, struct wp_loop *loop)
{
    struct file *f = arg;

    (void)loop;
    for (unsigned i = 0; i < f->n_slots; i++) {
        if (wp_zone_slot_zone(f->slots[i]) != NULL)
            tell_of(f, f->slots[i]);
    }
}

/* Zones that may be given away are put in order before anybody can ask for them. */
static int prepare_transfers(struct file *f, struct wp_env *env)
{
    for (unsigned i = 0; i < f->n_slots; i++) {
        struct wp_zone *z = wp_zone_slot_zone(f->slots[i]);

        if (z != NULL && wp_zone_make_order(z) < 0)
            return wp_env_fail(env, "no memory for the names in order");
    }
    f->reloader.ordered = true;
    f->reloader.reloaded = tell_of;
    f->reloader.arg = f;
    wp_loop_call(env->admin, tell_of_all, f);
    return 0;
}

static int file_start(void *self, struct wp_env *env)
{
    struct file *f = self;
    int r = 0;

    f->block = env->block;
    if (wp_block_plugin(env->block, "transfer") != NULL)
        r = prepare_transfers(f, env);
    if (r < 0)
        return r;
    f->reloader.plugin = "file";
    f->reloader.slots = f->slots;
    f->reloader.n_slots = f->n_slots;
    wp_zone_reloader_start(&f->reloader, env->admin);
    return 0;
}

static void file_quiesce(void *self)
{
    struct file *f = self;

    wp_zone_reloader_stop(&f->reloader);
}

static void file_stop(void *self)
{
    struct file *f = self;

    wp_zone_reloader_stop(&f->reloader);
    for (unsigned i = 0; i < f->n_slots; i++)
        wp_zone_slot_done(f->slots[i]);
    f->n_slots = 0;
}

static int file_transfer(void *self, struct wp_query *q, struct wp_transfer *ret)
{
    const struct file *f = self;
    const struct wp_zone_slot *slot = wp_zone_table_get(&f->table, q->msg.qname.wire);
    struct wp_zone *z = slot != NULL ? wp_zone_slot_zone(slot) : NULL;

    if (slot == NULL)
        return WP_ENOTFOUND;
    return z != NULL ? wp_zone_transfer(z, q, ret) : WP_ESTATE;
}

/* Nobody has told us to take notice of anyone: a file has no primary. */
static int drop_notify(struct file *f, struct wp_query *q, const struct wp_zone_slot *slot)
{
    char from[WP_ADDR_TEXT_MAX], zone[WP_NAME_TEXT_MAX];

    if (wp_log_allow(&f->notify_log, 10, 10))
        wp_log(WP_INFO, "file", "Dropping notify from %s for %s", wp_addr_ip_text(&q->client, from),
               wp_name_text(slot->origin.wire, zone));
    return wp_query_drop(q);
}

static void explain(struct wp_query *q, const struct wp_zone_slot *slot, const struct wp_zone *z)
{
    struct wp_report *s = wp_explain_sources(q);
    char zone[WP_NAME_TEXT_MAX];

    wp_report_open(s, NULL);
    wp_report_text(s, "source", "file");
    wp_report_text(s, "zone", wp_name_text(slot->origin.wire, zone));
    wp_report_text(s, "file", slot->path);
    wp_report_int(s, "serial", z->serial);
    wp_report_close(s);
}

static int file_serve(void *self, struct wp_query *q)
{
    struct file *f = self;
    const struct wp_zone_slot *slot = wp_zone_table_find(&f->table, &q->msg.qname);
    struct wp_zone *z;
    int step;

    if (slot == NULL) {
        /* the last one of the chain refuses instead of failing */
        if (q->at + 1u >= q->block->n_chain)
            return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
        return WP_STEP_NEXT;
    }
    if (WP_UNLIKELY(q->msg.qtype == WP_TYPE_AXFR || q->msg.qtype == WP_TYPE_IXFR))
        return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
    if (WP_UNLIKELY(wp_msg_opcode(&q->msg) == WP_OPCODE_NOTIFY))
        return drop_notify(f, q, slot);
    wp_query_depends(q, wp_change_key(slot->source, 0)); /* before the version is looked at */
    z = wp_zone_slot_zone(slot);
    if (WP_UNLIKELY(z == NULL))
        return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
    if (WP_UNLIKELY(wp_query_is_explained(q)))
        explain(q, slot, z);
    if (wp_zone_answer(z, q, &step) == WP_ZONE_ANSWERED)
        return step;
    if (WP_UNLIKELY(wp_query_is_explained(q)))
        wp_report_text(wp_explain_details(q), "name", "not in the zone");
    if (wp_fall_through(&f->fall, &q->msg.qname))
        return WP_STEP_NEXT;
    return wp_zone_deny(z, q);
}

static void file_prefetch(const void *self, const struct wp_query *q, unsigned step)
{
    const struct file *f = self;
    const struct wp_zone_slot *slot = wp_zone_table_find(&f->table, &q->msg.qname);
    const struct wp_zone *z = slot != NULL ? wp_zone_slot_zone(slot) : NULL;

    if (z == NULL)
        return;
    if (step == 0)
        wp_catalog_prefetch(z->catalog, q->msg.qname.suffix[0]);
    else
        wp_catalog_prefetch_entry(z->catalog, q->msg.qname.suffix[0]);
}

static void file_status(void *self, struct wp_report *r)
{
    const struct file *f = self;

    wp_report_list(r, "zones");
    for (unsigned i = 0; i < f->n_slots; i++)
        wp_zone_slot_status(f->slots[i], r);
    wp_report_close(r);
}

static const struct wp_option file_options[] = {
    {.name = "",
     .kind = WP_OPT_CALL,
     .parse = read_stanza,
     .help = "DBFILE [ZONES...]: the zone file, and the zones it is read for"},
    {.name = "reload",
     .kind = WP_OPT_CALL,
     .parse = read_reload,
     .help = "how often to look for a new serial; 1m; 0 is never"},
    {.name = "reload_by_mtime",
     .kind = WP_OPT_FLAG,
     .offset = offsetof(struct file, by_mtime),
     .help = "take a newer file whatever its serial"},
    {.name = "fallthrough",
     .kind = WP_OPT_FALL,
     .offset = offsetof(struct file, fall),
     .help = "pass names that are not there to the next plugin"},
    {.name = "upstream", .kind = WP_OPT_IGNORE, .help = "accepted, without effect"},
    {0},
};

const struct wp_plugin wp_plugin_file = {
    .name = "file",
    .size = sizeof(struct file),
    .options = file_options,
    .repeat = WP_REPEAT_COMBINE,
    .new = file_new,
    .end = file_end,
    .check = file_check,
    .start = file_start,
    .serve = file_serve,
    .prefetch = file_prefetch,
    .quiesce = file_quiesce,
    .stop = file_stop,
    .transfer = file_transfer,
    .status = file_status,
};
