/* bufsize: lowers the EDNS size that a question brings, and raises the server's own cap up to the
 * size it names. */
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"

enum { BUFSIZE_MIN = 512, BUFSIZE_MAX = 4096, BUFSIZE_DEFAULT = 1232 };

struct bufsize {
    int64_t size;
};

static int parse(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct bufsize *p = self;

    p->size = BUFSIZE_DEFAULT;
    if (l->n_words > 2)
        return wp_setup_arg_error(s, l);
    if (l->n_words == 2 && wp_int_parse(l->words[1], INT32_MIN, INT32_MAX, &p->size) < 0)
        return wp_setup_error(s, l, "strconv.Atoi: parsing \"%s\": invalid syntax", l->words[1]);
    if (p->size < BUFSIZE_MIN || p->size > BUFSIZE_MAX)
        return wp_setup_error(s, l, "the bufsize must be within 512 - 4096");
    s->block->set.udp_cap = p->size;
    return 0;
}

static int bufsize_serve(void *self, struct wp_query *q)
{
    const struct bufsize *p = self;

    if (q->msg.edns.present && q->msg.edns.udp_size > p->size) {
        q->msg.edns.udp_size = (uint16_t)p->size;
        q->had_size = (uint16_t)p->size;
    }
    return WP_STEP_NEXT;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse, .help = "[SIZE], 512 to 4096, default 1232"},
    {0},
};

const struct wp_plugin wp_plugin_bufsize = {
    .name = "bufsize",
    .size = sizeof(struct bufsize),
    .options = options,
    .repeat = WP_REPEAT_FIRST,
    .serve = bufsize_serve,
};
