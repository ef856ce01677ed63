#include <pthread.h>
#include <stddef.h>

#include "backends/common/grpc_client.h"
#include "waypost/base/module.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct wp_grpc_ops *opened; /* by lock */

const struct wp_grpc_ops *wp_grpc_open(char errbuf[256])
{
    pthread_mutex_lock(&lock);
    if (opened == NULL)
        opened = wp_module_open(WP_GRPC_MODULE, WP_GRPC_SYMBOL, WP_GRPC_VERSION, errbuf);
    pthread_mutex_unlock(&lock);
    return opened;
}
