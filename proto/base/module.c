#include "waypost/base/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "waypost/base/err.h"

#ifndef WP_MODULE_DIR
#define WP_MODULE_DIR "/usr/lib/waypost"
#endif

/* There is a file: what is wrong with it is the answer, whatever lies elsewhere. */
static const void *open_file(const char *path, const char *symbol, unsigned version,
                             char errbuf[256])
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const unsigned *object;

    if (module == NULL) {
        snprintf(errbuf, 256, "%.250s", dlerror());
        return NULL;
    }
    object = dlsym(module, symbol);
    if (object != NULL && *object == version)
        return object;
    if (object == NULL)
        snprintf(errbuf, 256, "no %.40s in %.190s", symbol, path);
    else
        snprintf(errbuf, 256, "made for version %u of %.40s, this program has %u: %.140s", *object,
                 symbol, version, path);
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
    char dir[PATH_MAX], above[PATH_MAX], path[PATH_MAX + 64];
    const char *places[] = {dir, above, WP_MODULE_DIR};

    program_dirs(dir, above);
    for (size_t i = 0; i < WP_COUNT(places); i++) {
        snprintf(path, sizeof(path), "%s/%s", places[i], file);
        if (access(path, R_OK) == 0)
            return open_file(path, symbol, version, errbuf);
    }
    snprintf(errbuf, 256, "no module %.60s beside the program or at %.150s", file, path);
    return NULL;
}
