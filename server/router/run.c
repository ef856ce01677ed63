/* A query's way: gate, block, chain, reply hooks, finish. */
#include "server/router/router_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "waypost/base/wr.h"
#include "waypost/server/guard.h"

_Atomic(void (*)(struct wp_query *q)) wp_router_on_dropped;

static void refused_by_core(struct wp_query *q)
{
    void (*fn)(struct wp_query *) =
        atomic_load_explicit(&wp_router_on_dropped, memory_order_relaxed);

    if (fn != NULL)
        fn(q);
}

static inline int call_serve(struct wp_query *q, const struct wp_node *n)
{
    return WP_UNLIKELY(q->explain != NULL) ? wp_explain_call(q, n, false)
                                           : n->plugin->serve(n->self, q);
}

static inline int call_reply(struct wp_query *q, const struct wp_node *n)
{
    return WP_UNLIKELY(q->explain != NULL) ? wp_explain_call(q, n, true)
                                           : n->plugin->reply(n->self, q);
}

/* The reply hooks of chain[..below), outermost last. DONE, WAIT, or AGAIN: the chain behind q->at is
 * to be asked once more. */
static int run_replies(struct wp_query *q, unsigned below)
{
    const struct wp_block *b = q->block;

    q->replying = true;
    while (q->want != 0) {
        uint64_t mask = below >= 64 ? q->want : q->want & (((uint64_t)1 << below) - 1);
        int r;

        if (mask == 0)
            break;
        q->at = (uint8_t)(63 - __builtin_clzll(mask));
        q->want &= ~((uint64_t)1 << q->at);
        below = q->at;
        r = call_reply(q, &b->chain[q->at]);
        if (r == WP_STEP_WAIT || r == WP_STEP_AGAIN)
            return r;
        if (r < 0)
            wp_query_fail(q, WP_RCODE_SERVFAIL, r, NULL);
    }
    return WP_STEP_DONE;
}

static int run_once(struct wp_query *q, unsigned at)
{
    const struct wp_block *b = q->block;

    for (; at < b->n_chain; at++) {
        int r;

        q->at = (uint8_t)at;
        r = call_serve(q, &b->chain[at]);
        if (r == WP_STEP_NEXT)
            continue;
        if (r == WP_STEP_WAIT)
            return WP_STEP_WAIT;
        if (r < 0)
            wp_query_fail(q, WP_RCODE_SERVFAIL, r, NULL);
        q->writer = b->chain[at].plugin->name;
        return run_replies(q, at);
    }
    wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ENOTFOUND, "plugin/%s: no next plugin found",
                  b->n_chain > 0 ? b->chain[b->n_chain - 1].plugin->name : "");
    return run_replies(q, b->n_chain);
}

/* A plugin asks again as often as it has names to try, and each ends sooner or later. */
int wp_chain_run(struct wp_query *q, unsigned at)
{
    int r = run_once(q, at);

    while (WP_UNLIKELY(r == WP_STEP_AGAIN))
        r = run_once(q, q->at + 1u);
    return r;
}

/* A bare error of the core, before any chain. */
static int core_error(struct wp_query *q, uint16_t rcode, bool question)
{
    if (!question) {
        q->question_len = 0;
        q->reply.rcode = rcode;
    }
    q->reply.unwritten = true;
    q->reply.rcode = rcode;
    wp_query_finish(q);
    return WP_STEP_DONE;
}

/* What the client's OPT said, whatever plugins make of it. */
static void note_opt(struct wp_query *q)
{
    const struct wp_edns *e = &q->msg.edns;

    q->had_opt = e->present;
    q->had_do = e->present && e->dnssec_ok;
    q->had_size = e->present && e->udp_size > 512 ? e->udp_size : 512;
}

static int gate(struct wp_query *q)
{
    switch (q->intake) {
    case WP_INTAKE_OK:
        return WP_STEP_NEXT;
    case WP_INTAKE_IGNORE:
        q->reply.dropped = true;
        q->out_len = 0;
        return WP_STEP_DONE;
    case WP_INTAKE_NOTIMP:
        return core_error(q, WP_RCODE_NOTIMP, false);
    case WP_INTAKE_FORMERR_HEAD:
        q->msg.flags &= (uint16_t)~WP_FLAG_OPCODE; /* as CoreDNS: opcode QUERY */
        return core_error(q, WP_RCODE_FORMERR, false);
    case WP_INTAKE_FORMERR:
        return core_error(q, WP_RCODE_FORMERR, true);
    case WP_INTAKE_BADVERS:
        return core_error(q, WP_RCODE_BADVERS, true);
    case WP_INTAKE_NO_QUESTION:
        refused_by_core(q);
        return core_error(q, WP_RCODE_SERVFAIL, false);
    case WP_INTAKE_COOKIE:
        note_opt(q);
        return core_error(q, WP_RCODE_NOERROR, false);
    case WP_INTAKE_BADCOOKIE:
        note_opt(q);
        return core_error(q, WP_RCODE_BADCOOKIE, true);
    }
    return core_error(q, WP_RCODE_SERVFAIL, false);
}

/* CoreDNS lets every class into every block of a listener when one of them has `chaos` or
 * `forward`, and a zone file then answers for classes it has no data of. Here the block itself must
 * have one of the two. */
static bool takes_class(const struct wp_block *b, uint16_t qclass)
{
    for (unsigned i = 0; qclass != WP_CLASS_IN && i < b->n_chain; i++) {
        if (b->chain[i].plugin->class_any)
            return true;
    }
    return qclass == WP_CLASS_IN;
}

/* Block and chain; q->route, msg and question are set, and q->block when it is known already. */
static int route_and_run(struct wp_query *q)
{
    unsigned opcode = wp_msg_opcode(&q->msg);
    const struct wp_block *b = q->block;

    if (WP_UNLIKELY(q->msg.qclass != WP_CLASS_IN) && !q->route->class_any) {
        wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
        refused_by_core(q);
        return WP_STEP_DONE;
    }
    if (b == NULL)
        b = wp_route_find(q->route, q);
    if (WP_UNLIKELY(b == NULL || b->n_chain == 0 || !takes_class(b, q->msg.qclass))) {
        q->zone = NULL;
        wp_query_fail(q, WP_RCODE_REFUSED, 0, NULL);
        refused_by_core(q);
        return WP_STEP_DONE;
    }
    if (WP_UNLIKELY(opcode != WP_OPCODE_QUERY && opcode != WP_OPCODE_NOTIFY &&
                    !(b->opcodes >> opcode & 1))) {
        wp_query_fail(q, WP_RCODE_NOTIMP, 0, NULL);
        refused_by_core(q);
        return WP_STEP_DONE;
    }
    q->block = b;
    return wp_chain_run(q, 0);
}

static void cancel_excess(struct wp_task *task)
{
    struct wp_pooled *p = (struct wp_pooled *)((char *)task - offsetof(struct wp_pooled, task));

    wp_query_cancel(&p->q);
}

/* The query waits now: it must live on its own memory, and its generation must stay. */
static int suspend(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);

    q->waiting = true;
    wp_reply_own_buffer(q);
    if (!p->counted) {
        p->counted = true;
        if (WP_UNLIKELY(++p->worker->n_waiting > p->worker->max_waiting) && q->parent == NULL) {
            wp_guard_refused(q->route->group, q->worker, WP_LIMIT_IN_FLIGHT);
            p->task.fn = cancel_excess;
            wp_loop_defer(q->loop, &p->task);
        }
    }
    if (p->gen == NULL && q->route->gen != NULL) {
        p->gen = q->route->gen;
        wp_gen_hold(p->gen, q->worker);
    }
    return WP_STEP_WAIT;
}

static void read_message(struct wp_query *q)
{
    q->is_read = true;
    q->intake = wp_guard_message(q);
    q->question = q->wire + WP_HEADER_LEN;
    q->question_len = q->msg.question_len;
    if (WP_UNLIKELY(q->intake != WP_INTAKE_OK))
        return;
    note_opt(q);
}

void wp_query_prefetch(struct wp_query *q, unsigned step)
{
    const struct wp_block *b;

    if (!q->is_read) {
        read_message(q);
        if (q->intake == WP_INTAKE_OK)
            q->block = wp_route_find(q->route, q);
    }
    b = q->block;
    for (unsigned i = 0; b != NULL && i < b->n_chain; i++) {
        if (b->chain[i].plugin->prefetch != NULL)
            b->chain[i].plugin->prefetch(b->chain[i].self, q, step);
    }
}

int wp_query_run(struct wp_query *q)
{
    wp_pooled_of(q)->worker->n_asked++;
    if (!q->is_read)
        read_message(q);
    if (WP_UNLIKELY(q->intake != WP_INTAKE_OK))
        return gate(q);
    if (route_and_run(q) == WP_STEP_WAIT)
        return suspend(q);
    wp_query_finish(q);
    return WP_STEP_DONE;
}

static void tell_who_asked(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);

    if (p->lookup_fn != NULL || q->parent != NULL) {
        wp_reply_settle(q);
        if (p->lookup_fn != NULL)
            p->lookup_fn(p->lookup_arg, q);
    } else if (q->done == NULL) { /* spawned, nobody listens */
        wp_query_release(q);
    } else {
        if (WP_UNLIKELY(q->sent)) /* the reply has gone, message by message */
            q->out_len = 0;
        else
            wp_query_finish(q);
        q->done(q);
    }
}

/* Everything has ended. Whoever is told may still use what belongs to the generation (a plugin
 * that looked something up behind the client's back is one), and may give the query back: the
 * generation goes last, by its own name. */
static void complete(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);
    struct wp_gen *gen = p->gen;
    int worker = q->worker;

    q->waiting = false;
    p->gen = NULL;
    if (p->counted) {
        p->counted = false;
        p->worker->n_waiting--;
        wp_task_cancel(q->loop, &p->task);
    }
    tell_who_asked(q);
    if (gen != NULL)
        wp_gen_release(gen, worker);
}

void wp_query_resume(struct wp_query *q, int step)
{
    unsigned at = q->at;
    int r;

    q->waiting = false;
    if (WP_UNLIKELY(q->explain != NULL))
        wp_explain_resumed(q, step);
    if (step < 0)
        wp_query_fail(q, WP_RCODE_SERVFAIL, step, NULL);
    if (q->cancelled && step == WP_STEP_NEXT && !q->replying)
        step = wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ECANCELLED, "cancelled");
    if (q->replying) {
        r = run_replies(q, at);
    } else if (step == WP_STEP_NEXT) {
        r = wp_chain_run(q, at + 1);
    } else {
        q->writer = q->block->chain[at].plugin->name;
        r = run_replies(q, at);
    }
    if (WP_UNLIKELY(r == WP_STEP_AGAIN))
        r = wp_chain_run(q, q->at + 1u);
    if (r == WP_STEP_WAIT) {
        suspend(q);
        return;
    }
    complete(q);
}

/* A child's end may end its parent, which may be taken for another question at once: the
 * serial tells. */
void wp_query_cancel(struct wp_query *q)
{
    struct wp_pooled *p = wp_pooled_of(q);
    uint32_t serial = p->serial;
    const struct wp_node *n;

    if (q->cancelled)
        return;
    q->cancelled = true;
    if (p->first_child != NULL) {
        struct wp_query *c = p->first_child;

        while (c != NULL) {
            if (c->cancelled) {
                c = wp_pooled_of(c)->next_sibling;
                continue;
            }
            wp_query_cancel(c);
            if (p->serial != serial)
                return;
            c = p->first_child;
        }
        return;
    }
    if (!q->waiting || q->block == NULL)
        return;
    n = &q->block->chain[q->at];
    if (n->plugin->cancel != NULL)
        n->plugin->cancel(n->self, q);
}

int wp_query_fail(struct wp_query *q, uint16_t rcode, int err, const char *error, ...)
{
    q->reply.begun = false;
    q->reply.unwritten = true;
    q->reply.dropped = false;
    q->reply.rcode = rcode;
    q->reply.flags = 0;
    q->reply.len = 0;
    memset(q->reply.count, 0, sizeof(q->reply.count));
    q->reply.err = err;
    if (error != NULL) {
        va_list ap;
        char text[512];

        va_start(ap, error);
        vsnprintf(text, sizeof(text), error, ap);
        va_end(ap);
        q->reply.error = wp_arena_strdup(q->arena, text);
    } else {
        q->reply.error = err < 0 ? wp_strerror(err) : NULL;
    }
    return WP_STEP_DONE;
}

int wp_query_drop(struct wp_query *q)
{
    q->reply.begun = q->reply.unwritten = false;
    q->reply.dropped = true;
    q->reply.len = 0;
    return WP_STEP_DONE;
}

int wp_query_ask_as(struct wp_query *q, const uint8_t *question, uint16_t len)
{
    int r = len > 4 ? wp_qname_set(&q->msg.qname, question, len - 4u) : WP_EMALFORMED;

    if (r < 0)
        return r;
    q->msg.qtype = wp_be16(question + len - 4);
    q->msg.qclass = wp_be16(question + len - 2);
    q->question = question;
    q->question_len = len;
    return 0;
}

int wp_query_rename(struct wp_query *q, const uint8_t *name, uint16_t type, uint16_t cls)
{
    int len = wp_name_len(name, WP_NAME_MAX);
    uint8_t *question;

    if (len < 0)
        return len;
    question = wp_arena_alloc(q->arena, (size_t)len + 4);
    if (question == NULL)
        return -ENOMEM;
    memcpy(question, name, (size_t)len);
    wp_put16(question + len, type);
    wp_put16(question + len + 2, cls);
    return wp_query_ask_as(q, question, (uint16_t)(len + 4));
}

int wp_query_again(struct wp_query *q, const uint8_t *question, uint16_t len)
{
    int r = wp_query_ask_as(q, question, len);

    if (r < 0)
        return r;
    q->reply = (struct wp_reply){.buf = q->reply.buf, .cap = q->reply.cap};
    q->n_deps = 0;
    q->cacheable = true;
    q->writer = NULL;
    q->replying = false;
    wp_query_want_reply(q);
    return WP_STEP_AGAIN;
}

/* --- internal look-ups ------------------------------------------------------------------- */

/* A query of the same client for another question, not yet run. */
static struct wp_query *derive(const struct wp_query *from, const uint8_t *name, uint16_t type,
                               uint16_t cls)
{
    struct wp_worker *w = wp_loop_user(from->loop);
    struct wp_query *c = wp_query_get(w);

    if (c == NULL)
        return NULL;
    c->wire = from->wire;
    c->wire_len = from->wire_len;
    c->transport = from->transport;
    c->stream = true; /* nothing is cut on the way to the asker */
    c->client = from->client;
    c->local = from->local;
    c->peer = from->peer;
    c->tls_server_name = from->tls_server_name;
    c->tls_peer = from->tls_peer;
    c->route = from->route;
    c->start_ns = from->start_ns;
    c->deadline_ns = from->deadline_ns;
    c->explain = from->explain;
    c->intake = WP_INTAKE_OK;
    c->msg.id = from->msg.id;
    c->msg.flags = from->msg.flags;
    c->msg.tsig_at = 0;
    c->msg.tsig_misplaced = false;
    c->msg.edns = from->msg.edns;
    c->had_opt = from->had_opt;
    c->had_do = from->had_do;
    c->had_size = from->had_size;
    if (wp_query_rename(c, name, type, cls) < 0) {
        wp_query_put(c);
        return NULL;
    }
    return c;
}

int wp_query_lookup(struct wp_query *parent, const uint8_t *name, uint16_t type, wp_lookup_fn *fn,
                    void *arg, struct wp_query **ret_child)
{
    struct wp_query *c;

    if (parent->depth >= WP_LOOKUP_DEPTH)
        return WP_ELIMIT;
    c = derive(parent, name, type, WP_CLASS_IN);
    if (c == NULL)
        return -ENOMEM;
    c->depth = (uint8_t)(parent->depth + 1);
    c->parent = parent;
    wp_pooled_of(c)->next_sibling = wp_pooled_of(parent)->first_child;
    wp_pooled_of(parent)->first_child = c;
    if (route_and_run(c) == WP_STEP_WAIT) {
        wp_pooled_of(c)->lookup_fn = fn;
        wp_pooled_of(c)->lookup_arg = arg;
        *ret_child = c;
        return suspend(c);
    }
    wp_reply_settle(c);
    *ret_child = c;
    return WP_STEP_DONE;
}

/* What a child's answer was made from, ours was made from too. */
static void inherit_deps(struct wp_query *q, const struct wp_query *child)
{
    if (!child->cacheable || child->n_deps > WP_QUERY_DEPS - q->n_deps) {
        q->cacheable = false;
        return;
    }
    for (unsigned i = 0; i < child->n_deps; i++)
        q->deps[q->n_deps++] = child->deps[i];
}

void wp_query_release(struct wp_query *child)
{
    struct wp_query *parent;

    if (child == NULL)
        return;
    parent = child->parent;
    if (parent != NULL) {
        struct wp_query **at = &wp_pooled_of(parent)->first_child;

        while (*at != NULL && *at != child)
            at = &wp_pooled_of(*at)->next_sibling;
        if (*at == child)
            *at = wp_pooled_of(child)->next_sibling;
        inherit_deps(parent, child);
    }
    wp_query_put(child);
}

static void run_spawned(struct wp_task *task)
{
    struct wp_pooled *p = (struct wp_pooled *)((char *)task - offsetof(struct wp_pooled, task));
    struct wp_query *q = &p->q;

    if (wp_chain_run(q, (unsigned)q->at + 1) == WP_STEP_WAIT)
        suspend(q);
    else
        complete(q);
}

int wp_query_spawn(const struct wp_query *from, wp_lookup_fn *fn, void *arg)
{
    struct wp_query *c = derive(from, from->question, from->msg.qtype, from->msg.qclass);
    struct wp_pooled *p = c != NULL ? wp_pooled_of(c) : NULL;

    if (c == NULL)
        return -ENOMEM;
    /* The client's memory will be gone: options are not carried over. */
    c->wire = NULL;
    c->wire_len = 0;
    c->explain = NULL; /* it may outlive the question that it is a by-product of */
    c->msg.edns.options = NULL;
    c->msg.edns.options_len = 0;
    c->tls_server_name = NULL;
    c->tls_peer = NULL;
    c->transport = WP_TCP;
    c->client = c->peer = (struct wp_addr){0};
    c->start_ns = wp_loop_now(c->loop);
    c->deadline_ns = 0;
    c->block = from->block;
    c->zone = from->zone;
    c->at = from->at;
    p->lookup_fn = fn;
    p->lookup_arg = arg;
    if (c->route->gen != NULL) {
        p->gen = c->route->gen;
        wp_gen_hold(p->gen, c->worker);
    }
    p->task.fn = run_spawned;
    wp_loop_defer(c->loop, &p->task);
    return 0;
}
