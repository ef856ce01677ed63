/* Inside health*.c. */
#pragma once
#include <pthread.h>
#include "backends/etcd/command/health.h"

enum { HEALTH_WHY_MAX = 160 };

struct etcd_health {
    struct wp_arena arena; /* of the config's strings */
    struct etcd_health_config config;
    etcd_health_fn *change;
    void *arg;
    pthread_t thread;
    int stop_fd; /* readable: stop */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool stop;
    bool abandoned; /* by lock: the thread frees what is here */
    pid_t pid;      /* by lock, like the next two; 0: no check runs */
    bool reaped;
    int status;
};

/* --- health_net.c --------------------------------------------------------------------------- */

/* One check, to be over by `end`. 0; -ECANCELED: stop; or another negative error with why. */
int health_tcp(struct etcd_health *h, uint64_t end, char why[HEALTH_WHY_MAX]);
int health_http(struct etcd_health *h, uint64_t end, char why[HEALTH_WHY_MAX]);
