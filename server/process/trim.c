#include "server/process/trim.h"

#include <malloc.h>

#include "waypost/server/gen.h"
#include "waypost/server/guard.h"

enum { WORTH_IT = 512 }; /* connections: some megabytes */

void wp_trim_look(struct wp_trim *t, const struct wp_gen *gen)
{
    uint32_t n = 0, most = 0;

    for (unsigned i = 0; i < gen->n_groups; i++) {
        most += wp_guard_most(&gen->groups[i]);
        n += wp_guard_connections(&gen->groups[i]);
    }
    if (most > t->most)
        t->most = most;
    if (t->most < WORTH_IT || n > t->most / 2)
        return;
    t->most = n;
    malloc_trim(0);
}
