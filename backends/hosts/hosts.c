/* Names and addresses from a file in the form of /etc/hosts, and from lines in the Corefile. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "backends/common/state.h"
#include "backends/hosts/hosts_priv.h"
#include "waypost/base/grace.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/report.h"

enum { TTL_DEFAULT = 3600, TTL_MAX = 65535 };
#define RELOAD_DEFAULT_NS INT64_C(5000000000)

static const struct wp_family entries_family = {
    .name = "coredns_hosts_entries",
    .help = "The combined number of entries in hosts and Corefile.",
    .kind = WP_GAUGE,
    .labels = {"hostsfile"},
};
static const struct wp_family reload_family = {
    .name = "coredns_hosts_reload_timestamp_seconds",
    .help = "The timestamp of the last reload of hosts file.",
    .kind = WP_GAUGE,
};

/* --- set-up ---------------------------------------------------------------------------------- */

static int hosts_new(void *self, struct wp_setup *s)
{
    struct hosts *h = self;

    h->path = "/etc/hosts";
    h->ttl = TTL_DEFAULT;
    h->reload_ns = RELOAD_DEFAULT_NS;
    h->debug = s->block->set.debug;
    return 0;
}

/* Is the file there? Only what makes it unreadable for good is an error. */
static int check_file(const struct hosts *h, struct wp_setup *s, const struct wp_line *line)
{
    struct stat st;
    const char *why;

    if (stat(h->path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            wp_log(WP_WARNING, "hosts", "Hosts file \"%s\" is a directory", h->path);
        return 0;
    }
    if (errno == ENOENT) {
        wp_log(WP_WARNING, "hosts", "File does not exist: %s", h->path);
        return 0;
    }
    why = wp_strerror(-errno);
    return wp_setup_error(s, line, "unable to access hosts file '%s': stat %s: %c%s", h->path,
                          h->path, wp_lower((uint8_t)why[0]), why + 1);
}

/* hosts [FILE [ZONES...]] */
static int read_head(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct hosts *h = self;

    h->zones = *s->zones;
    if (line->n_words < 2)
        return 0;
    h->path = wp_setup_path(s, line->words[1]);
    if (h->path == NULL)
        return -ENOMEM;
    if (line->n_words > 2) {
        int r;

        h->zones = (struct wp_zones){0};
        r = wp_setup_zones(s, line->words + 2, line->n_words - 2, &h->zones);
        if (r < 0)
            return r;
    }
    return check_file(h, s, line);
}

static int read_ttl(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct hosts *h = self;
    int64_t ttl;

    if (line->n_words < 2)
        return wp_setup_error(s, line, "ttl needs a time in second");
    if (wp_int_parse(line->words[1], INT64_MIN, INT64_MAX, &ttl) < 0)
        return wp_setup_error(s, line, "ttl needs a number of second");
    if (ttl <= 0 || ttl > TTL_MAX)
        return wp_setup_error(s, line, "ttl provided is invalid");
    h->ttl = (uint32_t)ttl;
    return 0;
}

static int read_reload(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct hosts *h = self;

    if (line->n_words != 2)
        return wp_setup_error(s, line, "reload needs a duration (zero seconds to disable)");
    if (wp_duration_parse(line->words[1], &h->reload_ns) < 0)
        return wp_setup_error(s, line, "invalid duration for reload '%s'", line->words[1]);
    if (h->reload_ns < 0)
        return wp_setup_error(s, line, "invalid negative duration for reload '%s'", line->words[1]);
    return 0;
}

/* Any other word begins a hosts line, until `fallthrough` has been met. */
static int read_inline(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct hosts *h = self;
    const char *text = "";

    if (h->fall.on)
        return wp_setup_error(s, line, "unknown property '%s'", line->words[0]);
    if (h->n_lines == h->cap_lines) {
        unsigned cap = h->cap_lines > 0 ? h->cap_lines * 2 : 16;
        const char **more = wp_arena_array(s->arena, cap, sizeof(*more));

        if (more == NULL)
            return -ENOMEM;
        if (h->n_lines > 0)
            memcpy(more, h->lines, h->n_lines * sizeof(*more));
        h->lines = more;
        h->cap_lines = cap;
    }
    for (unsigned i = 0; i < line->n_words && text != NULL; i++)
        text = wp_arena_printf(s->arena, "%s%s%s", text, i > 0 ? " " : "", line->words[i]);
    if (text == NULL)
        return -ENOMEM;
    h->lines[h->n_lines++] = text;
    return 0;
}

static int hosts_check(void *self, struct wp_setup *s)
{
    struct hosts *h = self;

    if (h->fall_unsupported && !h->fall.on)
        return wp_setup_error(s, NULL, "fallthrough_unsupported requires fallthrough");
    hosts_tell_lines(h);
    h->source = wp_hash_mix(wp_hash_bytes("hosts", 5), wp_hash_bytes(h->path, strlen(h->path)));
    return 0;
}

/* --- running --------------------------------------------------------------------------------- */

static void end_table(struct wp_grace_item *item)
{
    hosts_table_free((struct hosts_table *)item);
}

static void publish(struct hosts *h, struct hosts_table *t)
{
    struct hosts_table *old = atomic_exchange_explicit(&h->table, t, memory_order_acq_rel);

    wp_changed(wp_change_key(h->source, 0));
    if (old != NULL)
        wp_grace_retire(&old->grace, end_table);
    h->loaded_ms = wp_state_clock_ms();
    h->loaded_mtime_ms = 0;
    if (!h->was_read)
        return;
    h->loaded_mtime_ms = h->mtime.tv_sec * INT64_C(1000) + h->mtime.tv_nsec / 1000000;
    if (h->debug)
        wp_log(WP_DEBUG, "hosts", "Parsed hosts file into %zu entries", t->entries);
    wp_metric_set(h->entries_metric, (double)t->entries);
    wp_metric_set(h->reload_metric, (double)h->mtime.tv_sec + (double)h->mtime.tv_nsec / 1e9);
}

static struct hosts *hosts_of(struct wp_job *j)
{
    return (struct hosts *)((char *)j - offsetof(struct hosts, job));
}

static void arm(struct hosts *h)
{
    wp_timer_set(h->job.loop, &h->timer, wp_loop_now(h->job.loop) + (uint64_t)h->reload_ns);
}

static void look(struct wp_job *j)
{
    struct hosts *h = hosts_of(j);

    if (hosts_load(h, &h->fresh) < 0) {
        h->was_read = false; /* so that it is tried again */
        wp_log(WP_ERROR, "hosts", "Failed to load hosts file \"%s\": %s", h->path,
               wp_strerror(-ENOMEM));
    }
}

static void after_look(struct wp_job *j)
{
    struct hosts *h = hosts_of(j);

    if (h->fresh != NULL)
        publish(h, h->fresh);
    h->fresh = NULL;
    arm(h);
}

static bool has_changed(const struct hosts *h)
{
    struct stat st;

    if (stat(h->path, &st) < 0)
        return false;
    return !h->was_read || st.st_size != h->size || st.st_mtim.tv_sec != h->mtime.tv_sec ||
           st.st_mtim.tv_nsec != h->mtime.tv_nsec;
}

static void on_timer(struct wp_timer *t)
{
    struct hosts *h = (struct hosts *)((char *)t - offsetof(struct hosts, timer));

    wp_grace_reclaim(); /* a table that was replaced goes now, if not before */
    if (!has_changed(h) || wp_job_start(&h->job) < 0)
        arm(h);
}

static void start_timer(void *arg, struct wp_loop *loop)
{
    (void)loop;
    arm(arg);
}

static int hosts_start(void *self, struct wp_env *env)
{
    const char *values[] = {NULL};
    struct hosts *h = self;
    struct hosts_table *t = NULL;
    int r;

    values[0] = h->path;
    h->entries_metric = wp_metric_series(&entries_family, values);
    h->reload_metric = wp_metric_series(&reload_family, NULL);
    r = hosts_load(h, &t);
    if (r < 0)
        return r;
    publish(h, t);
    h->job.loop = env->admin;
    h->job.work = look;
    h->job.done = after_look;
    h->timer.fn = on_timer;
    if (h->reload_ns > 0)
        wp_loop_call(env->admin, start_timer, h);
    return 0;
}

static void stop_timer(void *arg, struct wp_loop *loop)
{
    struct hosts *h = arg;

    (void)loop;
    wp_timer_cancel(&h->timer);
}

static void hosts_quiesce(void *self)
{
    struct hosts *h = self;

    if (h->job.loop == NULL)
        return;
    wp_job_stop(&h->job);
    wp_loop_call(h->job.loop, stop_timer, h);
    h->job.loop = NULL;
}

static void hosts_stop(void *self)
{
    struct hosts *h = self;

    hosts_quiesce(h);
    hosts_table_free(h->fresh);
    hosts_table_free(atomic_exchange(&h->table, NULL));
    h->fresh = NULL;
}

static int found(const struct hosts *h, struct wp_query *q, const struct wp_entry *e,
                 const struct wp_set *s)
{
    struct wp_report *to = wp_explain_sources(q);

    wp_report_open(to, NULL);
    wp_report_text(to, "source", "hosts");
    wp_report_text(to, "file", h->path);
    wp_report_int(to, "corefile_lines", h->n_lines);
    wp_report_close(to);
    return wp_catalog_answer(q, e, s, WP_FLAG_AA);
}

static int serve_address(const struct hosts *h, struct wp_query *q, const struct hosts_table *t)
{
    struct wp_addr addr;
    const struct wp_entry *e = NULL;
    const struct wp_set *s;

    if (hosts_reverse_address(&q->msg.qname, &addr))
        e = hosts_table_find_address(t, &addr);
    s = e == NULL ? NULL : wp_entry_set(e, WP_TYPE_PTR);
    return s == NULL ? WP_STEP_NEXT : found(h, q, e, s);
}

static int hosts_serve(void *self, struct wp_query *q)
{
    struct hosts *h = self;
    uint16_t type = q->msg.qtype;
    const struct hosts_table *t;
    const struct wp_entry *e;
    const struct wp_set *s = NULL;
    int r;

    if (wp_zones_match(&h->zones, &q->msg.qname) == NULL && type != WP_TYPE_PTR)
        return WP_STEP_NEXT;
    wp_query_depends(q, wp_change_key(h->source, 0));
    t = atomic_load_explicit(&h->table, memory_order_acquire);
    if (type == WP_TYPE_PTR)
        return serve_address(h, q, t);
    if (type != WP_TYPE_A && type != WP_TYPE_AAAA && h->fall_unsupported &&
        wp_fall_through(&h->fall, &q->msg.qname))
        return WP_STEP_NEXT;
    e = hosts_table_find(t, &q->msg.qname);
    if (e != NULL && (type == WP_TYPE_A || type == WP_TYPE_AAAA))
        s = wp_entry_set(e, type);
    if (s != NULL)
        return found(h, q, e, s);
    if (e == NULL ||
        (wp_entry_set(e, WP_TYPE_A) == NULL && wp_entry_set(e, WP_TYPE_AAAA) == NULL)) {
        if (wp_fall_through(&h->fall, &q->msg.qname))
            return WP_STEP_NEXT;
        /* there is no SOA to say NXDOMAIN with */
        return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
    }
    r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);
    return r < 0 ? r : WP_STEP_DONE;
}

static void hosts_status(void *self, struct wp_report *r)
{
    const struct hosts *h = self;
    const struct hosts_table *t = atomic_load_explicit(&h->table, memory_order_acquire);

    wp_report_text(r, "file", h->path);
    wp_report_int(r, "entries", (int64_t)t->entries);
    wp_report_int(r, "corefile_lines", h->n_lines);
    wp_report_octets(r, "octets", wp_catalog_octets(t->catalog));
    wp_report_time(r, "file_time", h->loaded_mtime_ms);
    wp_report_time(r, "loaded", h->loaded_ms);
}

static const struct wp_option hosts_options[] = {
    {.name = "",
     .kind = WP_OPT_CALL,
     .parse = read_head,
     .help = "[FILE [ZONES...]]: the hosts file, /etc/hosts; the zones it may speak of"},
    {.name = "ttl", .kind = WP_OPT_CALL, .parse = read_ttl, .help = "TTL of records; 3600"},
    {.name = "no_reverse",
     .kind = WP_OPT_FLAG,
     .offset = offsetof(struct hosts, no_reverse),
     .help = "make no PTR records"},
    {.name = "reload",
     .kind = WP_OPT_CALL,
     .parse = read_reload,
     .help = "how often to look at the file; 5s; 0 is never"},
    {.name = "fallthrough",
     .kind = WP_OPT_FALL,
     .offset = offsetof(struct hosts, fall),
     .help = "pass unknown names to the next plugin"},
    {.name = "fallthrough_unsupported",
     .kind = WP_OPT_FLAG,
     .offset = offsetof(struct hosts, fall_unsupported),
     .help = "pass types other than A, AAAA and PTR on, also of names that are there"},
    {.name = "*",
     .kind = WP_OPT_CALL,
     .parse = read_inline,
     .help = "IP NAME...: a line of its own"},
    {0},
};

const struct wp_plugin wp_plugin_hosts = {
    .name = "hosts",
    .size = sizeof(struct hosts),
    .options = hosts_options,
    .repeat = WP_REPEAT_ERROR,
    .new = hosts_new,
    .check = hosts_check,
    .start = hosts_start,
    .serve = hosts_serve,
    .quiesce = hosts_quiesce,
    .stop = hosts_stop,
    .status = hosts_status,
};
