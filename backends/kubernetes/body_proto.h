/* What stands beside the objects of bodies in protobuf: heads of lists, and statuses. */
#pragma once
#include "backends/kubernetes/body.h"
#include "backends/kubernetes/proto_split.h"

/* As wp_kube_body_end has it, from what was beside the items. */
int wp_kube_proto_list_head(const struct wp_kube_proto_rest *rest, struct wp_arena *arena,
                            struct wp_kube_list_head *ret) WP_MUSTCHECK;
/* A Status in its envelope, or, as the object of an event, without it. */
int wp_kube_proto_status(const char *msg, size_t len, struct wp_kube_status *ret) WP_MUSTCHECK;
