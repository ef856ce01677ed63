/* transfer: zones for secondaries (AXFR RFC 5936, IXFR RFC 1995, NOTIFY RFC 1996). */
#include "server/plugins/transfer/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/plugin/transfer.h"

enum { PORT = 53 };

/* --- configuration --------------------------------------------------------------------------- */

static int transfer_new(void *self, struct wp_setup *s)
{
    struct transfer *t = self;

    (void)s;
    t->last = &t->first;
    return 0;
}

static struct transfer_rule *current(struct transfer *t)
{
    return (struct transfer_rule *)((char *)t->last - offsetof(struct transfer_rule, next));
}

/* transfer [ZONES...] */
static int begin(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct transfer *t = self;
    struct transfer_rule *r = wp_arena_zalloc(s->arena, sizeof(*r));
    int e;

    if (r == NULL)
        return -ENOMEM;
    if (l->n_words > 1)
        e = wp_setup_zones(s, l->words + 1, l->n_words - 1, &r->zones);
    else
        e = (r->zones = *s->zones, 0);
    if (e < 0)
        return e;
    r->index = t->n_rules++;
    *t->last = r;
    t->last = &r->next;
    return 0;
}

static int end(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const struct wp_line *at = l->n_options > 0 ? &l->options[l->n_options - 1] : l;

    if (current(self)->n_to == 0)
        return wp_setup_error(s, at, "'to' is required");
    return 0;
}

/* The port of "IP:PORT", "[IP]:PORT"; 0: there is one but it is none. CoreDNS takes such an address
 * and can then never tell it anything; who asks from it gets the zone. */
static int read_to(struct wp_setup *s, const char *word, struct transfer_to *to)
{
    const char *colon = strrchr(word, ':');
    char text[WP_ADDR_TEXT_MAX], *ip;

    if (wp_addr_parse(word, PORT, &to->addr) == 0) {
        to->text = wp_arena_strdup(s->arena, wp_addr_text(&to->addr, text));
        return to->text == NULL ? -ENOMEM : 0;
    }
    ip = colon == NULL ? NULL : wp_arena_strndup(s->arena, word, (size_t)(colon - word));
    to->text = word;
    if (ip != NULL && wp_addr_parse(ip, 0, &to->addr) == 0 && to->addr.port == 0) {
        wp_log(WP_WARNING, "transfer", "\"%s\" is told of no new zones: that is no port", word);
        return 0;
    }
    return wp_setup_fail(s, "must specify an IP address: `%.*s'", (int)strcspn(word, ":"), word);
}

/* to ADDR... | * */
static int parse_to(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct transfer_rule *r = current(self);
    struct transfer_to *to;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    to = wp_arena_array(s->arena, r->n_to + l->n_words, sizeof(*to));
    if (to == NULL)
        return -ENOMEM;
    if (r->n_to > 0)
        memcpy(to, r->to, r->n_to * sizeof(*to));
    r->to = to;
    for (unsigned i = 1; i < l->n_words; i++) {
        struct transfer_to *at = &to[r->n_to++];
        int e = 0;

        at->any = strcmp(l->words[i], "*") == 0;
        if (!at->any)
            e = read_to(s, l->words[i], at);
        if (e < 0)
            return e;
    }
    return 0;
}

/* source IP */
static int parse_source(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct transfer_rule *r = current(self);

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    if (r->source.family != 0)
        return wp_setup_error(s, l, "source already specified");
    if (wp_addr_parse_ip(l->words[1], &r->source) < 0)
        return wp_setup_error(s, l, "invalid source address \"%s\"", l->words[1]);
    return 0;
}

/* --- running --------------------------------------------------------------------------------- */

const struct transfer_rule *transfer_rule_for(const struct transfer *t, const struct wp_qname *q)
{
    const struct transfer_rule *found = NULL;
    size_t longest = 0;

    for (const struct transfer_rule *r = t->first; r != NULL; r = r->next) {
        const uint8_t *zone = wp_zones_match(&r->zones, q);
        size_t len = zone == NULL ? 0 : wp_name_size(zone);

        if (len > longest) {
            longest = len;
            found = r;
        }
    }
    return found;
}

static bool is_allowed(const struct transfer_rule *r, const struct wp_addr *client)
{
    for (unsigned i = 0; i < r->n_to; i++) {
        if (r->to[i].any || wp_addr_equal_ip(&r->to[i].addr, client))
            return true;
    }
    return false;
}

static int serve(void *self, struct wp_query *q)
{
    struct transfer *t = self;
    const struct transfer_rule *rule;
    uint32_t serial = 0;
    int r;

    if (WP_LIKELY(q->msg.qtype != WP_TYPE_AXFR && q->msg.qtype != WP_TYPE_IXFR))
        return WP_STEP_NEXT;
    if (wp_msg_opcode(&q->msg) != WP_OPCODE_QUERY || q->msg.qclass != WP_CLASS_IN)
        return WP_STEP_NEXT;
    if (strcmp(wp_query_proto(q), "tcp") != 0)
        return wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
    rule = transfer_rule_for(t, &q->msg.qname);
    if (rule == NULL)
        return WP_STEP_NEXT;
    if (!q->many || !is_allowed(rule, &q->client)) { /* a DoH or gRPC reply is one message */
        r = wp_reply_begin(q, WP_RCODE_REFUSED, 0);
        return r < 0 ? r : WP_STEP_DONE;
    }
    if (q->msg.qtype == WP_TYPE_IXFR &&
        transfer_ixfr_serial(q->wire, q->wire_len, q->msg.question_len, q->arena, &serial) < 0)
        return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
    return transfer_give(t, q, serial);
}

static void cancel(void *self, struct wp_query *q)
{
    transfer_give_up(self, q);
}

static void zone_is_new(void *self, const char *holder, const uint8_t *apex)
{
    transfer_notify(self, holder, apex);
}

static int start(void *self, struct wp_env *env)
{
    return transfer_notify_start(self, env);
}

static void stop(void *self)
{
    transfer_notify_stop(self);
}

static const struct wp_option options[] = {
    {.name = "",
     .kind = WP_OPT_IGNORE,
     .help = "[ZONES...]: the zones; the longest one that matches decides"},
    {.name = "to",
     .kind = WP_OPT_CALL,
     .parse = parse_to,
     .help = "ADDR... or *: who may have them; ADDR is told of changes, too"},
    {.name = "source",
     .kind = WP_OPT_CALL,
     .parse = parse_source,
     .help = "IP: where NOTIFY comes from"},
    {0},
};

const struct wp_plugin wp_plugin_transfer = {
    .name = "transfer",
    .size = sizeof(struct transfer),
    .options = options,
    .unknown = "unknown property \"%s\"",
    .repeat = WP_REPEAT_COMBINE,
    .new = transfer_new,
    .begin = begin,
    .end = end,
    .start = start,
    .serve = serve,
    .cancel = cancel,
    .quiesce = stop,
    .stop = stop,
    .zone_is_new = zone_is_new,
};
