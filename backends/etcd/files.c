/* The TLS files. Certificates are replaced while they are in use: what is new and good counts from
 * the next connection on, and that is made within WP_ETCD_FILES_MS, so that no connection outlives
 * its certificate. What is new and bad (half-way replaced) is told and left alone. */
#include <errno.h>

#include "backends/common/client_tls.h"
#include "backends/etcd/mirror_priv.h"

/* 1: taken over. 0: as before. */
static int look(struct wp_etcd_mirror *m)
{
    char why[256];
    int r = wp_client_tls_look(m->tls, why);

    if (r < 0)
        wp_log(WP_ERROR, "etcd",
               "%s: certificate files changed but are not usable, keeping the old ones: %s",
               m->name, why);
    return r > 0;
}

static int read_pem(struct wp_etcd_mirror *m, char why[256])
{
    struct wp_etcd_pem pem = {0};
    int r = wp_etcd_pem_read(m->src.ca_file, m->src.cert_file, m->src.key_file, &pem, why);

    if (r < 0)
        return r;
    wp_etcd_pem_done(&m->pem);
    m->pem = pem;
    return 0;
}

int wp_etcd_files_read(struct wp_etcd_mirror *m, char why[256])
{
    const struct wp_client_tls t = {
        .cert = m->src.cert_file, .key = m->src.key_file, .ca = m->src.ca_file};
    int r;

    if (m->tls == NULL) {
        r = wp_client_tls_open(&t, "h2", false, why, &m->tls);
        return r < 0 ? r : read_pem(m, why);
    }
    if (look(m) == 0 && m->pem.ca != NULL)
        return 0;
    r = read_pem(m, why);
    return m->pem.ca != NULL ? 0 : r;
}

static void on_timer(struct wp_grpc_timer *t)
{
    struct wp_etcd_mirror *m =
        (struct wp_etcd_mirror *)(void *)((char *)t - offsetof(struct wp_etcd_mirror, files));
    char why[256];

    if (look(m) == 0) {
        wp_etcd_files_watch(m);
        return;
    }
    if (read_pem(m, why) < 0) {
        wp_log(WP_ERROR, "etcd", "%s: %s", m->name, why);
        wp_etcd_files_watch(m);
        return;
    }
    wp_log(WP_INFO, "etcd", "%s: certificate files changed: connecting anew", m->name);
    wp_etcd_renew(m);
}

void wp_etcd_files_watch(struct wp_etcd_mirror *m)
{
    if (m->tls == NULL)
        return;
    m->files.fn = on_timer;
    m->g->timer_set(&m->files, m->g->now() + wp_etcd_ms(WP_ETCD_FILES_MS));
}

void wp_etcd_files_done(struct wp_etcd_mirror *m)
{
    wp_client_tls_free(m->tls);
    wp_etcd_pem_done(&m->pem);
    m->tls = NULL;
}
