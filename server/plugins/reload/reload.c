/* reload: asks main, at an interval with jitter, to look whether the Corefile has changed. The
 * setting belongs to one loaded configuration; its timer goes with it. */
#include <stdlib.h>

#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"
#include "waypost/base/random.h"
#include "waypost/base/text.h"

#define SECOND 1000000000ll

struct reload {
    int64_t interval_ns, jitter_ns;
    struct wp_timer timer;
    struct wp_env *env;
};

static int reload_new(void *self, struct wp_setup *s)
{
    struct reload *p = self;

    (void)s;
    p->interval_ns = 30 * SECOND;
    p->jitter_ns = 15 * SECOND;
    return 0;
}

static int parse_args(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct reload *p = self;

    if (line->n_words > 3)
        return wp_setup_arg_error(s, line);
    if (line->n_words > 1) {
        if (wp_duration_parse(line->words[1], &p->interval_ns) < 0)
            return wp_setup_error(s, line, "time: invalid duration \"%s\"", line->words[1]);
        if (p->interval_ns < 2 * SECOND)
            return wp_setup_error(s, line, "interval value must be greater or equal to 2s");
    }
    if (line->n_words > 2) {
        if (wp_duration_parse(line->words[2], &p->jitter_ns) < 0)
            return wp_setup_error(s, line, "time: invalid duration \"%s\"", line->words[2]);
        if (p->jitter_ns != 0 && p->jitter_ns < SECOND)
            return wp_setup_error(s, line, "jitter value must be greater or equal to 1s");
    }
    if (p->jitter_ns > p->interval_ns / 2)
        p->jitter_ns = p->interval_ns / 2;
    return 0;
}

static uint64_t next_due(const struct reload *p, uint64_t now_ns)
{
    int64_t spread = p->jitter_ns > 0 ? (int64_t)(wp_random() % (uint64_t)p->jitter_ns) - p->jitter_ns / 2 : 0;

    return now_ns + (uint64_t)(p->interval_ns + spread);
}

static void on_timer(struct wp_timer *t)
{
    struct reload *p = (struct reload *)((char *)t - offsetof(struct reload, timer));

    p->env->look_again();
    wp_timer_set(p->env->admin, t, next_due(p, wp_loop_now(p->env->admin)));
}

static void arm(void *arg, struct wp_loop *loop)
{
    struct reload *p = arg;

    p->timer.fn = on_timer;
    wp_timer_set(loop, &p->timer, next_due(p, wp_loop_now(loop)));
}

static void disarm(void *arg, struct wp_loop *loop)
{
    struct reload *p = arg;

    (void)loop;
    wp_timer_cancel(&p->timer);
}

static int reload_start(void *self, struct wp_env *env)
{
    struct reload *p = self;

    p->env = env;
    wp_loop_call(env->admin, arm, p);
    return 0;
}

static void reload_quiesce(void *self)
{
    struct reload *p = self;

    if (p->env != NULL)
        wp_loop_call(p->env->admin, disarm, p);
    p->env = NULL;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_args, .help = "[INTERVAL] [JITTER]"},
    {0},
};

const struct wp_plugin wp_plugin_reload = {
    .name = "reload",
    .size = sizeof(struct reload),
    .options = options,
    .repeat = WP_REPEAT_FIRST,
    .config_only = true,
    .new = reload_new,
    .start = reload_start,
    .quiesce = reload_quiesce,
    .stop = reload_quiesce,
};
