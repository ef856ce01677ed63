/* One instance of the directive: what its lines say, and the zones it serves. */
#pragma once
#include "backends/common/client_tls.h"
#include "backends/etcd/answer.h"
#include "backends/etcd/mirror.h"
#include "waypost/plugin/plugin.h"

struct wp_series;

struct etcd {
    /* the lines */
    struct wp_zones zones;
    struct wp_fall fall;
    const char *prefix; /* cleaned */
    struct wp_etcd_endpoint *endpoints;
    unsigned n_endpoints;
    const char *discovery, *discovery_name; /* domain and service of SRV records, instead of endpoints */
    const char *user, *password;
    bool no_apex_fallback, keep_lapsed, svcb;
    bool health, none_when_all_unwell;
    struct wp_probe_terms terms; /* of health checks */
    struct wp_client_tls tls;
    const char *state; /* directory, "": off, NULL: what the server says */
    int64_t max_stale_ns; /* 0: data is never too old */
    int64_t min_s, max_s; /* 0: the default */
    int64_t ready_after_s;
    uint64_t max_octets; /* of the mirror; 0: no limit */
    struct wp_etcd_lease_bounds bounds;

    /* each zone in the order of `zones` */
    struct wp_etcd_zone *zone;
    struct wp_etcd_range **range;
    struct wp_series *stale_answers;
    uint64_t started_ms;
};

extern const struct wp_option etcd_options[];
/* The cluster that the lines name. */
void etcd_source(const struct etcd *p, struct wp_etcd_source *ret);
int etcd_new(void *self, struct wp_setup *s); /* defaults that 0 does not stand for */
/* Defaults, what lines say together, TLS files. */
int etcd_check(void *self, struct wp_setup *s);
int etcd_serve(void *self, struct wp_query *q);
struct wp_report;
void etcd_status(void *self, struct wp_report *r);
/* Whole seconds of a lease bound: a bare number, or Go's duration text. */
int etcd_seconds_parse(const char *text, int64_t *ret_s) WP_MUSTCHECK;

/* A and AAAA of a name below the zone, not with wildcards, when they need no more than a copy:
 * DONE, or NEXT with nothing written. */
int etcd_quick(struct wp_query *q, const struct wp_etcd_view *v, const struct wp_etcd_path *path,
               const struct wp_etcd_range *range);

/* For a question that is explained: begin, then each record that is used (once or more often). NULL,
 * which is taken: no memory. */
struct etcd_told;
struct etcd_told *etcd_explain_begin(struct wp_query *q, const struct wp_etcd_range *range,
                                     const struct wp_etcd_path *path, uint64_t now_ns);
void etcd_explain_record(struct wp_query *q, struct etcd_told *told,
                         const struct wp_etcd_range *range, const struct wp_etcd_rec *rec,
                         uint64_t now_ns);

/* Answers with names outside the zone: look them up, then write. Returns DONE, WAIT or an error. */
struct wp_etcd_answer;
int etcd_resolve(struct etcd *p, struct wp_query *q, struct wp_etcd_answer *a);
/* The finished answer as the reply. */
int etcd_write(struct etcd *p, struct wp_query *q, struct wp_etcd_answer *a,
               struct wp_query *const children[WP_ETCD_LOOKUPS_MAX]) WP_MUSTCHECK;
