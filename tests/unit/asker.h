/* Ask a chain of plugins questions without sockets: one worker, one server block, the real
 * router around it. Replies come back as text, so that a table's row can hold them:
 *
 *   struct asker a;
 *   asker_init(&a, ".");                      // the block's zone
 *   asker_add(&a, &wp_plugin_whoami, self);   // chain, in this order
 *   text = ask(&a, "www.example.org A do");   // words after the type: do rd cd tcp many v6 notify
 *   asker_done(&a);
 *
 * "NOERROR aa\nanswer www.example.org. 300 A 192.0.2.1\n..." in message order, OPT left out;
 * "dropped\n" when nothing is sent. The text lives until the next question. "many": a connection that
 * takes replies of several messages, which stand one after the other. */
#pragma once
#include <stdlib.h>
#ifndef CHECK /* a fuzz target has its own */
#include "check.h"
#endif
#include "waypost/base/arena.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/name.h"
#include "waypost/dns/rr.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/change.h"
#include "waypost/server/listener.h"
#include "waypost/server/router.h"
#include "waypost/server/worker.h"

enum { ASKER_CHAIN = 4, ASKER_TEXT = 1 << 20 };

struct asker {
    struct wp_loop *loop;
    struct wp_worker worker;
    struct wp_arena arena;
    struct wp_group group;
    struct wp_block block;
    struct wp_key key;
    struct wp_node chain[ASKER_CHAIN];
    struct wp_name zone;
    struct wp_query *q; /* the one just asked; its fields may be looked at until the next */
    bool done;
    char *text;
    size_t len;
    unsigned n_messages, n_calls, most; /* of replies of several: how many, calls for them, octets */
};

static inline void asker_init(struct asker *a, const char *zone)
{
    memset(a, 0, sizeof(*a));
    CHECK(wp_name_parse(zone, &a->zone) == 0);
    CHECK(wp_loop_new(0, &a->loop) == 0 && wp_worker_init(&a->worker, a->loop, 100) == 0);
    wp_arena_init(&a->arena, 0);
    a->group.limits.udp_cap = 65535;
    a->group.label = "dns://:53";
    a->key = (struct wp_key){.zone = a->zone.wire, .text = zone};
    a->block.keys = &a->key;
    a->block.n_keys = 1;
    a->block.chain = a->block.all = a->chain;
    a->text = malloc(ASKER_TEXT);
}

static inline void asker_add(struct asker *a, const struct wp_plugin *p, void *self)
{
    const struct wp_block *blocks[] = {&a->block};
    struct wp_route *route;

    CHECK(a->block.n_chain < ASKER_CHAIN);
    a->chain[a->block.n_chain++] = (struct wp_node){p, self};
    a->block.n_all = a->block.n_chain;
    CHECK(wp_route_new(&a->arena, &a->group, blocks, 1, &route) == 0);
    a->group.route = route;
}

static inline void asker_done(struct asker *a)
{
    if (a->q != NULL)
        wp_query_put(a->q);
    wp_worker_done(&a->worker);
    wp_loop_free(a->loop);
    wp_arena_done(&a->arena);
    free(a->text);
}

static inline void asker_on_done(struct wp_query *q)
{
    struct asker *a = q->owner;

    a->done = true;
}

/* The message for "NAME TYPE [WORDS]". */
static inline size_t asker_message(const char *question, uint8_t *out, struct wp_query *q)
{
    char copy[1200], *save = NULL, *name, *type, *word;
    struct wp_wr wr = wp_wr_to(out, 4096);
    struct wp_name n;
    uint16_t t, flags = 0;
    bool dnssec = false;

    snprintf(copy, sizeof(copy), "%s", question);
    name = strtok_r(copy, " ", &save);
    type = strtok_r(NULL, " ", &save);
    CHECK_AT(question, wp_name_parse(name, &n) == 0 && wp_type_parse(type, &t) == 0);
    while ((word = strtok_r(NULL, " ", &save)) != NULL) {
        dnssec |= strcmp(word, "do") == 0;
        flags |= strcmp(word, "rd") == 0 ? WP_FLAG_RD : 0;
        flags |= strcmp(word, "cd") == 0 ? WP_FLAG_CD : 0;
        flags |= strcmp(word, "notify") == 0 ? WP_OPCODE_NOTIFY << 11 : 0;
        q->many |= strcmp(word, "many") == 0;
        q->stream |= q->many || strcmp(word, "tcp") == 0;
        if (strcmp(word, "v6") == 0)
            CHECK(wp_addr_parse("[2001:db8::7]:5353", 0, &q->client) == 0);
    }
    if (q->stream)
        q->transport = WP_TCP;
    wp_wr_u16(&wr, 0x1234);
    wp_wr_u16(&wr, flags);
    wp_wr_u16(&wr, 1);
    wp_wr_u32(&wr, 0);
    wp_wr_u16(&wr, dnssec);
    wp_wr_bytes(&wr, n.wire, n.len);
    wp_wr_u16(&wr, t);
    wp_wr_u16(&wr, WP_CLASS_IN);
    if (dnssec)
        wp_wr_bytes(&wr, "\0\0\51\20\0\0\0\200\0\0\0", 11); /* 4096 octets, DO */
    CHECK(!wr.bad);
    return wr.len;
}

static inline void asker_put(struct asker *a, const char *text)
{
    size_t len = strlen(text);

    CHECK(a->len + len < ASKER_TEXT);
    memcpy(a->text + a->len, text, len + 1);
    a->len += len;
}

static inline void asker_put_records(struct asker *a, struct wp_rd *rd, const char *section,
                                     unsigned n)
{
    static char rdata[300000], line[310000];

    for (unsigned i = 0; i < n; i++) {
        char owner[WP_NAME_TEXT_MAX], type[16];
        struct wp_rr rr;

        CHECK(wp_rr_read(rd, a->q->arena, &rr) == 0);
        if (rr.type == WP_TYPE_OPT)
            continue;
        CHECK(wp_rdata_text(rr.type, rr.rdata, rr.rdlen, rdata, sizeof(rdata)) == 0);
        snprintf(line, sizeof(line), "%s %s %u %s %s\n", section, wp_name_text(rr.owner, owner),
                 rr.ttl, wp_type_text(rr.type, type), rdata);
        asker_put(a, line);
    }
}

/* The message that is finished, behind the text so far. */
static inline void asker_put_message(struct asker *a, const char *question)
{
    char word[16], head[64];
    struct wp_rd rd;
    unsigned flags;

    CHECK_AT(question, a->q->out_len >= 12);
    rd = wp_rd_from(a->q->out, a->q->out_len);
    flags = wp_be16(a->q->out + 2);
    snprintf(head, sizeof(head), "%s%s%s%s%s\n", wp_rcode_text(flags & 15, word),
             flags & WP_FLAG_AA ? " aa" : "", flags & WP_FLAG_TC ? " tc" : "",
             flags & WP_FLAG_RD ? " rd" : "", flags & WP_FLAG_RA ? " ra" : "");
    asker_put(a, head);
    rd.pos = 12;
    if (wp_be16(a->q->out + 4) > 0) {
        CHECK_AT(question, wp_name_skip(&rd) == 0);
        wp_rd_skip(&rd, 4);
    }
    asker_put_records(a, &rd, "answer", wp_be16(a->q->out + 6));
    asker_put_records(a, &rd, "authority", wp_be16(a->q->out + 8));
    asker_put_records(a, &rd, "additional", wp_be16(a->q->out + 10));
    CHECK_AT(question, !rd.bad && rd.pos == rd.end);
}

/* All the messages of a reply; how many stands in a->n_messages. */
static inline int asker_take_all(struct asker *a, const char *question)
{
    static uint8_t buf[WP_MSG_MAX + WP_REPLY_SPARE];
    int step = WP_STEP_NEXT;

    for (a->n_calls = 0; step == WP_STEP_NEXT; a->n_calls++) {
        a->q->reply.buf = buf;
        a->q->reply.cap = sizeof(buf);
        step = wp_query_more(a->q);
        if (step >= 0 && a->q->out_len > 0) {
            a->n_messages++;
            a->most = a->q->out_len > a->most ? a->q->out_len : a->most;
            asker_put_message(a, question);
        }
    }
    if (step < 0)
        wp_query_cancel(a->q);
    else
        wp_query_resume(a->q, step);
    return step;
}

/* The question goes its way; asker_text() is the reply. */
static inline void asker_run(struct asker *a, const char *question)
{
    if (a->q != NULL)
        wp_query_put(a->q);
    a->q = wp_query_get(&a->worker);
    CHECK(a->q != NULL);
    CHECK(wp_addr_parse("192.0.2.7:5353", 0, &a->q->client) == 0);
    a->q->transport = WP_UDP;
    a->q->stream = false;
    a->q->wire = wp_query_in(a->q);
    a->q->wire_len = (uint32_t)asker_message(question, wp_query_in(a->q), a->q);
    a->q->route = a->group.route;
    a->q->done = asker_on_done;
    a->q->owner = a;
    a->done = false;
    a->len = a->n_messages = a->most = 0;
    a->text[0] = '\0';
    if (wp_query_run(a->q) == WP_STEP_WAIT) {
        if (a->q->more != NULL)
            asker_take_all(a, question);
        for (int turns = 0; turns < 1000 && !a->done; turns++)
            wp_loop_turn(a->loop, 10);
        CHECK_AT(question, a->done);
    }
}

static inline const char *asker_text(struct asker *a, const char *question)
{
    if (a->n_messages > 0)
        return a->text;
    a->len = 0;
    a->text[0] = '\0';
    if (a->q->out_len == 0)
        asker_put(a, "dropped\n");
    else
        asker_put_message(a, question);
    return a->text;
}

static inline const char *ask(struct asker *a, const char *question)
{
    asker_run(a, question);
    return asker_text(a, question);
}

/* The extended error of the last answer; -1: none. */
static inline int asker_ede(const struct asker *a)
{
    const struct wp_reply *r = &a->q->reply;

    for (unsigned at = 0; at + 6 <= r->options_len;) {
        unsigned code = wp_be16(r->options + at), len = wp_be16(r->options + at + 2);
        if (code == 15)
            return wp_be16(r->options + at + 4);
        at += 4 + len;
    }
    return -1;
}

/* Would a copy of it in a cache still be served? */
static inline bool asker_is_current(const struct asker *a)
{
    for (unsigned i = 0; i < a->q->n_deps; i++)
        if (atomic_load(&wp_change_version[a->q->deps[i].slot]) != a->q->deps[i].version)
            return false;
    return a->q->cacheable;
}
