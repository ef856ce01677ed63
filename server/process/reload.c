/* Loading the Corefile again: when asked by a signal, or when its content has changed. */
#include "server/process/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/plugin/log.h"
#include "waypost/plugin/metric.h"
#include "waypost/server/admin.h"
#include "waypost/server/log.h"

static const struct wp_family failed_family = {
    .name = "coredns_reload_failed_total",
    .help = "Counter of the number of failed reload attempts.",
    .kind = WP_COUNTER,
    .labels = {NULL},
};
static const struct wp_family version_family = {
    .name = "coredns_reload_version_info",
    .help = "A metric with a constant '1' value labeled by hash, and value which type of hash generated.",
    .kind = WP_GAUGE,
    .labels = {"hash", "value"},
};

enum { REPORT_MAX = 4 << 20 };

static void publish_version(struct wp_reloader *r, const char *sha)
{
    const char *old[] = {"sha512", r->published}, *now[] = {"sha512", sha};

    if (r->published[0] != '\0')
        wp_metric_drop(&version_family, old);
    memcpy(r->published, sha, sizeof(r->published));
    wp_metric_set(wp_metric_series(&version_family, now), 1);
}

static const char *first_error(struct wp_conf_report *report, int err)
{
    return report->first != NULL ? wp_conf_error_text(report, report->first) : wp_strerror(err);
}

/* Build and put in service. 0, or negative with the reason in `why`. */
static int load(struct wp_reloader *r, const char *text, size_t len, char why[512])
{
    struct wp_arena arena;
    struct wp_conf_report report;
    struct wp_gen *gen = NULL;
    char sha[129] = "";
    int e;

    wp_arena_init(&arena, REPORT_MAX);
    wp_conf_report_init(&report, &arena);
    wp_log_print("[INFO] Reloading");
    wp_admin_reload_begins(wp_process_status(r->process));
    e = wp_gen_new(r->source, text, len, false, wp_process_workers(r->process), &report, &gen);
    if (e == 0) {
        memcpy(sha, gen->conf.sha512, sizeof(sha));
        e = wp_process_apply(r->process, gen, &report);
    }
    if (e < 0) {
        snprintf(why, 512, "%s", first_error(&report, e));
        wp_gen_free(gen);
        wp_log_print("[ERROR] Restart failed: %s", why);
        wp_admin_reload_failed(wp_process_status(r->process), why);
    } else {
        wp_log_print("[INFO] Reloading complete");
    }
    if (sha[0] != '\0')
        publish_version(r, sha);
    wp_arena_done(&arena);
    return e;
}

static void count_failure(void)
{
    wp_metric_add(wp_metric_series(&failed_family, NULL), WP_METRIC_SHARED, 1);
}

/* The Corefile as it is now; the caller frees the text. */
static int read_again(struct wp_reloader *r, char **ret_text, size_t *ret_len, char why[512])
{
    const char *text = "";
    struct wp_arena arena;
    int e;

    if (r->source->text != NULL) { /* standard input gives its text once */
        *ret_text = strndup(r->source->text, r->source->len);
        *ret_len = r->source->len;
        snprintf(why, 512, "%s", wp_strerror(-ENOMEM));
        return *ret_text != NULL ? 0 : -ENOMEM;
    }
    wp_arena_init(&arena, 0);
    e = wp_conf_read_file(r->source->path, &arena, ret_text, ret_len, &text);
    if (e < 0)
        snprintf(why, 512, "%s", text);
    wp_arena_done(&arena);
    return e;
}

void wp_reload_now(struct wp_reloader *r, const char *signal_name)
{
    char why[512], *text = NULL;
    size_t len = 0;
    int e;

    wp_log_print("[INFO] %s: Reloading", signal_name);
    if (r->source->path == NULL) {
        wp_log_print("[ERROR] %s: no Caddyfile loader with which to reload Caddyfile", signal_name);
        return;
    }
    e = read_again(r, &text, &len, why);
    if (e < 0)
        wp_admin_reload_failed(wp_process_status(r->process), why);
    else
        e = load(r, text, len, why);
    if (e < 0) {
        count_failure();
        wp_log_print("[ERROR] %s: %s", signal_name, why);
    }
    free(text);
}

/* It is looked at again and again: a reason that stays is told once. */
static void tell_unreadable(struct wp_reloader *r, const char *why)
{
    char text[sizeof(r->unreadable)];

    snprintf(text, sizeof(text), "%s", why);
    if (strcmp(text, r->unreadable) == 0)
        return;
    memcpy(r->unreadable, text, sizeof(text));
    wp_admin_reload_failed(wp_process_status(r->process), text);
}

/* The hash of the file as it is now; negative when it cannot be read or parsed. */
static int hash_now(struct wp_reloader *r, const char *text, size_t len, char sha[129])
{
    struct wp_arena arena;
    struct wp_conf_report report;
    struct wp_conf conf;
    int e;

    wp_arena_init(&arena, 0);
    wp_conf_report_init(&report, &arena);
    e = wp_conf_parse(r->source->path, text, len, &arena, &report, &conf);
    if (e < 0) {
        wp_log(WP_WARNING, "reload", "Corefile parse failed: %s", first_error(&report, e));
        tell_unreadable(r, first_error(&report, e));
    } else {
        memcpy(sha, conf.sha512, 129);
        r->unreadable[0] = '\0';
    }
    wp_arena_done(&arena);
    return e;
}

void wp_reload_if_changed(struct wp_reloader *r)
{
    const struct wp_gen *gen = wp_process_gen(r->process);
    char why[512], sha[129], *text = NULL;
    size_t len = 0;

    if (r->source->path == NULL)
        return;
    /* unreadable now: try again at the next interval */
    if (read_again(r, &text, &len, why) == 0 && hash_now(r, text, len, sha) == 0 && strcmp(sha, gen->conf.sha512) != 0 &&
        strcmp(sha, r->bad) != 0) {
        if (load(r, text, len, why) < 0) {
            memcpy(r->bad, sha, sizeof(r->bad)); /* not again until it changes again */
            count_failure();
            wp_log(WP_ERROR, "reload", "Corefile changed but reload failed: %s", why);
        } else {
            r->bad[0] = '\0';
            wp_reload_say_version(r);
        }
    }
    free(text);
}

void wp_reload_say_version(struct wp_reloader *r)
{
    const struct wp_gen *gen = wp_process_gen(r->process);

    for (unsigned i = 0; i < gen->n_blocks; i++) {
        if (wp_block_plugin(&gen->blocks[i], "reload") != NULL) {
            wp_log(WP_INFO, "reload", "Running configuration SHA512 = %s", gen->conf.sha512);
            return;
        }
    }
}
