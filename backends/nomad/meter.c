#include "backends/nomad/meter.h"

#include <string.h>

#include "waypost/plugin/metric.h"

enum slot_state { SLOT_EMPTY, SLOT_TAKEN, SLOT_READY };

static const struct wp_family families[2] = {
    {
        .name = "coredns_nomad_failed_requests_total",
        .help = "Counter of DNS requests failed.",
        .kind = WP_COUNTER,
        .labels = {"server", "namespace", NULL},
    },
    {
        .name = "coredns_nomad_success_requests_total",
        .help = "Counter of DNS requests handled successfully.",
        .kind = WP_COUNTER,
        .labels = {"server", "namespace", NULL},
    },
};

/* What is counted: a namespace at a listener. */
struct subject {
    const char *server, *namespace;
    size_t len; /* 0: other */
};

static void make(const struct subject *s, struct wp_series *ret[2])
{
    char text[WP_LABEL_MAX + 1] = "other";
    const char *values[] = {s->server, text};

    if (s->len > 0) {
        memcpy(text, s->namespace, s->len);
        text[s->len] = '\0';
    }
    ret[0] = wp_metric_series(&families[0], values);
    ret[1] = wp_metric_series(&families[1], values);
}

static unsigned first_slot(const struct subject *s)
{
    return s->len == 0 ? 0
                       : ((uint8_t)s->namespace[0] * 7u + (uint8_t)s->namespace[s->len - 1] * 31u +
                          (unsigned)s->len) %
                             NOMAD_METER_SLOTS;
}

/* The subject is new, which happens once to each. Who comes while another thread is at it asks for the series
 * by its name. */
static __attribute__((noinline)) struct wp_series *
take(struct nomad_meter *m, struct nomad_meter_slot *slot, const struct subject *s, bool good)
{
    struct wp_series *both[2];
    uint8_t empty = SLOT_EMPTY;

    make(s, both);
    if (slot != NULL && atomic_compare_exchange_strong(&slot->state, &empty, SLOT_TAKEN)) {
        atomic_fetch_add_explicit(&m->n, 1, memory_order_relaxed);
        memcpy(slot->namespace, s->namespace, s->len);
        slot->len = (uint8_t)s->len;
        slot->server = s->server;
        slot->count[0] = both[0];
        slot->count[1] = both[1];
        atomic_store_explicit(&slot->state, SLOT_READY, memory_order_release);
    }
    return both[good];
}

static bool is_it(const struct nomad_meter_slot *slot, const struct subject *s)
{
    return slot->server == s->server && slot->len == s->len &&
           memcmp(slot->namespace, s->namespace, s->len) == 0;
}

/* The subject's slot, or the first one that is not another's; NULL: all are. */
static struct nomad_meter_slot *seek(struct nomad_meter *m, const struct subject *s, bool *ret_found)
{
    unsigned first = first_slot(s);

    *ret_found = false;
    for (unsigned k = 0; k < NOMAD_METER_SLOTS; k++) {
        struct nomad_meter_slot *slot = &m->slot[(first + k) % NOMAD_METER_SLOTS];
        bool is_ready = atomic_load_explicit(&slot->state, memory_order_acquire) == SLOT_READY;
        if (is_ready && !is_it(slot, s))
            continue;
        *ret_found = is_ready;
        return slot;
    }
    return NULL;
}

static bool is_full(const struct nomad_meter *m)
{
    return atomic_load_explicit(&((struct nomad_meter *)(uintptr_t)m)->n, memory_order_relaxed) >=
           NOMAD_METER_MAX;
}

static struct wp_series *series_of(struct nomad_meter *m, struct subject s,
                                   const struct wp_nomad_source *source, bool good)
{
    bool found;
    struct nomad_meter_slot *slot = seek(m, &s, &found);

    if (WP_LIKELY(found))
        return slot->count[good];
    if (s.len > 0 && !is_full(m) && wp_nomad_has_namespace(source, s.namespace, s.len))
        return take(m, slot, &s, good);
    s.len = 0;
    slot = seek(m, &s, &found);
    return found ? slot->count[good] : take(m, slot, &s, good);
}

void nomad_meter_add(struct nomad_meter *m, const struct wp_query *q, const struct wp_nomad_source *s,
                     const char *namespace, size_t len, bool good)
{
    struct subject subject = {wp_query_server(q), namespace, len};

    wp_metric_add(series_of(m, subject, s, good), q->worker, 1);
}
