/* Failures whose reason gRPC's text hides: one of the two speaks TLS, or not as the other wants it. */
#pragma once
#include "backends/common/tls_probe.h"

enum { WP_ETCD_HIDDEN_NAME = 256 };

bool wp_etcd_is_hidden(const char *message);
/* Where to look for the reason, and whom the certificate must name (kept in `name`): of the target
 * of an endpoint and what gRPC said of it. False: not known. */
bool wp_etcd_hidden_at(const char *target, const char *message, char name[WP_ETCD_HIDDEN_NAME],
                       struct wp_tls_probe *ret);
