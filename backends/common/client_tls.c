#include "backends/common/client_tls.h"

#include <stddef.h>

#include "waypost/plugin/log.h"
#include "waypost/plugin/plugin.h"
#include "waypost/tls/tls.h"

int wp_client_tls_words(struct wp_client_tls *t, struct wp_setup *s, const struct wp_line *l)
{
    const char *path[3] = {0};

    for (unsigned i = 1; i < l->n_words; i++) {
        path[i - 1] = wp_setup_path(s, l->words[i]);
        if (path[i - 1] == NULL)
            return -ENOMEM;
    }
    t->given = true;
    t->cert = l->n_words > 2 ? path[0] : NULL;
    t->key = l->n_words > 2 ? path[1] : NULL;
    t->ca = l->n_words == 2 ? path[0] : path[2];
    return 0;
}

bool wp_client_tls_has_files(const struct wp_client_tls *t)
{
    return t->cert != NULL || t->ca != NULL;
}

int wp_client_tls_open(const struct wp_client_tls *t, const char *alpn, bool insecure,
                       char why[WP_TLS_ERR_MAX], struct wp_tls_ctx **ret)
{
    const struct wp_tls_client_config c = {.cert_file = t->cert,
                                           .key_file = t->key,
                                           .ca_file = t->ca,
                                           .alpn = alpn,
                                           .insecure = insecure};

    return wp_tls_client_new(&c, why, ret);
}

int wp_client_tls_new(const struct wp_client_tls *t, struct wp_setup *s, const char *alpn,
                      struct wp_tls_ctx **ret)
{
    char why[WP_TLS_ERR_MAX];

    return wp_client_tls_open(t, alpn, false, why, ret) < 0 ? wp_setup_fail(s, "%s", why) : 0;
}

int wp_client_tls_check(const struct wp_client_tls *t, struct wp_setup *s)
{
    struct wp_tls_ctx *ctx = NULL;
    int r = wp_client_tls_new(t, s, NULL, &ctx);

    wp_tls_ctx_unref(ctx);
    return r;
}

void wp_client_tls_refresh(struct wp_tls_ctx *ctx, const char *plugin)
{
    char why[WP_TLS_ERR_MAX];
    int r = ctx != NULL ? wp_tls_ctx_refresh(ctx, why) : 0;

    if (r > 0)
        wp_log(WP_INFO, plugin, "Certificate files changed: in use for new connections");
    else if (r < 0)
        wp_log(WP_ERROR, plugin,
               "Certificate files changed but are not usable, keeping the old ones: %s", why);
}

int wp_client_tls_look(struct wp_tls_ctx *ctx, char why[256])
{
    return wp_tls_ctx_refresh(ctx, why);
}

struct wp_tls_ctx *wp_client_tls_ref(struct wp_tls_ctx *ctx)
{
    return ctx != NULL ? wp_tls_ctx_ref(ctx) : NULL;
}

void wp_client_tls_free(struct wp_tls_ctx *ctx)
{
    wp_tls_ctx_unref(ctx);
}
