/* The catalog by itself: memory of a name, changes and hits a second.
 *   micro_catalog [names]      (default 1000000) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "waypost/base/grace.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/catalog.h"

enum { BODY = 16, HITS = 4000000, BATCH = 16 };

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void name_of(unsigned i, struct wp_name *ret)
{
    char text[64];

    snprintf(text, sizeof(text), "host-%u.svc.example.org.", i);
    if (wp_name_parse(text, ret) < 0)
        abort();
}

static void fill(struct wp_catalog *c, unsigned n)
{
    const uint8_t body[BODY] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1};
    const uint16_t count[WP_SECTIONS] = {1};
    struct wp_entry_maker m;

    wp_entry_maker_init(&m);
    for (unsigned i = 0; i < n; i++) {
        struct wp_name name;

        name_of(i, &name);
        wp_entry_maker_start(&m, name.wire, 0);
        if (wp_entry_maker_set(&m, 1, 0, count, body, BODY) < 0 || wp_catalog_put(c, &m) < 0)
            abort();
    }
    wp_entry_maker_done(&m);
}

/* Questions in random order: name, look-up, copy. With `ahead` the slot and then the entry of a
 * whole batch are fetched before the first is read, as the UDP listener does. */
static double hits(const struct wp_catalog *c, unsigned n, bool ahead)
{
    static struct wp_qname q[BATCH];
    uint8_t out[512];
    unsigned x = 1;
    uint64_t sum = 0;
    double start = now_s(), naming = 0;

    for (int part = 0;; part++) {
        for (unsigned i = 0; i < HITS; i += BATCH) {
            for (unsigned j = 0; j < BATCH; j++) {
                uint8_t wire[64];
                char digits[16];

                x = x * 1664525u + 1013904223u;
                int len = snprintf(digits, sizeof(digits), "%u", (x >> 8) % n);
                wire[0] = (uint8_t)(5 + len);
                memcpy(wire + 1, "host-", 5);
                memcpy(wire + 6, digits, (size_t)len);
                memcpy(wire + 6 + len, "\3svc\7example\3org", sizeof("\3svc\7example\3org"));
                if (wp_qname_set(&q[j], wire, sizeof(wire)) < 0)
                    abort();
                if (part == 1 && ahead)
                    wp_catalog_prefetch(c, q[j].suffix[0]);
            }
            if (part == 0) {
                sum += q[0].suffix[0];
                continue;
            }
            for (unsigned j = 0; ahead && j < BATCH; j++)
                wp_catalog_prefetch_entry(c, q[j].suffix[0]);
            for (unsigned j = 0; j < BATCH; j++) {
                struct wp_seek s;
                const struct wp_set *set;

                wp_catalog_seek(c, &q[j], NULL, &s);
                set = s.exact ? wp_entry_set(s.entry, 1) : NULL;
                if (set == NULL)
                    abort();
                memcpy(out, wp_entry_body(s.entry, set), set->len);
                sum += out[15];
            }
        }
        if (part == 0) { /* what making the questions costs by itself */
            naming = now_s() - start;
            start = now_s();
            continue;
        }
        if (sum == 0)
            abort();
        return (now_s() - start - naming) / HITS * 1e9;
    }
}

static void run(const char *what, enum wp_catalog_mode mode, unsigned n)
{
    static const uint8_t apex[] = "\7example\3org";
    struct wp_catalog *c;
    double start, s;
    size_t octets;

    if (wp_catalog_new(apex, 1, mode, &c) < 0)
        abort();
    start = now_s();
    fill(c, n);
    s = now_s() - start;
    octets = wp_catalog_octets(c);
    printf("%s: %u names, %.0f octets each beyond the %d of the body, %.0f puts/s", what, n,
           (double)octets / n - BODY, BODY, n / s);
    printf(", hit %.0f ns, in batches %.0f ns\n", hits(c, n, false), hits(c, n, true));
    start = now_s();
    if (mode == WP_CATALOG_LIVE) {
        fill(c, n);
        printf("%s: %.0f replacements/s\n", what, n / (now_s() - start));
    }
    wp_grace_reclaim();
    start = now_s();
    wp_catalog_free(c);
    printf("%s: freed in %.0f ms\n", what, (now_s() - start) * 1e3);
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;

    run("live", WP_CATALOG_LIVE, n);
    run("whole", WP_CATALOG_WHOLE, n);
    return 0;
}
