#include "server/loop/loop_priv.h"

#include <limits.h>

enum { TICK_NS = 1000000 };

/* The tick by which a timer may fire: never early. */
static uint64_t tick_of(uint64_t due_ns)
{
    return due_ns / TICK_NS + (due_ns % TICK_NS != 0);
}

static void link_timer(struct wp_timer **head, struct wp_timer *t)
{
    t->next = *head;
    t->prev = head;
    if (t->next != NULL)
        t->next->prev = &t->next;
    *head = t;
}

static void unlink_timer(struct wp_timer *t)
{
    *t->prev = t->next;
    if (t->next != NULL)
        t->next->prev = t->prev;
    t->next = NULL;
    t->prev = NULL;
}

static void place(struct wheel *w, struct wp_timer *t)
{
    uint64_t tick = tick_of(t->due_ns);
    unsigned level, slot;

    if (tick <= w->tick) {
        link_timer(&w->due, t);
        return;
    }
    level = (63 - (unsigned)__builtin_clzll(tick ^ w->tick)) / WHEEL_BITS;
    slot = tick >> (level * WHEEL_BITS) & (WHEEL_SLOTS - 1);
    link_timer(&w->slot[level][slot], t);
    w->used[level] |= UINT64_C(1) << slot;
}
/* 64-bit nanoseconds are less than 2^45 ms: eight levels of six bits hold every due tick. */
_Static_assert(WHEEL_LEVELS *WHEEL_BITS >= 45, "levels");

void wp_wheel_init(struct wheel *w, uint64_t now_ns)
{
    *w = (struct wheel){.tick = now_ns / TICK_NS};
}

void wp_wheel_rebase(struct wheel *w, uint64_t now_ns)
{
    struct wp_timer *all = w->due;

    w->due = NULL;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            while (w->slot[level][slot] != NULL) {
                struct wp_timer *t = w->slot[level][slot];
                unlink_timer(t);
                t->next = all;
                all = t;
            }
    wp_wheel_init(w, now_ns);
    while (all != NULL) {
        struct wp_timer *t = all;
        all = t->next;
        place(w, t);
    }
}

/* The next tick at which a slot comes up: on level 0 its timers are due, above they move down.
 * UINT64_MAX: no timer is set. */
static uint64_t next_slot(struct wheel *w, unsigned *ret_level, unsigned *ret_slot)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        while (w->used[level] != 0) {
            unsigned slot = (unsigned)__builtin_ctzll(w->used[level]);
            unsigned shift = level * WHEEL_BITS;
            if (w->slot[level][slot] == NULL) { /* all cancelled */
                w->used[level] &= w->used[level] - 1;
                continue;
            }
            *ret_level = level;
            *ret_slot = slot;
            return (w->tick >> shift >> WHEEL_BITS << WHEEL_BITS | slot) << shift;
        }
    }
    return UINT64_MAX;
}

static void move_to_due(struct wheel *w, uint64_t tick)
{
    unsigned level, slot;
    uint64_t next;

    while ((next = next_slot(w, &level, &slot)) <= tick) {
        struct wp_timer *list = w->slot[level][slot];
        w->tick = next;
        w->slot[level][slot] = NULL;
        w->used[level] &= ~(UINT64_C(1) << slot);
        while (list != NULL) {
            struct wp_timer *t = list;
            list = t->next;
            place(w, t);
        }
    }
    w->tick = tick;
}

void wp_wheel_run(struct wheel *w, uint64_t now_ns)
{
    struct wp_timer *running;

    if (now_ns / TICK_NS > w->tick)
        move_to_due(w, now_ns / TICK_NS);
    /* What a callback sets for now goes to `due` and waits for the next turn. What it cancels
     * leaves this list. */
    running = w->due;
    w->due = NULL;
    if (running != NULL)
        running->prev = &running;
    while (running != NULL) {
        struct wp_timer *t = running;
        unlink_timer(t);
        t->fn(t);
    }
}

int wp_wheel_wait_ms(struct wheel *w, uint64_t now_ns)
{
    unsigned level, slot;
    uint64_t next;

    if (w->due != NULL)
        return 0;
    next = next_slot(w, &level, &slot);
    if (next == UINT64_MAX)
        return -1;
    if (next <= now_ns / TICK_NS)
        return 0;
    next -= now_ns / TICK_NS;
    return next < INT_MAX ? (int)next : INT_MAX;
}

void wp_timer_set(struct wp_loop *loop, struct wp_timer *t, uint64_t due_ns)
{
    if (t->prev != NULL) {
        if (t->due_ns == due_ns)
            return;
        unlink_timer(t);
    }
    t->due_ns = due_ns;
    place(&loop->wheel, t);
}

void wp_timer_cancel(struct wp_timer *t)
{
    if (t->prev != NULL)
        unlink_timer(t);
}
