/* Keys of a block: [SCHEME://]ZONE[:PORT], networks expanded to their reverse zones. */
#include <string.h>

#include "server/config/bind_priv.h"
#include "waypost/dns/name.h"

static uint16_t default_port(const struct binder *b, enum wp_scheme s)
{
    switch (s) {
    case WP_SCHEME_TLS:
    case WP_SCHEME_QUIC:
        return 853;
    case WP_SCHEME_HTTPS:
    case WP_SCHEME_HTTPS3:
    case WP_SCHEME_GRPC:
        return 443;
    case WP_SCHEME_DNS:
    case WP_SCHEME_UNIX:
        break;
    }
    return b->default_port;
}

static void unset(struct wp_settings *s)
{
    *s = (struct wp_settings){
        .sockets = WP_UNSET,
        .read_ns = WP_UNSET,
        .write_ns = WP_UNSET,
        .idle_ns = WP_UNSET,
        .max_tcp_queries = WP_UNSET,
        .https_max_connections = WP_UNSET,
        .https_max_streams = WP_UNSET,
        .grpc_max_connections = WP_UNSET,
        .grpc_max_streams = WP_UNSET,
        .quic_max_streams = WP_UNSET,
        .quic_worker_pool = WP_UNSET,
        .quic_max_connections = WP_UNSET,
        .tcp_max_connections = WP_UNSET,
        .tcp_max_per_client = WP_UNSET,
        .tcp_accept_rate = WP_UNSET,
        .tcp_pipeline = WP_UNSET,
        .udp_cap = WP_UNSET,
    };
}

/* A key's zones, scheme and port; what they have in common is in `like`. */
struct key_part {
    struct wp_key like;
    unsigned first, n; /* in the list of zones */
};

static int read_key(struct binder *b, const struct wp_conf_block *from, unsigned k,
                    struct zone_list *list, struct key_part *ret)
{
    const char *why;
    int64_t port;
    int r;

    ret->first = list->n;
    ret->n = 0;
    ret->like = (struct wp_key){.file = from->file, .line = from->key_lines[k]};
    r = conf_zone_word(list, from->keys[k], &ret->like.scheme, &port, &why);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        wp_conf_report_add(b->report, WP_CONF_PLAIN, NULL, from->file, from->key_lines[k],
                           "error inspecting server blocks: %s", why);
        return 0;
    }
    if (port != CONF_NO_PORT && (port < 0 || port > UINT16_MAX)) {
        list->n = ret->first;
        wp_conf_report_add(b->report, WP_CONF_PLAIN, NULL, from->file, from->key_lines[k],
                           "address %lld: invalid port", (long long)port);
        return 0;
    }
    ret->like.port = port != CONF_NO_PORT ? (uint16_t)port : default_port(b, ret->like.scheme);
    ret->n = list->n - ret->first;
    return 0;
}

static int fill_keys(struct binder *b, const struct zone_list *list, const struct key_part *parts,
                     unsigned n_parts, struct wp_block *block)
{
    struct wp_key *keys = wp_arena_array(b->arena, list->n, sizeof(*keys));
    unsigned n = 0;

    if (keys == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n_parts; i++) {
        for (unsigned z = 0; z < parts[i].n; z++) {
            char text[WP_NAME_TEXT_MAX];

            keys[n] = parts[i].like;
            keys[n].zone = list->at[parts[i].first + z];
            keys[n].text = wp_arena_strdup(b->arena, wp_name_text(keys[n].zone, text));
            if (keys[n++].text == NULL)
                return -ENOMEM;
        }
    }
    block->keys = keys;
    block->n_keys = n;
    return 0;
}

/* Zones once each, however many ports they have. */
static int fill_zones(struct binder *b, const struct zone_list *list, struct wp_block *block)
{
    unsigned mask = 1, n = 0;
    const uint8_t **seen, **zones;

    while (mask < 2 * list->n)
        mask *= 2;
    seen = wp_arena_array(b->arena, mask, sizeof(*seen));
    zones = wp_arena_array(b->arena, list->n, sizeof(*zones));
    if (seen == NULL || zones == NULL)
        return -ENOMEM;
    mask--;
    for (unsigned i = 0; i < list->n; i++) {
        unsigned at = (unsigned)wp_name_hash(list->at[i]) & mask;

        while (seen[at] != NULL && !wp_name_equal(seen[at], list->at[i]))
            at = (at + 1) & mask;
        if (seen[at] == NULL)
            zones[n++] = seen[at] = list->at[i];
    }
    block->zones = (struct wp_zones){.zone = zones, .n = n};
    return conf_zones_index(b->arena, &block->zones);
}

int conf_block_init(struct binder *b, const struct wp_conf_block *from, struct wp_block *block)
{
    struct zone_list list = {.arena = b->arena};
    struct key_part *parts = wp_arena_array(b->arena, from->n_keys, sizeof(*parts));
    int r = parts != NULL ? 0 : -ENOMEM;

    unset(&block->set);
    block->lines = from->lines;
    block->n_lines = from->n_lines;
    block->file = from->file;
    block->line = from->line;
    for (unsigned k = 0; r == 0 && k < from->n_keys; k++)
        r = read_key(b, from, k, &list, &parts[k]);
    if (r == 0)
        r = fill_keys(b, &list, parts, from->n_keys, block);
    if (r == 0)
        r = fill_zones(b, &list, block);
    return r;
}
