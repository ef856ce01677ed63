/* Hashes of labels and names. Not cryptographic: the process-wide seed keeps strangers from
 * choosing collisions; it is set once before any thread starts. */
#pragma once
#include <stddef.h>
#include <stdint.h>

extern uint64_t wp_hash_seed;
void wp_hash_seed_init(void); /* from getrandom(2); call once in main, before threads */

static inline uint64_t wp_hash_mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Any octets, seeded. */
uint64_t wp_hash_bytes(const void *p, size_t len);
