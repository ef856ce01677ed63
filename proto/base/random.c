#include "waypost/base/random.h"

#include <string.h>
#include <sys/random.h>

/* splitmix64: one add, three mixes; seeded from the system at the thread's first use. */
uint64_t wp_random(void)
{
    static _Thread_local uint64_t state;
    uint64_t z;

    if (state == 0 && getrandom(&state, sizeof(state), GRND_NONBLOCK) != sizeof(state))
        state = (uintptr_t)&state;
    z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t wp_random_below(uint32_t n)
{
    return (uint32_t)((wp_random() >> 32) * n >> 32);
}
