/* One object of the store as a record of saved state (backends/common/state.h): all fields that the
 * store keeps, but no resourceVersion: the next listing is compared by content. */
#pragma once
#include "backends/kubernetes/object.h"
#include "waypost/base/arena.h"
#include "waypost/base/err.h"

/* Octets of the record; then exactly those at `to`. */
size_t wp_kube_saved_size(const struct wp_kube_object *o);
void wp_kube_saved_write(const struct wp_kube_object *o, uint8_t *to);
/* Lists are in the arena, texts in the record. WP_EMALFORMED: not a record that write makes;
 * -ENOMEM. */
int wp_kube_saved_read(const uint8_t *rec, size_t len, struct wp_arena *a,
                       struct wp_kube_object *ret) WP_MUSTCHECK;
