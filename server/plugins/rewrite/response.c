/* The records of a reply, after the rules that applied to its question. */
#include <string.h>

#include "server/plugins/rewrite/rewrite.h"

static bool under(const char *text, const char *end, size_t *ret_keep)
{
    size_t n = strlen(text), k = strlen(end);

    if (k > n || strcmp(text + n - k, end) != 0)
        return false;
    *ret_keep = n - k;
    return true;
}

/* The name after one response rule; false: unchanged. */
static bool map_text(const struct rw_response *o, const char *text, char *out)
{
    struct wp_regex_span spans[WP_REGEX_GROUPS_MAX + 1];
    size_t keep;

    switch (o->what) {
    case RW_OUT_REMAP: /* the rewritten name itself, or one below it */
        if (!under(text, o->from, &keep) || (keep > 0 && text[keep - 1] != '.'))
            return false;
        break;
    case RW_OUT_SUFFIX:
        if (!under(text, o->from, &keep))
            return false;
        break;
    case RW_OUT_ANSWER:
        return wp_regex_match(o->answer->re, text, strlen(text), spans, WP_REGEX_GROUPS_MAX + 1) &&
               rw_expand(o->answer->to, text, spans, wp_regex_groups(o->answer->re) + 1, out);
    case RW_OUT_TTL:
    case RW_OUT_RCODE:
        return false;
    }
    if (keep + strlen(o->to) >= RW_TEXT_MAX)
        return false;
    memcpy(out, text, keep);
    strcpy(out + keep, o->to);
    return true;
}

/* A new wire name in the arena when the rule changes it, else NULL. */
static const uint8_t *map_name(struct wp_query *q, const struct rw_response *o, const uint8_t *wire,
                               uint8_t *ret_len)
{
    char text[WP_NAME_TEXT_MAX], out[RW_TEXT_MAX];
    struct wp_name name, lower;
    uint8_t len = (uint8_t)wp_name_size(wire);

    lower.len = len;
    memcpy(lower.wire, wire, len);
    wp_name_lower(lower.wire, len);
    wp_name_text(lower.wire, text);
    if (!map_text(o, text, out) || wp_name_parse(out, &name) < 0)
        return NULL;
    *ret_len = name.len;
    return wp_arena_dup(q->arena, name.wire, name.len);
}

static void map_rdata(struct wp_query *q, const struct rw_response *o, struct wp_rr *rr)
{
    int at = wp_rdata_name_at(rr->type, rr->rdata, rr->rdlen);
    const uint8_t *name;
    uint8_t *rdata, len;
    size_t old, rest;

    if (at < 0)
        return;
    name = map_name(q, o, rr->rdata + at, &len);
    if (name == NULL)
        return;
    old = wp_name_size(rr->rdata + at);
    rest = rr->rdlen - (size_t)at - old;
    rdata = wp_arena_alloc(q->arena, (size_t)at + len + rest);
    if (rdata == NULL)
        return;
    memcpy(rdata, rr->rdata, (size_t)at);
    memcpy(rdata + at, name, len);
    memcpy(rdata + at + len, rr->rdata + at + old, rest);
    rr->rdata = rdata;
    rr->rdlen = (uint16_t)((size_t)at + len + rest);
}

static void map_record(struct wp_query *q, const struct rw_response *o, struct wp_rr *rr)
{
    bool owner = o->what == RW_OUT_REMAP || o->what == RW_OUT_SUFFIX ||
                 (o->what == RW_OUT_ANSWER && !o->answer->value);
    bool value = o->what == RW_OUT_REMAP || o->what == RW_OUT_SUFFIX ||
                 (o->what == RW_OUT_ANSWER && o->answer->value);
    uint8_t len;

    if (owner) {
        const uint8_t *name = map_name(q, o, rr->owner, &len);

        if (name != NULL)
            rr->owner = name;
    }
    if (value)
        map_rdata(q, o, rr);
    if (o->what == RW_OUT_TTL) {
        if (rr->ttl < o->rule->ttl_min)
            rr->ttl = o->rule->ttl_min;
        else if (rr->ttl > o->rule->ttl_max)
            rr->ttl = o->rule->ttl_max;
    }
}

int rw_respond(const struct rw_state *st, struct wp_query *q, struct wp_view *v)
{
    for (const struct rw_response *o = st->responses; o != NULL; o = o->next) {
        if (o->what == RW_OUT_RCODE && q->reply.rcode == o->rule->from16)
            q->reply.rcode = o->rule->to16;
        for (size_t i = 0; i < v->n; i++)
            map_record(q, o, &v->rr[i]);
    }
    return 0;
}
