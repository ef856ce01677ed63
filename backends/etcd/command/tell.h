/* What `register` says while it runs: lines on stderr, or JSON objects; and to a service manager.
 */
#pragma once
#include <stdbool.h>
#include "waypost/base/err.h"

struct etcd_teller {
    const char *name; /* what is registered */
    bool json;
    char *notify; /* $NOTIFY_SOCKET, or NULL */
};
/* event: one word. One write: lines of threads do not mix. Any thread. */
void etcd_tell(const struct etcd_teller *t, const char *event, const char *fmt, ...)
    WP_PRINTF(3, 4);
/* One datagram, as sd_notify(3) sends it: "READY=1". Nothing without a socket. Any thread. */
void etcd_notify(const struct etcd_teller *t, const char *state);
