/* Inside the process: groups, sockets, the state of main. */
#pragma once
#include <stdbool.h>
#include "waypost/server/gen.h"

/* Fill gen->groups from its blocks. */
int wp_groups_make(struct wp_gen *gen, struct wp_conf_report *report);
bool wp_group_has_block(const struct wp_group *g, const struct wp_block *b);

/* --- sockets ------------------------------------------------------------------------------- */

/* One bound socket, meant for one worker. */
struct wp_socket {
    const struct wp_listener_ops *ops;
    struct wp_group *group; /* of the generation it is opened for */
    int worker, index;      /* index among the group's sockets of this kind */
    uint8_t family;         /* 4 or 6 */
    int fd;                 /* -1: kept from before */
    struct wp_listener *listener;
    bool failed;            /* open() on the worker did not take it */
    struct wp_socket *next;
};
/* The sockets a generation needs: those of `have` with the same kind, address and worker are
 * taken over (their fd is -1 in the new list and the listener is carried), the others opened and
 * bound. What is left in `have` is no longer needed. On failure `have` is untouched and the
 * report names address and protocol. */
int wp_sockets_open(struct wp_gen *gen, int n_workers, struct wp_socket *have,
                    struct wp_conf_report *report, struct wp_socket **ret) WP_MUSTCHECK;
/* Close descriptors that were never handed to a worker; free the list. */
void wp_sockets_free(struct wp_socket *list);

/* state_dir.c: the directory of saved state for the backends of a block, NULL: off; then *ret_why
 * says why, unless somebody said `off`. Main thread. */
const char *wp_state_dir(const struct wp_block *blocks, unsigned n_blocks, const struct wp_block *b,
                         const char **ret_why);
