/* chaos: who and what answers, in class CHAOS (RFC 4892). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "waypost/base/random.h"
#include "waypost/plugin/plugin.h"

enum { STRING_MAX = 255, AUTHORS_MAX = 256 };

struct chaos {
    const char *version;
    const char **authors;
    unsigned n_authors;
    const char *host;
};

static int parse(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct chaos *p = self;

    p->version = l->n_words > 1 ? l->words[1] : "waypost-" WP_VERSION;
    p->authors = wp_arena_array(s->arena, l->n_words + 1, sizeof(*p->authors));
    if (p->authors == NULL)
        return -ENOMEM;
    for (unsigned i = 2; i < l->n_words && p->n_authors < AUTHORS_MAX; i++) {
        bool twice = false;

        for (unsigned k = 0; k < p->n_authors; k++)
            twice |= strcmp(p->authors[k], l->words[i]) == 0;
        if (!twice)
            p->authors[p->n_authors++] = l->words[i];
    }
    if (p->n_authors == 0)
        p->authors[p->n_authors++] = "the waypost authors";
    return 0;
}

static int chaos_start(void *self, struct wp_env *env)
{
    struct chaos *p = self;
    char host[256];

    if (gethostname(host, sizeof(host)) < 0)
        strcpy(host, "localhost");
    host[sizeof(host) - 1] = '\0';
    p->host = wp_arena_strdup(env->arena, host);
    return p->host == NULL ? -ENOMEM : 0;
}

static int add_txt(struct wp_query *q, const char *text)
{
    size_t len = strlen(text) > STRING_MAX ? STRING_MAX : strlen(text);
    uint8_t rdata[STRING_MAX + 1];
    const struct wp_rr rr = {
        .owner = q->question,
        .rdata = rdata,
        .type = WP_TYPE_TXT,
        .cls = WP_CLASS_CH,
        .rdlen = (uint16_t)(len + 1),
        .section = WP_ANSWER,
    };

    rdata[0] = (uint8_t)len;
    memcpy(rdata + 1, text, len);
    return wp_reply_put(q, &rr);
}

/* All authors, beginning anywhere. */
static int add_authors(const struct chaos *p, struct wp_query *q)
{
    unsigned first = wp_random_below(p->n_authors);
    int r = 0;

    for (unsigned i = 0; i < p->n_authors && r == 0; i++)
        r = add_txt(q, p->authors[(first + i) % p->n_authors]);
    return r;
}

enum what { NOTHING, VERSION, AUTHORS, HOST };

static enum what asked(const struct wp_qname *n)
{
    static const struct {
        const char *name;
        size_t len;
        enum what what;
    } names[] = {
        {"\7version\4bind", 14, VERSION}, {"\7version\6server", 16, VERSION},
        {"\7authors\4bind", 14, AUTHORS}, {"\10hostname\4bind", 15, HOST},
        {"\2id\6server", 11, HOST},
    };

    for (size_t i = 0; i < WP_COUNT(names); i++) {
        if (wp_qname_is(n, (const uint8_t *)names[i].name, names[i].len))
            return names[i].what;
    }
    return NOTHING;
}

static int chaos_serve(void *self, struct wp_query *q)
{
    const struct chaos *p = self;
    enum what what;
    int r;

    if (q->msg.qclass != WP_CLASS_CH || q->msg.qtype != WP_TYPE_TXT)
        return WP_STEP_NEXT;
    what = asked(&q->msg.qname);
    if (what == NOTHING)
        return WP_STEP_NEXT;
    r = wp_reply_begin(q, WP_RCODE_NOERROR, 0);
    if (r < 0)
        return r;
    if (what == AUTHORS)
        r = add_authors(p, q);
    else
        r = add_txt(q, what == VERSION ? p->version : p->host);
    return r < 0 ? r : WP_STEP_DONE;
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse, .help = "[VERSION [AUTHORS...]]"},
    {0},
};

const struct wp_plugin wp_plugin_chaos = {
    .name = "chaos",
    .size = sizeof(struct chaos),
    .options = options,
    .repeat = WP_REPEAT_FIRST,
    .class_any = true,
    .start = chaos_start,
    .serve = chaos_serve,
};
