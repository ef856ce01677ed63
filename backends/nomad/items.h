/* What is followed: one item for each service that is listed or was asked for, and one, without a name, for
 * each namespace. A hash table with chains, and the queues in which items wait to be read. One thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_nomad_ticket; /* source_priv.h */

enum wp_nomad_queue {
    WP_NOMAD_UNQUEUED,
    WP_NOMAD_URGENT, /* somebody waits, or it has changed */
    WP_NOMAD_CALM,   /* to be looked at, as all others */
    WP_NOMAD_QUEUES,
};

struct wp_nomad_item {
    struct wp_nomad_item *chain;         /* of the table */
    struct wp_nomad_item *next, *prev;   /* of its queue */
    struct wp_nomad_item *later, *sooner; /* of those on demand: asked for after this one, before it */
    struct wp_nomad_item *namespace;     /* of a service; NULL in a namespace */
    struct wp_nomad_ticket *waiters;
    uint64_t hash;
    uint64_t index;     /* of the last answer */
    uint64_t want;      /* an event told of this index: older answers do not count */
    uint64_t due_ns;    /* not before: after a refusal; 0: any time */
    uint32_t mark;      /* the list that it stood in last */
    uint32_t n;         /* of a namespace: its items */
    uint32_t n_unknown; /* of a namespace: listed ones that have never been read */
    uint8_t queue;
    uint8_t tries;      /* answers in a row that were older than `want` */
    uint8_t covered;    /* enum wp_nomad_covered, of a namespace */
    bool reading, again; /* again: something happened while it was read */
    bool listed;        /* it stands in the list; of a namespace: it once did, with this token */
    bool known;         /* it has been read */
    bool in_pass, on_demand;
    bool tried;         /* read since its first question, with whatever outcome */
    uint8_t name_len, namespace_len;
    char text[]; /* name, namespace */
};

struct wp_nomad_items {
    struct wp_nomad_item **buckets;
    size_t mask, n;
    struct wp_nomad_item *first[WP_NOMAD_QUEUES], *last[WP_NOMAD_QUEUES];
    struct wp_nomad_item *oldest, *newest; /* on demand */
    size_t n_on_demand;
};

int wp_nomad_items_init(struct wp_nomad_items *t) WP_MUSTCHECK;
void wp_nomad_items_done(struct wp_nomad_items *t);

static inline const char *wp_nomad_item_name(const struct wp_nomad_item *i)
{
    return i->text;
}
static inline const char *wp_nomad_item_namespace(const struct wp_nomad_item *i)
{
    return i->text + i->name_len;
}

struct wp_nomad_item *wp_nomad_item_find(const struct wp_nomad_items *t, const char *name,
                                         size_t name_len, const char *namespace,
                                         size_t namespace_len);
/* The item of the name, and that of its namespace; made if they are not there. NULL: memory. */
struct wp_nomad_item *wp_nomad_item_get(struct wp_nomad_items *t, const char *name, size_t name_len,
                                        const char *namespace, size_t namespace_len);
/* It is neither read nor waited for. */
void wp_nomad_item_free(struct wp_nomad_items *t, struct wp_nomad_item *i);
/* Call fn for each; it may not make or free any. */
void wp_nomad_item_each(struct wp_nomad_items *t, void (*fn)(void *arg, struct wp_nomad_item *i),
                        void *arg);

/* Into a queue, at its end; from the calm one to the urgent one, never back. */
void wp_nomad_item_queue(struct wp_nomad_items *t, struct wp_nomad_item *i, enum wp_nomad_queue q);
void wp_nomad_item_unqueue(struct wp_nomad_items *t, struct wp_nomad_item *i);

/* It is kept because it is asked for, and was just now. */
void wp_nomad_item_asked(struct wp_nomad_items *t, struct wp_nomad_item *i);
void wp_nomad_item_unasked(struct wp_nomad_items *t, struct wp_nomad_item *i);
