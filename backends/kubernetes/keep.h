/* The cluster's data on the disk, so that a start with the API server away has something to answer
 * with. Restoring comes before the first listing, which is then compared with what is there; saving
 * goes on beside everything else, some objects at a time. Files and when they are written:
 * backends/common/state.h. All on the HTTP engine's thread, but for new and free. */
#pragma once
#include "backends/common/http_client.h"
#include "backends/kubernetes/store.h"

struct wp_kube_keep;

struct wp_kube_keep_config {
    const struct wp_httpc_ops *http;
    struct wp_kube_store *store;
    const char *dir;
    const char *name;     /* of the cluster, for log lines and metrics */
    const char *identity; /* everything that tells this cluster's data from others'; no secrets */
    /* Restoring is over. age_s: since the data was last known to be good; below 0: there is none. */
    void (*restored)(void *arg, int64_t age_s);
    void (*ended)(void *arg); /* the last save is over */
    void *arg;
};
/* 0, -ENOMEM, -errno of a thread. Words are copied. */
int wp_kube_keep_new(const struct wp_kube_keep_config *c, struct wp_kube_keep **ret) WP_MUSTCHECK;
/* A save that has been ended is finished first. Accepts NULL. */
void wp_kube_keep_free(struct wp_kube_keep *k);

/* Calls back `restored`, at once when there is nothing. */
void wp_kube_keep_restore(struct wp_kube_keep *k);
/* The store is what the API server says; from here on it is saved. */
void wp_kube_keep_synced(struct wp_kube_keep *k);
/* Something in the store has changed. */
void wp_kube_keep_changed(struct wp_kube_keep *k);
/* In step with the API server, or not any more. */
void wp_kube_keep_in_step(struct wp_kube_keep *k, bool in_step);
/* The end. True: what is not on the disk yet is saved, then `ended` is called; false: nothing to
 * do. No other call comes after it, and no callback after false. */
bool wp_kube_keep_last(struct wp_kube_keep *k);
