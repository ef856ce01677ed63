/* The module around gRPC C core: engine, channels, calls. It needs nothing of the program that
 * opens it. */
#include "backends/common/grpc_client.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

enum {
    END_WAIT_MS = 1000,
    END_STEP_MS = 2,
    RETRY_MS = 50, /* of C core's own attempts: callers make a new channel for each of theirs */
};

/* What a completion belongs to. */
struct tag {
    void (*fn)(struct tag *t, bool ok);
};

struct wp_grpc_channel {
    grpc_channel *core;
};

/* --- the engine ------------------------------------------------------------------------------ */

static struct {
    pthread_mutex_t lock;
    unsigned users; /* by lock */
    pthread_t thread;
    grpc_completion_queue *cq;
    grpc_channel *nowhere; /* a call that goes nowhere: an empty batch on it wakes the thread */
    grpc_call *waker;
    struct tag wake;
    atomic_bool waking;                   /* the batch is started: whoever posts next need not */
    _Atomic(struct wp_grpc_post *) posts; /* newest first */
    struct wp_grpc_timer *timers;         /* soonest first; the engine thread's */
    bool stopping;                        /* the engine thread's */
    struct wp_grpc_post stop;
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static gpr_timespec in_ns(uint64_t ns)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_nanos((int64_t)ns, GPR_TIMESPAN));
}

static void engine_post(struct wp_grpc_post *post)
{
    post->next = atomic_load_explicit(&engine.posts, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&engine.posts, &post->next, post,
                                                  memory_order_release, memory_order_relaxed))
        ;
    if (!atomic_exchange(&engine.waking, true))
        grpc_call_start_batch(engine.waker, NULL, 0, &engine.wake, NULL);
}

static void run_posts(struct tag *t, bool ok)
{
    struct wp_grpc_post *post, *oldest = NULL;

    (void)t;
    (void)ok;
    atomic_store(&engine.waking, false); /* before the list is taken: a later post wakes again */
    post = atomic_exchange_explicit(&engine.posts, NULL, memory_order_acquire);
    while (post != NULL) {
        struct wp_grpc_post *next = post->next;
        post->next = oldest;
        oldest = post;
        post = next;
    }
    while (oldest != NULL) {
        struct wp_grpc_post *next = oldest->next;
        oldest->fn(oldest);
        oldest = next;
    }
}

static void timer_cancel(struct wp_grpc_timer *t)
{
    struct wp_grpc_timer **p = &engine.timers;

    if (!t->is_set)
        return;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->is_set = false;
}

static void timer_set(struct wp_grpc_timer *t, uint64_t due_ns)
{
    struct wp_grpc_timer **p = &engine.timers;

    timer_cancel(t);
    while (*p != NULL && (*p)->due_ns <= due_ns)
        p = &(*p)->next;
    t->next = *p;
    t->due_ns = due_ns;
    t->is_set = true;
    *p = t;
}

static void run_timers(void)
{
    uint64_t now = now_ns();

    while (engine.timers != NULL && engine.timers->due_ns <= now) {
        struct wp_grpc_timer *t = engine.timers;
        engine.timers = t->next;
        t->is_set = false;
        t->fn(t);
    }
}

static gpr_timespec next_deadline(void)
{
    uint64_t now;

    if (engine.timers == NULL)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    now = now_ns();
    return in_ns(engine.timers->due_ns > now ? engine.timers->due_ns - now : 0);
}

static void *engine_run(void *arg)
{
    (void)arg;
    pthread_setname_np(pthread_self(), "wp-grpc");
    for (;;) {
        grpc_event e = grpc_completion_queue_next(engine.cq, next_deadline(), NULL);
        if (e.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (e.type == GRPC_OP_COMPLETE)
            ((struct tag *)e.tag)->fn(e.tag, e.success != 0);
        if (!engine.stopping)
            run_timers();
    }
}

static void stop_engine(struct wp_grpc_post *post)
{
    (void)post;
    engine.stopping = true;
    grpc_completion_queue_shutdown(engine.cq);
}

/* C core starts threads of its own: none of them may take the program's signals. Names are for the
 * host's resolver (getaddrinfo): the other one, c-ares, leaks a name for each channel. */
static int start_engine(void)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    setenv("GRPC_DNS_RESOLVER", "native", 0);
    grpc_init();
    engine.cq = grpc_completion_queue_create_for_next(NULL);
    engine.nowhere = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "");
    engine.waker = grpc_channel_create_call(engine.nowhere, NULL, GRPC_PROPAGATE_DEFAULTS,
                                            engine.cq, grpc_slice_from_static_string("/wake"), NULL,
                                            gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    engine.wake.fn = run_posts;
    engine.stopping = false;
    r = pthread_create(&engine.thread, NULL, engine_run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

/* A connection that failed leaves a timer behind that keeps the library alive beyond its "blocking"
 * shutdown; its threads would then end while the process does. The timer is short, see channel_new.
 */
static void wait_for_the_end(void)
{
    struct timespec step = {.tv_nsec = END_STEP_MS * 1000000};

    for (int i = 0; i < END_WAIT_MS / END_STEP_MS && grpc_is_initialized(); i++)
        nanosleep(&step, NULL);
}

static void end_engine(bool started)
{
    if (started) {
        engine.stop.fn = stop_engine;
        engine_post(&engine.stop);
        pthread_join(engine.thread, NULL);
    } else {
        grpc_completion_queue_shutdown(engine.cq);
        while (
            grpc_completion_queue_next(engine.cq, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
            GRPC_QUEUE_SHUTDOWN)
            ;
    }
    grpc_call_unref(engine.waker);
    grpc_channel_destroy(engine.nowhere);
    grpc_completion_queue_destroy(engine.cq);
    grpc_shutdown_blocking();
    wait_for_the_end();
}

static int engine_acquire(void)
{
    int r = 0;

    pthread_mutex_lock(&engine.lock);
    if (engine.users == 0)
        r = start_engine();
    if (r == 0)
        engine.users++;
    else
        end_engine(false);
    pthread_mutex_unlock(&engine.lock);
    return r;
}

static void engine_release(void)
{
    pthread_mutex_lock(&engine.lock);
    if (--engine.users == 0)
        end_engine(true);
    pthread_mutex_unlock(&engine.lock);
}

/* --- channels -------------------------------------------------------------------------------- */

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){
        .type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)key, .value.integer = value};
}

static grpc_channel_credentials *credentials_of(const struct wp_grpc_channel_config *c)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = c->key_pem, .cert_chain = c->cert_pem};

    if (!c->tls)
        return grpc_insecure_credentials_create();
    return grpc_ssl_credentials_create_ex(c->ca_pem, c->cert_pem != NULL ? &pair : NULL, NULL,
                                          NULL);
}

static struct wp_grpc_channel *channel_new(const struct wp_grpc_channel_config *c)
{
    grpc_arg args[] = {
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, c->keepalive_ms),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, c->keepalive_timeout_ms),
        int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0),
        int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, c->connect_timeout_ms),
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RETRY_MS),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RETRY_MS),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)c->max_receive),
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0), /* not by way of the environment */
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0),
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* a connection of its own */
    };
    grpc_channel_args all = {.num_args = sizeof(args) / sizeof(args[0]), .args = args};
    grpc_channel_credentials *creds = credentials_of(c);
    struct wp_grpc_channel *ch = malloc(sizeof(*ch));

    if (creds == NULL || ch == NULL) {
        free(ch);
        if (creds != NULL)
            grpc_channel_credentials_release(creds);
        return NULL;
    }
    ch->core = grpc_channel_create(c->target, creds, &all);
    grpc_channel_credentials_release(creds);
    return ch;
}

static void channel_free(struct wp_grpc_channel *c)
{
    if (c == NULL)
        return;
    grpc_channel_destroy(c->core);
    free(c);
}

/* --- calls ----------------------------------------------------------------------------------- */

struct outgoing {
    struct outgoing *next;
    grpc_byte_buffer *buffer;
};

/* A unary call has one batch and uses `status_tag`. A stream has three kinds: the status, which
 * comes last; sends, one at a time; receives, re-armed after each message. It is freed when
 * none is under way. */
struct wp_grpc_call {
    struct tag status_tag, send_tag, receive_tag;
    grpc_call *core;
    unsigned under_way;
    bool dropped, over;
    void *arg;
    wp_grpc_done_fn *done;
    const struct wp_grpc_stream_ops *ops; /* NULL: unary */
    grpc_metadata *headers;
    size_t n_headers;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice details;
    grpc_byte_buffer *received;
    struct outgoing *out, **last_out; /* the first is being sent when `sending` */
    bool sending, begun;
};

static grpc_byte_buffer *buffer_of(const void *p, size_t len)
{
    grpc_slice s = grpc_slice_from_copied_buffer(p, len);
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&s, 1);

    grpc_slice_unref(s);
    return b;
}

static void free_outgoing(struct wp_grpc_call *c)
{
    struct outgoing *o = c->out;

    c->out = o->next;
    if (c->out == NULL)
        c->last_out = &c->out;
    grpc_byte_buffer_destroy(o->buffer);
    free(o);
}

static void call_free(struct wp_grpc_call *c)
{
    while (c->out != NULL)
        free_outgoing(c);
    for (size_t i = 0; i < c->n_headers; i++) {
        grpc_slice_unref(c->headers[i].key);
        grpc_slice_unref(c->headers[i].value);
    }
    free(c->headers);
    grpc_metadata_array_destroy(&c->initial);
    grpc_metadata_array_destroy(&c->trailing);
    grpc_slice_unref(c->details);
    if (c->received != NULL)
        grpc_byte_buffer_destroy(c->received);
    if (c->core != NULL)
        grpc_call_unref(c->core);
    free(c);
}

static bool set_headers(struct wp_grpc_call *c, const struct wp_grpc_header *headers, size_t n)
{
    c->headers = calloc(n + 1, sizeof(*c->headers));
    if (c->headers == NULL)
        return false;
    for (; c->n_headers < n; c->n_headers++) {
        c->headers[c->n_headers].key = grpc_slice_from_copied_string(headers[c->n_headers].key);
        c->headers[c->n_headers].value = grpc_slice_from_copied_string(headers[c->n_headers].value);
    }
    return true;
}

static struct wp_grpc_call *call_new(struct wp_grpc_channel *ch, const char *method,
                                     const struct wp_grpc_header *headers, size_t n,
                                     gpr_timespec deadline)
{
    struct wp_grpc_call *c = calloc(1, sizeof(*c));
    grpc_slice name;

    if (c == NULL)
        return NULL;
    grpc_metadata_array_init(&c->initial);
    grpc_metadata_array_init(&c->trailing);
    c->details = grpc_empty_slice();
    c->last_out = &c->out;
    if (!set_headers(c, headers, n)) {
        call_free(c);
        return NULL;
    }
    name = grpc_slice_from_copied_string(method);
    c->core = grpc_channel_create_call(ch->core, NULL, GRPC_PROPAGATE_DEFAULTS, engine.cq, name,
                                       NULL, deadline, NULL);
    grpc_slice_unref(name);
    return c;
}

static grpc_op send_headers_op(struct wp_grpc_call *c)
{
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};

    op.data.send_initial_metadata.count = c->n_headers;
    op.data.send_initial_metadata.metadata = c->headers;
    return op;
}

static grpc_op status_op(struct wp_grpc_call *c)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};

    op.data.recv_status_on_client.trailing_metadata = &c->trailing;
    op.data.recv_status_on_client.status = &c->status;
    op.data.recv_status_on_client.status_details = &c->details;
    return op;
}

static bool start(struct wp_grpc_call *c, const grpc_op *ops, size_t n, struct tag *tag)
{
    if (grpc_call_start_batch(c->core, ops, n, tag, NULL) != GRPC_CALL_OK)
        return false;
    c->under_way++;
    return true;
}

/* The last completion of a call that nobody waits for any more frees it. */
static void completed(struct wp_grpc_call *c)
{
    c->under_way--;
    if (c->under_way == 0 && (c->dropped || c->over))
        call_free(c);
}

/* The status text, NUL-terminated, in a buffer of its own. */
static char *details_text(struct wp_grpc_call *c)
{
    return grpc_slice_to_c_string(c->details);
}

static void unary_done(struct tag *t, bool ok)
{
    struct wp_grpc_call *c = (struct wp_grpc_call *)(void *)t; /* its first member */
    char *text = details_text(c);

    (void)ok;
    if (!c->dropped) {
        grpc_byte_buffer_reader reader;
        grpc_slice all = grpc_empty_slice();
        int status = (int)c->status;
        bool has = false;
        c->over = true;
        if (status == GRPC_STATUS_OK && c->received != NULL &&
            grpc_byte_buffer_reader_init(&reader, c->received)) {
            all = grpc_byte_buffer_reader_readall(&reader);
            grpc_byte_buffer_reader_destroy(&reader);
            has = true;
        }
        if (status == GRPC_STATUS_OK && !has)
            status = GRPC_STATUS_INTERNAL;
        c->done(c->arg, status, text, has ? GRPC_SLICE_START_PTR(all) : NULL,
                GRPC_SLICE_LENGTH(all));
        grpc_slice_unref(all);
    }
    gpr_free(text);
    completed(c);
}

static struct wp_grpc_call *call_unary(struct wp_grpc_channel *ch, const char *method,
                                       const struct wp_grpc_header *headers, size_t n_headers,
                                       const void *request, size_t len, unsigned timeout_ms,
                                       wp_grpc_done_fn *fn, void *arg)
{
    struct wp_grpc_call *c =
        call_new(ch, method, headers, n_headers, in_ns((uint64_t)timeout_ms * 1000000u));
    struct outgoing *o = malloc(sizeof(*o));
    grpc_op ops[6] = {{.op = GRPC_OP_SEND_MESSAGE}};

    if (c == NULL || o == NULL) {
        free(o);
        if (c != NULL)
            call_free(c);
        return NULL;
    }
    *o = (struct outgoing){.buffer = buffer_of(request, len)};
    *c->last_out = o;
    c->last_out = &o->next;
    c->status_tag.fn = unary_done;
    c->done = fn;
    c->arg = arg;
    memset(ops, 0, sizeof(ops));
    ops[0] = send_headers_op(c);
    ops[1].op = GRPC_OP_SEND_MESSAGE;
    ops[1].data.send_message.send_message = o->buffer;
    ops[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT;
    ops[3].op = GRPC_OP_RECV_INITIAL_METADATA;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
    ops[4].op = GRPC_OP_RECV_MESSAGE;
    ops[4].data.recv_message.recv_message = &c->received;
    ops[5] = status_op(c);
    if (!start(c, ops, 6, &c->status_tag)) {
        call_free(c);
        return NULL;
    }
    return c;
}

static void send_next(struct wp_grpc_call *c)
{
    grpc_op ops[2];
    size_t n = 0;

    if (c->sending || c->out == NULL || c->dropped || c->over)
        return;
    memset(ops, 0, sizeof(ops));
    if (!c->begun)
        ops[n++] = send_headers_op(c);
    ops[n].op = GRPC_OP_SEND_MESSAGE;
    ops[n++].data.send_message.send_message = c->out->buffer;
    /* One that cannot start is an ended stream: its status is on the way. */
    c->sending = start(c, ops, n, &c->send_tag);
    c->begun |= c->sending;
}

static void sent(struct tag *t, bool ok)
{
    struct wp_grpc_call *c =
        (struct wp_grpc_call *)(void *)((char *)t - offsetof(struct wp_grpc_call, send_tag));

    c->sending = false;
    free_outgoing(c);
    if (ok)
        send_next(c);
    completed(c);
}

static void receive_next(struct wp_grpc_call *c, bool first)
{
    grpc_op ops[2];
    size_t n = 0;

    memset(ops, 0, sizeof(ops));
    if (first) {
        ops[n].op = GRPC_OP_RECV_INITIAL_METADATA;
        ops[n++].data.recv_initial_metadata.recv_initial_metadata = &c->initial;
    }
    ops[n].op = GRPC_OP_RECV_MESSAGE;
    ops[n++].data.recv_message.recv_message = &c->received;
    (void)start(c, ops, n, &c->receive_tag); /* as above */
}

static void received(struct tag *t, bool ok)
{
    struct wp_grpc_call *c =
        (struct wp_grpc_call *)(void *)((char *)t - offsetof(struct wp_grpc_call, receive_tag));
    grpc_byte_buffer *buffer = c->received;
    grpc_byte_buffer_reader reader;

    c->received = NULL;
    /* No message: the stream ends, which its status tells. */
    if (ok && buffer != NULL && !c->dropped && grpc_byte_buffer_reader_init(&reader, buffer)) {
        grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
        c->ops->message(c->arg, GRPC_SLICE_START_PTR(all), GRPC_SLICE_LENGTH(all));
        grpc_slice_unref(all);
        if (!c->dropped && !c->over)
            receive_next(c, false);
    }
    if (buffer != NULL)
        grpc_byte_buffer_destroy(buffer);
    completed(c);
}

static void stream_over(struct tag *t, bool ok)
{
    struct wp_grpc_call *c = (struct wp_grpc_call *)(void *)t;
    char *text = details_text(c);

    (void)ok;
    if (!c->dropped) {
        c->over = true;
        c->ops->end(c->arg, (int)c->status, text);
    }
    gpr_free(text);
    completed(c);
}

static struct wp_grpc_call *call_stream(struct wp_grpc_channel *ch, const char *method,
                                        const struct wp_grpc_header *headers, size_t n_headers,
                                        const struct wp_grpc_stream_ops *ops, void *arg)
{
    struct wp_grpc_call *c =
        call_new(ch, method, headers, n_headers, gpr_inf_future(GPR_CLOCK_MONOTONIC));
    grpc_op op;

    if (c == NULL)
        return NULL;
    c->ops = ops;
    c->arg = arg;
    c->status_tag.fn = stream_over;
    c->send_tag.fn = sent;
    c->receive_tag.fn = received;
    op = status_op(c);
    if (!start(c, &op, 1, &c->status_tag)) {
        call_free(c);
        return NULL;
    }
    receive_next(c, true);
    return c;
}

static int call_send(struct wp_grpc_call *c, const void *message, size_t len)
{
    struct outgoing *o = malloc(sizeof(*o));

    if (o == NULL)
        return -ENOMEM;
    *o = (struct outgoing){.buffer = buffer_of(message, len)};
    *c->last_out = o;
    c->last_out = &o->next;
    send_next(c);
    return 0;
}

static void call_drop(struct wp_grpc_call *c)
{
    if (c == NULL)
        return;
    c->dropped = true;
    grpc_call_cancel(c->core, NULL);
    /* something is always under way until the end was told: the completions free it */
}

extern const struct wp_grpc_ops wp_grpc_client_ops;
__attribute__((visibility("default"))) const struct wp_grpc_ops wp_grpc_client_ops = {
    .version = WP_GRPC_VERSION,
    .acquire = engine_acquire,
    .release = engine_release,
    .post = engine_post,
    .now = now_ns,
    .timer_set = timer_set,
    .timer_cancel = timer_cancel,
    .channel_new = channel_new,
    .channel_free = channel_free,
    .unary = call_unary,
    .stream = call_stream,
    .send = call_send,
    .drop = call_drop,
};
