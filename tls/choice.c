/* Several certificates on one listener: those for the name that a client asks for (RFC 6066 s3),
 * of each kind of key one. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_priv.h"

bool wp_tls_name_plain(const char *from, size_t len, char to[WP_TLS_NAME_MAX])
{
    if (len > 0 && from[len - 1] == '.')
        len--;
    if (len == 0 || len >= WP_TLS_NAME_MAX || memchr(from, '\0', len) != NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        to[i] = (char)tolower((unsigned char)from[i]);
    to[len] = '\0';
    return true;
}

int wp_tls_names_add(struct wp_tls_names *n, const char *name, size_t len)
{
    char text[WP_TLS_NAME_MAX], **names;

    if (!wp_tls_name_plain(name, len, text))
        return 0; /* nobody can ask for it */
    names = realloc(n->names, (n->n + 1) * sizeof(*names));
    if (names == NULL)
        return -ENOMEM;
    n->names = names;
    names[n->n] = strdup(text);
    return names[n->n++] != NULL ? 0 : -ENOMEM;
}

void wp_tls_names_done(struct wp_tls_names *n)
{
    for (unsigned i = 0; i < n->n; i++)
        free(n->names[i]);
    free(n->names);
}

/* A wildcard stands for one whole label (RFC 9525 s6.3). */
static bool is_for(const struct wp_tls_names *names, const char *name)
{
    const char *rest = strchr(name, '.');

    for (unsigned i = 0; i < names->n; i++) {
        const char *n = names->names[i];

        if (strcmp(n, name) == 0 || (n[0] == '*' && n[1] == '.' && rest != NULL && rest != name &&
                                     strcmp(n + 1, rest) == 0))
            return true;
    }
    return false;
}

/* Of one kind of key only the first. */
static uint32_t pairs_for(const struct wp_tls_material *m, const char *name)
{
    uint32_t found = 0;

    for (unsigned i = 0; i < m->n_pairs; i++) {
        bool taken = false;

        for (unsigned k = 0; k < i && !taken; k++)
            taken = (found >> k & 1) != 0 && m->names[k].kind == m->names[i].kind;
        if (!taken && is_for(&m->names[i], name))
            found |= UINT32_C(1) << i;
    }
    return found;
}

uint32_t wp_tls_pairs_asked(const struct wp_tls_material *m, const char *sni, size_t len)
{
    char name[WP_TLS_NAME_MAX];

    return sni != NULL && wp_tls_name_plain(sni, len, name) ? pairs_for(m, name) : 0;
}

uint32_t wp_tls_pairs_usual(const struct wp_tls_material *m)
{
    return m->names[0].n > 0 ? 1 | pairs_for(m, m->names[0].names[0]) : 1;
}
