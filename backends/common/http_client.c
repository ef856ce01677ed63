#include "backends/common/http_client_priv.h"

extern const struct wp_httpc_ops wp_httpc_client_ops;
__attribute__((visibility("default"))) const struct wp_httpc_ops wp_httpc_client_ops = {
    .version = WP_HTTPC_VERSION,
    .acquire = wp_httpc_engine_acquire,
    .release = wp_httpc_engine_release,
    .post = wp_httpc_engine_post,
    .now = wp_engine_now,
    .timer_set = wp_httpc_timer_set,
    .timer_cancel = wp_httpc_timer_cancel,
    .start = wp_httpc_call_start,
    .resume = wp_httpc_call_resume,
    .header = wp_httpc_call_header,
    .drop = wp_httpc_call_drop,
};
