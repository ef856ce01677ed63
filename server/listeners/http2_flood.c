#include "http2_flood.h"

static const struct {
    uint16_t burst, per_s, per_answer;
} buckets[WP_FLOODS] = {
    [WP_FLOOD_RESETS] = {1000, 100, 0},
    [WP_FLOOD_REFUSED] = {1000, 50, 0}, /* a client may open many before it knows the limit */
    [WP_FLOOD_PINGS] = {100, 10, 1},    /* gRPC clients measure the path at each answer */
    [WP_FLOOD_SETTINGS] = {20, 1, 0},
    [WP_FLOOD_EMPTY] = {100, 10, 0},
    [WP_FLOOD_CONTROL] = {2000, 200, 8},
};

void wp_flood_init(struct wp_flood_state *f, uint64_t now_ns)
{
    for (int i = 0; i < WP_FLOODS; i++) {
        f->tokens[i] = buckets[i].burst;
        f->refilled_ns[i] = now_ns;
    }
}

static void refill(struct wp_flood_state *f, enum wp_flood kind, uint64_t now_ns)
{
    uint64_t passed = now_ns - f->refilled_ns[kind];
    uint64_t n = passed / (1000000000u / buckets[kind].per_s);

    if (n == 0)
        return;
    f->tokens[kind] = (uint16_t)(n < buckets[kind].burst ? n : buckets[kind].burst);
    f->refilled_ns[kind] = now_ns;
}

bool wp_flood_spend(struct wp_flood_state *f, enum wp_flood kind, uint64_t now_ns)
{
    if (f->tokens[kind] == 0)
        refill(f, kind, now_ns);
    if (f->tokens[kind] == 0)
        return false;
    f->tokens[kind]--;
    return true;
}

void wp_flood_answered(struct wp_flood_state *f)
{
    if (f->tokens[WP_FLOOD_PINGS] < buckets[WP_FLOOD_PINGS].burst)
        f->tokens[WP_FLOOD_PINGS] += buckets[WP_FLOOD_PINGS].per_answer;
    if (f->tokens[WP_FLOOD_CONTROL] < buckets[WP_FLOOD_CONTROL].burst)
        f->tokens[WP_FLOOD_CONTROL] += buckets[WP_FLOOD_CONTROL].per_answer;
}
