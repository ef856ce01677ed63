/* Questions answered and not, counted by namespace. Only namespaces that exist get a count of their own, and no
 * more than METER_MAX of them: names come from questions. All others are "other". */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "backends/nomad/source.h"
#include "waypost/dns/name.h"

struct wp_series;

enum { NOMAD_METER_SLOTS = 256, NOMAD_METER_MAX = 200 };

struct nomad_meter_slot {
    _Atomic uint8_t state; /* enum slot_state */
    uint8_t len;
    char namespace[WP_LABEL_MAX];
    struct wp_series *count[2]; /* failed, success */
};

struct nomad_meter {
    const char *server;
    struct wp_series *other[2];
    atomic_uint n;
    struct nomad_meter_slot slot[NOMAD_METER_SLOTS];
};

/* Main thread. server outlives the meter. */
void nomad_meter_init(struct nomad_meter *m, const char *server);
/* An answer, good or not, to a question for the namespace. Loop threads. */
void nomad_meter_add(struct nomad_meter *m, const struct wp_nomad_source *s, const char *namespace,
                     size_t len, bool good, int worker);
