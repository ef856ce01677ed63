/* health: the process lives. */
#include "server/plugins/health/probe.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/http_admin.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"

#include <errno.h>
#include <string.h>

struct health {
    const char *address;
    int64_t lameduck_ns;
    struct wp_loop *admin; /* NULL: not started */
    struct wp_http_page *page;
    const char *url;
    struct health_probe probe;
};

static int health_new(void *self, struct wp_setup *s)
{
    struct health *p = self;

    (void)s;
    p->address = ":8080";
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct health *p = self;

    return wp_http_address_line(s, line, &p->address);
}

static int parse_lameduck(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct health *p = self;

    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    if (wp_duration_parse(line->words[1], &p->lameduck_ns) < 0)
        return wp_setup_error(s, line, "unable to parse lameduck duration value: '%s' : %s",
                              line->words[1], wp_setup_duration_why(s, line->words[1]));
    return 0;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[ADDRESS]"},
    {.name = "lameduck",
     .kind = WP_OPT_CALL,
     .parse = parse_lameduck,
     .help = "answer for so long after the shutdown has begun"},
    {0},
};

static void on_request(void *arg, const struct wp_http_request *rq, struct wp_http_answer *a)
{
    (void)arg;
    (void)rq;
    a->body = "OK";
    a->len = 2;
}

static void start_probe(void *arg, struct wp_loop *loop)
{
    struct health *p = arg;
    struct wp_addr to;
    static const uint8_t any[16];

    wp_http_bound(p->page, &to);
    if (memcmp(to.ip, any, sizeof(any)) == 0) /* bound to every address: ask by the loopback */
        to = (struct wp_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = to.port};
    wp_health_probe_start(&p->probe, loop, &to, p->url);
}

static void stop_probe(void *arg, struct wp_loop *loop)
{
    struct health *p = arg;

    (void)loop;
    wp_health_probe_stop(&p->probe);
}

static int health_start(void *self, struct wp_env *env)
{
    struct health *p = self;
    struct wp_http_site site = {
        .address = p->address, .path = "/health", .fn = on_request, .gen = env->gen};
    char why[256];

    p->url = wp_arena_printf(env->arena, "http://%s%s/health",
                             p->address[0] == ':' ? "localhost" : "", p->address);
    if (p->url == NULL)
        return wp_env_fail(env, "%s", wp_strerror(-ENOMEM));
    if (wp_http_open(env->admin, &site, why, &p->page) < 0)
        return wp_env_fail(env, "%s", why);
    p->admin = env->admin;
    wp_loop_call(p->admin, start_probe, p);
    return 0;
}

static int64_t health_lameduck(void *self)
{
    const struct health *p = self;
    char text[32];

    if (p->lameduck_ns <= 0)
        return 0;
    wp_duration_text(p->lameduck_ns, text);
    wp_log(WP_INFO, "health", "Going into lameduck mode for %s", text);
    return p->lameduck_ns;
}

static void health_stop(void *self)
{
    struct health *p = self;

    if (p->admin == NULL)
        return;
    wp_loop_call(p->admin, stop_probe, p);
    wp_http_close(p->page);
    p->page = NULL;
    p->admin = NULL;
}

const struct wp_plugin wp_plugin_health = {
    .name = "health",
    .size = sizeof(struct health),
    .options = options,
    .repeat = WP_REPEAT_LAST,
    .config_only = true,
    .new = health_new,
    .start = health_start,
    .lameduck = health_lameduck,
    .stop = health_stop,
};
