/* Inside server/plugins/loop. */
#pragma once
#include <stdatomic.h>
#include "waypost/base/addr.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"

/* What the workers look for. PROBING: the first name, which somebody may have learned meanwhile;
 * CONFIRMING: the second one, asked because the first came back; OFF: nothing. */
enum loop_stage { LOOP_OFF, LOOP_PROBING, LOOP_CONFIRMING };

struct loop {
    struct wp_env *env;
    _Atomic int stage;         /* enum loop_stage */
    struct wp_name name[2];    /* of PROBING and CONFIRMING; written before the stage is set */
    struct wp_addr target;     /* where the probe goes; its source has the same IP */
    _Atomic unsigned own_port; /* of the probe's socket */
    _Atomic unsigned seen;     /* in this attempt, all together */
    _Atomic bool own_seen;     /* the probe itself came here */
    _Atomic bool back;         /* it was seen once more: told to the admin loop */
    struct wp_mail mail;
    /* admin loop */
    bool open; /* a probe is on its way */
    struct wp_io io;
    struct wp_timer timer;
    uint64_t until_ns;
    uint16_t id;
};

/* --- probe.c ------------------------------------------------------------------------------- */
/* Start asking, on the admin loop. 0 or a negative error. */
int loop_probe_start(struct loop *l);
void loop_probe_stop(struct loop *l); /* accepts one that never started */
/* A worker has seen the name come back. */
void loop_probe_back(struct loop *l);
