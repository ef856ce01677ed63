#include "waypost/base/hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

/* Any value works; a fixed one until wp_hash_seed_init keeps unit tests repeatable. */
uint64_t wp_hash_seed = 0x243f6a8885a308d3u;

void wp_hash_seed_init(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        /* Only a kernel without getrandom comes here; a guessable seed still works. */
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        seed = wp_hash_mix((uint64_t)ts.tv_nsec, (uint64_t)ts.tv_sec);
    }
    wp_hash_seed = seed;
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

uint64_t wp_hash_bytes(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = wp_hash_seed ^ len;
    uint64_t tail = 0;

    for (; len >= 16; p += 16, len -= 16)
        h = wp_hash_mix(h ^ load64(p), load64(p + 8));
    if (len >= 8) {
        h = wp_hash_mix(h, load64(p));
        p += 8;
        len -= 8;
    }
    if (len > 0) {
        memcpy(&tail, p, len);
        h = wp_hash_mix(h, tail);
    }
    return wp_hash_mix(h, 0xa0761d6478bd642fu);
}
