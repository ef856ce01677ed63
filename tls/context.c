/* Contexts: policy, and the material that a refresh replaces under running connections. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/provider.h"
#include "tls/tls_priv.h"

/* --- policy -------------------------------------------------------------------------------- */

static void policy_done(struct wp_tls_policy *p)
{
    free(p->cert_file);
    free(p->key_file);
    free(p->ca_file);
    free(p->alpn);
    free(p->keylog_file);
    free(p->ocsp_file);
    free(p->tickets_file);
    for (unsigned i = 0; i < p->n_more; i++) {
        free(p->more[i][0]);
        free(p->more[i][1]);
    }
}

static int copy(const char *s, char **ret)
{
    if (s == NULL)
        return 0;
    *ret = strdup(s);
    return *ret == NULL ? -ENOMEM : 0;
}

/* --- material ------------------------------------------------------------------------------ */

/* All but the provider's part. */
static void material_done(struct wp_tls_material *m)
{
    wp_x509_free(m->x509);
    for (unsigned i = 0; i < m->n_pairs; i++)
        wp_tls_names_done(&m->names[i]);
    free(m->ocsp);
    explicit_bzero(m->tickets, sizeof(m->tickets));
    free(m);
}

void wp_tls_material_unref(struct wp_tls_material *m)
{
    if (m == NULL || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) > 1)
        return;
    m->provider->material_free(m);
    material_done(m);
}

static void files_of(const struct wp_tls_policy *p, struct wp_tls_files *ret)
{
    *ret = (struct wp_tls_files){
        .cert.path = p->cert_file,
        .key.path = p->key_file,
        .ca.path = p->ca_file,
        .ocsp.path = p->ocsp_file,
        .tickets.path = p->tickets_file,
        .n_more = p->n_more,
    };
    for (unsigned i = 0; i < p->n_more; i++) {
        ret->more[i].cert.path = p->more[i][0];
        ret->more[i].key.path = p->more[i][1];
    }
}

static const struct wp_tls_host host = {
    .ticket_newest = wp_tls_ticket_newest,
    .ticket_find = wp_tls_ticket_find,
    .peer_of = wp_tls_peer_of,
    .is_for_ip = wp_tls_is_for_ip,
};

static int material_new(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        char errbuf[WP_TLS_ERR_MAX], struct wp_tls_material **ret)
{
    struct wp_tls_material *m = calloc(1, sizeof(*m));
    int r;

    if (m == NULL) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "out of memory");
        return WP_ETLS;
    }
    m->provider = p->provider;
    m->host = &host;
    m->file_hash = f->hash;
    atomic_init(&m->refs, 1);
    r = wp_tls_alpn_read(p->alpn, m);
    if (r < 0)
        snprintf(errbuf, WP_TLS_ERR_MAX, "bad ALPN list \"%s\"", p->alpn);
    else
        r = wp_x509_load(p, f, m, errbuf);
    m->usual = wp_tls_pairs_usual(m);
    if (r == 0 && p->server)
        r = wp_tls_tickets_load(p, f, m, errbuf);
    if (r == 0)
        r = m->provider->material_new(p, f, m, errbuf);
    if (r < 0) {
        material_done(m);
        return WP_ETLS;
    }
    *ret = m;
    return 0;
}

/* --- contexts ------------------------------------------------------------------------------ */

static struct wp_tls_material *current(struct wp_tls_ctx *ctx)
{
    struct wp_tls_material *m;

    pthread_mutex_lock(&ctx->lock);
    m = ctx->material;
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&ctx->lock);
    return m;
}

/* Takes the policy's texts, also on failure. */
static int ctx_new(struct wp_tls_policy *p, const char *provider, int r,
                   char errbuf[WP_TLS_ERR_MAX], struct wp_tls_ctx **ret)
{
    struct wp_tls_ctx *ctx = r == 0 ? calloc(1, sizeof(*ctx)) : NULL;
    struct wp_tls_files files;

    if (ctx == NULL)
        snprintf(errbuf, WP_TLS_ERR_MAX, "out of memory");
    else
        p->provider = wp_tls_provider_find(provider, errbuf);
    if (ctx == NULL || p->provider == NULL) {
        policy_done(p);
        free(ctx);
        return WP_ETLS;
    }
    files_of(p, &files);
    r = wp_tls_files_read(&files, errbuf);
    if (r == 0)
        r = material_new(p, &files, errbuf, &ctx->material);
    wp_tls_files_done(&files);
    if (r < 0) {
        policy_done(p);
        free(ctx);
        return r;
    }
    ctx->policy = *p;
    atomic_init(&ctx->refs, 1);
    pthread_mutex_init(&ctx->lock, NULL);
    *ret = ctx;
    return 0;
}

int wp_tls_server_new(const struct wp_tls_server_config *c, char errbuf[WP_TLS_ERR_MAX],
                      struct wp_tls_ctx **ret)
{
    struct wp_tls_policy p = {
        .server = true, .client_auth = c->client_auth, .strict_sni = c->strict_sni};
    int r = c->n_more <= WP_TLS_MORE ? copy(c->cert_file, &p.cert_file) : WP_ELIMIT;

    if (r == 0)
        r = copy(c->key_file, &p.key_file);
    if (r == 0)
        r = copy(c->ca_file, &p.ca_file);
    if (r == 0)
        r = copy(c->alpn, &p.alpn);
    if (r == 0)
        r = copy(c->keylog_file, &p.keylog_file);
    if (r == 0)
        r = copy(c->ocsp_file, &p.ocsp_file);
    if (r == 0)
        r = copy(c->tickets_file, &p.tickets_file);
    for (unsigned i = 0; r == 0 && i < c->n_more; i++) {
        p.n_more = i + 1;
        r = copy(c->more[i].cert_file, &p.more[i][0]);
        if (r == 0)
            r = copy(c->more[i].key_file, &p.more[i][1]);
    }
    return ctx_new(&p, c->provider, r, errbuf, ret);
}

int wp_tls_client_new(const struct wp_tls_client_config *c, char errbuf[WP_TLS_ERR_MAX],
                      struct wp_tls_ctx **ret)
{
    struct wp_tls_policy p = {.insecure = c->insecure};
    int r = copy(c->cert_file, &p.cert_file);

    if (r == 0)
        r = copy(c->key_file, &p.key_file);
    if (r == 0)
        r = copy(c->ca_file, &p.ca_file);
    if (r == 0)
        r = copy(c->alpn, &p.alpn);
    return ctx_new(&p, c->provider, r, errbuf, ret);
}

struct wp_tls_ctx *wp_tls_ctx_ref(struct wp_tls_ctx *ctx)
{
    if (ctx != NULL)
        atomic_fetch_add_explicit(&ctx->refs, 1, memory_order_relaxed);
    return ctx;
}

void wp_tls_ctx_unref(struct wp_tls_ctx *ctx)
{
    if (ctx == NULL || atomic_fetch_sub_explicit(&ctx->refs, 1, memory_order_acq_rel) > 1)
        return;
    wp_tls_material_unref(ctx->material);
    policy_done(&ctx->policy);
    pthread_mutex_destroy(&ctx->lock);
    free(ctx);
}

/* --- refresh ------------------------------------------------------------------------------- */

static void take_over(struct wp_tls_ctx *ctx, struct wp_tls_material *m)
{
    struct wp_tls_material *old;

    pthread_mutex_lock(&ctx->lock);
    old = ctx->material;
    ctx->material = m;
    pthread_mutex_unlock(&ctx->lock);
    wp_tls_material_unref(old);
}

int wp_tls_ctx_refresh(struct wp_tls_ctx *ctx, char errbuf[WP_TLS_ERR_MAX])
{
    struct wp_tls_material *m = NULL;
    struct wp_tls_files files;
    int r;

    files_of(&ctx->policy, &files);
    r = wp_tls_files_read(&files, errbuf);
    if (r == 0 && files.hash == ctx->material->file_hash) {
        ctx->bad_hash = 0; /* put back: the next bad one is news again */
        wp_tls_files_done(&files);
        return 0;
    }
    if (r == 0)
        r = material_new(&ctx->policy, &files, errbuf, &m);
    wp_tls_files_done(&files);
    if (r < 0) {
        bool told = ctx->bad_hash == files.hash;

        ctx->bad_hash = files.hash;
        return told ? 0 : r;
    }
    ctx->bad_hash = 0;
    take_over(ctx, m);
    return 1;
}

const char *wp_tls_ctx_differs(const struct wp_tls_ctx *a, const struct wp_tls_ctx *b)
{
    if (a == NULL || b == NULL)
        return a == b ? NULL : "TLS is configured for only one server block";
    if (a->policy.client_auth != b->policy.client_auth)
        return "client authentication policies differ";
    if (a->material->ca_id != b->material->ca_id)
        return "client CA pools differ";
    if (a->material->chain_id != b->material->chain_id)
        return "server certificates differ";
    if (a->policy.strict_sni != b->policy.strict_sni)
        return "server name policies differ";
    if (a->material->tickets_id != b->material->tickets_id)
        return "session ticket policies differ";
    if (a->policy.provider != b->policy.provider)
        return "TLS providers differ";
    return NULL;
}

bool wp_tls_ocsp_is_fresh(const struct wp_tls_material *m)
{
    return m->ocsp_until > (int64_t)time(NULL);
}

static const char *ocsp_warning(const struct wp_tls_material *m)
{
    if (m->ocsp_lacks != NULL || m->ocsp == NULL)
        return m->ocsp_lacks;
    return wp_tls_ocsp_is_fresh(m) ? NULL : "the OCSP response is out of date";
}

const char *wp_tls_ctx_warning(struct wp_tls_ctx *ctx)
{
    const char *text = ocsp_warning(ctx->material);

    if (text == ctx->warned)
        return NULL;
    ctx->warned = text;
    return text;
}

/* --- connections --------------------------------------------------------------------------- */

int wp_tls_conn_new(struct wp_tls_ctx *ctx, const char *server_name, struct wp_tls_conn **ret)
{
    struct wp_tls_conn *c = calloc(1, sizeof(*c));
    int r;

    if (c == NULL)
        return -ENOMEM;
    c->material = current(ctx);
    c->error = "";
    r = c->material->provider->conn_new(c, &ctx->policy, server_name);
    if (r < 0) {
        wp_tls_material_unref(c->material);
        free(c->asked);
        free(c);
        return r;
    }
    *ret = c;
    return 0;
}
