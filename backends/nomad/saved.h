/* A published service, or namespace, as a record of saved state (backends/common/state.h). */
#pragma once
#include "backends/nomad/store.h"
#include "waypost/base/err.h"

/* Octets of the record; then exactly those at `to`. */
size_t wp_nomad_saved_size(const struct wp_nomad_service *v);
void wp_nomad_saved_write(const struct wp_nomad_service *v, uint8_t *to);
/* A service that can be put. WP_EMALFORMED: not a record that write makes; -ENOMEM. */
int wp_nomad_saved_read(const uint8_t *rec, size_t len, struct wp_nomad_service **ret) WP_MUSTCHECK;
