#include "backends/common/zone_slot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "waypost/plugin/change.h"
#include "backends/common/state.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/report.h"

/* Shorter intervals than this only burn time. */
#define LOOK_MIN_NS INT64_C(100000000)

static void start_round(struct wp_zone_reloader *r);

/* --- the files that were seen ----------------------------------------------------------------- */

/* They are what they are now: the next look compares with them. */
static void remember_files(struct wp_zone_slot *s, const struct wp_zone_file *files)
{
    wp_arena_reset(&s->memory);
    if (wp_zone_files_copy(&s->memory, files, &s->seen) < 0)
        s->seen = NULL; /* then the next look reads the file once more */
}

static void set_load(struct wp_zone_slot *s, struct wp_arena *a, int64_t known_serial)
{
    s->load = (struct wp_zone_load){
        .path = s->path, .origin = &s->origin, .known_serial = known_serial, .arena = a};
}

int wp_zone_slot_load(struct wp_zone_slot *s, struct wp_arena *a, const char **ret_error)
{
    int r;

    set_load(s, a, 0);
    r = wp_zone_load(&s->load);
    *ret_error = s->load.error;
    if (r < 0)
        return r;
    s->fresh = !s->load.shared;
    s->loaded_ms = wp_state_clock_ms();
    s->mtime_ns = s->load.files->mtime_ns;
    remember_files(s, s->load.files);
    atomic_store_explicit(&s->zone, s->load.zone, memory_order_release);
    s->load.zone = NULL;
    return 0;
}

void wp_zone_slot_done(struct wp_zone_slot *s)
{
    wp_zone_unref(atomic_exchange(&s->zone, NULL));
    wp_arena_done(&s->memory);
    wp_arena_done(&s->load_memory);
    free(s->ticket);
    s->ticket = NULL;
    s->seen = NULL;
}

/* --- one look, on the helper's thread ----------------------------------------------------------
 */

/* The file's mtime, or the log line that says why there is none. */
static int look_at_mtime(struct wp_zone_slot *s, const char **ret_error)
{
    char origin[WP_NAME_TEXT_MAX];
    struct stat st;
    struct wp_zone_file f;

    if (stat(s->path, &st) == 0) {
        wp_zone_file_stat(&f, &st);
        s->load_mtime_ns = f.mtime_ns;
        return 0;
    }
    *ret_error = wp_arena_printf(&s->load_memory, "Failed to stat zone \"%s\" in \"%s\": %s",
                                 wp_name_text(s->origin.wire, origin), s->path,
                                 wp_zone_file_error(&s->load_memory, "stat", s->path, -errno));
    return WP_ECONFIG;
}

/* WP_EEXISTS: nothing new. WP_ECONFIG with load.error: the line to log. */
static int look(struct wp_zone_slot *s, const atomic_bool *cancel)
{
    struct wp_zone *now = atomic_load_explicit(&s->zone, memory_order_relaxed);
    char origin[WP_NAME_TEXT_MAX];
    int r;

    set_load(s, &s->load_memory, now == NULL ? -1 : (int64_t)now->serial);
    if (s->by_mtime) {
        r = look_at_mtime(s, &s->load.error);
        if (r < 0)
            return r;
        if (s->load_mtime_ns <= s->mtime_ns)
            return WP_EEXISTS;
        s->load.known_serial = 0; /* as CoreDNS: any other is taken */
    } else if (s->seen != NULL && wp_zone_files_same(s->seen)) {
        return WP_EEXISTS;
    }
    if (s->ticket == NULL)
        s->ticket = wp_zone_ticket_new();
    s->load.cancel = cancel;
    r = s->ticket == NULL ? -ENOMEM : wp_zone_load(&s->load);
    if (r == 0 && s->reloader->ordered)
        r = wp_zone_make_order(s->load.zone);
    if (r < 0) {
        wp_zone_unref(s->load.zone);
        s->load.zone = NULL;
    }
    if (r == 0 || r == WP_EEXISTS || r == WP_ECANCELLED)
        return r;
    wp_name_text(s->origin.wire, origin);
    if (r == WP_ECONFIG)
        s->load.error =
            wp_arena_printf(&s->load_memory, "Parsing zone \"%s\": %s", origin, s->load.error);
    else
        s->load.error =
            wp_arena_printf(&s->load_memory, "Failed to open zone \"%s\" in \"%s\": %s", origin,
                            s->path, wp_zone_file_error(&s->load_memory, "open", s->path, r));
    return WP_ECONFIG;
}

static struct wp_zone_reloader *reloader_of(struct wp_job *j)
{
    return (struct wp_zone_reloader *)((char *)j - offsetof(struct wp_zone_reloader, job));
}

static void run_round(struct wp_job *j)
{
    for (struct wp_zone_slot *s = reloader_of(j)->round; s != NULL; s = s->next_due)
        s->result = atomic_load(&j->stopping) ? WP_ECANCELLED : look(s, &j->stopping);
}

/* --- the admin loop's side -----------------------------------------------------------------------
 */

static void arm(struct wp_zone_slot *s)
{
    struct wp_loop *loop = s->reloader->loop;
    int64_t wait = s->reload_ns < LOOK_MIN_NS ? LOOK_MIN_NS : s->reload_ns;

    wp_timer_set(loop, &s->timer, wp_loop_now(loop) + (uint64_t)wait);
}

static void publish(struct wp_zone_slot *s)
{
    struct wp_zone_reloader *r = s->reloader;
    char origin[WP_NAME_TEXT_MAX];
    struct wp_zone *fresh = s->load.zone, *old;

    old = atomic_exchange_explicit(&s->zone, fresh, memory_order_acq_rel);
    s->load.zone = NULL;
    wp_changed(wp_change_key(s->source, 0));
    if (old != NULL) {
        wp_zone_retire(old, s->ticket);
        s->ticket = NULL;
    }
    s->loaded_ms = wp_state_clock_ms();
    s->mtime_ns = s->by_mtime ? s->load_mtime_ns : fresh->files->mtime_ns;
    wp_log(WP_INFO, r->plugin, "Successfully reloaded zone \"%s\" in \"%s\" with %u SOA serial",
           wp_name_text(s->origin.wire, origin), s->path, fresh->serial);
    if (r->reloaded != NULL)
        r->reloaded(r->arg, s);
}

static void finish_look(struct wp_zone_slot *s)
{
    if (s->result == 0 || s->result == WP_EEXISTS) {
        s->failed_ms = 0;
        if (s->load.files != NULL)
            remember_files(s, s->load.files);
    } else if (s->result == WP_ECONFIG) {
        const char *why = s->load.error != NULL ? s->load.error : wp_strerror(-ENOMEM);

        wp_log(WP_ERROR, s->reloader->plugin, "%s", why);
        snprintf(s->why, sizeof(s->why), "%s", why);
        s->failed_ms = wp_state_clock_ms();
    }
    if (s->result == 0)
        publish(s);
    s->load = (struct wp_zone_load){0};
    wp_arena_reset(&s->load_memory);
}

/* All of the round are due again after their time. */
static void end_round(struct wp_zone_reloader *r)
{
    struct wp_zone_slot *next;

    for (struct wp_zone_slot *s = r->round; s != NULL; s = next) {
        next = s->next_due;
        arm(s);
    }
    r->round = NULL;
}

static void on_round_end(struct wp_job *j)
{
    struct wp_zone_reloader *r = reloader_of(j);

    for (struct wp_zone_slot *s = r->round; s != NULL; s = s->next_due)
        finish_look(s);
    end_round(r);
    start_round(r);
}

static void start_round(struct wp_zone_reloader *r)
{
    int e;

    if (r->job.running || r->due == NULL)
        return;
    r->round = r->due;
    r->due = NULL;
    r->last_due = &r->due;
    e = wp_job_start(&r->job);
    if (e == 0)
        return;
    if (e != WP_ECANCELLED)
        wp_log(WP_ERROR, r->plugin, "Cannot look at zone files: %s", wp_strerror(e));
    end_round(r);
}

static void on_timer(struct wp_timer *t)
{
    struct wp_zone_slot *s =
        (struct wp_zone_slot *)((char *)t - offsetof(struct wp_zone_slot, timer));
    struct wp_zone_reloader *r = s->reloader;

    wp_grace_reclaim(); /* a version that was replaced goes now, if not before */
    s->next_due = NULL;
    *r->last_due = s;
    r->last_due = &s->next_due;
    start_round(r);
}

static void start_timers(void *arg, struct wp_loop *loop)
{
    struct wp_zone_reloader *r = arg;

    (void)loop;
    for (unsigned i = 0; i < r->n_slots; i++) {
        struct wp_zone_slot *s = r->slots[i];

        s->reloader = r;
        s->timer.fn = on_timer;
        if (s->reload_ns > 0)
            arm(s);
    }
}

void wp_zone_reloader_start(struct wp_zone_reloader *r, struct wp_loop *admin)
{
    r->job = (struct wp_job){.loop = admin, .work = run_round, .done = on_round_end};
    r->loop = admin;
    r->last_due = &r->due;
    for (unsigned i = 0; i < r->n_slots; i++) {
        if (r->slots[i]->fresh)
            wp_changed(wp_change_key(r->slots[i]->source, 0));
    }
    wp_loop_call(admin, start_timers, r);
}

static void stop_timers(void *arg, struct wp_loop *loop)
{
    struct wp_zone_reloader *r = arg;

    (void)loop;
    for (unsigned i = 0; i < r->n_slots; i++)
        wp_timer_cancel(&r->slots[i]->timer);
    r->due = NULL;
}

void wp_zone_reloader_stop(struct wp_zone_reloader *r)
{
    if (r->loop == NULL)
        return;
    if (wp_job_stop(&r->job)) {
        for (struct wp_zone_slot *s = r->round; s != NULL; s = s->next_due)
            wp_zone_unref(s->load.zone);
    }
    wp_loop_call(r->loop, stop_timers, r);
    r->loop = NULL;
}

/* --- status ---------------------------------------------------------------------------------- */

void wp_zone_slot_status(const struct wp_zone_slot *s, struct wp_report *r)
{
    const struct wp_zone *z = wp_zone_slot_zone(s);
    char origin[WP_NAME_TEXT_MAX];

    wp_report_open(r, NULL);
    wp_report_text(r, "zone", wp_name_text(s->origin.wire, origin));
    wp_report_text(r, "file", s->path);
    wp_report_bool(r, "loaded", z != NULL);
    if (z != NULL) {
        wp_report_int(r, "serial", z->serial);
        wp_report_int(r, "records", (int64_t)z->n_records);
        wp_report_octets(r, "octets", wp_zone_octets(z));
    } else {
        wp_report_none(r, "serial");
        wp_report_none(r, "records");
        wp_report_none(r, "octets");
    }
    wp_report_time(r, "file_time", s->seen != NULL ? s->seen->mtime_ns / 1000000 : 0);
    wp_report_time(r, "read", s->loaded_ms);
    wp_report_text(r, "last_error", s->failed_ms != 0 ? s->why : NULL);
    wp_report_time(r, "last_error_time", s->failed_ms);
    wp_report_close(r);
    if (z == NULL)
        wp_report_problem(r, "%s: not loaded", origin);
    if (s->failed_ms != 0)
        wp_report_problem(r, "%s", s->why);
}
