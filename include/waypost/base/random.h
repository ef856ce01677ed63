/* Random numbers for choices that nobody gains by guessing (order of answers, jitter). Not for
 * query ids or keys: those come from getrandom(2). One state for each thread, no lock. */
#pragma once
#include <stdint.h>

uint64_t wp_random(void);
/* 0 .. n-1; n > 0. */
uint32_t wp_random_below(uint32_t n);
