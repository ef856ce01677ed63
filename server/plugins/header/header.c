/* header: sets and clears AA, RA and RD in questions and replies. */
#include <string.h>

#include "waypost/plugin/plugin.h"

struct rule {
    bool set;
    uint16_t flag;
};

struct rules {
    struct rule *rule;
    unsigned n;
};

struct header {
    struct rules query, response;
};

static const struct {
    const char *name;
    uint16_t flag;
} flags[] = {{"aa", WP_FLAG_AA}, {"ra", WP_FLAG_RA}, {"rd", WP_FLAG_RD}};

static int add(struct wp_setup *s, const struct wp_line *l, struct rules *to, bool set, const char *word)
{
    struct rule *more;

    for (size_t i = 0; i < WP_COUNT(flags); i++) {
        if (strcasecmp(word, flags[i].name) != 0)
            continue;
        more = wp_arena_array(s->arena, to->n + 1, sizeof(*more));
        if (more == NULL)
            return -ENOMEM;
        if (to->n > 0)
            memcpy(more, to->rule, to->n * sizeof(*more));
        more[to->n++] = (struct rule){.set = set, .flag = flags[i].flag};
        to->rule = more;
        return 0;
    }
    return wp_setup_error(s, l, "setting up rule: unknown/unsupported flag=%s", word);
}

static int parse_rule(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct header *p = self;
    struct rules *to;
    bool set;

    if (strcmp(l->words[0], "query") == 0)
        to = &p->query;
    else if (strcmp(l->words[0], "response") == 0)
        to = &p->response;
    else
        return wp_setup_error(s, l, "setting up rule: invalid selector=%s should be query or response",
                              l->words[0]);
    if (l->n_words < 2)
        return wp_setup_error(s, l, "setting up rule: invalid length for flags, at least one should be provided");
    set = strcasecmp(l->words[1], "set") == 0;
    if (!set && strcasecmp(l->words[1], "clear") != 0)
        return wp_setup_error(s, l, "setting up rule: unknown flag action=%s, should be set or clear",
                              l->words[1]);
    if (l->n_words < 3)
        return wp_setup_error(s, l, "setting up rule: invalid length for flags, at least one should be provided");
    for (unsigned i = 2; i < l->n_words; i++) {
        int r = add(s, l, to, set, l->words[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

static int header_end(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const struct header *p = self;

    if (l->n_words > 1 || p->query.n + p->response.n == 0)
        return wp_setup_arg_error(s, l);
    return 0;
}

static void apply(const struct rules *rules, uint16_t *word)
{
    for (unsigned i = 0; i < rules->n; i++) {
        if (rules->rule[i].set)
            *word |= rules->rule[i].flag;
        else
            *word &= (uint16_t)~rules->rule[i].flag;
    }
}

static int header_serve(void *self, struct wp_query *q)
{
    const struct header *p = self;

    apply(&p->query, &q->msg.flags);
    if (p->response.n > 0)
        wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

/* RD of a reply is the question's: a rule for it changes what will be copied. */
static int header_reply(void *self, struct wp_query *q)
{
    const struct header *p = self;
    uint16_t word;

    if (!q->reply.begun)
        return WP_STEP_NEXT;
    word = (uint16_t)((q->reply.flags & ~WP_FLAG_RD) | (q->msg.flags & WP_FLAG_RD));
    apply(&p->response, &word);
    q->reply.flags = word & (uint16_t)~WP_FLAG_RD;
    q->msg.flags = (uint16_t)((q->msg.flags & ~WP_FLAG_RD) | (word & WP_FLAG_RD));
    return WP_STEP_NEXT;
}

static const struct wp_option options[] = {
    {.name = "*", .kind = WP_OPT_CALL, .parse = parse_rule, .help = "query|response set|clear FLAG..."},
    {.name = "", .kind = WP_OPT_IGNORE},
    {0},
};

const struct wp_plugin wp_plugin_header = {
    .name = "header",
    .size = sizeof(struct header),
    .options = options,
    .repeat = WP_REPEAT_FIRST,
    .end = header_end,
    .serve = header_serve,
    .reply = header_reply,
};
