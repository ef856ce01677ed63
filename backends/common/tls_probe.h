/* Why a server that should speak gRPC cannot be talked to, in words: gRPC's own client only says
 * that a handshake failed, or that the connection ended. One connection is made and looked at. */
#pragma once
#include <stdbool.h>
#include <sys/socket.h>
#include "waypost/base/err.h"

struct wp_tls_ctx;

struct wp_tls_probe {
    struct sockaddr_storage addr;
    socklen_t addr_len;
    const char *name;       /* what the certificate must name: a host, or an address */
    struct wp_tls_ctx *ctx; /* as for the calls; NULL: without TLS */
    bool has_cert;          /* the context has a certificate of ours */
    int cancel; /* a descriptor: readable when nobody wants to know any more; -1: none */
};
enum { WP_TLS_PROBE_MS = 3000, WP_TLS_PROBE_WHY = 160 };

/* Blocks, no longer than WP_TLS_PROBE_MS. 0 with the reason in `why`; WP_ENOTFOUND: nothing is
 * wrong that could be seen here. Any thread but an engine's or a worker's. */
int wp_tls_probe(const struct wp_tls_probe *p, char why[WP_TLS_PROBE_WHY]) WP_MUSTCHECK;
