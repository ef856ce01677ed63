#include "backends/common/http_client_priv.h"

extern const struct wp_http_ops wp_http_client_ops;
__attribute__((visibility("default"))) const struct wp_http_ops wp_http_client_ops = {
    .version = WP_HTTP_VERSION,
    .acquire = wp_http_engine_acquire,
    .release = wp_http_engine_release,
    .post = wp_http_engine_post,
    .now = wp_engine_now,
    .timer_set = wp_http_timer_set,
    .timer_cancel = wp_http_timer_cancel,
    .start = wp_http_call_start,
    .resume = wp_http_call_resume,
    .header = wp_http_call_header,
    .drop = wp_http_call_drop,
};
