/* Inside client*.c. */
#pragma once
#include <pthread.h>
#include "backends/etcd/command/client.h"

/* What the engine's thread does for the one that waits. */
struct wp_etcd_job {
    struct wp_grpc_post start, abort;
    const char *path;
    bool is_stream;
    uint8_t *packed;
    size_t packed_len;
    struct wp_etcd_pem pem;
    struct wp_grpc_call *call; /* the engine thread's, like over */
    bool over;
    bool done, aborted; /* by the lock */
    int status;
    char message[200];
    uint8_t *data;
    size_t len;
};

struct wp_etcd_client {
    const struct wp_grpc_ops *g;
    struct wp_etcd_source src;
    unsigned at;
    struct wp_grpc_channel *channel; /* the engine thread's */
    char *token;
    bool no_auth;
    const ProtobufCMessage *reply;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool interrupted; /* by lock */
    int stop_fd;      /* readable while it is */
    bool cut;         /* a call was left before its end: its connection may not be there yet */
    unsigned timeout_ms;
    struct wp_etcd_job job;
    char why[512];
};
