/* transfer: what its files share. transfer.c is the directive and who may ask, give.c a transfer
 * that runs, ixfr.c the client's serial, notify.c what secondaries are told. */
#pragma once
#include <stdatomic.h>
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/plugin.h"

/* A word after `to`. */
struct transfer_to {
    bool any;            /* "*" */
    struct wp_addr addr; /* port 0: not one; it is good for access only */
    const char *text;    /* "ADDR:PORT", as in log lines */
};

/* One `transfer` line with its block. */
struct transfer_rule {
    struct transfer_rule *next;
    struct wp_zones zones;
    struct transfer_to *to;
    unsigned n_to;
    struct wp_addr source; /* of NOTIFY; family 0: the system's choice */
    unsigned index;
};

struct transfer_notify;

struct transfer {
    struct transfer_rule *first, **last;
    unsigned n_rules;
    _Atomic unsigned running; /* transfers, over all workers */
    struct wp_log_limit log, refused_log;
    struct transfer_notify *notify; /* from start() to stop() */
};

/* Transfers of an instance at a time: each holds a version of a zone. */
enum { TRANSFER_RUNNING_MAX = 32 };

/* The rule with the longest zone that holds the name (CVE-2026-33489: not the one that sorts
 * first), or NULL. */
const struct transfer_rule *transfer_rule_for(const struct transfer *t, const struct wp_qname *q);

/* The serial of the one SOA in the authority section of an IXFR question. The message has passed
 * the gate. WP_EMALFORMED: there is none, or not one. */
int transfer_ixfr_serial(const uint8_t *wire, size_t len, size_t question_len, struct wp_arena *a,
                         uint32_t *ret) WP_MUSTCHECK;

/* --- give.c ---------------------------------------------------------------------------------- */

/* The zone of q's question, from the first plugin of the chain that has it; serial: the client's,
 * for IXFR; 0: it has none. As serve(). */
int transfer_give(struct transfer *t, struct wp_query *q, uint32_t serial);
void transfer_give_up(struct transfer *t, struct wp_query *q); /* as cancel() */

/* --- notify.c -------------------------------------------------------------------------------- */

int transfer_notify_start(struct transfer *t, struct wp_env *env) WP_MUSTCHECK;
/* Main thread: nothing is sent any more. Accepts one that was not started. */
void transfer_notify_stop(struct transfer *t);
/* As wp_plugin.zone_is_new. */
void transfer_notify(struct transfer *t, const char *holder, const uint8_t *apex);
