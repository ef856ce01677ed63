/* From the protobuf message of one API object to struct wp_kube_object: what decode.h does for
 * JSON, with the same rules and the same words for what is wrong. The message is that of the object
 * itself, without the envelope that proto_split.h has taken off. Only kinds of the API server
 * itself are written so; custom resources (ServiceImport) come as JSON whatever was asked for. */
#pragma once
#include "backends/kubernetes/decode.h"

/* As wp_kube_decode; the object lives as long as the arena and the message. */
int wp_kube_proto_decode(const struct wp_kube_decode_config *c, enum wp_kube_collection collection,
                         const char *msg, size_t len, struct wp_arena *arena,
                         struct wp_kube_object *ret,
                         struct wp_kube_decode_error *ret_error) WP_MUSTCHECK;
