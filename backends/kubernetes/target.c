#include "backends/kubernetes/target.h"

#include <string.h>

bool wp_kube_target_add(struct wp_name *n, struct wp_kube_text t)
{
    const char *at = t.at, *end = t.at + t.len;

    for (;;) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        size_t len = (size_t)((dot != NULL ? dot : end) - at);

        if (len == 0 || len > WP_LABEL_MAX || n->len + len + 2 > WP_NAME_MAX)
            return false;
        n->wire[n->len] = (uint8_t)len;
        memcpy(n->wire + n->len + 1, at, len);
        n->len = (uint8_t)(n->len + len + 1);
        if (dot == NULL)
            return true;
        at = dot + 1;
    }
}

bool wp_kube_target_close(struct wp_name *n, const uint8_t *suffix, size_t len)
{
    if (n->len + len > WP_NAME_MAX)
        return false;
    memcpy(n->wire + n->len, suffix, len);
    n->len = (uint8_t)(n->len + len);
    return true;
}

bool wp_kube_target_service(struct wp_name *n, struct wp_kube_text ns, struct wp_kube_text name,
                            const uint8_t *zone, size_t zone_len)
{
    n->len = 0;
    return wp_kube_target_add(n, name) && wp_kube_target_add(n, ns) &&
           wp_kube_target_add(n, (struct wp_kube_text){"svc", 3}) &&
           wp_kube_target_close(n, zone, zone_len);
}

bool wp_kube_target_endpoint(struct wp_name *n, const struct wp_kube_slice *s, size_t i,
                             const uint8_t *base, size_t base_len)
{
    struct wp_kube_text cluster = wp_kube_slice_cluster(s);
    char buf[WP_KUBE_NAME_MAX];

    n->len = 0;
    return wp_kube_target_add(n, wp_kube_slice_name(s, i, buf)) &&
           (cluster.len == 0 || wp_kube_target_add(n, cluster)) &&
           wp_kube_target_close(n, base, base_len);
}
