#include <pthread.h>
#include <stddef.h>

#include "backends/common/http_client.h"
#include "backends/common/module.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct wp_http_ops *opened; /* by lock */

const struct wp_http_ops *wp_http_open(char errbuf[256])
{
    pthread_mutex_lock(&lock);
    if (opened == NULL)
        opened = wp_module_open(WP_HTTP_MODULE, WP_HTTP_SYMBOL, WP_HTTP_VERSION, errbuf);
    pthread_mutex_unlock(&lock);
    return opened;
}
