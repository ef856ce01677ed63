/* Is the service well? One check, made again and again by a thread. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "backends/common/client_tls.h"
#include "backends/etcd/command/child.h"
#include "waypost/base/arena.h"

struct etcd_health;

struct etcd_health_config {
    enum { ETCD_HEALTH_TCP, ETCD_HEALTH_HTTP, ETCD_HEALTH_EXEC } kind;
    const char *host, *port;  /* TCP, HTTP */
    const char *path, *named; /* HTTP: what is asked for, and of whom */
    bool https;
    const char *tls_name;   /* whose certificate; NULL: host's */
    struct wp_tls_ctx *tls; /* HTTPS; the caller's */
    const char *command;    /* EXEC: for sh -c */
    int64_t interval_ns, timeout_ns, fails;
    const struct etcd_signals *signals;
};
/* "tcp" (address and port as registered), "tcp:PORT", "tcp:HOST:PORT", "http://HOST[:PORT]/PATH",
 * "http:PORT/PATH", "http:/PATH", the same with https, "exec:COMMAND"; a missing host is this one.
 * Strings are in the arena or part of the text. WP_EMALFORMED with *ret_why, -ENOMEM. */
int etcd_health_parse(const char *text, const char *address, uint16_t port, struct wp_arena *a,
                      struct etcd_health_config *ret, const char **ret_why) WP_MUSTCHECK;

/* change(arg, true, ""): the first success; change(arg, false, why): so many failures one after
 * another, or the very first check. On the health's thread. */
typedef void etcd_health_fn(void *arg, bool is_well, const char *why);
/* Strings are copied. 0 or a negative error. */
int etcd_health_start(const struct etcd_health_config *config, etcd_health_fn *change, void *arg,
                      struct etcd_health **ret) WP_MUSTCHECK;
/* A child has ended: was it a check's? The thread that waits for children. */
bool etcd_health_reaped(struct etcd_health *h, pid_t pid, int status);
/* Children are not waited for any more. Accepts NULL. */
void etcd_health_stop(struct etcd_health *h);
/* As stop, without waiting: `change` is not called any more when it returns; the thread ends when
 * it can (a look-up of a name cannot be cut short). config.tls is taken over. Not for EXEC. Accepts
 * NULL. */
void etcd_health_abandon(struct etcd_health *h);
