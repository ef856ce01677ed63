/* A DoH or gRPC listener over fake connections (conn.h) in front of the fake zone (zone.h). */
#pragma once
#include "tests/fake/conn.h"
#include "tests/fake/zone.h"

static struct wp_listener *listener;
static struct fake_conn conn;

static inline int http_house_open(enum wp_scheme scheme, const char *label)
{
    const struct wp_listener_ops *ops =
        scheme == WP_SCHEME_GRPC ? &wp_listener_grpc : &wp_listener_doh;

    if (zone_open(scheme, label) < 0)
        return -1;
    return ops->open(&house.worker, &house.group, -1, &listener);
}

/* Negative: something still holds memory of the worker's HTTP pool. */
static inline int http_house_close(void **state)
{
    (void)state;
    listener->ops->close(listener);
    if (house.worker.http != NULL)
        return -1;
    zone_close();
    return 0;
}
