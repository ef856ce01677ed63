#include "tls/provider.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tls/tls_priv.h"
#include "waypost/base/module.h"

/* One is linked; one is a module, because its licence would rule the whole program. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct wp_tls_provider *wolfssl; /* by lock; never closed once opened */
static const struct wp_tls_provider *_Atomic usual = &wp_tls_openssl;

static const struct wp_tls_provider *open_wolfssl(char errbuf[WP_TLS_ERR_MAX])
{
    const struct wp_tls_provider *p;
    char why[WP_TLS_ERR_MAX];

    pthread_mutex_lock(&lock);
    if (wolfssl == NULL)
        wolfssl = wp_module_open(WP_TLS_WOLFSSL_MODULE, WP_TLS_WOLFSSL_SYMBOL,
                                 WP_TLS_PROVIDER_VERSION, why);
    p = wolfssl;
    pthread_mutex_unlock(&lock);
    if (p == NULL)
        snprintf(errbuf, WP_TLS_ERR_MAX,
                 "TLS provider wolfssl: %.160s (build with libwolfssl-dev, and keep the module "
                 "beside the program)",
                 why);
    return p;
}

const struct wp_tls_provider *wp_tls_provider_find(const char *name, char errbuf[WP_TLS_ERR_MAX])
{
    if (name == NULL)
        return atomic_load_explicit(&usual, memory_order_acquire);
    if (strcmp(name, wp_tls_openssl.name) == 0)
        return &wp_tls_openssl;
    if (strcmp(name, "wolfssl") == 0)
        return open_wolfssl(errbuf);
    snprintf(errbuf, WP_TLS_ERR_MAX, "unknown TLS provider '%.64s': openssl and wolfssl are known",
             name);
    return NULL;
}

int wp_tls_provider_check(const char *name, char errbuf[WP_TLS_ERR_MAX])
{
    return wp_tls_provider_find(name, errbuf) != NULL ? 0 : WP_ETLS;
}

int wp_tls_provider_use(const char *name, char errbuf[WP_TLS_ERR_MAX])
{
    const struct wp_tls_provider *p = wp_tls_provider_find(name, errbuf);

    if (p == NULL)
        return WP_ETLS;
    atomic_store_explicit(&usual, p, memory_order_release);
    return 0;
}

void wp_tls_providers(char text[WP_TLS_ERR_MAX])
{
    char why[WP_TLS_ERR_MAX];
    const struct wp_tls_provider *p = open_wolfssl(why);

    snprintf(text, WP_TLS_ERR_MAX, "%s %s", wp_tls_openssl.name, wp_tls_openssl.library());
    if (p != NULL)
        snprintf(text + strlen(text), WP_TLS_ERR_MAX - strlen(text), "; %s %s (module %s, %s)",
                 p->name, p->library(), WP_TLS_WOLFSSL_MODULE, p->licence);
}
