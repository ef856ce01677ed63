/* Calls and streams, and how they end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/support/alloc.h>

#include "backends/common/grpc_client_priv.h"

struct outgoing {
    struct outgoing *next;
    grpc_byte_buffer *buffer;
};

/* A unary call has one batch and uses `status_tag`. A stream has three kinds: the status, which
 * comes last; sends, one at a time; receives, re-armed after each message. It is freed when
 * none is under way. */
struct wp_grpc_call {
    struct wp_grpc_tag status_tag, send_tag, receive_tag;
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
    c->core = grpc_channel_create_call(ch->core, NULL, GRPC_PROPAGATE_DEFAULTS,
                                       wp_grpc_engine_queue(), name, NULL, deadline, NULL);
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

static bool start(struct wp_grpc_call *c, const grpc_op *ops, size_t n, struct wp_grpc_tag *tag)
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

static void unary_done(struct wp_grpc_tag *t, bool ok)
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

struct wp_grpc_call *wp_grpc_call_unary(struct wp_grpc_channel *ch, const char *method,
                                        const struct wp_grpc_header *headers, size_t n_headers,
                                        const void *request, size_t len, unsigned timeout_ms,
                                        wp_grpc_done_fn *fn, void *arg)
{
    struct wp_grpc_call *c =
        call_new(ch, method, headers, n_headers, wp_grpc_in((uint64_t)timeout_ms * 1000000u));
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

static void sent(struct wp_grpc_tag *t, bool ok)
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

static void received(struct wp_grpc_tag *t, bool ok)
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

static void stream_over(struct wp_grpc_tag *t, bool ok)
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

struct wp_grpc_call *wp_grpc_call_stream(struct wp_grpc_channel *ch, const char *method,
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

int wp_grpc_call_send(struct wp_grpc_call *c, const void *message, size_t len)
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

void wp_grpc_call_drop(struct wp_grpc_call *c)
{
    if (c == NULL)
        return;
    c->dropped = true;
    grpc_call_cancel(c->core, NULL);
    /* something is always under way until the end was told: the completions free it */
}
