/* Where the backends of a block save their data: what the Corefile says, else what the service
 * manager made, else the usual place. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/process/process_priv.h"
#include "waypost/plugin/block.h"

#define USUAL "/var/lib/waypost"

/* systemd names the directories of a unit, separated by colons: the first one. */
static const char *default_dir(void)
{
    static char first[4096];
    const char *named = getenv("STATE_DIRECTORY");
    size_t n = named != NULL ? strcspn(named, ":") : 0;

    if (n == 0 || n >= sizeof(first))
        return USUAL;
    memcpy(first, named, n);
    first[n] = '\0';
    return first;
}

const char *wp_state_dir(const struct wp_block *blocks, unsigned n_blocks, const struct wp_block *b,
                         const char **ret_why)
{
    static char why[4200];
    const char *dir = b->set.state;

    *ret_why = NULL;
    for (unsigned i = 0; dir == NULL && i < n_blocks; i++)
        dir = blocks[i].set.state;
    if (dir != NULL)
        return *dir != '\0' ? dir : NULL;
    dir = default_dir();
    if (access(dir, W_OK | X_OK) == 0)
        return dir;
    snprintf(why, sizeof(why), "%s %s", dir,
             errno == ENOENT ? "does not exist" : "cannot be written to");
    *ret_why = why;
    return NULL;
}
