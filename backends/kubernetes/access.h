/* How to reach an API server: its URL, whom to believe and who to be. Credentials that stand in
 * files are read again as they grow old, when the next request is made. Made by the main thread,
 * then one thread's: the HTTP engine's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "backends/common/http_client.h"
#include "backends/kubernetes/kubeconfig.h"
#include "waypost/base/err.h"

#define WP_KUBE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

enum {
    WP_KUBE_TOKEN_S = 50, /* a token file is read again after; Go's client: 60 less 10 of leeway */
    WP_KUBE_TLS_S = 300,  /* CA, certificate and key files */
    WP_KUBE_TOKEN_MAX = 64 * 1024,
    WP_KUBE_PEM_MAX = 1 << 20,
    WP_KUBE_HEADERS_MAX = 8, /* that a request may add */
};

/* What the Corefile says; all NULL: the Pod's own account. Paths are joined to `root`. A kubeconfig
 * wins over the others; one that chooses nothing stands for the Pod's account, if there is one. */
struct wp_kube_source {
    const char *kubeconfig, *context;
    const char *endpoint, *cert, *key, *ca;
    const char *account_dir; /* NULL: WP_KUBE_ACCOUNT_DIR */
};

struct wp_kube_access;

/* Reads what the source names. 0, -ENOMEM, or WP_ECONFIG with CoreDNS's words in why. */
int wp_kube_access_new(const struct wp_kube_source *source, uint64_t now_ns, char why[WP_KUBE_WHY],
                       struct wp_kube_access **ret) WP_MUSTCHECK;
void wp_kube_access_free(struct wp_kube_access *a); /* accepts NULL */

const char *wp_kube_access_base(
    const struct wp_kube_access *a); /* "https://10.96.0.1:443", no "/" at its end */
const char *
wp_kube_access_host(const struct wp_kube_access *a); /* "10.96.0.1:443", as in the URL */

/* Fill in what a request to this server needs, all but URL, limits and the like: headers (`more`,
 * at most WP_KUBE_HEADERS_MAX, then ours), TLS, proxy, gzip (unless the kubeconfig says no). Valid
 * until the next call. A file that cannot be read any more is logged once, and what it held before
 * stays. -ENOMEM. */
int wp_kube_access_next(struct wp_kube_access *a, uint64_t now_ns,
                        const struct wp_httpc_header *more, size_t n_more,
                        struct wp_httpc_request *ret) WP_MUSTCHECK;
/* Counts up when CA, certificate or key have changed: connections made before are of the old ones.
 */
unsigned wp_kube_access_generation(const struct wp_kube_access *a);
/* The server said 401: the token is read again for the next request. */
void wp_kube_access_unauthorized(struct wp_kube_access *a);
/* TLS has failed: CA, certificate and key are read again for the next request. They may have been
 * replaced, or we read one of them while the other was still the old one. */
void wp_kube_access_tls_failed(struct wp_kube_access *a);
