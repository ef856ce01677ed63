#include <pthread.h>
#include <stddef.h>

#include "backends/common/http_client.h"
#include "waypost/base/module.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct wp_httpc_ops *opened; /* by lock */

const struct wp_httpc_ops *wp_httpc_open(char errbuf[256])
{
    pthread_mutex_lock(&lock);
    if (opened == NULL)
        opened = wp_module_open(WP_HTTPC_MODULE, WP_HTTPC_SYMBOL, WP_HTTPC_VERSION, errbuf);
    pthread_mutex_unlock(&lock);
    return opened;
}
