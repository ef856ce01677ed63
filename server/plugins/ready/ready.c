/* ready: are all plugins ready? */
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/http_admin.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"

#include <stdlib.h>
#include <string.h>

/* A plugin that reports, and the instance that does. One row for each name, for the whole process.
 * Everything here belongs to the admin loop. */
struct reporter {
    struct reporter *next;
    const struct wp_plugin *plugin;
    void *self;
    const void *owner; /* the instance of `ready` that brought it */
    bool was_ready;
};
static struct reporter *reporters; /* sorted by name */
static bool continuously;

struct ready {
    const char *address;
    bool continuously;
    struct wp_loop *admin; /* NULL: not started */
    const struct wp_block *block;
    struct wp_http_page *page;
};

/* --- set-up ---------------------------------------------------------------------------------- */

static int ready_new(void *self, struct wp_setup *s)
{
    struct ready *p = self;

    (void)s;
    p->address = ":8181";
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct ready *p = self;

    return wp_http_address_line(s, line, &p->address);
}

static int parse_monitor(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct ready *p = self;

    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    p->continuously = strcmp(line->words[1], "continuously") == 0;
    if (!p->continuously && strcmp(line->words[1], "until-ready") != 0)
        return wp_setup_error(s, line, "monitor type '%s' not supported", line->words[1]);
    return 0;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[ADDRESS]"},
    {.name = "monitor",
     .kind = WP_OPT_CALL,
     .parse = parse_monitor,
     .help = "until-ready or continuously"},
    {0},
};

/* --- the set --------------------------------------------------------------------------------- */

static void add_reporter(const struct ready *p, const struct wp_node *node)
{
    struct reporter **at = &reporters, *r;

    while (*at != NULL && strcmp((*at)->plugin->name, node->plugin->name) < 0)
        at = &(*at)->next;
    r = *at;
    if (r == NULL || strcmp(r->plugin->name, node->plugin->name) != 0) {
        r = malloc(sizeof(*r));
        if (r == NULL)
            return;
        r->next = *at;
        *at = r;
    }
    *r = (struct reporter){.next = r->next, .plugin = node->plugin, .self = node->self, .owner = p};
}

static void enter(void *arg, struct wp_loop *loop)
{
    const struct ready *p = arg;

    (void)loop;
    continuously = p->continuously;
    for (unsigned i = 0; i < p->block->n_all; i++)
        if (p->block->all[i].plugin->is_ready != NULL)
            add_reporter(p, &p->block->all[i]);
}

/* Rows that another instance has taken over since stay. */
static void leave(void *arg, struct wp_loop *loop)
{
    (void)loop;
    for (struct reporter **at = &reporters; *at != NULL;) {
        struct reporter *r = *at;
        if (r->owner != arg) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        free(r);
    }
}

static void on_request(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    char names[1024] = "";

    (void)arg;
    (void)rq;
    for (struct reporter *r = reporters; r != NULL; r = r->next) {
        if (!r->was_ready || continuously)
            r->was_ready = r->plugin->is_ready(r->self);
        if (r->was_ready || strlen(names) + strlen(r->plugin->name) + 2 > sizeof(names))
            continue;
        if (names[0] != '\0')
            strcat(names, ",");
        strcat(names, r->plugin->name);
    }
    a->body = "OK";
    if (names[0] != '\0') {
        wp_log(WP_INFO, "ready", "Plugins not ready: \"%s\"", names);
        a->status = 503;
        a->to_free = strdup(names);
        a->body = a->to_free != NULL ? a->to_free : "";
    }
    a->len = strlen(a->body);
}

/* --- life ------------------------------------------------------------------------------------ */

static int ready_start(void *self, struct wp_env *env)
{
    struct ready *p = self;
    struct wp_http_site site = {
        .address = p->address, .path = "/ready", .fn = on_request, .gen = env->gen};
    char why[256];

    p->block = env->block;
    p->admin = env->admin;
    wp_loop_call(p->admin, enter, p);
    if (wp_http_open(p->admin, &site, why, &p->page) < 0)
        p->page = NULL; /* CoreDNS says nothing here either */
    return 0;
}

/* The final shutdown: nobody is to be sent here any more. */
static int64_t ready_lameduck(void *self)
{
    struct ready *p = self;

    wp_http_close(p->page);
    p->page = NULL;
    return 0;
}

static void ready_stop(void *self)
{
    struct ready *p = self;

    ready_lameduck(p);
    if (p->admin != NULL)
        wp_loop_call(p->admin, leave, p);
}

const struct wp_plugin wp_plugin_ready = {
    .name = "ready",
    .size = sizeof(struct ready),
    .options = options,
    .repeat = WP_REPEAT_ERROR,
    .config_only = true,
    .new = ready_new,
    .start = ready_start,
    .lameduck = ready_lameduck,
    .stop = ready_stop,
};
