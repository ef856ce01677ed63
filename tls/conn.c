/* Connections: the part that is the same for every library. */
#include <stdlib.h>
#include <string.h>

#include "tls/tls_priv.h"

void wp_tls_conn_free(struct wp_tls_conn *c)
{
    if (c == NULL)
        return;
    c->material->provider->conn_free(c);
    wp_tls_material_unref(c->material);
    wp_octets_clear(&c->in);
    wp_octets_clear(&c->out);
    free(c->asked);
    free(c);
}

int wp_tls_feed(struct wp_tls_conn *c, const void *data, size_t len)
{
    return wp_octets_append(&c->in, data, len);
}

const uint8_t *wp_tls_pending(struct wp_tls_conn *c, size_t *ret_len)
{
    *ret_len = c->out.len;
    return wp_octets_view(&c->out);
}

void wp_tls_sent(struct wp_tls_conn *c, size_t len)
{
    wp_octets_drop(&c->out, len);
}

int wp_tls_handshake(struct wp_tls_conn *c)
{
    int r;

    if (c->ready)
        return 1;
    r = c->material->provider->handshake(c);
    if (r > 0)
        c->ready = true;
    return r;
}

int wp_tls_read(struct wp_tls_conn *c, void *buf, size_t len)
{
    return c->material->provider->read(c, buf, len);
}

int wp_tls_write(struct wp_tls_conn *c, const void *buf, size_t len)
{
    return len == 0 ? 0 : c->material->provider->write(c, buf, len);
}

void wp_tls_close(struct wp_tls_conn *c)
{
    c->material->provider->close(c);
}

bool wp_tls_is_ready(const struct wp_tls_conn *c)
{
    return c->ready;
}

bool wp_tls_is_resumed(const struct wp_tls_conn *c)
{
    return c->material->provider->is_resumed(c);
}

const char *wp_tls_alpn(const struct wp_tls_conn *c)
{
    return c->material->provider->alpn((struct wp_tls_conn *)c);
}

const char *wp_tls_server_name(const struct wp_tls_conn *c)
{
    return c->material->provider->server_name(c);
}

const char *wp_tls_error(const struct wp_tls_conn *c)
{
    return c->error;
}

struct wp_peer *wp_tls_peer(const struct wp_tls_conn *c)
{
    return c->material->provider->peer(c);
}
