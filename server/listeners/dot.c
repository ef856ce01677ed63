/* DNS over TLS (RFC 7858): TCP's protocol inside TLS. A `tls://` block without certificates
 * speaks plain DNS over TCP, as in CoreDNS. */
#include "server/listeners/conn_priv.h"
#include "server/listeners/tcp_priv.h"

static int dot_open(struct wp_worker *w, struct wp_group *g, int fd, struct wp_listener **ret)
{
    return wp_stream_open(w, g, fd, &wp_listener_dot, &wp_dns_dot, ret);
}

const struct wp_listener_ops wp_listener_dot = {
    .name = "dot",
    .transport = WP_DOT,
    .open = dot_open,
    .swap = wp_stream_swap,
    .drain = wp_stream_drain,
    .close = wp_stream_close,
};
