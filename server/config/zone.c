/* Words that name zones: names, and networks in CIDR form that stand for reverse zones. */
#include <stdio.h>
#include <string.h>

#include "server/config/bind_priv.h"
#include "waypost/base/addr.h"
#include "waypost/base/text.h"
#include "waypost/dns/name.h"

static const char *const schemes[] = {
    [WP_SCHEME_DNS] = "dns",     [WP_SCHEME_TLS] = "tls",       [WP_SCHEME_QUIC] = "quic",
    [WP_SCHEME_HTTPS] = "https", [WP_SCHEME_HTTPS3] = "https3", [WP_SCHEME_GRPC] = "grpc",
    [WP_SCHEME_UNIX] = "unix",
};

const char *wp_scheme_text(enum wp_scheme s)
{
    return schemes[s];
}

/* What no scheme is named for is part of the name, as in CoreDNS. */
static enum wp_scheme take_scheme(const char **word)
{
    for (size_t i = 0; i < WP_COUNT(schemes); i++) {
        size_t len = strlen(schemes[i]);

        if (strncmp(*word, schemes[i], len) == 0 && strncmp(*word + len, "://", 3) == 0) {
            *word += len + 3;
            return (enum wp_scheme)i;
        }
    }
    return WP_SCHEME_DNS;
}

static int add_zone(struct zone_list *list, const struct wp_name *name)
{
    uint8_t *wire;

    if (list->n == list->cap) {
        unsigned cap = list->cap > 0 ? list->cap * 2 : 4;
        const uint8_t **at = wp_arena_array(list->arena, cap, sizeof(*at));

        if (at == NULL)
            return -ENOMEM;
        if (list->n > 0)
            memcpy(at, list->at, list->n * sizeof(*at));
        list->at = at;
        list->cap = cap;
    }
    wire = wp_arena_dup(list->arena, name->wire, name->len);
    if (wire == NULL)
        return -ENOMEM;
    wp_name_lower(wire, name->len);
    list->at[list->n++] = wire;
    return 0;
}

/* The network of `bits` bits, a multiple of the octets or nibbles that labels stand for. */
static int add_reverse(struct zone_list *list, const struct wp_cidr *c, unsigned bits)
{
    char text[WP_NAME_TEXT_MAX], *to = text;
    struct wp_name name;

    if (c->family == 4) {
        for (unsigned i = bits / 8; i-- > 0;)
            to += sprintf(to, "%u.", c->ip[i]);
        strcpy(to, "in-addr.arpa.");
    } else {
        for (unsigned i = bits / 4; i-- > 0;)
            to += sprintf(to, "%x.", c->ip[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xf);
        strcpy(to, "ip6.arpa.");
    }
    if (wp_name_parse(text, &name) < 0)
        return WP_EMALFORMED;
    return add_zone(list, &name);
}

/* All networks of the next label boundary that make up this one, in ascending order. */
static int add_network(struct zone_list *list, struct wp_cidr *c)
{
    unsigned step = c->family == 4 ? 8 : 4;
    unsigned bits = (c->bits + step - 1) / step * step, more = bits - c->bits;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < 1u << more; i++) {
        struct wp_cidr part = *c;

        if (bits > 0) /* the split bits are the lowest ones before the boundary */
            part.ip[(bits - 1) / 8] |= (uint8_t)(i << ((8 - bits % 8) % 8));
        r = add_reverse(list, &part, bits);
    }
    return r;
}

static int malformed(struct wp_arena *arena, const char *why, const char **ret_why)
{
    (void)arena;
    if (why == NULL)
        return -ENOMEM;
    *ret_why = why;
    return WP_EMALFORMED;
}

/* The port after the last colon, cut off; CONF_NO_PORT when that is no number. */
static int take_port(struct wp_arena *arena, char *word, int64_t *ret_port, const char **ret_why)
{
    char *colon = strrchr(word, ':');

    *ret_port = CONF_NO_PORT;
    if (colon == NULL)
        return 0;
    if (colon[1] == '\0')
        return malformed(arena,
                         wp_arena_printf(arena, "expecting data after last colon: \"%s\"", word),
                         ret_why);
    /* the range is looked at later: what is not a port of a key may be of no interest */
    if (wp_int_parse(colon + 1, INT32_MIN + 1, INT32_MAX, ret_port) == 0)
        *colon = '\0';
    return 0;
}

int conf_zone_word(struct zone_list *list, const char *word, enum wp_scheme *ret_scheme,
                   int64_t *ret_port, const char **ret_why)
{
    struct wp_arena *arena = list->arena;
    struct wp_cidr cidr;
    struct wp_name name;
    char *text;
    int r;

    *ret_scheme = take_scheme(&word);
    text = wp_arena_strdup(arena, word);
    if (text == NULL)
        return -ENOMEM;
    r = take_port(arena, text, ret_port, ret_why);
    if (r < 0)
        return r;
    if (strlen(text) > WP_NAME_MAX)
        return malformed(
            arena, wp_arena_printf(arena, "specified zone is too long: %zu > 255", strlen(text)),
            ret_why);
    if (strchr(text, '/') != NULL && wp_cidr_parse(text, &cidr) == 0) {
        if (text[0] == ':' || (text[0] == '0' && strchr(text, ':') != NULL))
            return malformed(arena, wp_arena_printf(arena, "invalid CIDR %s", text), ret_why);
        return add_network(list, &cidr);
    }
    if (text[0] == '\0' || wp_name_parse(text, &name) < 0)
        return malformed(arena, wp_arena_printf(arena, "zone is not a valid domain name: %s", text),
                         ret_why);
    return add_zone(list, &name);
}

/* A list that starts with what is there and can be grown without touching that. */
static struct zone_list list_from(struct wp_arena *arena, const struct wp_zones *z)
{
    return (struct zone_list){.arena = arena, .at = z->zone, .n = z->n, .cap = z->n};
}

int wp_zone_word(struct wp_arena *a, const char *word, struct wp_zones *z, const char **ret_why)
{
    struct zone_list list = list_from(a, z);
    enum wp_scheme scheme;
    int64_t port;
    int r = conf_zone_word(&list, word, &scheme, &port, ret_why);

    if (r == 0)
        *z = (struct wp_zones){.zone = list.at, .n = list.n};
    return r;
}

int wp_setup_zones(struct wp_setup *s, const char *const *words, unsigned n, struct wp_zones *z)
{
    struct zone_list list = list_from(s->arena, z);
    enum wp_scheme scheme;
    const char *why;
    int64_t port;

    for (unsigned i = 0; i < n; i++) {
        if (conf_zone_word(&list, words[i], &scheme, &port, &why) == -ENOMEM)
            return -ENOMEM;
    }
    *z = (struct wp_zones){.zone = list.at, .n = list.n};
    return conf_zones_index(s->arena, z);
}
