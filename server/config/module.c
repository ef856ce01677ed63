/* Shared objects with plugins. What has been opened is never closed: code and data of it may be in
 * use by a generation that ends later, by a metric, by a log line. So a file that changes counts at
 * the next start of the process; a reload says so. Main thread. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "server/config/order_priv.h"
#include "waypost/plugin/log.h"

enum { MODULES_MAX = 64 };

static struct module *modules;
static unsigned n_modules;

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why != NULL ? why : "out of memory";
    return WP_ECONFIG;
}

static void identify(const struct stat *st, uint64_t id[3])
{
    id[0] = st->st_ino;
    id[1] = (uint64_t)st->st_size;
    id[2] = (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

/* Is there a file that may be opened? Its code will run with our rights. */
static int look(const char *path, struct wp_arena *arena, uint64_t id[3], const char **ret_why)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return refuse(ret_why, wp_arena_printf(arena, "cannot load %s: %s", path,
                                               wp_conf_errno_text(arena, errno)));
    if (!S_ISREG(st.st_mode))
        return refuse(ret_why, wp_arena_printf(arena, "cannot load %s: not a file", path));
    if (st.st_mode & S_IWOTH)
        return refuse(
            ret_why,
            wp_arena_printf(arena, "%s will not be loaded: everybody may write to it (mode %04o)",
                            path, (unsigned)st.st_mode & 07777));
    identify(&st, id);
    return 0;
}

/* Says that the object was made for another program than this one; NULL: it was not. */
static const char *misfit(const char *path, const struct wp_plugin_module *m,
                          struct wp_arena *arena)
{
    if (m == NULL)
        return wp_arena_printf(
            arena, "%s is no plugin of waypost: it has no symbol '%s' (WP_PLUGIN_EXPORT)", path,
            WP_PLUGIN_SYMBOL);
    if (m->abi != WP_PLUGIN_ABI || m->plugin_size != sizeof(struct wp_plugin))
        return wp_arena_printf(
            arena,
            "%s was built for waypost %s, plugin ABI %u, %u octets; this is waypost "
            "%s, plugin ABI %u, %zu octets: build it again with the headers of this one",
            path, m->abi <= 0xffff ? m->version : "?", m->abi, m->plugin_size, WP_PLUGIN_VERSION,
            (unsigned)WP_PLUGIN_ABI, sizeof(struct wp_plugin));
    if (m->plugin == NULL || m->plugin->name == NULL)
        return wp_arena_printf(arena, "%s exports no plugin", path);
    return NULL;
}

/* An object of another ABI often wants functions that are not here: the number is what to tell. */
static int not_opened(const char *path, struct wp_arena *arena, const char **ret_why)
{
    const char *said = dlerror();
    size_t len = strlen(path);
    bool named = said != NULL && strncmp(said, path, len) == 0 && strncmp(said + len, ": ", 2) == 0;
    char *why = wp_arena_printf(arena, "cannot load %s: %s", path, named ? said + len + 2 : said);
    void *object = dlopen(path, RTLD_LAZY | RTLD_LOCAL);

    if (object != NULL) {
        const char *other = misfit(path, dlsym(object, WP_PLUGIN_SYMBOL), arena);

        dlclose(object);
        if (other != NULL)
            return refuse(ret_why, other);
    }
    return refuse(ret_why, why);
}

static int open_first(const char *path, struct wp_arena *arena, struct module **ret,
                      const char **ret_why)
{
    const char *why;
    struct module *m;
    void *object;

    if (n_modules == MODULES_MAX)
        return refuse(ret_why,
                      wp_arena_printf(arena, "cannot load %s: more than %d plugins from outside",
                                      path, MODULES_MAX));
    object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL)
        return not_opened(path, arena, ret_why);
    why = misfit(path, dlsym(object, WP_PLUGIN_SYMBOL), arena);
    if (why != NULL) {
        dlclose(object); /* nothing of it has been used */
        return refuse(ret_why, why);
    }
    m = calloc(1, sizeof(*m));
    if (m != NULL)
        m->path = strdup(path);
    if (m == NULL || m->path == NULL) {
        free(m);
        dlclose(object);
        return -ENOMEM;
    }
    m->object = dlsym(object, WP_PLUGIN_SYMBOL);
    m->next = modules;
    modules = m;
    n_modules++;
    *ret = m;
    return 0;
}

int conf_module_open(const char *path, struct wp_arena *arena, const struct module **ret,
                     const char **ret_why)
{
    struct module *m = modules;
    uint64_t id[3];
    int r = look(path, arena, id, ret_why);

    if (r < 0)
        return r;
    while (m != NULL && strcmp(m->path, path) != 0)
        m = m->next;
    if (m == NULL) {
        r = open_first(path, arena, &m, ret_why);
        if (r < 0)
            return r;
    } else if (memcmp(id, m->told, sizeof(id)) != 0) {
        wp_log(WP_WARNING, NULL,
               "%s has changed: what was loaded from it stays in use until the next start", path);
    }
    memcpy(m->told, id, sizeof(id));
    *ret = m;
    return 0;
}
