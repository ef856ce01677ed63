#include "backends/kubernetes/self.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "waypost/plugin/block.h"
#include "waypost/plugin/query.h"

static bool is_loopback(const struct wp_addr *a)
{
    static const uint8_t one[16] = {[15] = 1};

    return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, one, sizeof(one)) == 0;
}

static bool is_link_local(const struct wp_addr *a)
{
    return a->family == 4 ? a->ip[0] == 169 && a->ip[1] == 254
                          : a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

static void add(struct wp_kube_self *self, const struct wp_addr *a)
{
    if (a->family == 0 || is_loopback(a) || is_link_local(a) || self->n == WP_KUBE_SELF_MAX)
        return;
    for (unsigned i = 0; i < self->n; i++)
        if (wp_addr_equal_ip(&self->addr[i], a))
            return;
    self->addr[self->n++] = *a;
}

static void add_interfaces(struct wp_kube_self *self)
{
    struct ifaddrs *all;

    if (getifaddrs(&all) < 0)
        return; /* as if there were none: NS is NODATA */
    for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
        struct wp_addr a = {0};
        if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0 ||
            (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
            continue;
        wp_addr_from_sockaddr(i->ifa_addr, &a);
        add(self, &a);
    }
    freeifaddrs(all);
}

void wp_kube_self_init(struct wp_kube_self *self, const struct wp_block *block)
{
    bool any = block->set.n_bind == 0;

    self->n = 0;
    for (unsigned i = 0; i < block->set.n_bind; i++) {
        struct wp_addr a = {0};
        if (wp_addr_parse_ip(block->set.bind[i], &a) < 0)
            continue;
        if (wp_addr_is_any(&a))
            any = true;
        else
            add(self, &a);
    }
    if (any)
        add_interfaces(self);
}

void wp_kube_self_find(const struct wp_kube_self *self, const struct wp_kube_store *s,
                       struct wp_query *q, struct wp_kube_self_hits *ret)
{
    ret->n = 0;
    ret->selected = false;
    for (unsigned i = 0; i < self->n; i++) {
        struct wp_kube_addr a =
            wp_kube_addr_from_ip(self->addr[i].ip, self->addr[i].family == 4 ? 4 : 16);
        const struct wp_kube_slice *slice;
        struct wp_kube_hits h;
        size_t at;

        wp_query_depends(q, wp_kube_addr_key(s, &a));
        h = wp_kube_endpoint_hits(s, &a);
        while ((slice = wp_kube_hits_slice(&h, &at)) != NULL) {
            struct wp_kube_text ns = wp_kube_slice_namespace(slice);
            struct wp_kube_text name = wp_kube_slice_service(slice);
            const struct wp_kube_place *place;

            ret->selected = true;
            if (name.len == 0 || ret->n == WP_KUBE_SELF_HITS)
                continue;
            wp_query_depends(q, wp_kube_place_key(s, slice->place));
            place = wp_kube_place_find(s, slice->place, ns.at, ns.len, name.at, name.len);
            if (place != NULL && place->kind[WP_KUBE_LOCAL] != WP_KUBE_NONE)
                ret->hit[ret->n++] = (struct wp_kube_self_hit){place, slice};
        }
    }
}
