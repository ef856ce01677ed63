/* One instance of the directive: what its lines say, the zones it serves, the region that it follows.
 * Read-only once it has started, but for the figures. */
#pragma once
#include "backends/nomad/meter.h"
#include "backends/nomad/source.h"
#include "waypost/plugin/plugin.h"

struct wp_report;

enum nomad_negative {
    NOMAD_RFC2308, /* SOA of the zone in authority; other types of a service are NODATA */
    NOMAD_COREDNS, /* SOA of the name in the answer section, with NXDOMAIN for other types, too */
};

/* Instances whose address is a host name. */
enum nomad_hosts {
    NOMAD_HOSTS_FAIL, /* as CoreDNS: the answer ends there, and is NXDOMAIN */
    NOMAD_HOSTS_SKIP,
    NOMAD_HOSTS_RESOLVE,
};

enum { NOMAD_ZONES_MAX = 2, NOMAD_RR_FIXED = 12 /* pointer to the owner, type, class, TTL, length */ };

struct nomad_zone {
    uint8_t name[WP_NAME_MAX]; /* wire, lower case */
    uint8_t len, labels;
    bool is_short; /* two labels before it, no more: the form SERVICE.NAMESPACE.nomad */
    uint64_t hash; /* as wp_qname.suffix */
};

struct nomad {
    /* the lines */
    const struct wp_line *directive, *address_line, *tls_line;
    const char *zone_word;
    struct wp_nomad_wants wants;
    uint32_t ttl_s;
    enum nomad_negative negative;
    enum nomad_hosts hosts;
    bool drop_duplicates;
    const char *state; /* directory, "": off, NULL: what the server says */

    /* made of them; the longer zone first */
    struct nomad_zone zone[NOMAD_ZONES_MAX];
    unsigned n_zones;
    uint8_t head[2][NOMAD_RR_FIXED]; /* what A, AAAA records begin with */

    struct wp_nomad_source *source;
    uint64_t started_ns;
    struct wp_series *stale_answers;
    struct nomad_meter meter;
};

extern const struct wp_option nomad_options[];
int nomad_new(void *self, struct wp_setup *s);
int nomad_begin(void *self, struct wp_setup *s, const struct wp_line *l);
int nomad_check(void *self, struct wp_setup *s);
int nomad_serve(void *self, struct wp_query *q);
void nomad_cancel(void *self, struct wp_query *q);
void nomad_prefetch(const void *self, const struct wp_query *q, unsigned step);
void nomad_status(void *self, struct wp_report *r);
