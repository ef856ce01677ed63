#include "backends/common/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "waypost/base/err.h"

#ifndef WP_MODULE_DIR
#define WP_MODULE_DIR "/usr/lib/waypost"
#endif

static const void *open_at(const char *dir, const char *file, const char *symbol, unsigned version,
                           char errbuf[256])
{
    char path[PATH_MAX + 64];
    const unsigned *object;
    void *module;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    if (access(path, R_OK) < 0) {
        snprintf(errbuf, 256, "%.200s: %s", path, "no such module");
        return NULL;
    }
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        snprintf(errbuf, 256, "%.250s", dlerror());
        return NULL;
    }
    object = dlsym(module, symbol);
    if (object != NULL && *object == version)
        return object;
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

const void *wp_module_open(const char *file, const char *symbol, unsigned version, char errbuf[256])
{
    char dir[PATH_MAX], above[PATH_MAX];
    const char *places[] = {dir, above, WP_MODULE_DIR};
    const void *object = NULL;

    program_dirs(dir, above);
    for (size_t i = 0; i < WP_COUNT(places) && object == NULL; i++)
        object = open_at(places[i], file, symbol, version, errbuf);
    return object;
}
