#include "backends/etcd/set.h"

#include <errno.h>
#include <string.h>

#include "waypost/base/hash.h"

static struct wp_etcd_set_slot *locate(struct wp_etcd_set_slot *slots, uint32_t mask, uint32_t tag,
                                       const void *key, size_t len)
{
    for (uint64_t i = wp_hash_bytes(key, len) + tag;; i++) {
        struct wp_etcd_set_slot *s = &slots[i & mask];
        if (s->at == 0 || (s->tag == tag && s->len == len && memcmp(s->key, key, len) == 0))
            return s;
    }
}

static int grow(struct wp_etcd_set *s, struct wp_arena *a)
{
    uint32_t size = s->slots == NULL ? 32 : 2 * (s->mask + 1);
    struct wp_etcd_set_slot *slots = wp_arena_array(a, size, sizeof(*slots));

    if (slots == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; s->slots != NULL && i <= s->mask; i++)
        if (s->slots[i].at != 0)
            *locate(slots, size - 1, s->slots[i].tag, s->slots[i].key, s->slots[i].len) =
                s->slots[i];
    s->slots = slots;
    s->mask = size - 1;
    return 0;
}

int64_t wp_etcd_set_add(struct wp_etcd_set *s, struct wp_arena *a, uint32_t tag, const void *key,
                        size_t len, bool *ret_new)
{
    struct wp_etcd_set_slot *slot;

    if (s->slots == NULL || s->n * 4 > s->mask * 3) {
        int r = grow(s, a);
        if (r < 0)
            return r;
    }
    slot = locate(s->slots, s->mask, tag, key, len);
    *ret_new = slot->at == 0;
    if (*ret_new)
        *slot =
            (struct wp_etcd_set_slot){.key = key, .len = (uint32_t)len, .tag = tag, .at = ++s->n};
    return slot->at - 1;
}
