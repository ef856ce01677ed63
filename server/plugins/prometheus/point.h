/* The series that questions of one server and zone are counted in, found by index. A series is made
 * when the first question needs it, so that the page shows what has happened and no more. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include "waypost/plugin/metric.h"
#include "waypost/plugin/query.h"

enum {
    POINT_TYPES = 20,  /* the named ones and "other" */
    POINT_RCODES = 24, /* rcodes with a slot; larger ones are looked up */
};

typedef struct wp_series *_Atomic point_slot;

struct point {
    const char *server;  /* as a key: the pointer */
    const uint8_t *zone; /* as a key: the pointer */
    char *labels[3];     /* server, zone, view: own copies */
    const char *plugin;  /* label of written replies */
    point_slot duration, do_requests;
    point_slot request_size[2], response_size[2]; /* udp, tcp */
    point_slot requests[2][2][POINT_TYPES];       /* udp, tcp; IPv4, IPv6 */
    point_slot responses[2][POINT_RCODES];        /* unwritten, written */
};

/* What is counted of one question. */
struct point_sample {
    int worker;
    bool is_tcp, is_v6, is_do, is_written;
    uint16_t qtype, rcode;
    uint32_t size, reply_size;
    uint64_t elapsed_ns;
};

/* plugin must outlive it. NULL when memory is short. */
struct point *wp_point_new(const char *server, const char *zone, const char *view,
                           const char *plugin);
void wp_point_free(struct point *p);
/* Loop threads; no lock unless a series is new. */
void wp_point_count(struct point *p, const struct point_sample *s);
