/* Questions answered and not, counted by listener and namespace. Only namespaces that exist get a count of their own,
 * and no more than NOMAD_METER_MAX in all: names come from questions. All others are "other". */
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
    char namespace[WP_LABEL_MAX]; /* "": other */
    const char *server;           /* a listener has one pointer */
    struct wp_series *count[2];   /* failed, success */
};

struct nomad_meter {
    atomic_uint n;
    struct nomad_meter_slot slot[NOMAD_METER_SLOTS];
};

/* An answer, good or not, to a question for the namespace. Loop threads. */
void nomad_meter_add(struct nomad_meter *m, const struct wp_query *q, const struct wp_nomad_source *s,
                     const char *namespace, size_t len, bool good);
