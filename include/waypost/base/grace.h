/* Grace periods (QSBR): memory that lock-free readers may still see is freed only after every
 * worker has passed a quiescent point, the end of a loop turn. Readers are the loop threads
 * that called wp_grace_online; they pay one store for each turn. Writers are any threads. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { WP_GRACE_READERS_MAX = 128 };

struct wp_grace_item {
    struct wp_grace_item *next;
    void (*free)(struct wp_grace_item *);
    uint64_t gen;
};

/* Reader side: the calling thread's slot; -1 when the table is full. */
int wp_grace_register(void);
void wp_grace_unregister(int slot);
void wp_grace_quiescent(int slot); /* end of a turn that goes straight on */
void wp_grace_offline(int slot);   /* before blocking */
void wp_grace_online(int slot);    /* after waking, before reading shared pointers */

/* Writer side: after the pointer has been swapped out. `free` is called later, on the thread
 * that calls wp_grace_reclaim (or another retire), exactly once. Any thread; takes a mutex. */
void wp_grace_retire(struct wp_grace_item *item, void (*free)(struct wp_grace_item *));
/* Free what no reader can hold any more; returns how many items still wait. */
size_t wp_grace_reclaim(void);
