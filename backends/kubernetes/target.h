/* Names made from objects, in wire form, label by label. */
#pragma once
#include "backends/kubernetes/place.h"
#include "backends/kubernetes/slice.h"
#include "waypost/dns/name.h"

/* Append the labels of a text, which dots part, to a name that is not closed yet (`len` octets).
 * False: they make no name. */
bool wp_kube_target_add(struct wp_name *n, struct wp_kube_text t) WP_MUSTCHECK;
/* Append a whole name. */
bool wp_kube_target_close(struct wp_name *n, const uint8_t *suffix, size_t len) WP_MUSTCHECK;

/* SVC.NS.svc.ZONE */
bool wp_kube_target_service(struct wp_name *n, struct wp_kube_text ns, struct wp_kube_text name,
                            const uint8_t *zone, size_t zone_len) WP_MUSTCHECK;
/* EP.BASE, EP.CLUSTER.BASE */
bool wp_kube_target_endpoint(struct wp_name *n, const struct wp_kube_slice *s, size_t i,
                             const uint8_t *base, size_t base_len) WP_MUSTCHECK;
