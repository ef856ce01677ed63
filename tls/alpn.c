/* The protocol inside (RFC 7301): lists, and the choice. */
#include <string.h>

#include "tls/tls_priv.h"

int wp_tls_alpn_read(const char *text, struct wp_tls_material *m)
{
    size_t len = 0;

    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, ",");

        if (n == 0 || len + 1 + n > sizeof(m->alpn))
            return WP_EMALFORMED;
        m->alpn[len] = (uint8_t)n;
        memcpy(m->alpn + len + 1, text, n);
        memcpy(m->alpn_names + len, text, n); /* the NUL is there already */
        len += 1 + n;
        text += n + (text[n] == ',');
    }
    m->alpn_len = len;
    return 0;
}

const uint8_t *wp_tls_alpn_choose(const struct wp_tls_material *m, const uint8_t *in, size_t len)
{
    for (size_t i = 0; i < m->alpn_len; i += 1u + m->alpn[i])
        for (size_t k = 0; k < len && in[k] < len - k; k += 1u + in[k])
            if (in[k] == m->alpn[i] && memcmp(in + k + 1, m->alpn + i + 1, in[k]) == 0)
                return m->alpn + i;
    return NULL;
}

const char *wp_tls_alpn_text(const struct wp_tls_material *m, const uint8_t *name, size_t len)
{
    for (size_t i = 0; len > 0 && i < m->alpn_len; i += 1u + m->alpn[i])
        if (m->alpn[i] == len && memcmp(m->alpn + i + 1, name, len) == 0)
            return m->alpn_names + i;
    return "";
}
