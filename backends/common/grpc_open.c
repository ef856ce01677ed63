#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/common/grpc_client.h"

#ifndef WP_MODULE_DIR
#define WP_MODULE_DIR "/usr/lib/waypost"
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct wp_grpc_ops *opened; /* by lock; the module is never closed */

static const struct wp_grpc_ops *open_at(const char *dir, char errbuf[256])
{
    char path[PATH_MAX + 64];
    const struct wp_grpc_ops *ops;
    void *module;

    snprintf(path, sizeof(path), "%s/%s", dir, WP_GRPC_MODULE);
    if (access(path, R_OK) < 0) {
        snprintf(errbuf, 256, "%.200s: %s", path, "no such module");
        return NULL;
    }
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        snprintf(errbuf, 256, "%.250s", dlerror());
        return NULL;
    }
    ops = dlsym(module, WP_GRPC_SYMBOL);
    if (ops != NULL && ops->version == WP_GRPC_VERSION)
        return ops;
    snprintf(errbuf, 256, "%.200s: of another version", path);
    dlclose(module);
    return NULL;
}

/* The folder of the running program, and the one above it. */
static void program_dirs(char dir[PATH_MAX], char above[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
    char *slash;

    dir[n > 0 ? n : 0] = '\0';
    slash = strrchr(dir, '/');
    if (slash != NULL)
        *slash = '\0';
    strcpy(above, dir);
    slash = strrchr(above, '/');
    if (slash != NULL)
        *slash = '\0';
}

const struct wp_grpc_ops *wp_grpc_open(char errbuf[256])
{
    char dir[PATH_MAX], above[PATH_MAX];

    pthread_mutex_lock(&lock);
    if (opened == NULL) {
        const char *places[] = {dir, above, WP_MODULE_DIR};
        program_dirs(dir, above);
        for (size_t i = 0; i < WP_COUNT(places) && opened == NULL; i++)
            opened = open_at(places[i], errbuf);
    }
    pthread_mutex_unlock(&lock);
    return opened;
}
