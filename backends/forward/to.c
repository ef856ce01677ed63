/* What the words after FROM stand for: addresses, files of name servers, host names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/forward/forward.h"
#include "waypost/base/text.h"
#include "waypost/plugin/log.h"

/* --- one word ------------------------------------------------------------------------------ */

static const struct {
    const char *scheme;
    bool allowed;
    enum wp_upstream_kind transport;
    uint16_t port;
} schemes[] = {
    {"dns", true, WP_UPSTREAM_DNS, 53},      {"tls", true, WP_UPSTREAM_TLS, 853},
    {"https", true, WP_UPSTREAM_HTTPS, 443}, {"grpc", false, WP_UPSTREAM_DNS, 443},
    {"https3", false, WP_UPSTREAM_DNS, 443}, {"unix", false, WP_UPSTREAM_DNS, 0},
};

/* The scheme off the word; the rest in *rest. */
static int read_scheme(struct wp_setup *s, const char *word, struct forward_to *to,
                       const char **rest, uint16_t *port)
{
    const char *sep = strstr(word, "://");
    size_t len = sep != NULL ? (size_t)(sep - word) : 0;

    *rest = word;
    *port = 53;
    to->transport = WP_UPSTREAM_DNS;
    if (sep == NULL)
        return 0;
    *rest = sep + 3;
    if (len == 4 && strncmp(word, "quic", 4) == 0)
        return wp_setup_fail(s, "'quic' upstreams are not in this build: %s", word);
    for (unsigned i = 0; i < WP_COUNT(schemes); i++) {
        if (strlen(schemes[i].scheme) != len || strncmp(word, schemes[i].scheme, len) != 0)
            continue;
        if (!schemes[i].allowed && schemes[i].port > 0 && strchr(*rest, ':') == NULL)
            return wp_setup_fail(
                s, "'%s' is not supported as a destination protocol in forward: %s:%u",
                schemes[i].scheme, word, schemes[i].port);
        if (!schemes[i].allowed)
            break;
        to->transport = schemes[i].transport;
        *port = schemes[i].port;
        return 0;
    }
    return wp_setup_fail(s, "'%.*s' is not supported as a destination protocol in forward: %s",
                         (int)len, word, word);
}

void forward_split(char *text, char **ret_host, char **ret_name, char **ret_port)
{
    char *host = text, *end, *colon;

    *ret_name = *ret_port = NULL;
    end = text[0] == '[' ? strchr(text, ']') : NULL;
    if (end != NULL) {
        host = text + 1;
        *end++ = '\0';
        colon = *end == ':' ? end : NULL;
        if (*end == '%') {
            *ret_name = end + 1;
            colon = strchr(end, ':');
        }
        *end = '\0';
    } else {
        colon = strchr(text, ':');
        if (colon != NULL && strchr(colon + 1, ':') != NULL)
            colon = strchr(text, '%') != NULL ? strchr(strchr(text, '%'), ':') : NULL;
    }
    if (colon != NULL) {
        *colon = '\0';
        *ret_port = colon + 1;
        end = strchr(colon + 1, '%');
        if (end != NULL) {
            *end = '\0';
            *ret_name = end + 1;
        }
    }
    end = strchr(host, '%');
    if (end != NULL) {
        *end = '\0';
        *ret_name = end + 1;
    }
    if (*ret_name != NULL && **ret_name == '\0')
        *ret_name = NULL;
    *ret_host = host;
}

static bool is_file(const char *path)
{
    FILE *f = fopen(path, "re");
    int c;

    if (f == NULL)
        return false;
    c = fgetc(f); /* a directory opens, but does not read */
    c = c == EOF && ferror(f);
    fclose(f);
    return !c;
}

/* Letters, digits, '-', '_' and dots, as names of hosts are written. */
static bool is_host_name(const char *s)
{
    struct wp_name name;

    return s[0] != '\0' && s[0] != '.' && wp_name_parse(s, &name) == 0 && name.len > 1;
}

static int read_addr(struct forward_stanza *st, struct wp_setup *s, struct forward_to *to,
                     const char *host, const char *name)
{
    char scoped[WP_ADDR_TEXT_MAX];

    (void)st;
    to->kind = FORWARD_TO_ADDR;
    to->server_name = name;
    if (to->transport != WP_UPSTREAM_DNS || name == NULL)
        return 0;
    /* Plain DNS has no server name: after a link-local address it can only be the link. */
    to->server_name = NULL;
    snprintf(scoped, sizeof(scoped), "%s%%%s", host, name);
    if (to->addr.family == 6 && to->addr.ip[0] == 0xfe && (to->addr.ip[1] & 0xc0) == 0x80) {
        uint16_t port = to->addr.port;

        if (wp_addr_parse_ip(scoped, &to->addr) < 0)
            return wp_setup_fail(s, "no such interface: \"%s\"", name);
        to->addr.port = port;
    }
    return 0;
}

int forward_to_parse(struct forward_stanza *st, struct wp_setup *s, const char *word)
{
    struct forward_to *to = &st->to[st->n_to];
    char *text, *host, *name, *port_text;
    const char *rest;
    int64_t number;
    uint16_t port;
    int r;

    *to = (struct forward_to){.word = word};
    r = read_scheme(s, word, to, &rest, &port);
    if (r < 0)
        return r;
    if (to->transport == WP_UPSTREAM_HTTPS && strchr(rest, '/') != NULL)
        return wp_setup_fail(s,
                             "paths are not allowed in HTTPS upstream addresses (the /dns-query "
                             "path is used by default): %s",
                             word);
    text = wp_arena_strdup(s->arena, rest);
    if (text == NULL)
        return -ENOMEM;
    forward_split(text, &host, &name, &port_text);
    if (port_text != NULL && (wp_int_parse(port_text, 1, 65535, &number) < 0)) {
        if (!is_file(rest))
            return wp_setup_fail(s, "invalid port in upstream address: %s", word);
    } else if (port_text != NULL) {
        port = (uint16_t)number;
    }
    st->n_to++;
    r = wp_addr_parse_ip(host, &to->addr);
    to->addr.port = port;
    if (r == 0)
        return read_addr(st, s, to, host, name);
    if (is_file(rest)) {
        to->kind = FORWARD_TO_FILE;
        to->transport = WP_UPSTREAM_DNS;
        to->name = rest;
        st->has_files = true;
        return 0;
    }
    if (!is_host_name(host))
        return wp_setup_fail(s, "not an IP address, file, or valid domain: \"%s\"", rest);
    to->kind = FORWARD_TO_NAME;
    to->name = host;
    to->server_name = name;
    return 0;
}

/* --- all of them --------------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
    return strcasecmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* Same transport, address and name count once, the first one wins. */
static void add(struct forward_found *found, unsigned *n, const struct forward_found *one)
{
    for (unsigned i = 0; i < *n; i++) {
        if (found[i].transport == one->transport && wp_addr_equal(&found[i].addr, &one->addr) &&
            same_name(found[i].server_name, one->server_name))
            return;
    }
    if (*n < FORWARD_UPSTREAMS_MAX)
        found[(*n)++] = *one;
}

static void add_file(const struct forward_to *to, struct forward_found *found, unsigned *n)
{
    struct wp_addr addr[FORWARD_UPSTREAMS_MAX];
    int k = forward_resolv_conf(to->name, addr, FORWARD_UPSTREAMS_MAX);

    for (int i = 0; i < k; i++)
        add(found, n, &(struct forward_found){.transport = WP_UPSTREAM_DNS, .addr = addr[i]});
}

unsigned forward_to_list(const struct forward_stanza *st,
                         struct forward_found found[FORWARD_UPSTREAMS_MAX])
{
    unsigned n = 0, at = 0;

    for (unsigned i = 0; i < st->n_to; i++) {
        if (st->to[i].kind == FORWARD_TO_FILE)
            add_file(&st->to[i], found, &n);
        while (at < st->n_found && st->found_of[at] == i)
            add(found, &n, &st->found[at++]);
    }
    return n;
}

static int find_name(struct forward_stanza *st, struct wp_setup *s, const struct forward_to *to,
                     struct wp_addr *addr, unsigned *n)
{
    char why[256];

    if (forward_resolve(to->name, st->resolver, st->n_resolvers, addr, n, why) < 0)
        return wp_setup_fail(s, "failed to resolve \"%s\": %s", to->name, why);
    for (unsigned i = 0; i < *n; i++)
        addr[i].port = to->addr.port;
    return 0;
}

int forward_to_find(struct forward_stanza *st, struct wp_setup *s)
{
    struct forward_found all[FORWARD_UPSTREAMS_MAX];

    st->found = wp_arena_array(s->arena, FORWARD_UPSTREAMS_MAX, sizeof(*st->found));
    st->found_of = wp_arena_array(s->arena, FORWARD_UPSTREAMS_MAX, sizeof(*st->found_of));
    if (st->found == NULL || st->found_of == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < st->n_to; i++) {
        const struct forward_to *to = &st->to[i];
        struct wp_addr addr[FORWARD_UPSTREAMS_MAX] = {to->addr};
        unsigned n = to->kind == FORWARD_TO_ADDR ? 1 : 0;
        int r = 0;

        if (to->kind == FORWARD_TO_NAME && !s->check_only)
            r = find_name(st, s, to, addr, &n);
        if (r < 0)
            return r;
        for (unsigned k = 0; k < n && st->n_found < FORWARD_UPSTREAMS_MAX; k++) {
            st->found_of[st->n_found] = i;
            st->found[st->n_found++] = (struct forward_found){
                .transport = to->transport,
                .addr = addr[k],
                /* https takes the name for nothing, as in CoreDNS */
                .server_name = to->transport == WP_UPSTREAM_TLS ? to->server_name : NULL,
            };
        }
        if (to->kind == FORWARD_TO_NAME && s->check_only)
            return 0; /* what it stands for is only known at the start */
    }
    if (forward_to_list(st, all) == 0)
        return wp_setup_fail(s, "no valid upstream addresses found");
    return 0;
}
