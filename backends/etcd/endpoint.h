/* One endpoint of the configuration. */
#pragma once
#include <stdbool.h>
#include "waypost/base/arena.h"

/* What the scheme says about TLS. */
enum wp_etcd_scheme {
    WP_ETCD_PLAIN,  /* http: never */
    WP_ETCD_SECURE, /* https, unixs: always */
    WP_ETCD_EITHER, /* none, unix: when `tls` is there */
};
struct wp_etcd_endpoint {
    const char *text;   /* as written, but for a user and a password: logs and metrics */
    const char *target; /* as gRPC wants it */
    enum wp_etcd_scheme scheme;
};
/* http://H:P, https://H:P, H:P, unix:PATH, unixs:PATH; a missing port is 2379. Strings are in the
 * arena. WP_EMALFORMED with *ret_why, -ENOMEM. */
int wp_etcd_endpoint_parse(const char *text, struct wp_arena *a, struct wp_etcd_endpoint *ret,
                           const char **ret_why) WP_MUSTCHECK;
/* The text without what stands before an @, as a user and a password do: for logs and errors. In the
 * arena; NULL: memory. */
const char *wp_etcd_endpoint_bare(const char *text, struct wp_arena *a);
