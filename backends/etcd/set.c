#include "backends/etcd/set.h"

#include <errno.h>
#include <string.h>

#include "waypost/base/hash.h"

enum { KEYS_FIRST = 16 };

static bool is_key(const struct wp_etcd_set_key *k, uint32_t tag, const void *key, size_t len)
{
    return k->tag == tag && k->len == len && memcmp(k->key, key, len) == 0;
}

static uint32_t *locate(const struct wp_etcd_set *s, uint32_t tag, const void *key, size_t len)
{
    for (uint64_t i = wp_hash_bytes(key, len) + tag;; i++) {
        uint32_t *slot = &s->slots[i & s->mask];
        if (*slot == 0 || is_key(&s->keys[*slot - 1], tag, key, len))
            return slot;
    }
}

/* Twice the keys, four times as many slots as the old keys: half full at most. */
static int grow(struct wp_etcd_set *s, struct wp_arena *a)
{
    uint32_t cap = s->cap == 0 ? KEYS_FIRST : 2 * s->cap;
    struct wp_etcd_set larger = {.n = s->n, .cap = cap, .mask = 2 * cap - 1};

    larger.keys = wp_arena_alloc(a, cap * sizeof(*larger.keys));
    larger.slots = wp_arena_array(a, 2 * (size_t)cap, sizeof(*larger.slots));
    if (larger.keys == NULL || larger.slots == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < s->n; i++) {
        larger.keys[i] = s->keys[i];
        *locate(&larger, s->keys[i].tag, s->keys[i].key, s->keys[i].len) = i + 1;
    }
    *s = larger;
    return 0;
}

int64_t wp_etcd_set_add(struct wp_etcd_set *s, struct wp_arena *a, uint32_t tag, const void *key,
                        size_t len, bool *ret_new)
{
    uint32_t *slot;

    if (s->n == s->cap) {
        int r = grow(s, a);
        if (r < 0)
            return r;
    }
    slot = locate(s, tag, key, len);
    *ret_new = *slot == 0;
    if (*ret_new) {
        s->keys[s->n] = (struct wp_etcd_set_key){.key = key, .len = (uint32_t)len, .tag = tag};
        *slot = ++s->n;
    }
    return *slot - 1;
}
