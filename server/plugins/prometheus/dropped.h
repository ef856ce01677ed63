/* Questions that the core refuses before any chain: zone "dropped". Counted while some block has
 * `prometheus`; the counts belong to the process. */
#pragma once

/* Main thread: one more (+1) or less (-1) instance wants them. */
void wp_prom_dropped_want(int n);
