#include <stdlib.h>

#include <grpc/grpc_security.h>

#include "backends/common/grpc_client_priv.h"

enum {
    RETRY_MS = 50, /* of C core's own attempts: callers make a new channel for each of theirs */
    PARTING_MS = 1000,
};

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
    *ch = (struct wp_grpc_channel){.connect_timeout_ms = c->connect_timeout_ms};
    ch->core = grpc_channel_create(c->target, creds, &all);
    grpc_channel_credentials_release(creds);
    return ch;
}

/* A channel that is destroyed while it connects leaks the connection that comes of it (C core
 * 1.51): so it is kept until it has one, or has failed to. */
static struct wp_grpc_channel *parting; /* the engine thread's */

static void parted(struct wp_grpc_tag *t, bool ok)
{
    struct wp_grpc_channel *c = (struct wp_grpc_channel *)(void *)t; /* its first member */
    struct wp_grpc_channel **at = &parting;

    (void)ok;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    if (c->core != NULL)
        grpc_channel_destroy(c->core);
    free(c);
}

static void channel_free(struct wp_grpc_channel *c)
{
    if (c == NULL)
        return;
    if (grpc_channel_check_connectivity_state(c->core, 0) != GRPC_CHANNEL_CONNECTING) {
        grpc_channel_destroy(c->core);
        free(c);
        return;
    }
    c->next = parting;
    parting = c;
    c->parted.fn = parted;
    grpc_channel_watch_connectivity_state(
        c->core, GRPC_CHANNEL_CONNECTING,
        wp_grpc_in(((uint64_t)c->connect_timeout_ms + PARTING_MS) * 1000000u),
        wp_grpc_engine_queue(), &c->parted);
}

void wp_grpc_channels_end(void)
{
    for (struct wp_grpc_channel *c = parting; c != NULL; c = c->next) {
        grpc_channel_destroy(c->core);
        c->core = NULL;
    }
}

extern const struct wp_grpc_ops wp_grpc_client_ops;
__attribute__((visibility("default"))) const struct wp_grpc_ops wp_grpc_client_ops = {
    .version = WP_GRPC_VERSION,
    .acquire = wp_grpc_engine_acquire,
    .release = wp_grpc_engine_release,
    .post = wp_grpc_engine_post,
    .now = wp_engine_now,
    .timer_set = wp_grpc_timer_set,
    .timer_cancel = wp_grpc_timer_cancel,
    .channel_new = channel_new,
    .channel_free = channel_free,
    .unary = wp_grpc_call_unary,
    .stream = wp_grpc_call_stream,
    .send = wp_grpc_call_send,
    .drop = wp_grpc_call_drop,
};
