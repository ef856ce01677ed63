/* Label selectors: `a=b,c in (d,e),!f`, as the Kubernetes API takes them. */
#pragma once
#include "waypost/base/err.h"

struct wp_arena;

/* The selector as it is sent: requirements in the order of their keys, values in order. 0, -ENOMEM,
 * or WP_EMALFORMED with CoreDNS's words in *ret_why. Everything is in the arena. */
int wp_kube_selector_parse(struct wp_arena *a, const char *text, const char **ret,
                           const char **ret_why) WP_MUSTCHECK;
