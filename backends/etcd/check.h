/* Health of endpoints: what the field `health` of a value asks for, and the check of a target that
 * records of a mirror share. Probes are made by backends/common/health_probe.h. */
#pragma once
#include "backends/common/health_probe.h"
#include "backends/etcd/record.h"

struct wp_etcd_check {
    struct wp_probe probe; /* first */
    struct wp_etcd_tied tied;
    bool down; /* its records are out of sight, or will be at once */
    enum wp_probe_verdict counted;
    struct wp_series *up;
    struct wp_etcd_check *next_late, **late; /* could not be done at once; late NULL: it was */
};

/* What the value's `health` asks for. 1: *ret is set, its path points into the scratch. 0: there is
 * no such field. WP_EMALFORMED with *ret_flaw: the record does without. */
int wp_etcd_health_read(const struct wp_etcd_scratch *scratch, const struct wp_etcd_value *v,
                        struct wp_probe_spec *ret, struct wp_etcd_flaw *ret_flaw) WP_MUSTCHECK;
