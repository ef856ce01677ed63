/* The addresses that a block listens on, instead of all. */
#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "waypost/base/addr.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

/* Texts as written, or of an interface's addresses. */
struct list {
    const char **at;
    unsigned n, cap;
};

struct bind_directive {
    struct list all;               /* of the block so far */
    struct list addresses, except; /* of the line being read */
};

static int add(struct wp_setup *s, struct list *l, const char *text)
{
    if (l->n == l->cap) {
        unsigned cap = l->cap > 0 ? l->cap * 2 : 8;
        const char **at = wp_arena_array(s->arena, cap, sizeof(*at));

        if (at == NULL)
            return -ENOMEM;
        if (l->n > 0)
            memcpy(at, l->at, l->n * sizeof(*at));
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n++] = text;
    return 0;
}

/* Every address of the interface; *ret_known: there is one of that name. */
static int add_interface(struct wp_setup *s, struct list *l, const char *name,
                         const struct ifaddrs *interfaces, bool *ret_known)
{
    *ret_known = false;
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        char text[WP_ADDR_TEXT_MAX];
        struct wp_addr a;
        int r;

        if (strcmp(i->ifa_name, name) != 0)
            continue;
        *ret_known = true;
        if (i->ifa_addr == NULL)
            continue;
        wp_addr_from_sockaddr(i->ifa_addr, &a);
        if (a.family == 0)
            continue;
        wp_addr_ip_text(&a, text);
        r = add(s, l, wp_arena_strdup(s->arena, text));
        if (r == 0 && l->at[l->n - 1] == NULL)
            r = -ENOMEM;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Every address of the interface of that name. */
static int add_interface_named(struct wp_setup *s, struct list *l, const char *name)
{
    struct ifaddrs *interfaces = NULL;
    bool known;
    int r;

    if (getifaddrs(&interfaces) < 0)
        return wp_setup_fail(s, "failed to get interfaces list: %s", wp_setup_errno(s, errno));
    r = add_interface(s, l, name, interfaces, &known);
    freeifaddrs(interfaces);
    if (r == 0 && !known)
        r = wp_setup_fail(s, "not a valid IP address or interface name: \"%s\"", name);
    return r;
}

static int add_words(struct wp_setup *s, struct list *l, const struct wp_line *line)
{
    int r = 0;

    for (unsigned i = 1; r == 0 && i < line->n_words; i++) {
        struct wp_addr a;

        r = wp_addr_parse_ip(line->words[i], &a) == 0 ? add(s, l, line->words[i])
                                                      : add_interface_named(s, l, line->words[i]);
    }
    return r;
}

static int begin(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct bind_directive *b = self;

    (void)s;
    (void)line;
    b->addresses.n = b->except.n = 0;
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct bind_directive *b = self;

    if (line->n_words < 2)
        return wp_setup_fail(s, "at least one address or interface name is expected");
    return add_words(s, &b->addresses, line);
}

static int parse_except(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct bind_directive *b = self;

    if (line->n_words < 2)
        return wp_setup_fail(
            s, "at least one address or interface must be given to except subdirective");
    return add_words(s, &b->except, line);
}

static bool has(const struct list *l, const char *text)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (strcmp(l->at[i], text) == 0)
            return true;
    }
    return false;
}

static int end(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_settings *set = &s->block->set;
    struct bind_directive *b = self;
    int r = 0;

    (void)line;
    for (unsigned i = 0; r == 0 && i < b->addresses.n; i++) {
        if (!has(&b->except, b->addresses.at[i]))
            r = add(s, &b->all, b->addresses.at[i]);
    }
    set->bind = b->all.at;
    set->n_bind = b->all.n;
    set->bind_set = true;
    return r;
}

static const struct wp_option bind_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "ADDRESS|IFACE ..."},
    {.name = "except",
     .kind = WP_OPT_CALL,
     .parse = parse_except,
     .help = "ADDRESS|IFACE ... not to use"},
    {0},
};

const struct wp_plugin wp_plugin_bind = {
    .name = "bind",
    .size = sizeof(struct bind_directive),
    .options = bind_options,
    .unknown = "invalid option \"%s\"",
    .config_only = true,
    .begin = begin,
    .end = end,
};
