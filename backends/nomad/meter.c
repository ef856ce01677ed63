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

static void make(const struct nomad_meter *m, const char *namespace, struct wp_series *ret[2])
{
    const char *values[] = {m->server, namespace};

    ret[0] = wp_metric_series(&families[0], values);
    ret[1] = wp_metric_series(&families[1], values);
}

void nomad_meter_init(struct nomad_meter *m, const char *server)
{
    m->server = server;
    make(m, "other", m->other);
}

static unsigned first_slot(const char *namespace, size_t len)
{
    return ((uint8_t)namespace[0] * 7u + (uint8_t)namespace[len - 1] * 31u + (unsigned)len) %
           NOMAD_METER_SLOTS;
}

/* The namespace is new here, which happens once to each that exists. Who comes while another thread is at
 * it asks for the series by its name. */
static __attribute__((noinline)) struct wp_series *take(struct nomad_meter *m,
                                                        struct nomad_meter_slot *slot,
                                                        const char *namespace, size_t len, bool good)
{
    struct wp_series *both[2];
    char text[WP_LABEL_MAX + 1];
    uint8_t empty = SLOT_EMPTY;

    memcpy(text, namespace, len);
    text[len] = '\0';
    make(m, text, both);
    if (atomic_compare_exchange_strong(&slot->state, &empty, SLOT_TAKEN)) {
        atomic_fetch_add_explicit(&m->n, 1, memory_order_relaxed);
        memcpy(slot->namespace, namespace, len);
        slot->len = (uint8_t)len;
        slot->count[0] = both[0];
        slot->count[1] = both[1];
        atomic_store_explicit(&slot->state, SLOT_READY, memory_order_release);
    }
    return both[good];
}

static struct wp_series *series_of(struct nomad_meter *m, const struct wp_nomad_source *s,
                                   const char *namespace, size_t len, bool good)
{
    unsigned at = first_slot(namespace, len);

    for (;; at = (at + 1) % NOMAD_METER_SLOTS) { /* METER_MAX leaves empty ones */
        struct nomad_meter_slot *slot = &m->slot[at];
        uint8_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == SLOT_READY && slot->len == len && memcmp(slot->namespace, namespace, len) == 0)
            return slot->count[good];
        if (state == SLOT_READY)
            continue;
        if (!wp_nomad_has_namespace(s, namespace, len) ||
            atomic_load_explicit(&m->n, memory_order_relaxed) >= NOMAD_METER_MAX)
            return m->other[good];
        return take(m, slot, namespace, len, good);
    }
}

void nomad_meter_add(struct nomad_meter *m, const struct wp_nomad_source *s, const char *namespace,
                     size_t len, bool good, int worker)
{
    wp_metric_add(series_of(m, s, namespace, len, good), worker, 1);
}
