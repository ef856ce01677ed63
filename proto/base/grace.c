/* Quiescent-state reclamation. A global generation counts retirements. Each reader stores the
 * generation it has seen at the end of a turn, and 0 while it blocks. An item retired as
 * generation g is free to go when every reader that is online has seen g or later: to see g
 * (acquire) is to see the swap that came before it. */
#include "waypost/base/grace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdalign.h>
#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

enum {
    OFFLINE = 0,
    RECLAIM_EVERY = 64, /* retirements for each scan of the readers */
};

struct reader {
    alignas(64) _Atomic uint64_t seen; /* own cache line: written once a turn */
    bool used;                         /* by lock */
};

static struct reader readers[WP_GRACE_READERS_MAX];
static atomic_int n_readers; /* slots ever used: how far a scan goes */
static _Atomic uint64_t generation = 1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct wp_grace_item *first, **last = &first; /* by lock; oldest first */
static size_t n_waiting;                             /* by lock */

/* Orders a reader's store of `seen` before its reads, and a writer's swap before its scan.
 * ThreadSanitizer does not know fences; a read-modify-write of one word by both sides gives
 * the same order, at the price of a shared cache line. */
static void full_barrier(void)
{
#ifdef TSAN
    atomic_fetch_add_explicit(&generation, 0, memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

int wp_grace_register(void)
{
    int slot = -1;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < WP_GRACE_READERS_MAX && slot < 0; i++)
        if (!readers[i].used)
            slot = i;
    if (slot >= 0) {
        readers[slot].used = true;
        if (slot >= atomic_load(&n_readers))
            atomic_store(&n_readers, slot + 1);
    }
    pthread_mutex_unlock(&lock);
    if (slot >= 0)
        wp_grace_online(slot);
    return slot;
}

void wp_grace_unregister(int slot)
{
    if (slot < 0)
        return;
    wp_grace_offline(slot);
    pthread_mutex_lock(&lock);
    readers[slot].used = false;
    pthread_mutex_unlock(&lock);
}

void wp_grace_quiescent(int slot)
{
    uint64_t now = atomic_load_explicit(&generation, memory_order_acquire);

    atomic_store_explicit(&readers[slot].seen, now, memory_order_release);
}

void wp_grace_offline(int slot)
{
    atomic_store_explicit(&readers[slot].seen, OFFLINE, memory_order_release);
}

void wp_grace_online(int slot)
{
    uint64_t now = atomic_load_explicit(&generation, memory_order_acquire);

    atomic_store_explicit(&readers[slot].seen, now, memory_order_relaxed);
    full_barrier();
}

/* The generation that every online reader has seen. */
static uint64_t seen_by_all(void)
{
    uint64_t least = UINT64_MAX;
    int n = atomic_load(&n_readers);

    full_barrier();
    for (int i = 0; i < n; i++) {
        uint64_t seen = atomic_load_explicit(&readers[i].seen, memory_order_acquire);
        if (seen != OFFLINE && seen < least)
            least = seen;
    }
    return least;
}

/* Takes what may go out of the list; the caller frees it without the lock, so that a free
 * function may retire something itself. */
static struct wp_grace_item *take_free(void)
{
    uint64_t seen = seen_by_all();
    struct wp_grace_item *taken = first, **end = &first;

    while (*end != NULL && (*end)->gen <= seen) {
        end = &(*end)->next;
        n_waiting--;
    }
    if (end == &first)
        return NULL;
    first = *end;
    if (first == NULL)
        last = &first;
    *end = NULL;
    return taken;
}

static void free_all(struct wp_grace_item *item)
{
    while (item != NULL) {
        struct wp_grace_item *next = item->next;
        item->free(item);
        item = next;
    }
}

void wp_grace_retire(struct wp_grace_item *item, void (*free_fn)(struct wp_grace_item *))
{
    struct wp_grace_item *gone = NULL;

    item->free = free_fn;
    item->next = NULL;
    pthread_mutex_lock(&lock);
    item->gen = atomic_fetch_add_explicit(&generation, 1, memory_order_seq_cst) + 1;
    *last = item;
    last = &item->next;
    n_waiting++;
    if (item->gen % RECLAIM_EVERY == 0)
        gone = take_free();
    pthread_mutex_unlock(&lock);
    free_all(gone);
}

size_t wp_grace_reclaim(void)
{
    struct wp_grace_item *gone;
    size_t waiting;

    pthread_mutex_lock(&lock);
    gone = take_free();
    waiting = n_waiting;
    pthread_mutex_unlock(&lock);
    free_all(gone);
    return waiting;
}
