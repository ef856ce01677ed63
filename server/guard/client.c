/* Connections of one client: an IPv4 address or an IPv6 /64, which is the least that one site
 * holds. */
#include <stdlib.h>
#include <string.h>

#include "server/guard/guard_priv.h"
#include "waypost/base/hash.h"

static struct wp_guard_client **bucket_of(struct wp_guard_counts *c,
                                          const struct wp_guard_client *k)
{
    return &c->clients[wp_hash_bytes(k->ip, sizeof(k->ip)) % WP_GUARD_BUCKETS];
}

static void key_of(const struct wp_addr *a, struct wp_guard_client *ret)
{
    *ret = (struct wp_guard_client){.family = a->family};
    memcpy(ret->ip, a->ip, a->family == 4 ? 4 : 8);
}

/* The entry of the key with one more connection; NULL: at the limit, or memory is short. */
static struct wp_guard_client *enter(struct wp_guard_counts *c, const struct wp_guard_client *key,
                                     uint32_t max)
{
    struct wp_guard_client **at = bucket_of(c, key), *k;

    for (k = *at; k != NULL; k = k->next)
        if (k->family == key->family && memcmp(k->ip, key->ip, sizeof(k->ip)) == 0)
            break;
    if (k == NULL) {
        k = malloc(sizeof(*k));
        if (k == NULL)
            return NULL;
        *k = *key;
        k->next = *at;
        *at = k;
    } else if (k->n >= max) {
        return NULL;
    }
    k->n++;
    return k;
}

bool wp_guard_client(const struct wp_group *g, int worker, const struct wp_addr *client,
                     struct wp_guard_slot *slot)
{
    struct wp_guard_counts *c = slot->counts;
    struct wp_guard_client key;

    if (c == NULL || g->limits.max_per_client == 0 || client->family == 0)
        return true;
    key_of(client, &key);
    pthread_mutex_lock(&c->clients_lock);
    slot->client = enter(c, &key, g->limits.max_per_client);
    pthread_mutex_unlock(&c->clients_lock);
    if (slot->client != NULL)
        return true;
    wp_guard_refused(g, worker, WP_LIMIT_PER_CLIENT);
    return false;
}

void wp_guard_client_leave(struct wp_guard_counts *c, struct wp_guard_client *k)
{
    pthread_mutex_lock(&c->clients_lock);
    if (--k->n == 0) {
        struct wp_guard_client **at = bucket_of(c, k);

        while (*at != k)
            at = &(*at)->next;
        *at = k->next;
        free(k);
    }
    pthread_mutex_unlock(&c->clients_lock);
}
