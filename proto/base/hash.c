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

/* 1..7 octets, some of them twice: no loop and no call for the end of short texts. */
static uint64_t load_tail(const uint8_t *p, size_t len)
{
    uint32_t first, last;

    if (len < 4)
        return p[0] | (unsigned)p[len / 2] << 8 | (unsigned)p[len - 1] << 16;
    memcpy(&first, p, sizeof(first));
    memcpy(&last, p + len - sizeof(last), sizeof(last));
    return first | (uint64_t)last << 32;
}

uint64_t wp_hash_bytes(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint64_t h = wp_hash_seed ^ len;

    for (; len >= 16; p += 16, len -= 16)
        h = wp_hash_mix(h ^ load64(p), load64(p + 8));
    if (len >= 8) {
        h = wp_hash_mix(h, load64(p));
        p += 8;
        len -= 8;
    }
    if (len > 0)
        h = wp_hash_mix(h, load_tail(p, len));
    return wp_hash_mix(h, 0xa0761d6478bd642fu);
}
