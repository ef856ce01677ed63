#include "backends/kubernetes/place_new.h"

#include <stdlib.h>
#include "backends/kubernetes/slice.h"

struct wp_kube_place_parts wp_kube_place_take(const struct wp_kube_place *p)
{
    struct wp_kube_place_parts a = {.hash = p->hash, .ns = p->ns, .from = p};

    memcpy(a.kind, p->kind, sizeof(a.kind));
    memcpy(a.mark, p->mark, sizeof(a.mark));
    memcpy(a.version, p->version, sizeof(a.version));
    for (unsigned i = 0; i < WP_KUBE_PARTS; i++)
        a.part[i] = wp_kube_place_text(p, i);
    return a;
}

static uint32_t n_slices(const struct wp_kube_place_parts *a, enum wp_kube_view v)
{
    uint32_t n = a->from != NULL ? a->from->n_slices[v] : 0;

    return v == a->view ? n - (a->out != NULL) + (a->in != NULL) : n;
}

bool wp_kube_place_parts_empty(const struct wp_kube_place_parts *a)
{
    return a->kind[0] == WP_KUBE_NONE && a->kind[1] == WP_KUBE_NONE && n_slices(a, 0) == 0 &&
           n_slices(a, 1) == 0;
}

static bool comes_before(const struct wp_kube_slice *a, const struct wp_kube_slice *b)
{
    struct wp_kube_text x = wp_kube_slice_object(a), y = wp_kube_slice_object(b);
    int c = memcmp(x.at, y.at, x.len < y.len ? x.len : y.len);

    return c < 0 || (c == 0 && x.len < y.len);
}

/* The slices of a view, in order of their names. */
static const struct wp_kube_slice **put_slices(const struct wp_kube_place_parts *a,
                                               enum wp_kube_view v, struct wp_kube_place *p,
                                               const struct wp_kube_slice **to)
{
    const struct wp_kube_slice *const *from = NULL, *in = v == a->view ? a->in : NULL;
    uint32_t n = a->from != NULL ? a->from->n_slices[v] : 0;

    if (n > 0)
        from = wp_kube_place_slices(a->from, v);
    for (uint32_t i = 0; i < n; i++) {
        if (v == a->view && from[i] == a->out)
            continue;
        if (in != NULL && comes_before(in, from[i])) {
            *to++ = in;
            in = NULL;
        }
        *to++ = from[i];
    }
    if (in != NULL)
        *to++ = in;
    for (uint32_t i = 1; i <= p->n_slices[v]; i++)
        p->n_ready[v] += to[-(ptrdiff_t)i]->n;
    return to;
}

struct wp_kube_place *wp_kube_place_new(const struct wp_kube_place_parts *a)
{
    size_t slices = (size_t)n_slices(a, 0) + n_slices(a, 1), len = 0, head;
    struct wp_kube_place *p;
    const struct wp_kube_slice **to;
    uint8_t *octets;

    for (unsigned i = 0; i < WP_KUBE_PARTS; i++)
        len += a->part[i].len;
    head = offsetof(struct wp_kube_place, slices) + slices * sizeof(p->slices[0]);
    p = malloc(head + len);
    if (p == NULL)
        return NULL;
    *p = (struct wp_kube_place){.hash = a->hash, .ns = a->ns};
    memcpy(p->kind, a->kind, sizeof(a->kind));
    memcpy(p->mark, a->mark, sizeof(a->mark));
    memcpy(p->version, a->version, sizeof(a->version));
    p->n_slices[0] = n_slices(a, 0);
    p->n_slices[1] = n_slices(a, 1);
    to = put_slices(a, WP_KUBE_LOCAL, p, p->slices);
    put_slices(a, WP_KUBE_CLUSTERSET, p, to);
    octets = (uint8_t *)p + head;
    for (unsigned i = 0, end = 0; i < WP_KUBE_PARTS; i++) {
        if (a->part[i].len > 0)
            memcpy(octets + end, a->part[i].at, a->part[i].len);
        end += (unsigned)a->part[i].len;
        p->end[i] = end;
    }
    return p;
}

size_t wp_kube_place_size(const struct wp_kube_place *p)
{
    return offsetof(struct wp_kube_place, slices) +
           ((size_t)p->n_slices[0] + p->n_slices[1]) * sizeof(p->slices[0]) +
           p->end[WP_KUBE_PARTS - 1];
}
