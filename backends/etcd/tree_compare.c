/* The tree against a listing of keys and revisions, as the verification makes it. */
#include "backends/etcd/tree_priv.h"

void wp_etcd_compare_from(struct wp_etcd_compare *c, const char *key, size_t len)
{
    const struct wp_etcd_rec *r = wp_etcd_tree_seek(c->tree, key, len);

    if (r != NULL && wp_etcd_rec_is_dying(r))
        r = wp_etcd_tree_after(c->tree, r);
    c->at = r;
}

/* What is newer than the listing has changed since. */
static void tell(const struct wp_etcd_compare *c, const char *key, size_t len, int64_t listed,
                 int64_t held)
{
    if (listed != held && held <= c->revision)
        c->differs(c->arg, key, len, listed, held);
}

static void tell_extra(struct wp_etcd_compare *c)
{
    tell(c, wp_etcd_rec_key(c->at), c->at->key_len, 0, c->at->mod_revision);
    c->at = wp_etcd_tree_after(c->tree, c->at);
}

void wp_etcd_compare_listed(struct wp_etcd_compare *c, const char *key, size_t len,
                            int64_t mod_revision)
{
    int64_t held = 0;

    while (c->at != NULL && wp_etcd_rec_compare(c->at, key, len) < 0)
        tell_extra(c);
    if (c->at != NULL && wp_etcd_rec_has_key(c->at, key, len)) {
        held = c->at->mod_revision;
        c->at = wp_etcd_tree_after(c->tree, c->at);
    }
    tell(c, key, len, mod_revision, held);
}

void wp_etcd_compare_rest(struct wp_etcd_compare *c, const char *prefix, size_t len)
{
    while (c->at != NULL && c->at->key_len >= len &&
           memcmp(wp_etcd_rec_key(c->at), prefix, len) == 0)
        tell_extra(c);
}

void wp_etcd_compare_self(struct wp_etcd_compare *c, const char *key, size_t len)
{
    if (c->at != NULL && wp_etcd_rec_has_key(c->at, key, len))
        tell_extra(c);
}
