/* What is known on the disk, so that a start with every agent away has something to answer with. Restoring
 * comes before the first request, whose answers are then compared with what is there; saving goes on beside
 * everything else, some services at a time. Files and when they are written: backends/common/state.h. All on the
 * HTTP engine's thread, but for new and free. */
#pragma once
#include "backends/common/http_client.h"
#include "backends/nomad/saved.h"
#include "backends/nomad/store.h"

struct wp_nomad_keep;

struct wp_nomad_keep_config {
    const struct wp_httpc_ops *http;
    struct wp_nomad_store *store;
    const char *dir;
    const char *name;     /* of the source, for log lines and metrics */
    const char *identity; /* everything that tells this source's data from others'; no secrets */
    /* A record was read. It is the callee's from here on. 0 or -ENOMEM. */
    int (*record)(void *arg, struct wp_nomad_service *v);
    void (*forget)(void *arg); /* all records: the file proved bad */
    /* Restoring is over. age_s: since the data was last known to be good; below 0: there is none. */
    void (*restored)(void *arg, int64_t age_s);
    void (*ended)(void *arg); /* the last save is over */
    void *arg;
};
/* 0, -ENOMEM, -errno of a thread. Words are copied. */
int wp_nomad_keep_new(const struct wp_nomad_keep_config *c, struct wp_nomad_keep **ret) WP_MUSTCHECK;
/* A save that has been ended is finished first. Accepts NULL. */
void wp_nomad_keep_free(struct wp_nomad_keep *k);

/* Calls back `restored`, at once when there is nothing. */
void wp_nomad_keep_restore(struct wp_nomad_keep *k);
/* The store is what the agents say; from here on it is saved. */
void wp_nomad_keep_synced(struct wp_nomad_keep *k);
/* Something in the store has changed. */
void wp_nomad_keep_changed(struct wp_nomad_keep *k);
/* In step with the agents, or not any more. */
void wp_nomad_keep_in_step(struct wp_nomad_keep *k, bool in_step);
/* The end. True: what is not on the disk yet is saved, then `ended` is called; false: nothing to do. No
 * other call comes after it, and no callback after false. */
bool wp_nomad_keep_last(struct wp_nomad_keep *k);
