/* A key as it is saved: what every kind of value becomes reads back the same; nothing else reads.
 */
#include "check.h"

#include <stdlib.h>

#include "backends/etcd/saved.h"

static struct wp_etcd_lease *const some_lease = (struct wp_etcd_lease *)(uintptr_t)0x1000;

static const struct {
    const char *json;
    bool leased;
} values[] = {
    {"{\"host\":\"192.0.2.1\"}", false},
    {"{\"host\":\"192.0.2.1\",\"port\":80,\"ttl\":9}", true},
    {"{\"host\":\"2001:db8::1\",\"port\":-1,\"priority\":5,\"weight\":7,\"targetstrip\":2}", false},
    {"{\"host\":\"::ffff:192.0.2.1\"}", true},
    {"{\"host\":\"www.example.net\",\"mail\":true,\"group\":\"g\"}", false},
    {"{\"text\":\"hello\"}", true},
    {"{\"host\":\"a.b\",\"text\":\"owner\",\"port\":70000}", true},
    {"{}", false},
    {"{\"host\"", true},
    {"nothing", false},
};

/* The record of a value, and its octets as they are saved. */
static struct wp_etcd_rec *make(size_t i, struct wp_etcd_saved_lease *lease, uint8_t **ret_octets)
{
    struct wp_etcd_scratch scratch = {0};
    struct wp_etcd_value v;
    struct wp_etcd_flaw flaw;
    struct wp_etcd_rec *rec;

    (void)!wp_etcd_value_read(values[i].json, strlen(values[i].json), &scratch, &v, &flaw);
    rec = wp_etcd_rec_new("/test/way/k", 11, &v, values[i].leased ? some_lease : NULL, 7, 3);
    wp_etcd_scratch_done(&scratch);
    *lease = (struct wp_etcd_saved_lease){0};
    if (values[i].leased)
        *lease = (struct wp_etcd_saved_lease){INT64_MIN + 5, 1700000000123};
    *ret_octets = malloc(wp_etcd_saved_size(rec));
    wp_etcd_saved_write(rec, lease, *ret_octets);
    return rec;
}

static void test_round_trip(void)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        struct wp_etcd_saved_lease lease;
        struct wp_etcd_saved s;
        uint8_t *octets;
        struct wp_etcd_rec *rec = make(i, &lease, &octets), *again;
        CHECK_AT(values[i].json, wp_etcd_saved_read(octets, wp_etcd_saved_size(rec), &s) == 0);
        CHECK_AT(values[i].json, s.lease.id == lease.id && s.lease.end_ms == lease.end_ms);
        CHECK_AT(values[i].json, s.key_len == 11 && memcmp(s.key, "/test/way/k", 11) == 0);
        again =
            wp_etcd_rec_new(s.key, s.key_len, &s.value, values[i].leased ? some_lease : NULL, 0, 1);
        CHECK_AT(values[i].json, again != NULL && wp_etcd_rec_equal(rec, again));
        CHECK_AT(values[i].json, again->flags == rec->flags);
        wp_etcd_rec_free(rec);
        wp_etcd_rec_free(again);
        free(octets);
    }
}

/* Cut anywhere, or with something behind. */
static void test_lengths(void)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        struct wp_etcd_saved_lease lease;
        struct wp_etcd_saved s;
        uint8_t *octets, *exact;
        struct wp_etcd_rec *rec = make(i, &lease, &octets);
        size_t len = wp_etcd_saved_size(rec);
        for (size_t n = 0; n <= len + 1; n++) {
            exact = calloc(1, n + (n == 0));
            memcpy(exact, octets, n < len ? n : len);
            CHECK_AT(values[i].json, (wp_etcd_saved_read(exact, n, &s) == 0) == (n == len));
            free(exact);
        }
        wp_etcd_rec_free(rec);
        free(octets);
    }
}

/* Octets: kind, flags, port, ttl, lengths of host, group, text and key, then what they announce. */
static void test_impossible(void)
{
    static const struct {
        const char *what, *rec;
        size_t len;
        int r;
    } rows[] = {
        {"an address", WIRE("\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\300\0\2\1/k"), 0},
        {"an unknown kind", WIRE("\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2/k"), WP_EMALFORMED},
        {"an unknown flag", WIRE("\1\100\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2/k"), WP_EMALFORMED},
        {"an alias to nothing", WIRE("\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2/k"), WP_EMALFORMED},
        {"an alias", WIRE("\4\4\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\2\1a\0/k"), 0},
        {"half a name", WIRE("\4\4\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\2\2a\0/k"), WP_EMALFORMED},
        {"more than a name", WIRE("\4\4\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\2\1a\0\0/k"), WP_EMALFORMED},
        {"a pointer for a name", WIRE("\4\4\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\2\300\0/k"),
         WP_EMALFORMED},
        {"a host that no flag tells", WIRE("\4\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\2\1a\0/k"),
         WP_EMALFORMED},
        {"a spelling that is none", WIRE("\2\10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\300\0\2\1/k"),
         WP_EMALFORMED},
        {"a spelling of no address", WIRE("\5\10\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2x/k"),
         WP_EMALFORMED},
        {"a group that no flag tells", WIRE("\1\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\2g/k"),
         WP_EMALFORMED},
        {"a lease without a number",
         WIRE("\1\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0/k"),
         WP_EMALFORMED},
        {"a text of 4 GB", WIRE("\5\0\0\0\0\0\0\0\0\0\0\0\377\377\377\377\0\2/k"), WP_EMALFORMED},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_etcd_saved s;
        CHECK_AT(rows[i].what,
                 wp_etcd_saved_read((const uint8_t *)rows[i].rec, rows[i].len, &s) == rows[i].r);
    }
}

RUN_TESTS(TEST(test_round_trip), TEST(test_lengths), TEST(test_impossible))
