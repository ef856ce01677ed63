/* The series of one server and zone: labels of every type and rcode, and counting by several loops.
 */
#include "check.h"
#include "server/plugins/prometheus/point.h"
#include <pthread.h>
#include <stdlib.h>

static bool shows(const char *row)
{
    size_t len;
    char *text = wp_metric_text(&len);
    bool found = strstr(text, row) != NULL;

    free(text);
    return found;
}

static const struct {
    uint16_t qtype;
    const char *label;
} types[] = {
    {1, "A"},      {28, "AAAA"},  {5, "CNAME"},  {48, "DNSKEY"}, {43, "DS"},
    {15, "MX"},    {50, "NSEC3"}, {47, "NSEC"},  {2, "NS"},      {12, "PTR"},
    {46, "RRSIG"}, {6, "SOA"},    {33, "SRV"},   {16, "TXT"},    {65, "HTTPS"},
    {64, "SVCB"},  {251, "IXFR"}, {252, "AXFR"}, {255, "ANY"},
};

static void test_types(void)
{
    struct point *p = wp_point_new("dns://:53", "types.", "", "log");
    unsigned others = 0;
    char row[256];

    CHECK(p != NULL);
    for (unsigned t = 0; t < 70000; t += t < 300 ? 1 : 997) {
        struct point_sample s = {.qtype = (uint16_t)t, .is_v6 = true, .is_tcp = true};
        wp_point_count(p, &s);
        others++;
    }
    for (size_t i = 0; i < COUNT(types); i++, others--) {
        snprintf(row, sizeof(row),
                 "coredns_dns_requests_total{family=\"2\",proto=\"tcp\",server=\"dns://"
                 ":53\",type=\"%s\",view=\"\","
                 "zone=\"types.\"} 1\n",
                 types[i].label);
        CHECK_AT(row, shows(row));
    }
    snprintf(row, sizeof(row),
             "coredns_dns_requests_total{family=\"2\",proto=\"tcp\",server=\"dns://"
             ":53\",type=\"other\",view=\"\","
             "zone=\"types.\"} %u\n",
             others);
    CHECK_AT(row, shows(row));
    wp_point_free(p);
}

static const struct {
    uint16_t rcode;
    bool is_written;
    const char *labels;
} rcodes[] = {
    {0, true, "plugin=\"errors\",rcode=\"NOERROR\""},
    {0, false, "plugin=\"\",rcode=\"NOERROR\""},
    {2, false, "plugin=\"\",rcode=\"SERVFAIL\""},
    {3, true, "plugin=\"errors\",rcode=\"NXDOMAIN\""},
    {12, true, "plugin=\"errors\",rcode=\"RCODE12\""},
    {23, true, "plugin=\"errors\",rcode=\"BADCOOKIE\""},
    {24, true, "plugin=\"errors\",rcode=\"RCODE24\""},
    {4095, false, "plugin=\"\",rcode=\"RCODE4095\""},
};

static void test_rcodes(void)
{
    struct point *p = wp_point_new("tls://:853", "rcodes.", "inside", "errors");

    for (size_t i = 0; i < COUNT(rcodes); i++) {
        struct point_sample s = {.rcode = rcodes[i].rcode, .is_written = rcodes[i].is_written};
        char row[256];
        wp_point_count(p, &s);
        wp_point_count(p, &s);
        snprintf(row, sizeof(row),
                 "coredns_dns_responses_total{%s,server=\"tls://"
                 ":853\",view=\"inside\",zone=\"rcodes.\"} 2\n",
                 rcodes[i].labels);
        CHECK_AT(row, shows(row));
    }
    wp_point_free(p);
}

/* A series appears with the first question that needs it. */
static void test_nothing_before_it_happened(void)
{
    struct point *p = wp_point_new("dns://:53", "fresh.", "", "");
    struct point_sample s = {.qtype = 1};

    CHECK(!shows("zone=\"fresh.\""));
    wp_point_count(p, &s);
    CHECK(shows("coredns_dns_request_size_bytes_count{proto=\"udp\",server=\"dns://"
                ":53\",view=\"\",zone=\"fresh.\"} 1\n"));
    CHECK(!shows("proto=\"tcp\",server=\"dns://:53\",view=\"\",zone=\"fresh.\""));
    CHECK(!shows("coredns_dns_do_requests_total{server=\"dns://:53\",view=\"\",zone=\"fresh.\"}"));
    s.is_do = true;
    wp_point_count(p, &s);
    CHECK(
        shows("coredns_dns_do_requests_total{server=\"dns://:53\",view=\"\",zone=\"fresh.\"} 1\n"));
    wp_point_free(p);
}

enum { LOOPS = 4, STEPS = 20000 };
static struct point *shared;

static void *count(void *arg)
{
    struct point_sample s = {
        .worker = (int)(intptr_t)arg, .is_written = true, .size = 30, .reply_size = 50};

    for (int i = 0; i < STEPS; i++) {
        s.qtype = (uint16_t)(i % 40);
        s.rcode = (uint16_t)(i % 30);
        s.elapsed_ns = (uint64_t)i * 1000;
        wp_point_count(shared, &s);
    }
    return NULL;
}

static void test_loops(void)
{
    pthread_t threads[LOOPS];

    shared = wp_point_new("dns://:53", "loops.", "", "x");
    for (intptr_t i = 0; i < LOOPS; i++)
        CHECK(pthread_create(&threads[i], NULL, count, (void *)i) == 0);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    CHECK(shows("coredns_dns_request_duration_seconds_count{server=\"dns://"
                ":53\",view=\"\",zone=\"loops.\"} 80000\n"));
    CHECK(shows("coredns_dns_response_size_bytes_sum{proto=\"udp\",server=\"dns://"
                ":53\",view=\"\",zone=\"loops.\"} 4e+06\n"));
    wp_point_free(shared);
}

RUN_TESTS(TEST(test_types), TEST(test_rcodes), TEST(test_nothing_before_it_happened),
          TEST(test_loops))
