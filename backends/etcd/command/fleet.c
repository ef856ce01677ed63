#include "backends/etcd/command/fleet_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- records -------------------------------------------------------------------------------- */

static char *put_string(char **at, const char *s)
{
    size_t len = strlen(s) + 1;
    char *copy = memcpy(*at, s, len);

    *at += len;
    return copy;
}

/* One piece of memory. */
static struct fleet_record *record_new(const struct etcd_fleet *f,
                                       const struct etcd_fleet_record *r)
{
    size_t head = sizeof(struct fleet_record) + r->n_pairs * sizeof(struct etcd_pair);
    size_t len = head + strlen(r->name) + 1;
    struct fleet_record *to;
    char *at;

    for (unsigned i = 0; i < r->n_pairs; i++)
        len += strlen(r->pairs[i].key) + strlen(r->pairs[i].value) + 2;
    to = malloc(len);
    if (to == NULL)
        return NULL;
    at = (char *)to + head;
    *to = (struct fleet_record){.refs = 1, .ttl_s = r->ttl_s, .n = r->n_pairs};
    to->teller = (struct etcd_teller){.name = put_string(&at, r->name), .json = f->json};
    for (unsigned i = 0; i < r->n_pairs; i++) {
        to->pairs[i].key = put_string(&at, r->pairs[i].key);
        to->pairs[i].value = put_string(&at, r->pairs[i].value);
    }
    return to;
}

struct fleet_record *fleet_record_ref(struct fleet_record *r)
{
    r->refs++;
    return r;
}

void fleet_record_unref(struct fleet_record *r)
{
    if (r != NULL && --r->refs == 0)
        free(r);
}

/* --- items ---------------------------------------------------------------------------------- */

static struct etcd_fleet_item **bucket_of(struct etcd_fleet *f, int64_t lease)
{
    return &f->bucket[((uint64_t)lease * 0x9e3779b97f4a7c15u >> 32) % FLEET_BUCKETS];
}

void fleet_set_lease(struct etcd_fleet_item *i, int64_t lease)
{
    struct etcd_fleet_item **at = bucket_of(i->fleet, i->lease);

    if (i->lease != 0) {
        while (*at != i)
            at = &(*at)->lease_next;
        *at = i->lease_next;
    }
    i->lease = lease;
    if (lease != 0) {
        at = bucket_of(i->fleet, lease);
        i->lease_next = *at;
        *at = i;
        return;
    }
    fleet_record_unref(i->there);
    fleet_record_unref(i->old);
    i->there = i->old = NULL;
    i->standing = i->doubtful = false;
}

void fleet_item_free(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    fleet_set_lease(i, 0);
    *i->prev = i->next;
    if (i->next != NULL)
        i->next->prev = i->prev;
    f->n_items--;
    fleet_record_unref(i->wanted);
    free(i);
}

static void on_post(struct wp_grpc_post *post)
{
    struct etcd_fleet *f =
        (struct etcd_fleet *)(void *)((char *)post - offsetof(struct etcd_fleet, post));

    pthread_mutex_lock(&f->lock);
    f->posted = false;
    fleet_go(f);
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->lock);
}

void fleet_wake(struct etcd_fleet *f)
{
    if (f->posted || f->ended)
        return;
    f->posted = true;
    f->post.fn = on_post;
    f->g->post(&f->post);
}

/* Something else is wanted of it. It may be gone afterwards. */
static void touch(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    i->act_ns = 0;
    fleet_settle(i);
    if (f->ready != NULL)
        fleet_wake(f);
}

int etcd_fleet_add(struct etcd_fleet *f, const struct etcd_fleet_record *r, bool up,
                   struct etcd_fleet_item **ret)
{
    struct etcd_fleet_item *i = calloc(1, sizeof(*i));

    if (i == NULL)
        return -ENOMEM;
    i->wanted = record_new(f, r);
    if (i->wanted == NULL) {
        free(i);
        return -ENOMEM;
    }
    i->fleet = f;
    i->up = up;
    i->alive_ns = UINT64_MAX;
    i->backoff = (struct wp_backoff){.first_ns = FLEET_BACKOFF_MS * MS,
                                     .most_ns = FLEET_BACKOFF_MOST_MS * MS};
    pthread_mutex_lock(&f->lock);
    i->next = f->items;
    i->prev = &f->items;
    if (i->next != NULL)
        i->next->prev = &i->next;
    f->items = i;
    f->n_items++;
    touch(i);
    pthread_mutex_unlock(&f->lock);
    *ret = i;
    return 0;
}

int etcd_fleet_replace(struct etcd_fleet_item *i, const struct etcd_fleet_record *r)
{
    struct etcd_fleet *f = i->fleet;
    struct fleet_record *wanted = record_new(f, r);

    if (wanted == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&f->lock);
    fleet_record_unref(i->wanted);
    i->wanted = wanted;
    touch(i);
    pthread_mutex_unlock(&f->lock);
    return 0;
}

void etcd_fleet_want(struct etcd_fleet_item *i, bool up)
{
    struct etcd_fleet *f = i->fleet;

    pthread_mutex_lock(&f->lock);
    if (i->up != up) {
        i->up = up;
        touch(i);
    }
    pthread_mutex_unlock(&f->lock);
}

void etcd_fleet_remove(struct etcd_fleet_item *i)
{
    struct etcd_fleet *f = i->fleet;

    pthread_mutex_lock(&f->lock);
    i->up = false;
    i->removed = true;
    touch(i);
    pthread_mutex_unlock(&f->lock);
}

void etcd_fleet_look(const struct etcd_fleet_item *i, struct etcd_fleet_look *ret)
{
    struct etcd_fleet *f = i->fleet;

    pthread_mutex_lock(&f->lock);
    *ret = (struct etcd_fleet_look){.standing = i->standing && i->there == i->wanted,
                                    .lease = i->lease};
    snprintf(ret->why, sizeof(ret->why), "%s",
             i->why[0] != '\0' || i->standing || !i->up ? i->why : f->last_why);
    pthread_mutex_unlock(&f->lock);
}

/* --- the fleet ------------------------------------------------------------------------------ */

int etcd_fleet_new(const struct wp_etcd_source *src, bool json, char why[256],
                   struct etcd_fleet **ret)
{
    struct etcd_fleet *f = calloc(1, sizeof(*f));
    pthread_condattr_t attr;
    int r;

    snprintf(why, 256, "out of memory");
    if (f == NULL)
        return -ENOMEM;
    f->src = *src;
    f->json = json;
    f->ready_end = &f->ready;
    f->backoff = (struct wp_backoff){.first_ns = FLEET_BACKOFF_MS * MS,
                                     .most_ns = FLEET_BACKOFF_MOST_MS * MS};
    f->g = wp_grpc_open(why);
    r = f->g == NULL ? WP_EUNSUPPORTED : f->g->acquire();
    if (r < 0) {
        free(f);
        return r;
    }
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->cond, &attr);
    pthread_condattr_destroy(&attr);
    *ret = f;
    return 0;
}

static void on_end(struct wp_grpc_post *post)
{
    struct etcd_fleet *f =
        (struct etcd_fleet *)(void *)((char *)post - offsetof(struct etcd_fleet, post));

    pthread_mutex_lock(&f->lock);
    f->g->timer_cancel(&f->timer);
    fleet_close(f);
    f->ended = true;
    f->posted = false;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->lock);
}

/* The last thing that the engine does for it. */
static void end(struct etcd_fleet *f)
{
    while (f->posted)
        pthread_cond_wait(&f->cond, &f->lock);
    f->posted = true;
    f->post.fn = on_end;
    f->g->post(&f->post);
    while (!f->ended)
        pthread_cond_wait(&f->cond, &f->lock);
}

bool etcd_fleet_stop(struct etcd_fleet *f, unsigned timeout_ms, unsigned *ret_left)
{
    struct timespec until;
    bool clean;

    *ret_left = 0;
    if (f == NULL)
        return true;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(timeout_ms % 1000 * MS);
    until.tv_sec += timeout_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    for (struct etcd_fleet_item *i = f->items, *after; i != NULL; i = after) {
        after = i->next;
        i->up = false;
        i->removed = true;
        touch(i);
    }
    f->retry_ns = 0;
    while (f->items != NULL && pthread_cond_timedwait(&f->cond, &f->lock, &until) == 0)
        ;
    end(f);
    for (struct etcd_fleet_item *i = f->items; i != NULL; i = i->next)
        *ret_left += i->there != NULL;
    while (f->items != NULL)
        fleet_item_free(f->items);
    clean = !f->cut;
    pthread_mutex_unlock(&f->lock);
    if (!clean)
        return false;
    f->g->release();
    pthread_cond_destroy(&f->cond);
    pthread_mutex_destroy(&f->lock);
    free(f);
    return true;
}
