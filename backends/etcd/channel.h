/* What the mirror and the commands do alike towards a cluster: opening a channel, and telling
 * refusals apart. */
#pragma once
#include "backends/common/grpc_client.h"
#include "backends/etcd/mirror.h"
#include "backends/etcd/pem.h"

enum { WP_ETCD_CONNECT_MS = 2000, WP_ETCD_CALL_MS = 5000 };

/* To one endpoint of the source. NULL: no memory, or a target or PEM text that gRPC refuses. The
 * engine's thread. */
struct wp_grpc_channel *wp_etcd_channel_new(const struct wp_grpc_ops *g,
                                            const struct wp_etcd_source *src, unsigned at,
                                            const struct wp_etcd_pem *pem);
/* The call failed because of its token, or because it had none: a new one may help. */
bool wp_etcd_is_token_refused(int status, const char *message);
/* Users or their rights have changed since the request was let in. */
bool wp_etcd_is_auth_old(const char *message);
/* The answer of a server without users to a name and a password: go on without. */
bool wp_etcd_is_auth_off(int status, const char *message);
/* May another endpoint do better? Not when this one has understood and says no; a learner says so of
 * what it cannot do. */
bool wp_etcd_is_endpoint_bad(int status, const char *message);
const char *wp_etcd_status_text(int status);
