/* A resolver's reply with SRV records. Properties: host names of letters, digits, '-', '_' and '.' only,
 * not empty, no more than there is room for; a reply that is refused leaves what was there; in order by
 * priority afterwards, and the same ones. */
#include "fuzz.h"

#include "backends/etcd/discover.h"

static uint64_t random_of(void *arg)
{
    uint64_t *state = arg;

    return *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
}

static uint64_t sum_of(const struct wp_etcd_found *f)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < f->n; i++)
        sum += f->one[i].port * UINT64_C(65537) + f->one[i].weight + strlen(f->one[i].host);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_etcd_found f = {.n = 1, .ttl_s = 77, .one = {{.port = 1, .host = "before"}}};
    uint8_t *exact = malloc(size > 0 ? size : 1); /* so that one octet too many is seen */
    uint64_t state = size, sum;
    int r;

    CHECK(exact != NULL);
    if (size > 0)
        memcpy(exact, data, size);
    r = wp_etcd_found_read(exact, size, &f);
    free(exact);
    CHECK(f.n >= 1 && f.n <= WP_ETCD_FOUND_MAX && strcmp(f.one[0].host, "before") == 0);
    if (r < 0)
        CHECK(f.n == 1 && f.n_left_out == 0 && f.ttl_s == 77);
    for (unsigned i = 0; i < f.n; i++) {
        size_t n = strlen(f.one[i].host);
        CHECK(n > 0 && n < WP_ETCD_HOST_MAX && f.one[i].port != 0);
        CHECK(strspn(f.one[i].host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n);
    }
    sum = sum_of(&f);
    wp_etcd_found_order(&f, random_of, &state);
    CHECK(sum_of(&f) == sum);
    for (unsigned i = 1; i < f.n; i++)
        CHECK(f.one[i - 1].priority <= f.one[i].priority);
    return 0;
}
