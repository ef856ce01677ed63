/* The TLS libraries by name. */
#pragma once
#include "waypost/tls/tls.h"

struct wp_tls_provider; /* tls/tls_priv.h */

/* NULL: the default one. NULL with the reason in errbuf, as wp_tls_provider_check. */
const struct wp_tls_provider *wp_tls_provider_find(const char *name, char errbuf[WP_TLS_ERR_MAX]);
