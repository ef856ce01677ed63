/* What a client asks for: which certificate, which protocol, and which session it brings. */
#include "tls/wolfssl/wolfssl_priv.h"

#include <string.h>

#include "tls/hello.h"

/* Of those for the name the first whose signature the client can verify. */
static unsigned pick(const struct wp_tls_material *m, const struct wp_tls_hello *h)
{
    uint32_t fit = wp_tls_pairs_asked(m, h->sni_len > 0 ? h->sni : NULL, h->sni_len);
    unsigned first = WP_COUNT(m->names);

    if (fit == 0)
        fit = m->usual;
    for (unsigned i = 0; i < m->n_pairs; i++) {
        if ((fit >> i & 1) == 0)
            continue;
        if ((m->names[i].signs & h->verifies) != 0)
            return i;
        if (first == WP_COUNT(m->names))
            first = i;
    }
    return first < m->n_pairs ? first : 0;
}

WOLFSSL_CTX *wp_wolfssl_select(struct wp_tls_conn *c)
{
    const struct wp_wolfssl_material *w = c->material->impl;
    struct wp_tls_hello h;
    int r = wp_tls_hello_read(wp_octets_view(&c->in), c->in.len, wp_wolfssl_ticket_known,
                              c->material, &h);

    if (r == 0 && c->in.len < 2 * WP_TLS_HELLO_MAX)
        return NULL;
    if (r <= 0)
        return w->ctx[0]; /* what is wrong, wolfSSL tells the client */
    ((struct wp_wolfssl_conn *)c->impl)->strange = h.strange_13;
    return (h.strange_12 ? w->bare : w->ctx)[pick(c->material, &h)];
}

static int refuse_others(WOLFSSL *ssl, int *alert, void *arg)
{
    void *name = NULL;
    unsigned short len = wolfSSL_SNI_GetRequest(ssl, WOLFSSL_SNI_HOST_NAME, &name);

    if (len == 0 || name == NULL || wp_tls_pairs_asked(arg, name, len) != 0)
        return 0;
    *alert = unrecognized_name;
    return fatal_return;
}

void wp_wolfssl_strict_sni(WOLFSSL_CTX *ctx, struct wp_tls_material *m)
{
    wolfSSL_CTX_set_servername_callback(ctx, refuse_others);
    wolfSSL_CTX_set_servername_arg(ctx, m);
}

/* Left to itself wolfSSL takes the client's order. Only others than ours: alert 120 on every
 * listener (ALPACA, RFC 7301 s3.2), which it sends when it finds no match in a list of its own. */
static int choose(WOLFSSL *ssl, const unsigned char **out, unsigned char *out_len,
                  const unsigned char *in, unsigned in_len, void *arg)
{
    const struct wp_tls_material *m = arg;
    const struct wp_wolfssl_material *w = m->impl;
    const uint8_t *ours = wp_tls_alpn_choose(m, in, in_len);

    if (ours != NULL) {
        *out = ours + 1;
        *out_len = *ours;
        return 0;
    }
    if (w->alpn != NULL)
        (void)wolfSSL_UseALPN(ssl, w->alpn, (unsigned)strlen(w->alpn),
                              WOLFSSL_ALPN_FAILED_ON_MISMATCH);
    return -1;
}

void wp_wolfssl_alpn_policy(WOLFSSL_CTX *ctx, struct wp_tls_material *m)
{
    wolfSSL_CTX_set_alpn_select_cb(ctx, choose, m);
}
