/* Certificate files as octets, and whether they changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tls/tls_priv.h"
#include "waypost/base/hash.h"

enum { FILE_MAX = 16 << 20 }; /* octets; a bundle of all public roots has 0.2 MB */

/* Go's words for the few errors people meet; they are what CoreDNS prints. */
static const char *error_text(int err)
{
    switch (err) {
    case ENOENT:
        return "no such file or directory";
    case EACCES:
        return "permission denied";
    case EISDIR:
        return "is a directory";
    default:
        return wp_strerror(-err);
    }
}

static int read_all(int fd, struct wp_tls_file *f)
{
    struct stat st;
    size_t cap;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (st.st_size < 0 || st.st_size > FILE_MAX)
        return WP_ELIMIT;
    cap = (size_t)st.st_size;
    f->data = malloc(cap + 1);
    if (f->data == NULL)
        return -ENOMEM;
    while (f->len < cap) {
        ssize_t n = read(fd, f->data + f->len, cap - f->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break; /* cut short meanwhile: the parser says whether it is whole */
        f->len += (size_t)n;
    }
    f->data[f->len] = '\0';
    return 0;
}

static int read_file(struct wp_tls_file *f, const char *words, char errbuf[WP_TLS_ERR_MAX])
{
    int fd, r;

    if (f->path == NULL)
        return 0;
    fd = open(f->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "%sopen %s: %s", words, f->path, error_text(errno));
        return WP_ETLS;
    }
    r = read_all(fd, f);
    close(fd);
    if (r < 0) {
        snprintf(errbuf, WP_TLS_ERR_MAX, "%sread %s: %s", words, f->path, error_text(-r));
        return WP_ETLS;
    }
    return 0;
}

static uint64_t hash_of(const struct wp_tls_file *f)
{
    return f->data == NULL ? 1 : wp_hash_bytes(f->data, f->len);
}

int wp_tls_files_read(struct wp_tls_files *f, char errbuf[WP_TLS_ERR_MAX])
{
    char ca_words[WP_TLS_ERR_MAX / 2];
    int r;

    snprintf(ca_words, sizeof(ca_words),
             "error reading %s: ", f->ca.path != NULL ? f->ca.path : "");
    r = read_file(&f->cert, "could not load TLS cert: ", errbuf);
    if (r == 0)
        r = read_file(&f->key, "could not load TLS cert: ", errbuf);
    if (r == 0)
        r = read_file(&f->ca, ca_words, errbuf);
    if (r == 0)
        r = read_file(&f->ocsp, "could not load OCSP response: ", errbuf);
    if (r == 0)
        r = read_file(&f->tickets, "could not load ticket keys: ", errbuf);
    f->hash = wp_hash_mix(wp_hash_mix(hash_of(&f->cert), hash_of(&f->key)),
                          wp_hash_mix(hash_of(&f->ca), hash_of(&f->ocsp)));
    f->hash = wp_hash_mix(f->hash, hash_of(&f->tickets));
    for (unsigned i = 0; i < f->n_more; i++) {
        if (r == 0)
            r = read_file(&f->more[i].cert, "could not load TLS cert: ", errbuf);
        if (r == 0)
            r = read_file(&f->more[i].key, "could not load TLS cert: ", errbuf);
        f->hash = wp_hash_mix(f->hash, wp_hash_mix(hash_of(&f->more[i].cert),
                                                   hash_of(&f->more[i].key)));
    }
    return r;
}

static void file_done(struct wp_tls_file *f)
{
    if (f->data != NULL)
        explicit_bzero(f->data, f->len); /* one of them is the private key */
    free(f->data);
    f->data = NULL;
    f->len = 0;
}

void wp_tls_files_done(struct wp_tls_files *f)
{
    file_done(&f->cert);
    file_done(&f->key);
    file_done(&f->ca);
    file_done(&f->ocsp);
    file_done(&f->tickets);
    for (unsigned i = 0; i < f->n_more; i++) {
        file_done(&f->more[i].cert);
        file_done(&f->more[i].key);
    }
}
