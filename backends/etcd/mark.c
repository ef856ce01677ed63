/* The last change that a range has seen. A store that was restored from a backup and written to since
 * may have come as far as before: its revision tells nothing. But at that revision it did
 * something else. */
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/mirror_priv.h"

void wp_etcd_mark_drop(struct wp_etcd_mark *k)
{
    free(k->key);
    *k = (struct wp_etcd_mark){0};
}

void wp_etcd_mark_set(struct wp_etcd_mark *k, const ProtobufCBinaryData *key, int64_t revision,
                      bool is_delete)
{
    if (k->cap < key->len) {
        char *more = realloc(k->key, key->len);
        if (more == NULL) {
            wp_etcd_mark_drop(k); /* the older one would do, too; none is simpler */
            return;
        }
        k->key = more;
        k->cap = key->len;
    }
    memcpy(k->key, key->data, key->len);
    k->len = key->len;
    k->revision = revision;
    k->is_delete = is_delete;
}

const struct wp_etcd_mark *wp_etcd_mark_newest(const struct wp_etcd_mirror *m)
{
    const struct wp_etcd_mark *newest = NULL;

    for (const struct wp_etcd_range_own *r = m->ranges; r != NULL; r = r->next)
        if (r->mark.revision > (newest != NULL ? newest->revision : 0) && !r->needs_load)
            newest = &r->mark;
    return newest;
}

bool wp_etcd_mark_is_there(int64_t revision, bool is_delete, const Etcd__RangeResponse *at)
{
    if (is_delete)
        return at->n_kvs == 0;
    return at->n_kvs == 1 && at->kvs[0]->mod_revision == revision;
}
