#include "server/plugins/prometheus/families.h"

const struct wp_family prom_requests = {
    .name = "coredns_dns_requests_total",
    .help = "Counter of DNS requests made per zone, protocol and family.",
    .kind = WP_COUNTER,
    .labels = {"server", "zone", "view", "proto", "family", "type"},
};
const struct wp_family prom_duration = {
    .name = "coredns_dns_request_duration_seconds",
    .help = "Histogram of the time (in seconds) each request took per zone.",
    .kind = WP_HISTOGRAM,
    .labels = {"server", "zone", "view"},
    .buckets = wp_time_buckets,
    .n_buckets = WP_COUNT(wp_time_buckets),
};
const struct wp_family prom_request_size = {
    .name = "coredns_dns_request_size_bytes",
    .help = "Size of the EDNS0 UDP buffer in bytes (64K for TCP) per zone and protocol.",
    .kind = WP_HISTOGRAM,
    .labels = {"server", "zone", "view", "proto"},
    .buckets = wp_size_buckets,
    .n_buckets = WP_COUNT(wp_size_buckets),
};
const struct wp_family prom_response_size = {
    .name = "coredns_dns_response_size_bytes",
    .help = "Size of the returned response in bytes.",
    .kind = WP_HISTOGRAM,
    .labels = {"server", "zone", "view", "proto"},
    .buckets = wp_size_buckets,
    .n_buckets = WP_COUNT(wp_size_buckets),
};
const struct wp_family prom_do_requests = {
    .name = "coredns_dns_do_requests_total",
    .help = "Counter of DNS requests with DO bit set per zone.",
    .kind = WP_COUNTER,
    .labels = {"server", "zone", "view"},
};
const struct wp_family prom_responses = {
    .name = "coredns_dns_responses_total",
    .help = "Counter of response status codes.",
    .kind = WP_COUNTER,
    .labels = {"server", "zone", "view", "rcode", "plugin"},
};
const struct wp_family prom_enabled = {
    .name = "coredns_plugin_enabled",
    .help = "A metric that indicates whether a plugin is enabled on per server and zone basis.",
    .kind = WP_GAUGE,
    .labels = {"server", "zone", "view", "name"},
};
const struct wp_family prom_build_info = {
    .name = "coredns_build_info",
    .help = "A metric with a constant '1' value labeled by version, revision, and goversion from "
            "which CoreDNS was built.",
    .kind = WP_GAUGE,
    .labels = {"version", "revision", "goversion"},
};
const struct wp_family prom_panics = {
    .name = "coredns_panics_total",
    .help = "A metrics that counts the number of panics.",
    .kind = WP_COUNTER,
};
