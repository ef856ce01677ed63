/* coredns_plugin_enabled: which plugins stand in which chain. */
#pragma once
#include "waypost/plugin/plugin.h"

/* Main thread. Add the rows of a block (+1), or take them away (-1): a row is shown as long as some
 * generation has it. server: label of the block's first listener. */
void wp_prom_enabled(const struct wp_block *b, const char *server, int n);
