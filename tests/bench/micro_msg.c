/* Time of taking a question apart, which every query pays before anything else, and of a reply
 * taken into records and written again, which a plugin that edits replies pays. Prints the best
 * of several rounds in nanoseconds, because the machine is shared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "waypost/base/arena.h"
#include "waypost/base/wr.h"
#include "waypost/dns/msg.h"
#include "waypost/dns/rr.h"

enum { ROUNDS = 20, TURNS = 200000, NAMES = 64 };

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "h0000001.bench.test A" and its neighbours, each with `tail` behind the question. */
static size_t make(uint8_t *wire, unsigned n, const char *name, const void *tail, size_t tail_len)
{
    static const uint8_t head[] = {0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    struct wp_name dname;
    char text[300];
    size_t len = sizeof(head);

    snprintf(text, sizeof(text), name, n);
    memcpy(wire, head, len);
    wire[11] = tail_len > 0;
    if (wp_name_parse(text, &dname) < 0)
        return 0;
    memcpy(wire + len, dname.wire, dname.len);
    len += dname.len;
    memcpy(wire + len, "\0\1\0\1", 4);
    memcpy(wire + len + 4, tail, tail_len);
    return len + 4 + tail_len;
}

static void run(const char *what, const char *name, const void *tail, size_t tail_len)
{
    static uint8_t wire[NAMES][512];
    static size_t len[NAMES];
    static struct wp_msg m;
    double best_parse = 1e9, best_name = 1e9;
    uint64_t sum = 0;

    for (unsigned n = 0; n < NAMES; n++)
        len[n] = make(wire[n], n, name, tail, tail_len);
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t t0 = now_ns(), t1;

        for (unsigned i = 0; i < TURNS; i++) {
            sum += wp_msg_parse_query(wire[i % NAMES], len[i % NAMES], 0x11, &m);
            sum += m.qname.suffix[0];
        }
        t1 = now_ns();
        for (unsigned i = 0; i < TURNS; i++) {
            sum += (unsigned)wp_qname_set(&m.qname, wire[i % NAMES] + 12, len[i % NAMES] - 12);
            sum += m.qname.suffix[0];
        }
        if ((double)(t1 - t0) / TURNS < best_parse)
            best_parse = (double)(t1 - t0) / TURNS;
        if ((double)(now_ns() - t1) / TURNS < best_name)
            best_name = (double)(now_ns() - t1) / TURNS;
    }
    printf("%-24s parse_query %6.1f ns   qname_set %6.1f ns   (%llx)\n", what, best_parse,
           best_name, (unsigned long long)sum);
}

/* A reply of `n` records: MX and A by turns, all under the question's name. */
static void rebuild(const char *what, unsigned n)
{
    static uint8_t wire[4096], back[4096];
    static struct wp_rr rr[64];
    struct wp_wr wr = wp_wr_to(wire, sizeof(wire));
    double best = 1e9, best_read = 1e9;
    struct wp_comp comp;
    struct wp_arena arena;
    struct wp_rr r = {.owner = (const uint8_t *)"\3www\5bench\4test", .cls = WP_CLASS_IN};

    wp_arena_init(&arena, 0);
    wp_wr_bytes(&wr, "\0\0\x84\0\0\1\0\0\0\0\0\0", WP_HEADER_LEN);
    wp_comp_init(&comp);
    wp_wr_name(&wr, &comp, r.owner);
    for (unsigned i = 0; i < n; i++) {
        bool mx = i % 2 == 0;

        r.type = mx ? WP_TYPE_MX : WP_TYPE_A;
        r.rdata = (const uint8_t *)(mx ? "\0\1\4mail\5bench\4test" : "\300\0\2\1");
        r.rdlen = mx ? 19 : 4;
        wp_wr_rr(&wr, &comp, &r);
    }
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t t0 = now_ns(), t1, reading = 0;

        for (unsigned turn = 0; turn < TURNS / 10; turn++) {
            struct wp_rd rd = wp_rd_from(wire, wr.len);
            struct wp_wr out = wp_wr_to(back, sizeof(back));
            struct wp_name question;

            t1 = turn % 64 == 0 ? now_ns() : 0;
            wp_arena_reset(&arena);
            rd.pos = WP_HEADER_LEN;
            if (wp_name_read(&rd, &question) < 0)
                abort();
            for (unsigned i = 0; i < n; i++) {
                if (wp_rr_read(&rd, &arena, &rr[i]) < 0)
                    abort();
            }
            if (turn % 64 == 0)
                reading += now_ns() - t1;
            out.len = WP_HEADER_LEN;
            wp_comp_init(&comp);
            wp_wr_name(&out, &comp, question.wire);
            for (unsigned i = 0; i < n; i++)
                wp_wr_rr(&out, &comp, &rr[i]);
        }
        if ((double)(now_ns() - t0) / (TURNS / 10) < best)
            best = (double)(now_ns() - t0) / (TURNS / 10);
        if ((double)reading / (TURNS / 10 / 64) < best_read)
            best_read = (double)reading / (TURNS / 10 / 64);
    }
    printf("%-24s read and rebuild %6.0f ns, of which reading %6.0f ns\n", what, best, best_read);
    wp_arena_done(&arena);
}

int main(void)
{
    static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
    static const uint8_t cookie[] = {0,  0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0,
                                     10, 0, 8,  1, 2,   3, 4, 5, 6, 7, 8};

    wp_hash_seed_init();
    run("typical", "h%07u.bench.test.", "", 0);
    run("typical, OPT", "h%07u.bench.test.", opt, sizeof(opt));
    run("typical, OPT, cookie", "h%07u.bench.test.", cookie, sizeof(cookie));
    run("short last label", "h%u.example.io.", "", 0);
    run("kubernetes", "web-%u.web.default.svc.cluster.local.", opt, sizeof(opt));
    run("reverse v6", "%x.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
        "", 0);
    rebuild("reply of 2 records", 2);
    rebuild("reply of 12 records", 12);
    return 0;
}
