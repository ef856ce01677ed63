/* Requests, and what their answers are worth. */
#include "backends/nomad/source_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAID_MAX = 200 }; /* octets of a server's words that are told */

bool wp_nomad_call(struct wp_nomad_call *c, const char *path, const struct wp_nomad_limits *limits,
                   const struct wp_httpc_call_ops *ops)
{
    struct wp_nomad_source_own *o = c->own;
    struct wp_httpc_request r = {0};
    char why[256] = "";
    int e = path != NULL ? wp_nomad_access_request(o->access, o->agent, path, &r, why) : -ENOMEM;

    if (e == 0) {
        r.http1 = true;
        r.gzip = true;
        r.connect_ms = wp_nomad_access_n(o->access) > 1 ? WP_NOMAD_CONNECT_MS : WP_NOMAD_CONNECT_ONE_MS;
        r.total_ms = limits->total_ms;
        r.idle_ms = limits->idle_ms;
        r.body_max = ops->body == NULL ? WP_NOMAD_BODY_MAX : 0;
        c->status = 0;
        e = o->h->start(&r, ops, c, &c->http);
    }
    if (e == 0)
        return true;
    c->http = NULL;
    wp_nomad_agent_rest(o, why[0] != '\0' ? why : wp_strerror(e));
    return false;
}

void wp_nomad_call_drop(struct wp_nomad_call *c)
{
    c->own->h->drop(c->http);
    c->http = NULL;
    c->item = NULL;
}

/* --- judging ----------------------------------------------------------------------------------- */

static uint64_t read_index(struct wp_nomad_call *c)
{
    const char *text = c->own->h->header(c->http, "X-Nomad-Index");
    char *end;
    unsigned long long v;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    v = strtoull(text, &end, 10);
    return *end == '\0' ? v : 0;
}

/* A server's words in one line; what is no text is told as little as possible of. */
static void put_words(char *to, size_t cap, const char *body, size_t len)
{
    size_t n = 0;

    while (n < len && n < cap - 1 && n < SAID_MAX && body[n] != '\n' && (unsigned char)body[n] >= 0x20) {
        to[n] = body[n];
        n++;
    }
    to[n] = '\0';
}

static enum wp_nomad_verdict verdict_of(int status, const char *words)
{
    if (status == 200)
        return WP_NOMAD_GOOD;
    if (status == 404 || status == 405)
        return WP_NOMAD_LACKS;
    if (status == 400)
        return WP_NOMAD_BAD;
    if (status == 401 || status == 403)
        return WP_NOMAD_DENIED;
    if (status == 429)
        return WP_NOMAD_BUSY;
    if (status == 500 && strstr(words, "No cluster leader") != NULL)
        return WP_NOMAD_LEADERLESS;
    return status >= 500 ? WP_NOMAD_AWAY : WP_NOMAD_ODD;
}

static void judge_status(struct wp_nomad_source_own *o, const struct wp_httpc_end *end,
                         struct wp_nomad_reply *ret)
{
    char words[SAID_MAX + 1];

    put_words(words, sizeof(words), ret->body, ret->len);
    ret->verdict = verdict_of(end->status, words);
    if (ret->verdict != WP_NOMAD_GOOD)
        snprintf(ret->why, sizeof(ret->why), "%s: HTTP status %d%s%s%s",
                 wp_nomad_access_name(o->access, o->agent), end->status,
                 end->status >= 300 && end->status < 400 ? ": redirects are not followed" : "",
                 words[0] != '\0' && end->status >= 400 ? ": " : "",
                 end->status >= 400 ? words : "");
}

/* What was wrong on the way: an answer that is not good HTTP came, too, from somebody. */
static enum wp_nomad_verdict verdict_of_error(int err)
{
    return err == -ENOMEM                               ? WP_NOMAD_NOMEM
           : err == WP_ELIMIT || err == WP_EMALFORMED ? WP_NOMAD_ODD
                                                        : WP_NOMAD_AWAY;
}

/* How the agent's part sees it. */
static void tell_agent(struct wp_nomad_source_own *o, const struct wp_nomad_call *c,
                       const struct wp_nomad_reply *r)
{
    const char *leader = o->h->header(c->http, "X-Nomad-KnownLeader");

    wp_nomad_agent_lives(o);
    if (r->verdict != WP_NOMAD_GOOD || c == &o->probe) /* a sign of life needs no leader */
        return;
    if (leader == NULL || strcmp(leader, "true") == 0)
        o->leaderless_ns = 0;
}

void wp_nomad_judge(struct wp_nomad_call *c, const struct wp_httpc_end *end,
                    struct wp_nomad_reply *ret)
{
    struct wp_nomad_source_own *o = c->own;

    *ret = (struct wp_nomad_reply){.body = end->body != NULL ? (const char *)end->body : "",
                                   .len = end->body != NULL ? end->len : 0};
    wp_nomad_count_request(o, end->status, end->err);
    if (end->err == 0 && end->status != 0) {
        judge_status(o, end, ret);
        ret->index = read_index(c);
        tell_agent(o, c, ret);
    } else {
        ret->verdict = verdict_of_error(end->err);
        ret->hung = end->err == WP_ETIMEOUT && !end->status;
        if (end->err == WP_ETLS)
            wp_nomad_agent_denied(o);
        snprintf(ret->why, sizeof(ret->why), "%s", end->text != NULL ? end->text : "no answer");
    }
    c->http = NULL;
}
