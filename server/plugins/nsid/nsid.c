/* nsid: tells who answered, when asked (RFC 5001). */
#include <string.h>
#include <unistd.h>

#include "waypost/plugin/plugin.h"

struct nsid {
    const char *data;
    size_t len;
};

static int parse(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct nsid *p = self;
    char host[256];

    if (l->n_words == 1) {
        if (gethostname(host, sizeof(host)) < 0)
            strcpy(host, "localhost");
        host[sizeof(host) - 1] = '\0';
        p->data = wp_arena_strdup(s->arena, host);
    } else {
        p->data = l->words[1];
        for (unsigned i = 2; i < l->n_words && p->data != NULL; i++)
            p->data = wp_arena_printf(s->arena, "%s %s", p->data, l->words[i]);
    }
    if (p->data == NULL)
        return -ENOMEM;
    p->len = strlen(p->data);
    return 0;
}

static int nsid_serve(void *self, struct wp_query *q)
{
    uint16_t len;

    (void)self;
    if (q->msg.edns.options_len > 0 &&
        wp_edns_option_find(&q->msg.edns, WP_EDNS_NSID, &len) != NULL)
        wp_query_want_reply(q);
    return WP_STEP_NEXT;
}

static int nsid_reply(void *self, struct wp_query *q)
{
    const struct nsid *p = self;

    if (!q->reply.begun)
        return WP_STEP_NEXT;
    return wp_reply_option(q, WP_EDNS_NSID, p->data, p->len);
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse, .help = "[DATA...], default the host name"},
    {0},
};

const struct wp_plugin wp_plugin_nsid = {
    .name = "nsid",
    .size = sizeof(struct nsid),
    .options = options,
    .repeat = WP_REPEAT_ERROR,
    .serve = nsid_serve,
    .reply = nsid_reply,
};
