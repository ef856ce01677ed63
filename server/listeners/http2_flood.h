/* What a peer may do on one HTTP/2 connection without asking anything: each kind of cheap frame
 * has a bucket. Answers refill those that belong to normal traffic, so that a busy client never
 * meets a limit and an attacker gets a bounded number (CVE-2019-9511..9518, CVE-2023-44487,
 * CVE-2025-8671). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum wp_flood {
    WP_FLOOD_RESETS,  /* streams that ended with an error, whoever reset them */
    WP_FLOOD_REFUSED, /* streams above the limit */
    WP_FLOOD_PINGS,
    WP_FLOOD_SETTINGS,
    WP_FLOOD_EMPTY,   /* DATA without octets */
    WP_FLOOD_CONTROL, /* WINDOW_UPDATE, PRIORITY; unknown types are skipped by octets */
    WP_FLOODS,
};

struct wp_flood_state {
    uint64_t refilled_ns[WP_FLOODS];
    uint16_t tokens[WP_FLOODS];
};

void wp_flood_init(struct wp_flood_state *f, uint64_t now_ns);
/* False: the bucket is empty. */
bool wp_flood_spend(struct wp_flood_state *f, enum wp_flood kind, uint64_t now_ns);
/* An answer was given. */
void wp_flood_answered(struct wp_flood_state *f);
