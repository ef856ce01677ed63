#include <errno.h>
#include <stdlib.h>

#include "backends/kubernetes/store_priv.h"

static size_t size_of(const struct wp_kube_pod *p)
{
    struct wp_kube_cursor end = wp_kube_pod_labels(p); /* they are the last part */

    return (size_t)(end.end - (const uint8_t *)p);
}

struct wp_kube_pod *wp_kube_pod_find(const struct wp_kube_store *s, struct wp_kube_text ns,
                                     struct wp_kube_text name)
{
    const struct wp_kube_table *t = wp_kube_index_table(&s->pods);
    uint64_t hash = wp_kube_object_hash(ns, name), value;
    size_t at = 0;

    while ((value = wp_kube_table_next(t, hash, &at)) != 0) {
        struct wp_kube_pod *p = wp_kube_pointer(value);
        if (wp_kube_text_equal(wp_kube_pod_name(p), name) &&
            wp_kube_text_equal(wp_kube_pod_namespace(p), ns))
            return p;
    }
    return NULL;
}

/* Labels: of each, two octets of the key's length, the key, one of the value's, the value. */
static size_t labels_size(const struct wp_kube_object *o)
{
    size_t size = 0;

    for (size_t i = 0; i < o->n_labels; i++)
        size += 2 + o->labels[i].key.len + 1 + o->labels[i].value.len;
    return size;
}

static void labels_write(const struct wp_kube_object *o, uint8_t *out)
{
    for (size_t i = 0; i < o->n_labels; i++) {
        struct wp_kube_text key = o->labels[i].key, value = o->labels[i].value;
        *out++ = (uint8_t)(key.len >> 8);
        *out++ = (uint8_t)key.len;
        memcpy(out, key.at, key.len);
        out += key.len;
        *out++ = (uint8_t)value.len;
        memcpy(out, value.at, value.len);
        out += value.len;
    }
}

bool wp_kube_label_next(struct wp_kube_cursor *c, struct wp_kube_pair *ret)
{
    if (c->at == c->end)
        return false;
    ret->key = (struct wp_kube_text){(const char *)c->at + 2, (size_t)c->at[0] << 8 | c->at[1]};
    c->at += 2 + ret->key.len;
    ret->value = (struct wp_kube_text){(const char *)c->at + 1, *c->at};
    c->at += 1 + ret->value.len;
    return true;
}

static struct wp_kube_pod *pod_new(const struct wp_kube_store *s, const struct wp_kube_object *o,
                                   struct wp_kube_namespace *ns)
{
    size_t ips = wp_kube_addrs_size(o->ips, o->n_ips);
    uint32_t labels = s->labels ? (uint32_t)labels_size(o) : 0;
    size_t size = offsetof(struct wp_kube_pod, octets) + o->name.len + ips;
    struct wp_kube_pod *p = malloc(size + (labels > 0 ? sizeof(labels) + labels : 0));
    uint8_t *out;

    if (p == NULL)
        return NULL;
    p->ns = ns;
    p->name_len = (uint8_t)o->name.len;
    p->ips_len = (uint8_t)ips;
    p->has_labels = labels > 0;
    memcpy(p->octets, o->name.at, o->name.len);
    out = wp_kube_addrs_write(o->ips, o->n_ips, p->octets + o->name.len);
    if (labels > 0) {
        memcpy(out, &labels, sizeof(labels));
        labels_write(o, out + sizeof(labels));
    }
    return p;
}

static struct wp_kube_text packed_ips(const struct wp_kube_pod *p)
{
    return (struct wp_kube_text){(const char *)p->octets + p->name_len, p->ips_len};
}

static void mark(const struct wp_kube_store *s, const struct wp_kube_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        wp_changed(wp_kube_key(s->source, WP_KUBE_KEY_POD, set->at[i]));
}

/* A pod is another block when anything of it is, so all its entries by address move. */
static int publish(struct wp_kube_store *s, uint64_t hash, struct wp_kube_pod *from,
                   struct wp_kube_pod *to)
{
    struct wp_kube_set none = {NULL, 0};
    struct wp_kube_move in = {&s->pod_ips, none, none, wp_kube_value(to)};
    struct wp_kube_move out = {&s->pod_ips, none, none, wp_kube_value(from)};

    if ((to != NULL && (wp_kube_set_of_list(s, packed_ips(to), &in.to) < 0 ||
                        wp_kube_index_reserve(&s->pod_ips, in.to.n) < 0)) ||
        (from != NULL && wp_kube_set_of_list(s, packed_ips(from), &out.from) < 0) ||
        (from == NULL && wp_kube_index_reserve(&s->pods, 1) < 0))
        return -ENOMEM;
    wp_kube_move_in(&in);
    if (from == NULL)
        wp_kube_index_add(&s->pods, hash, in.value);
    else if (to == NULL)
        wp_kube_index_remove(&s->pods, hash, out.value);
    else
        wp_kube_index_replace(&s->pods, hash, out.value, in.value);
    wp_kube_move_out(&out);
    mark(s, &in.to);
    mark(s, &out.from);
    if (to != NULL) {
        to->ns->refs++;
        wp_kube_count(&s->octets[WP_KUBE_PODS], wp_kube_heap(size_of(to)));
    }
    if (from != NULL) {
        wp_kube_count(&s->octets[WP_KUBE_PODS], -wp_kube_heap(size_of(from)));
        wp_kube_bury(s, from);
        wp_kube_namespace_drop(s, from->ns);
    }
    return 0;
}

static bool same_content(const struct wp_kube_pod *a, const struct wp_kube_pod *b)
{
    return size_of(a) == size_of(b) && a->ips_len == b->ips_len &&
           memcmp(a->octets, b->octets, size_of(a) - offsetof(struct wp_kube_pod, octets)) == 0;
}

static int put(struct wp_kube_store *s, const struct wp_kube_object *o, struct wp_kube_pod *old,
               struct wp_kube_namespace *ns, uint64_t version, uint32_t now_s)
{
    struct wp_kube_pod *p = pod_new(s, o, ns);

    if (p == NULL)
        return -ENOMEM;
    p->version = version;
    p->mark = (uint16_t)s->listing[WP_KUBE_PODS];
    if (old != NULL && same_content(old, p)) {
        old->version = version;
        old->mark = p->mark;
        free(p);
        return 1;
    }
    if (publish(s, wp_kube_object_hash(o->ns, o->name), old, p) < 0) {
        free(p);
        return -ENOMEM;
    }
    if (old == NULL)
        wp_kube_count(&s->objects[WP_KUBE_PODS], 1);
    if (old == NULL || !wp_kube_text_equal(packed_ips(old), packed_ips(p)))
        wp_kube_serial_set(s, WP_KUBE_SERIAL_INTERNAL, now_s);
    return 1;
}

int wp_kube_pod_put(struct wp_kube_store *s, const struct wp_kube_object *o, uint32_t now_s)
{
    uint64_t version = wp_kube_version(o->resource_version);
    struct wp_kube_pod *old = wp_kube_pod_find(s, o->ns, o->name);
    struct wp_kube_namespace *ns;
    int r;

    /* One that is being deleted stays as it was until it is gone. */
    if ((old != NULL && version != 0 && old->version == version) || o->deleting) {
        if (old != NULL)
            old->mark = (uint16_t)s->listing[WP_KUBE_PODS];
        return 0;
    }
    if (wp_kube_namespace_get(s, o->ns, &ns) < 0)
        return -ENOMEM;
    ns->refs++; /* until it is decided */
    r = put(s, o, old, ns, version, now_s);
    wp_kube_namespace_drop(s, ns);
    return r;
}

int wp_kube_pod_remove(struct wp_kube_store *s, struct wp_kube_pod *p, uint32_t now_s)
{
    uint64_t hash = wp_kube_object_hash(wp_kube_pod_namespace(p), wp_kube_pod_name(p));

    if (publish(s, hash, p, NULL) < 0)
        return -ENOMEM;
    wp_kube_count(&s->objects[WP_KUBE_PODS], -1);
    wp_kube_serial_set(s, WP_KUBE_SERIAL_INTERNAL, now_s);
    return 1;
}

void wp_kube_pods_unmark(struct wp_kube_store *s)
{
    const struct wp_kube_table *t = wp_kube_index_table(&s->pods);
    size_t at = 0;
    uint64_t value;

    while ((value = wp_kube_table_each(t, &at)) != 0)
        ((struct wp_kube_pod *)wp_kube_pointer(value))->mark = 0;
}
