/* cancel: a deadline for what waits on behalf of a question. */
#include "waypost/base/text.h"
#include "waypost/plugin/plugin.h"

struct cancel {
    int64_t after_ns;
};

static int parse(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cancel *p = self;

    p->after_ns = 5001000000ll;
    if (l->n_words > 2)
        return wp_setup_arg_error(s, l);
    if (l->n_words == 2 && wp_duration_parse(l->words[1], &p->after_ns) < 0)
        return wp_setup_error(s, l, "invalid timeout: time: invalid duration \"%s\"", l->words[1]);
    if (p->after_ns <= 0)
        return wp_setup_error(s, l, "invalid timeout: %s", l->words[1]);
    return 0;
}

static int cancel_serve(void *self, struct wp_query *q)
{
    const struct cancel *p = self;
    uint64_t due = q->start_ns + (uint64_t)p->after_ns;

    if (q->deadline_ns == 0 || due < q->deadline_ns)
        q->deadline_ns = due;
    return WP_STEP_NEXT;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse, .help = "[TIMEOUT], default 5001ms"},
    {0},
};

const struct wp_plugin wp_plugin_cancel = {
    .name = "cancel",
    .size = sizeof(struct cancel),
    .options = options,
    .repeat = WP_REPEAT_LAST,
    .serve = cancel_serve,
};
