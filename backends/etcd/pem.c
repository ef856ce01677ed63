#include "backends/etcd/pem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 16 << 20 };

static const char *const roots[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/ssl/cert.pem",
};

static int read_file(const char *path, char **ret)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    char *text = NULL;
    size_t n;
    int r = 0;

    if (f == NULL)
        return -errno;
    if (fstat(fileno(f), &st) < 0)
        r = -errno;
    else if (S_ISDIR(st.st_mode))
        r = -EISDIR;
    else if (st.st_size > FILE_MAX)
        r = WP_ELIMIT;
    text = r == 0 ? malloc((size_t)st.st_size + 1) : NULL;
    if (r == 0 && text == NULL)
        r = -ENOMEM;
    if (r == 0) {
        n = fread(text, 1, (size_t)st.st_size, f);
        text[n] = '\0';
        *ret = text;
    }
    fclose(f);
    return r;
}

static int read_roots(char **ret, char why[256])
{
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        int r = read_file(roots[i], ret);
        if (r == 0 || r == -ENOMEM)
            return r;
    }
    snprintf(why, 256, "no system roots found");
    return WP_ETLS;
}

static int read_named(const char *path, char **ret, char why[256])
{
    int r = read_file(path, ret);

    if (r == 0 || r == -ENOMEM)
        return r;
    snprintf(why, 256, "open %.180s: %s", path, r == WP_ELIMIT ? "too large" : strerror(-r));
    return WP_ETLS;
}

int wp_etcd_pem_read(const char *ca, const char *cert, const char *key, struct wp_etcd_pem *ret,
                     char why[256])
{
    struct wp_etcd_pem p = {0};
    int r = ca != NULL ? read_named(ca, &p.ca, why) : read_roots(&p.ca, why);

    if (r == 0 && cert != NULL)
        r = read_named(cert, &p.cert, why);
    if (r == 0 && cert != NULL)
        r = read_named(key, &p.key, why);
    if (r < 0) {
        wp_etcd_pem_done(&p);
        return r;
    }
    *ret = p;
    return 0;
}

void wp_etcd_pem_done(struct wp_etcd_pem *p)
{
    free(p->ca);
    free(p->cert);
    if (p->key != NULL)
        explicit_bzero(p->key, strlen(p->key));
    free(p->key);
    *p = (struct wp_etcd_pem){0};
}
