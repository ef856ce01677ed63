/* What an answer holds already: a set of 64-bit hashes, made with the process's seed. Two different
 * things of one answer that have the same are told apart by nothing: with the thousands that fit a
 * message that is one answer in 10^12. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_arena;

enum { WP_KUBE_SEEN_FEW = 16 };
struct wp_kube_seen {
    struct wp_arena *arena;
    size_t n, mask;
    uint64_t few[WP_KUBE_SEEN_FEW]; /* the first ones, while there is no table */
    uint64_t *slot;                 /* 0: free */
};
/* 1: it is new, 0: it was there, -ENOMEM. */
int wp_kube_seen_add(struct wp_kube_seen *s, uint64_t hash) WP_MUSTCHECK;
