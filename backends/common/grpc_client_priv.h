/* The module around gRPC C core: grpc_client_engine.c is its thread, grpc_client_call.c calls on
 * it, grpc_client.c channels and the table of what others see. It needs nothing of the program that
 * opens it. */
#pragma once
#include <grpc/grpc.h>
#include <grpc/support/time.h>
#include "backends/common/grpc_client.h"

/* What a completion belongs to. */
struct wp_grpc_tag {
    void (*fn)(struct wp_grpc_tag *t, bool ok);
};

struct wp_grpc_channel {
    struct wp_grpc_tag parted;
    grpc_channel *core;
    int connect_timeout_ms;
    struct wp_grpc_channel *next; /* of those that are parted with */
};

/* --- grpc_client_engine.c ------------------------------------------------------------------ */
int wp_grpc_engine_acquire(void);
void wp_grpc_engine_release(void);
void wp_grpc_engine_post(struct wp_grpc_post *post);
grpc_completion_queue *wp_grpc_engine_queue(void); /* its tags are struct wp_grpc_tag */
gpr_timespec wp_grpc_in(uint64_t ns);
void wp_grpc_timer_set(struct wp_grpc_timer *t, uint64_t due_ns);
void wp_grpc_timer_cancel(struct wp_grpc_timer *t);

/* --- grpc_client.c ------------------------------------------------------------------------- */
/* The engine stops: channels that still connect are not waited for. */
void wp_grpc_channels_end(void);

/* --- grpc_client_call.c -------------------------------------------------------------------- */
struct wp_grpc_call *wp_grpc_call_unary(struct wp_grpc_channel *ch, const char *method,
                                        const struct wp_grpc_header *headers, size_t n_headers,
                                        const void *request, size_t len, unsigned timeout_ms,
                                        wp_grpc_done_fn *fn, void *arg);
struct wp_grpc_call *wp_grpc_call_stream(struct wp_grpc_channel *ch, const char *method,
                                         const struct wp_grpc_header *headers, size_t n_headers,
                                         const struct wp_grpc_stream_ops *ops, void *arg);
int wp_grpc_call_send(struct wp_grpc_call *c, const void *message, size_t len);
void wp_grpc_call_drop(struct wp_grpc_call *c);
