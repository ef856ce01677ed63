#include "backends/etcd/command/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/discover.h"
#include "backends/etcd/etcd.h"
#include "waypost/base/random.h"

enum { PREFIX_MAX = 1024, CREDENTIALS_MAX = 4096 };

#define AT(member) offsetof(struct etcd_access, member)
const struct wp_arg etcd_access_args[] = {
    {"endpoint", WP_ARG_WORDS, AT(endpoints), "URL", NULL,
     "a member of the cluster; else $ETCDCTL_ENDPOINTS, else http://localhost:2379", 0, 0},
    {"path", WP_ARG_TEXT, AT(path), "PATH", NULL, "prefix of the keys; else /skydns", 0, 0},
    {"zone", WP_ARG_TEXT, AT(zone), "ZONE", NULL, "goes behind names without a final dot", 0, 0},
    {"cacert", WP_ARG_TEXT, AT(cacert), "FILE", NULL,
     "who signed the members' certificates; else $ETCDCTL_CACERT, else the system's roots", 0, 0},
    {"cert", WP_ARG_TEXT, AT(cert), "FILE", NULL, "client certificate; else $ETCDCTL_CERT", 0, 0},
    {"key", WP_ARG_TEXT, AT(key), "FILE", NULL, "its key; else $ETCDCTL_KEY", 0, 0},
    {"credentials-file", WP_ARG_TEXT, AT(credentials_file), "FILE", NULL,
     "user and password, on two lines or as USER:PASSWORD; else $ETCDCTL_USER with "
     "$ETCDCTL_PASSWORD",
     0, 0},
    {"json", WP_ARG_FLAG, AT(json), NULL, NULL, "print JSON", 0, 0},
    {0},
};

static _Thread_local char *hearer;

void etcd_say_to(char to[ETCD_SAID])
{
    hearer = to;
}

int etcd_say(const char *who, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (hearer != NULL)
        snprintf(hearer, ETCD_SAID, "%.*s", ETCD_SAID - 1, text);
    else
        fprintf(stderr, "waypost %s: %s\n", who, text);
    return WP_ECONFIG;
}

static int no_memory(const char *who)
{
    etcd_say(who, "out of memory");
    return -ENOMEM;
}

static const char *from_env(const char *name)
{
    const char *text = getenv(name);

    return text != NULL && *text != '\0' ? text : NULL;
}

/* --- endpoints ------------------------------------------------------------------------------ */

/* Words of the line, or the list of the environment, which has commas. */
static int endpoint_words(const struct etcd_access *a, struct wp_arena *arena, struct wp_words *ret)
{
    const char *list = from_env("ETCDCTL_ENDPOINTS");
    char *text, *save = NULL;

    if (a->endpoints.n > 0) {
        *ret = a->endpoints;
        return 0;
    }
    text = wp_arena_strdup(arena, list != NULL ? list : "http://localhost:2379");
    ret->word = text != NULL ? wp_arena_array(arena, strlen(text) + 1, sizeof(*ret->word)) : NULL;
    if (ret->word == NULL)
        return -ENOMEM;
    for (char *w = strtok_r(text, ", ", &save); w != NULL; w = strtok_r(NULL, ", ", &save))
        ret->word[ret->n++] = w;
    return 0;
}

static int read_endpoints(const struct etcd_access *a, struct etcd_place *to)
{
    struct wp_etcd_endpoint *e;
    struct wp_words words = {0};
    int r = endpoint_words(a, to->arena, &words);

    e = r == 0 ? wp_arena_array(to->arena, words.n + 1, sizeof(*e)) : NULL;
    if (e == NULL)
        return no_memory(to->who);
    if (words.n == 0)
        return etcd_say(to->who, "no endpoint");
    for (unsigned i = 0; i < words.n; i++) {
        const char *why;
        r = wp_etcd_endpoint_parse(words.word[i], to->arena, &e[i], &why);
        if (r == WP_EMALFORMED)
            return etcd_say(to->who, "endpoint %s: %s",
                            wp_etcd_endpoint_bare(words.word[i], to->arena), why);
        if (r < 0)
            return no_memory(to->who);
    }
    to->src.endpoints = e;
    to->src.n_endpoints = words.n;
    return 0;
}

static uint64_t random_of(void *arg)
{
    (void)arg;
    return wp_random();
}

/* Those that DNS lists now, as the mirror would find them. */
static int find_endpoints(struct etcd_place *to)
{
    struct wp_etcd_source *src = &to->src;
    struct wp_etcd_found *f = wp_arena_alloc(to->arena, sizeof(*f));
    struct wp_etcd_endpoint *e;
    char why[256];
    const char *bad;

    if (f == NULL)
        return no_memory(to->who);
    if (wp_etcd_discover(src->discovery, src->discovery_name, src->discovery_secure, f, why) < 0)
        return etcd_say(to->who, "%s", why);
    wp_etcd_found_order(f, random_of, NULL);
    e = wp_arena_array(to->arena, f->n, sizeof(*e));
    for (unsigned i = 0; i < f->n && e != NULL; i++) {
        const char *text = wp_arena_printf(to->arena, "%s://%s:%u", f->secure ? "https" : "http",
                                           f->one[i].host, f->one[i].port);
        if (text == NULL || wp_etcd_endpoint_parse(text, to->arena, &e[i], &bad) < 0)
            e = NULL;
    }
    if (e == NULL)
        return no_memory(to->who);
    src->endpoints = e;
    src->n_endpoints = f->n;
    src->tls = f->secure;
    src->discovery = src->discovery_name = NULL;
    return 0;
}

/* --- credentials ---------------------------------------------------------------------------- */

/* "user:password", or two lines. */
static int split_credentials(struct etcd_place *to, const char *from, char *text)
{
    size_t first = strcspn(text, "\r\n");
    char *end = text + first, *rest = end + strspn(end, "\r\n");

    if (*rest == '\0') { /* one line */
        rest = memchr(text, ':', first);
        if (rest != NULL)
            *rest++ = '\0';
    }
    *end = '\0';
    if (rest != NULL)
        rest[strcspn(rest, "\r\n")] = '\0';
    if (*text == '\0' || rest == NULL || *rest == '\0')
        return etcd_say(to->who, "%s: a user and a password are wanted", from);
    to->src.user = text;
    to->src.password = rest;
    return 0;
}

static int read_credentials(const struct etcd_access *a, struct etcd_place *to)
{
    const char *user = from_env("ETCDCTL_USER"), *password = from_env("ETCDCTL_PASSWORD");
    char *text;
    FILE *f;
    size_t n;

    if (a->credentials_file == NULL) {
        if (user == NULL)
            return 0;
        text = password != NULL ? wp_arena_printf(to->arena, "%s\n%s", user, password)
                                : wp_arena_strdup(to->arena, user);
        return text == NULL ? no_memory(to->who) : split_credentials(to, "$ETCDCTL_USER", text);
    }
    text = wp_arena_zalloc(to->arena, CREDENTIALS_MAX + 1);
    if (text == NULL)
        return no_memory(to->who);
    f = fopen(a->credentials_file, "re");
    if (f == NULL)
        return etcd_say(to->who, "%s: %s", a->credentials_file, strerror(errno));
    n = fread(text, 1, CREDENTIALS_MAX + 1, f);
    if (ferror(f) || n > CREDENTIALS_MAX) {
        int e = ferror(f) ? errno : EFBIG;
        fclose(f);
        return etcd_say(to->who, "%s: %s", a->credentials_file, strerror(e));
    }
    fclose(f);
    return split_credentials(to, a->credentials_file, text);
}

/* --- all together --------------------------------------------------------------------------- */

static const struct etcd *block_of(const struct wp_command_line *line, const struct wp_name *name)
{
    struct wp_qname q;

    for (unsigned i = 0; name != NULL && i < line->n_instances; i++) {
        const struct etcd *p = line->instances[i];
        if (wp_qname_set(&q, name->wire, name->len) > 0 && wp_zones_match(&p->zones, &q) != NULL)
            return p;
    }
    return line->n_instances > 0 ? line->instances[0] : NULL;
}

static int read_tls(const struct etcd_access *a, struct etcd_place *to)
{
    struct wp_etcd_source *src = &to->src;
    enum wp_etcd_scheme scheme = src->endpoints[0].scheme;

    src->ca_file = a->cacert != NULL ? a->cacert : from_env("ETCDCTL_CACERT");
    src->cert_file = a->cert != NULL ? a->cert : from_env("ETCDCTL_CERT");
    src->key_file = a->key != NULL ? a->key : from_env("ETCDCTL_KEY");
    if ((src->cert_file == NULL) != (src->key_file == NULL))
        return etcd_say(to->who, "--cert and --key belong together");
    src->tls = scheme == WP_ETCD_SECURE ||
               (scheme == WP_ETCD_EITHER && (src->ca_file != NULL || src->cert_file != NULL));
    if (!src->tls && (a->cacert != NULL || a->cert != NULL))
        return etcd_say(to->who, "%s: certificates are for https", src->endpoints[0].text);
    return 0;
}

static int read_path(const struct etcd_access *a, struct etcd_place *to)
{
    char clean[PREFIX_MAX];

    if (a->path == NULL && to->src.prefix != NULL)
        return 0;
    if (wp_etcd_path_clean(a->path != NULL ? a->path : "/skydns", clean, sizeof(clean)) < 0)
        return etcd_say(to->who, "--path is too long");
    to->src.prefix = wp_arena_strdup(to->arena, clean);
    return to->src.prefix == NULL ? no_memory(to->who) : 0;
}

int etcd_access_open(const struct etcd_access *a, const struct wp_command_line *line,
                     const struct wp_name *name, struct etcd_place *to)
{
    const struct etcd *block = block_of(line, name);
    int r = 0;

    to->src = (struct wp_etcd_source){0};
    if (block != NULL)
        etcd_source(block, &to->src);
    if (block == NULL || a->endpoints.n > 0) {
        r = read_endpoints(a, to);
        if (r == 0)
            r = read_tls(a, to);
    }
    if (r == 0 && to->src.n_endpoints == 0)
        r = find_endpoints(to);
    if (r == 0 && (block == NULL || a->credentials_file != NULL || to->src.user == NULL))
        r = read_credentials(a, to);
    return r == 0 ? read_path(a, to) : r;
}

int etcd_access_name(const struct etcd_access *a, const char *who, const char *text,
                     struct wp_name *ret)
{
    struct wp_name zone;

    if (a->zone != NULL && wp_name_parse(a->zone, &zone) < 0)
        return etcd_say(who, "%s: not a domain name", a->zone);
    if (wp_name_parse_origin(text, a->zone != NULL ? &zone : NULL, ret) < 0)
        return etcd_say(who, "%s%s%s: not a domain name", text, a->zone != NULL ? " in " : "",
                        a->zone != NULL ? a->zone : "");
    wp_name_lower(ret->wire, ret->len);
    return 0;
}

char *etcd_access_key(const struct etcd_place *p, const struct wp_name *name)
{
    struct wp_etcd_path path;
    struct wp_qname q;

    if (wp_qname_set(&q, name->wire, name->len) < 0)
        return NULL;
    wp_etcd_path_set(&path, &q);
    return wp_arena_printf(p->arena, "%s%.*s", p->src.prefix, (int)path.len, path.text);
}
