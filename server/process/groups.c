/* Listen-address groups: the blocks that share one (scheme, address, port), the limits and the
 * TLS policy they must agree on (the Corefile rules 4.2 in the reference's words). */
#include <stdio.h>
#include <string.h>

#include "server/process/process_priv.h"
#include "waypost/server/guard.h"
#include "waypost/server/router.h"
#include "waypost/tls/tls.h"

enum {
    GROUPS_MAX = 4096,
    TCP_MAX_CONNECTIONS = 10000,
    HTTP_MAX_CONNECTIONS = 200,
    HTTPS_MAX_STREAMS = 250,
    GRPC_MAX_STREAMS = 256,
    PIPELINE = 100,
    HEADER_OCTETS = 16384,
    UDP_CAP = 1232, /* fits the IPv6 minimum MTU, so no fragments (RFC 9715) */
};
#define SECONDS(n) ((uint64_t)(n)*1000000000u)

static const char *alpn_of(enum wp_scheme s)
{
    switch (s) {
    case WP_SCHEME_TLS:
        return "dot";
    case WP_SCHEME_HTTPS:
        return "h2,http/1.1";
    case WP_SCHEME_GRPC:
        return "h2";
    default:
        return NULL;
    }
}

static bool binds(const struct wp_block *b, const char *host)
{
    if (b->set.n_bind == 0)
        return !b->set.bind_set && host[0] == '\0';
    for (unsigned i = 0; i < b->set.n_bind; i++) {
        if (strcmp(b->set.bind[i], host) == 0)
            return true;
    }
    return false;
}

bool wp_group_has_block(const struct wp_group *g, const struct wp_block *b)
{
    if (!binds(b, g->host))
        return false;
    for (unsigned i = 0; i < b->n_keys; i++) {
        if (b->keys[i].scheme == g->scheme && b->keys[i].port == g->port)
            return true;
    }
    return false;
}

static struct wp_group *group_for(struct wp_gen *gen, enum wp_scheme scheme, const char *host,
                                  uint16_t port)
{
    const char *open = strchr(host, ':') != NULL ? "[" : "", *close = open[0] ? "]" : "";
    struct wp_group *g;

    for (unsigned i = 0; i < gen->n_groups; i++) {
        g = &gen->groups[i];
        if (g->scheme == scheme && g->port == port && strcmp(g->host, host) == 0)
            return g;
    }
    if (gen->n_groups == GROUPS_MAX)
        return NULL;
    g = &gen->groups[gen->n_groups];
    *g = (struct wp_group){.scheme = scheme, .host = host, .port = port, .gen = gen};
    g->address = wp_arena_printf(&gen->arena, "%s%s%s:%u", open, host, close, port);
    g->label = wp_arena_printf(&gen->arena, "%s://%s", wp_scheme_text(scheme), g->address);
    if (g->address == NULL || g->label == NULL)
        return NULL;
    gen->n_groups++;
    return g;
}

static int collect(struct wp_gen *gen, struct wp_conf_report *report)
{
    unsigned most = 0;

    for (unsigned i = 0; i < gen->n_blocks; i++) {
        unsigned hosts = gen->blocks[i].set.n_bind > 0 ? gen->blocks[i].set.n_bind : 1;
        most += gen->blocks[i].n_keys * hosts;
    }
    if (most > GROUPS_MAX)
        most = GROUPS_MAX;
    gen->groups = wp_arena_array(&gen->arena, most + 1, sizeof(*gen->groups));
    if (gen->groups == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < gen->n_blocks; i++) {
        const struct wp_block *b = &gen->blocks[i];

        for (unsigned k = 0; k < b->n_keys; k++) {
            const struct wp_key *key = &b->keys[k];

            if (key->scheme == WP_SCHEME_UNIX)
                continue; /* accepted, creates no listener */
            if (wp_listeners_of(key->scheme) == NULL) {
                wp_conf_report_add(report, WP_CONF_PARSE, NULL, key->file, key->line,
                                   "%s:// listeners are not in this build of waypost",
                                   wp_scheme_text(key->scheme));
                continue;
            }
            for (unsigned h = 0; h == 0 || h < b->set.n_bind; h++) {
                const char *host = b->set.n_bind > 0 ? b->set.bind[h] : "";

                if (b->set.n_bind == 0 && b->set.bind_set)
                    break; /* everything excluded: no listener */
                if (group_for(gen, key->scheme, host, key->port) == NULL)
                    return wp_conf_report_add(report, WP_CONF_PLAIN, NULL, NULL, 0,
                                              "more than %d listen addresses", GROUPS_MAX);
            }
        }
    }
    return 0;
}

static int64_t or_default(int64_t v, int64_t deflt)
{
    return v == WP_UNSET ? deflt : v;
}

/* One value for the listener: the last block that says something. */
static void merge_limits(struct wp_group *g, const struct wp_settings *s)
{
    struct wp_limits *l = &g->limits;

    if (s->read_ns != WP_UNSET)
        l->read_ns = (uint64_t)s->read_ns;
    if (s->write_ns != WP_UNSET)
        l->write_ns = (uint64_t)s->write_ns;
    if (s->idle_ns != WP_UNSET)
        l->idle_ns = (uint64_t)s->idle_ns;
    if (s->max_tcp_queries != WP_UNSET)
        l->max_queries = s->max_tcp_queries;
    if (s->sockets != WP_UNSET)
        g->sockets = (unsigned)s->sockets;
    if (s->udp_cap != WP_UNSET && s->udp_cap > l->udp_cap)
        l->udp_cap = (uint16_t)s->udp_cap;
    if (s->tcp_max_connections != WP_UNSET && g->scheme <= WP_SCHEME_TLS)
        l->max_connections = (uint32_t)s->tcp_max_connections;
    if (s->tcp_max_per_client != WP_UNSET)
        l->max_per_client = (uint32_t)s->tcp_max_per_client;
    if (s->tcp_accept_rate != WP_UNSET)
        l->accept_rate = (uint32_t)s->tcp_accept_rate;
    if (s->tcp_pipeline != WP_UNSET)
        l->pipeline = (uint32_t)s->tcp_pipeline;
    if (s->proxy.set)
        g->proxy = s->proxy;
    g->debug |= s->debug;
}

static void default_limits(struct wp_group *g)
{
    g->limits = (struct wp_limits){
        .read_ns = SECONDS(3),
        .write_ns = SECONDS(5),
        .idle_ns = SECONDS(10),
        .handshake_ns = SECONDS(5),
        .max_connections =
            g->scheme <= WP_SCHEME_TLS ? TCP_MAX_CONNECTIONS : HTTP_MAX_CONNECTIONS,
        .max_streams = g->scheme == WP_SCHEME_GRPC ? GRPC_MAX_STREAMS : HTTPS_MAX_STREAMS,
        .pipeline = PIPELINE,
        .max_queries = -1,
        .header_octets = HEADER_OCTETS,
        .udp_cap = UDP_CAP,
    };
}

static int merge_streams(struct wp_group *g, const struct wp_settings *s, int64_t *seen,
                         struct wp_conf_report *report)
{
    if (g->scheme == WP_SCHEME_HTTPS) {
        g->limits.max_connections =
            (uint32_t)or_default(s->https_max_connections, g->limits.max_connections);
        if (s->https_max_streams == WP_UNSET)
            return 0;
        if (*seen != WP_UNSET && *seen != s->https_max_streams)
            return wp_conf_report_add(
                report, WP_CONF_PLAIN, NULL, NULL, 0,
                "conflicting max_streams values for shared HTTPS listener %s: %lld and %lld",
                g->label, (long long)*seen, (long long)s->https_max_streams);
        *seen = s->https_max_streams;
        g->limits.max_streams = *seen == 0 ? HTTPS_MAX_STREAMS : (uint32_t)*seen;
    } else if (g->scheme == WP_SCHEME_GRPC) {
        g->limits.max_connections =
            (uint32_t)or_default(s->grpc_max_connections, g->limits.max_connections);
        g->limits.max_streams =
            (uint32_t)or_default(s->grpc_max_streams, g->limits.max_streams);
    }
    return 0;
}

static bool same_cookies(const struct wp_cookie_settings *a, const struct wp_cookie_settings *b)
{
    return a->enforce == b->enforce && a->encrypted == b->encrypted &&
           a->n_secrets == b->n_secrets && memcmp(a->secret, b->secret, sizeof(a->secret)) == 0;
}

/* One answer for the listener: a message without a question has no zone. */
static int merge_cookie(struct wp_group *g, const struct wp_settings *s,
                        struct wp_conf_report *report)
{
    const struct wp_cookie_settings *c = &s->cookie;

    if (!c->set || (g->scheme != WP_SCHEME_DNS && !c->encrypted))
        return 0;
    if (g->cookie.set && !same_cookies(&g->cookie, c))
        return wp_conf_report_add(report, WP_CONF_PLAIN, NULL, NULL, 0,
                                  "conflicting cookie settings for shared listener %s", g->label);
    g->cookie = *c;
    if (c->n_secrets > 0 || wp_guard_cookie_is_ready())
        return 0;
    return wp_guard_cookie_rotate();
}

static int tls_of(const struct wp_group *g, const struct wp_block *b, struct wp_conf_report *report,
                  struct wp_tls_ctx **ret)
{
    const struct wp_tls_settings *t = &b->set.tls;
    struct wp_tls_server_config c = {
        .cert_file = t->cert,
        .key_file = t->key,
        .ca_file = t->ca,
        .client_auth = (enum wp_tls_auth)t->client_auth,
        .alpn = alpn_of(g->scheme),
        .keylog_file = t->keylog,
        .ocsp_file = t->ocsp,
        .tickets_file = t->tickets,
        .n_more = t->n_more,
        .strict_sni = t->strict_sni,
        .provider = t->provider,
    };
    struct wp_tls_pair more[WP_TLS_CERTIFICATES];
    char why[256];
    int r;

    _Static_assert((int)WP_TLS_CERTIFICATES <= (int)WP_TLS_MORE, "a context takes them all");
    *ret = NULL;
    if (!t->set)
        return 0;
    for (unsigned i = 0; i < t->n_more; i++)
        more[i] = (struct wp_tls_pair){t->more[i][0], t->more[i][1]};
    c.more = more;
    r = wp_tls_server_new(&c, why, ret);
    if (r < 0)
        return wp_conf_report_add(report, WP_CONF_PLAIN, "tls", b->file, b->line, "%s", why);
    return 0;
}

static const char *zone_in(const struct wp_group *g, const struct wp_block *b)
{
    for (unsigned i = 0; i < b->n_keys; i++) {
        if (b->keys[i].scheme == g->scheme && b->keys[i].port == g->port)
            return b->keys[i].text;
    }
    return "";
}

/* All blocks of a TLS listener must state the same policy; the first one's context is used. */
static int merge_tls(struct wp_group *g, const struct wp_block *const *blocks, unsigned n,
                     struct wp_conf_report *report)
{
    for (unsigned i = 0; i < n; i++) {
        struct wp_tls_ctx *ctx;
        const char *why;
        int r = tls_of(g, blocks[i], report, &ctx);

        if (r < 0)
            return r;
        if (i == 0) {
            g->tls = ctx;
            continue;
        }
        if ((ctx == NULL) != (g->tls == NULL))
            why = "TLS is configured for only one server block";
        else
            why = ctx != NULL ? wp_tls_ctx_differs(g->tls, ctx) : NULL;
        wp_tls_ctx_unref(ctx);
        if (why != NULL)
            return wp_conf_report_add(report, WP_CONF_PLAIN, NULL, NULL, 0,
                                      "conflicting TLS configuration for shared listener %s "
                                      "between zones \"%s\" and \"%s\": %s",
                                      g->label, zone_in(g, blocks[0]), zone_in(g, blocks[i]), why);
    }
    return 0;
}

static int complete(struct wp_gen *gen, struct wp_group *g, struct wp_conf_report *report)
{
    const struct wp_block **blocks = wp_arena_array(&gen->arena, gen->n_blocks, sizeof(*blocks));
    struct wp_route *route;
    int64_t streams = WP_UNSET;
    unsigned n = 0;
    int r = 0, e;

    if (blocks == NULL)
        return -ENOMEM;
    default_limits(g);
    for (unsigned i = 0; i < gen->n_blocks; i++) {
        const struct wp_block *b = &gen->blocks[i];

        if (!wp_group_has_block(g, b))
            continue;
        blocks[n++] = b;
        merge_limits(g, &b->set);
        e = merge_streams(g, &b->set, &streams, report);
        if (e == 0)
            e = merge_cookie(g, &b->set, report);
        if (e < 0)
            r = e;
    }
    g->limits.handshake_ns = g->limits.read_ns + SECONDS(2);
    if (g->scheme != WP_SCHEME_DNS) {
        e = merge_tls(g, blocks, n, report);
        if (e < 0)
            r = e;
    }
    if (r < 0)
        return r;
    g->counts = wp_guard_counts_for(g->label);
    r = wp_route_new(&gen->arena, g, blocks, n, &route);
    if (r < 0)
        return r;
    g->route = route;
    return 0;
}

int wp_groups_make(struct wp_gen *gen, struct wp_conf_report *report)
{
    int r = collect(gen, report);

    for (unsigned i = 0; r == 0 && i < gen->n_groups; i++) {
        int e = complete(gen, &gen->groups[i], report);

        if (e < 0 && e != WP_ECONFIG)
            r = e;
    }
    return r;
}
