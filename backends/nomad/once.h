/* Instances of a service that would make the same record, told apart from those that came first. */
#pragma once
#include "backends/nomad/service.h"
#include "waypost/base/arena.h"

enum nomad_record {
    NOMAD_RECORD_ADDRESS,
    NOMAD_RECORD_SRV, /* all addresses have one target: port, priority and weight make the difference */
};

struct nomad_once {
    const struct wp_nomad_service *service;
    enum nomad_record record;
    const struct wp_nomad_instance **slot; /* open addressing, twice as many as may come */
    uint32_t mask;
};

/* For n instances at most. false: no memory. */
bool nomad_once_init(struct nomad_once *o, struct wp_arena *arena, const struct wp_nomad_service *s,
                     enum nomad_record record, uint32_t n);
/* Is it the first that makes this record? */
bool nomad_once_add(struct nomad_once *o, const struct wp_nomad_instance *i);
