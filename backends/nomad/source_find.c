/* What a question sees of a source. */
#include "backends/nomad/source_priv.h"

static uint32_t now_s(const struct wp_query *q)
{
    return (uint32_t)(wp_loop_now(q->loop) / 1000000000u);
}

/* Workers that ask for one name within a second write its time once. */
static void touch(const struct wp_nomad_service *v, uint32_t now)
{
    _Atomic uint32_t *asked = &((struct wp_nomad_service *)(uintptr_t)v)->asked_s;

    if (atomic_load_explicit(asked, memory_order_relaxed) != now)
        atomic_store_explicit(asked, now, memory_order_relaxed);
}

static bool is_away(const struct wp_nomad_source *s)
{
    return atomic_load_explicit(&((struct wp_nomad_source *)(uintptr_t)s)->away,
                                memory_order_relaxed);
}

/* Too old to be told without a look, while there is somebody to ask. */
static bool is_old(const struct wp_nomad_source *s, const struct wp_nomad_service *v, uint32_t now)
{
    return atomic_load_explicit(&((struct wp_nomad_service *)(uintptr_t)v)->until_s,
                                memory_order_relaxed) < now &&
           !is_away(s);
}

static enum wp_nomad_known find_none(const struct wp_nomad_source *s, const struct wp_nomad_key *k)
{
    const struct wp_nomad_service *ns =
        wp_nomad_store_find(s->store, wp_nomad_hash("", 0, k->namespace, k->namespace_len), "", 0,
                            k->namespace, k->namespace_len);

    if (ns == NULL || ns->covered == WP_NOMAD_UNCOVERED ||
        (ns->covered == WP_NOMAD_COVERED_ONCE && !is_away(s)))
        return WP_NOMAD_UNKNOWN;
    return WP_NOMAD_ABSENT;
}

enum wp_nomad_known wp_nomad_find(const struct wp_nomad_source *s, const struct wp_nomad_key *k,
                                  struct wp_query *q, const struct wp_nomad_service **ret_service)
{
    const struct wp_nomad_service *v;

    if (q != NULL) {
        wp_query_depends(q, wp_nomad_store_key(s->store, k->hash));
        wp_query_depends(q, s->own->state_key);
    }
    v = wp_nomad_store_find(s->store, k->hash, k->name, k->name_len, k->namespace,
                            k->namespace_len);
    if (v == NULL)
        return find_none(s, k);
    if (v->on_demand && q != NULL) {
        uint32_t now = now_s(q);
        touch(v, now);
        if (is_old(s, v, now))
            return WP_NOMAD_UNKNOWN;
    }
    if (v->n == 0)
        return WP_NOMAD_ABSENT;
    *ret_service = v;
    return WP_NOMAD_THERE;
}

void wp_nomad_prefetch(const struct wp_nomad_source *s, uint64_t hash, unsigned step)
{
    wp_nomad_store_prefetch(s->store, hash, step);
}

bool wp_nomad_has_namespace(const struct wp_nomad_source *s, const char *namespace, size_t len)
{
    return wp_nomad_store_find(s->store, wp_nomad_hash("", 0, namespace, len), "", 0, namespace,
                               len) != NULL;
}

uint64_t wp_nomad_state_key(const struct wp_nomad_source *s)
{
    return s->own->state_key;
}
