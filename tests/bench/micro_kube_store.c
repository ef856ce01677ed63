/* The store of a large cluster: octets, what a look-up costs, how many slices and pods it takes in
 * a second, and how fast their JSON is read.
 *   micro_kube_store [services [endpoints [pods]]]      (default 10000 150000 150000) */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/store.h"
#include "waypost/base/arena.h"

enum { LOOKUPS = 5000000, UPDATES = 20000, PER_SLICE = 100 };

static struct wp_arena arena;
static struct wp_kube_store *store;
static struct wp_kube_decode_config config;

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double heap_mb(void)
{
    struct mallinfo2 m = mallinfo2();

    return (double)(m.uordblks + m.hblkhd) / 1e6;
}

static void put(enum wp_kube_collection c, const char *json, size_t len)
{
    struct wp_kube_decode_error e;
    struct wp_kube_object o;

    wp_arena_reset(&arena);
    if (wp_kube_decode(&config, c, json, len, &arena, &o, &e) < 0 ||
        wp_kube_store_put(store, &o, 1) < 0)
        abort();
}

#define FIELDS                                                                                     \
    "\"managedFields\":[{\"manager\":\"kube-controller-manager\",\"operation\":\"Update\","        \
    "\"apiVersion\":\"v1\",\"time\":\"2026-03-01T09:30:00Z\",\"fieldsType\":\"FieldsV1\","         \
    "\"fieldsV1\":{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:app\":{},\"f:kubernetes.io/"         \
    "service-name\":{}}},\"f:spec\":{\"f:ports\":{},\"f:selector\":{},\"f:type\":{}}}}]"

static size_t service_json(char *out, unsigned i)
{
    return (size_t)sprintf(
        out,
        "{\"metadata\":{\"name\":\"service-%05u\",\"namespace\":\"namespace-%03u\",\"uid\":"
        "\"6f1d2c3b-0000-4000-8000-%012u\",\"resourceVersion\":\"%u\",\"creationTimestamp\":"
        "\"2026-03-01T09:30:00Z\",\"labels\":{\"app\":\"app-%u\"}," FIELDS
        "},\"spec\":{\"ports\":[{"
        "\"name\":\"http\",\"protocol\":\"TCP\",\"port\":80,\"targetPort\":8080},{\"name\":"
        "\"metrics\",\"protocol\":\"TCP\",\"port\":9100,\"targetPort\":9100}],\"selector\":{"
        "\"app\":"
        "\"app-%u\"},\"clusterIP\":\"10.96.%u.%u\",\"clusterIPs\":[\"10.96.%u.%u\"],\"type\":"
        "\"ClusterIP\",\"sessionAffinity\":\"None\"},\"status\":{\"loadBalancer\":{}}}",
        i, i % 200, i, 1000000 + i, i, i, i >> 8, i & 255, i >> 8, i & 255);
}

/* Slice i of service s: n endpoints from `first` on. */
static size_t slice_json(char *out, unsigned i, unsigned s, unsigned first, unsigned n,
                         unsigned version)
{
    char *at = out;

    at +=
        sprintf(at,
                "{\"metadata\":{\"name\":\"service-%05u-%05x\",\"generateName\":\"service-%05u-\","
                "\"namespace\":\"namespace-%03u\",\"uid\":\"6f1d2c3b-0000-4000-8001-%012u\","
                "\"resourceVersion\":\"%u\",\"labels\":{\"app\":\"app-%u\",\"kubernetes.io/"
                "service-name\":\"service-%05u\"},\"annotations\":{\"endpoints.kubernetes.io/"
                "last-change-trigger-time\":\"2026-03-01T09:30:00Z\"}," FIELDS
                "},\"addressType\":\"IPv4\",\"endpoints\":[",
                s, i, s, s % 200, i, version, s, s);
    for (unsigned k = first; k < first + n; k++)
        at += sprintf(at,
                      "%s{\"addresses\":[\"10.%u.%u.%u\"],\"conditions\":{\"ready\":true,"
                      "\"serving\":true,\"terminating\":false},\"targetRef\":{\"kind\":\"Pod\","
                      "\"namespace\":\"namespace-%03u\",\"name\":\"service-%05u-7f9c5d6b8d-%05x\","
                      "\"uid\":\"6f1d2c3b-0000-4000-8002-%012u\"},\"nodeName\":\"node-%04u\","
                      "\"zone\":\"zone-%u\"}",
                      k == first ? "" : ",", 100 + (k >> 16), k >> 8 & 255, k & 255, s % 200, s, k,
                      k, k % 5000, k % 3);
    at += sprintf(at, "],\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"},{"
                      "\"name\":\"metrics\",\"port\":9100,\"protocol\":\"TCP\"}]}");
    return (size_t)(at - out);
}

static size_t pod_json(char *out, unsigned i, unsigned version)
{
    return (size_t)sprintf(
        out,
        "{\"metadata\":{\"name\":\"service-%05u-7f9c5d6b8d-%05x\",\"namespace\":\"namespace-%03u\","
        "\"uid\":\"6f1d2c3b-0000-4000-8002-%012u\",\"resourceVersion\":\"%u\"," FIELDS
        "},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"registry.example/main:1\","
        "\"resources\":{}}],\"nodeName\":\"node-1\"},\"status\":{\"phase\":\"Running\",\"podIP\":"
        "\"10.%u.%u.%u\",\"podIPs\":[{\"ip\":\"10.%u.%u.%u\"}]}}",
        i % 10000, i, i % 200, i, version, 100 + (i >> 16), i >> 8 & 255, i & 255, 100 + (i >> 16),
        i >> 8 & 255, i & 255);
}

static void fill(const char *what, unsigned n, size_t (*json)(char *out, unsigned i),
                 enum wp_kube_collection c)
{
    static char text[1 << 20];
    double start = now_s(), octets = 0, before = heap_mb();

    for (unsigned i = 0; i < n; i++) {
        size_t len = json(text, i);
        octets += (double)len;
        put(c, text, len);
    }
    wp_kube_store_reap(store);
    printf("%-10s %7u objects, %7.1f MB of JSON in %.2f s; heap %+.1f MB\n", what, n, octets / 1e6,
           now_s() - start, heap_mb() - before);
}

static unsigned n_services, n_endpoints, n_pods;

static size_t slice_of(char *out, unsigned i)
{
    return slice_json(out, i, i % n_services, i * PER_SLICE, PER_SLICE, 2000000 + i);
}

static size_t first_pod(char *out, unsigned i)
{
    return pod_json(out, i, 3000000 + i);
}

static void lookups(void)
{
    uint64_t x = 88172645463325252u;
    size_t found = 0;
    double start = now_s();

    for (unsigned k = 0; k < LOOKUPS; k++) {
        char name[16] = "service-00000", ns[16] = "namespace-000";
        const struct wp_kube_place *p;
        struct wp_kube_cursor c;
        struct wp_kube_addr a;
        unsigned i;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        i = (unsigned)(x % n_services);
        for (unsigned d = 12, v = i; d > 7; d--, v /= 10)
            name[d] = (char)('0' + v % 10);
        for (unsigned d = 12, v = i % 200; d > 9; d--, v /= 10)
            ns[d] = (char)('0' + v % 10);
        p = wp_kube_place_find(store, wp_kube_place_hash(ns, 13, name, 13), ns, 13, name, 13);
        c = wp_kube_place_ips(p, WP_KUBE_LOCAL);
        found += wp_kube_place_namespace_present(p) + wp_kube_addr_next(&c, &a);
    }
    printf("service by name: %.0f ns (%zu)\n", (now_s() - start) / LOOKUPS * 1e9, found);
    start = now_s();
    found = 0;
    for (unsigned k = 0; k < LOOKUPS; k++) {
        uint8_t ip[4];
        struct wp_kube_addr a = wp_kube_addr_from_ip(ip, 4);
        struct wp_kube_hits h;
        size_t i;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        i = x % n_endpoints;
        ip[0] = 10, ip[1] = (uint8_t)(100 + (i >> 16)), ip[2] = (uint8_t)(i >> 8),
        ip[3] = (uint8_t)i;
        h = wp_kube_endpoint_hits(store, &a);
        found += wp_kube_hits_slice(&h, &i) != NULL;
    }
    printf("endpoint by address: %.0f ns (%zu found)\n", (now_s() - start) / LOOKUPS * 1e9, found);
}

static void updates(void)
{
    static char text[1 << 20];
    unsigned slices = n_endpoints / PER_SLICE;
    double decode = 0, apply = 0, octets = 0, start;

    for (unsigned k = 0; k < UPDATES; k++) {
        unsigned i = k % slices, gone = k / slices % PER_SLICE; /* one address less each time */
        size_t len = slice_json(text, i, i % n_services, i * PER_SLICE + (k & 1), PER_SLICE - gone,
                                5000000 + k);
        struct wp_kube_decode_error e;
        struct wp_kube_object o;
        wp_arena_reset(&arena);
        start = now_s();
        if (wp_kube_decode(&config, WP_KUBE_SLICES, text, len, &arena, &o, &e) < 0)
            abort();
        decode += now_s() - start;
        start = now_s();
        if (wp_kube_store_put(store, &o, 1) != 1)
            abort();
        if (k % 16 == 0)
            wp_kube_store_reap(store);
        apply += now_s() - start;
        octets += (double)len;
    }
    printf("slice of %.0f octets: read %.1f us (%.0f MB/s), applied %.1f us; 1000 a second take "
           "%.1f %% of a core\n",
           octets / UPDATES, decode / UPDATES * 1e6, octets / decode / 1e6, apply / UPDATES * 1e6,
           (decode + apply) / UPDATES * 1e5);
}

/* A listing of everything: as it is, with other versions of the same, or with other addresses. */
static void relist(const char *what, unsigned version, unsigned shift)
{
    static char text[1 << 20];
    double start = now_s(), before = heap_mb(), peak = 0;
    size_t removed;

    wp_kube_store_list_begin(store, WP_KUBE_SLICES);
    for (unsigned i = 0; i < n_endpoints / PER_SLICE; i++) {
        put(WP_KUBE_SLICES, text,
            slice_json(text, i, i % n_services, i * PER_SLICE + shift, PER_SLICE, version + i));
        if (i % 64 == 0)
            wp_kube_store_reap(store);
        if (heap_mb() > peak)
            peak = heap_mb();
    }
    if (wp_kube_store_list_end(store, WP_KUBE_SLICES, 1, &removed) < 0 || removed != 0)
        abort();
    wp_kube_store_reap(store);
    printf("slices listed again, %s: %.2f s, heap %.1f MB before, %.1f MB at most, %.1f MB after\n",
           what, now_s() - start, before, peak, heap_mb());
}

int main(int argc, char **argv)
{
    struct wp_kube_store_config c = {.source = 1};
    double empty;

    n_services = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
    n_endpoints = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 150000;
    n_pods = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 150000;
    wp_hash_seed_init();
    wp_arena_init(&arena, 0);
    empty = heap_mb();
    if (wp_kube_store_new(&c, &store) < 0)
        return 1;
    fill("services", n_services, service_json, WP_KUBE_SERVICES);
    fill("slices", n_endpoints / PER_SLICE, slice_of, WP_KUBE_SLICES);
    printf("heap %.1f MB, by the store's figures %.1f MB, %zu endpoints\n", heap_mb() - empty,
           (double)wp_kube_store_octets(store) / 1e6, wp_kube_store_endpoints(store));
    lookups();
    updates();
    relist("other addresses", 2000000, 0);
    relist("the same", 2000000, 0);
    relist("other versions", 6000000, 0);
    relist("other addresses", 7000000, 1);
    fill("pods", n_pods, first_pod, WP_KUBE_PODS);
    printf("heap %.1f MB, by the store's figures %.1f MB\n", heap_mb() - empty,
           (double)wp_kube_store_octets(store) / 1e6);
    wp_kube_store_reap(store);
    wp_kube_store_free(store);
    wp_arena_done(&arena);
    return 0;
}
