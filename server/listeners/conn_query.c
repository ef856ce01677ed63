#include "server/listeners/conn_priv.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/query.h"
#include "waypost/server/worker.h"

void wp_conn_describe(const struct wp_conn *c, struct wp_query *q)
{
    q->stream = true;
    q->encrypted = c->encrypted;
    q->draining = c->draining;
    q->client = c->client;
    q->local = c->local;
    q->peer = c->peer;
    q->tls_server_name = c->server_name;
    q->tls_peer = c->tls_peer;
    q->proxy_tlv = c->proxy_tlv;
    q->proxy_tlv_len = c->proxy_tlv_len;
    q->route = wp_conn_group(c)->route;
    q->start_ns = wp_loop_now(c->worker->loop);
}
