/* From the JSON text of one API object to struct wp_kube_object. */
#pragma once
#include "backends/kubernetes/object.h"
#include "waypost/base/arena.h"

struct wp_kube_decode_config {
    bool zonal;     /* keep the zones of endpoints */
    bool pod_names; /* endpoints without a hostname take the name of their pod */
    bool labels;    /* of pods */
};

struct wp_kube_decode_error {
    char text[384]; /* 'services shop/web: spec.ports.port: out of range' */
};

/* The object lives as long as the arena and the text. WP_EMALFORMED with *ret_error: the object
 * as a whole is refused, as Go's typed reader refuses it; ret has then its collection, and its
 * namespace, name and resourceVersion as far as they could be read. -ENOMEM. */
int wp_kube_decode(const struct wp_kube_decode_config *c, enum wp_kube_collection collection,
                   const char *text, size_t len, struct wp_arena *arena, struct wp_kube_object *ret,
                   struct wp_kube_decode_error *ret_error) WP_MUSTCHECK;
