#include "backends/kubernetes/entries.h"

static bool next_port(struct wp_kube_cursor *c, const struct wp_kube_filter *f, int32_t *ret)
{
    struct wp_kube_port port;

    while (wp_kube_port_next(c, &port)) {
        if (f->port.len > 0 && !wp_kube_text_is_lower(port.name, f->port))
            continue;
        if (f->protocol.len > 0 && !wp_kube_text_is_lower(port.protocol, f->protocol))
            continue;
        *ret = port.number;
        return true;
    }
    return false;
}

void wp_kube_entries_rewind(struct wp_kube_entries *e)
{
    e->left = WP_KUBE_WALK_MAX;
    e->port_at = e->ports;
    e->k = 0;
    e->inside = false;
}

void wp_kube_entries_of_addrs(struct wp_kube_entries *e, struct wp_kube_cursor addrs,
                              struct wp_kube_cursor ports, const struct wp_kube_filter *f)
{
    *e = (struct wp_kube_entries){.filter = *f, .addrs = addrs, .ports = ports};
    wp_kube_entries_rewind(e);
}

void wp_kube_entries_of_slices(struct wp_kube_entries *e, const struct wp_kube_slice *const *slices,
                               uint32_t n, const struct wp_kube_filter *f)
{
    *e = (struct wp_kube_entries){.filter = *f, .slices = slices, .n_slices = n};
    wp_kube_entries_rewind(e);
}

static bool spend(struct wp_kube_entries *e, size_t n)
{
    if (n <= e->left) {
        e->left -= (uint32_t)n;
        return true;
    }
    e->left = 0;
    e->cut = true;
    return false;
}

static bool next_addr(struct wp_kube_entries *e, struct wp_kube_entry *ret)
{
    for (;;) {
        if (!spend(e, 1))
            return false;
        if (!e->inside) {
            if (!next_port(&e->port_at, &e->filter, &e->port))
                return false;
            e->addr_at = e->addrs;
            e->inside = true;
        }
        if (wp_kube_addr_next(&e->addr_at, &ret->addr)) {
            ret->port = e->port;
            ret->slice = NULL;
            ret->i = 0;
            return true;
        }
        if (e->once)
            return false;
        e->inside = false;
    }
}

/* The first endpoint from i on that was asked for. */
static size_t find(struct wp_kube_entries *e, const struct wp_kube_slice *s, size_t i)
{
    const struct wp_kube_filter *f = &e->filter;
    size_t from = i;

    if (f->endpoint != NULL)
        i = wp_kube_slice_find_name(s, i, f->endpoint);
    else if (f->zone.len > 0)
        while (i < s->n && !wp_kube_text_equal(wp_kube_slice_zone(s, i), f->zone))
            i++;
    return spend(e, i - from) ? i : s->n;
}

static bool begin_slice(struct wp_kube_entries *e, const struct wp_kube_slice *s)
{
    const struct wp_kube_filter *f = &e->filter;
    int32_t number;

    if (!spend(e, 1) ||
        (f->of_cluster && !wp_kube_text_equal(wp_kube_slice_cluster(s), f->cluster)))
        return false;
    e->ports = wp_kube_slice_ports(s);
    e->port_at = e->ports;
    if (!next_port(&e->port_at, f, &number))
        return false; /* none is asked for */
    e->port_at = e->ports;
    e->i = find(e, s, 0);
    return e->i < s->n;
}

static bool next_endpoint(struct wp_kube_entries *e, struct wp_kube_entry *ret)
{
    while (e->k < e->n_slices && !e->cut) {
        const struct wp_kube_slice *s = e->slices[e->k];
        bool found;

        if (!e->inside)
            e->inside = begin_slice(e, s);
        if (!e->inside || e->i >= s->n) {
            e->k++;
            e->inside = false;
            continue;
        }
        if (!spend(e, 1))
            return false;
        found = next_port(&e->port_at, &e->filter, &ret->port);
        ret->slice = s;
        ret->i = e->i;
        if (!found || e->once) {
            e->i = find(e, s, e->i + 1);
            e->port_at = e->ports;
        }
        if (found) {
            ret->addr = wp_kube_slice_addr(s, ret->i);
            return true;
        }
    }
    return false;
}

bool wp_kube_entries_next(struct wp_kube_entries *e, struct wp_kube_entry *ret)
{
    return e->slices != NULL ? next_endpoint(e, ret) : next_addr(e, ret);
}

size_t wp_kube_ports_match(struct wp_kube_cursor c, const struct wp_kube_filter *f)
{
    int32_t number;
    size_t n = 0;

    while (next_port(&c, f, &number))
        n++;
    return n;
}

/* All endpoints of slices with addresses: counted without a step for each. */
static bool count_whole(const struct wp_kube_entries *e, size_t *ret)
{
    size_t n = 0;

    if (e->slices == NULL || e->filter.endpoint != NULL || e->filter.zone.len > 0)
        return false;
    for (uint32_t k = 0; k < e->n_slices; k++) {
        const struct wp_kube_slice *s = e->slices[k];
        if (s->addr_len == 0)
            return false;
        if (!e->filter.of_cluster ||
            wp_kube_text_equal(wp_kube_slice_cluster(s), e->filter.cluster))
            n += s->n * wp_kube_ports_match(wp_kube_slice_ports(s), &e->filter);
    }
    *ret = n;
    return true;
}

size_t wp_kube_entries_count(struct wp_kube_entries *e, bool hosts)
{
    struct wp_kube_entry entry;
    uint8_t ip[16];
    size_t n = 0;

    if (!count_whole(e, &n)) {
        bool cut = e->cut;
        while (wp_kube_entries_next(e, &entry))
            n += hosts || wp_kube_addr_family(&entry.addr, ip) != 0;
        e->cut = cut;
    }
    wp_kube_entries_rewind(e);
    return n;
}

bool wp_kube_entries_any(struct wp_kube_entries *e)
{
    struct wp_kube_entry entry;
    bool any = wp_kube_entries_next(e, &entry);

    wp_kube_entries_rewind(e);
    return any;
}
