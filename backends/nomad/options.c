/* The lines of the directive, in CoreDNS's words where one of its own is wrong. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/nomad.h"
#include "waypost/base/text.h"
#include "waypost/base/wr.h"
#include "waypost/dns/types.h"
#include "waypost/plugin/block.h"

enum {
    TTL_S = 30,
    TTL_MAX_S = 3600,
    FRESH_MAX_S = 10,
    ABSENT_MAX_S = 5,
    HEALTH_INTERVAL_S = 10,
    HEALTH_LEAST_S = 1,
    HEALTH_MOST_S = 3600,
    PREFIX = 11, /* octets of "hostmaster": the longest label that stands before a zone */
};

static int one_word(struct wp_setup *s, const struct wp_line *l, const char *what, const char **ret)
{
    if (l->n_words != 2)
        return wp_setup_error(s, l, "exactly one %s is required", what);
    *ret = l->words[1];
    return 0;
}

static int no_words(struct wp_setup *s, const struct wp_line *l)
{
    return l->n_words > 1 ? wp_setup_arg_error(s, l) : 0;
}

/* One of a few words, by its number. */
static int choose(struct wp_setup *s, const struct wp_line *l, const char *const *words, unsigned n,
                  unsigned *ret)
{
    const char *all = "";

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(l->words[1], words[i]) == 0) {
            *ret = i;
            return 0;
        }
        all = wp_arena_printf(s->arena, "%s%s%s", all, i == 0 ? "" : ", ", words[i]);
        if (all == NULL)
            return -ENOMEM;
    }
    return wp_setup_error(s, l, "invalid %s '%s': one of %s", l->words[0], l->words[1], all);
}

/* --- the zone ----------------------------------------------------------------------------------- */

static int set_zone(struct nomad *p, struct wp_setup *s, const struct wp_line *l, const char *word)
{
    struct wp_name name;

    if (p->zone_word != NULL)
        return wp_setup_error(s, l, "a second zone: '%s'", word);
    if (wp_name_parse(word, &name) < 0)
        return wp_setup_error(s, l, "invalid zone '%s'", word);
    if (name.len + PREFIX > WP_NAME_MAX)
        return wp_setup_error(s, l, "zone '%s' is too long", word);
    p->zone_word = word;
    return 0;
}

/* CoreDNS drops further words without a sign. */
static int parse_head(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words > 2)
        return wp_setup_error(s, l, "one zone only: '%s'", l->words[2]);
    return l->n_words > 1 ? set_zone(self, s, l, l->words[1]) : 0;
}

static int parse_zone(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const char *word;
    int r = one_word(s, l, "zone", &word);

    return r < 0 ? r : set_zone(self, s, l, word);
}

static int add_zone(struct nomad *p, const char *text, bool is_short)
{
    struct nomad_zone *z = &p->zone[p->n_zones];
    struct wp_name name;
    struct wp_qname q;

    if (wp_name_parse(text, &name) < 0 || wp_qname_set(&q, name.wire, name.len) < 0)
        return WP_EMALFORMED;
    memcpy(z->name, q.wire, q.len);
    z->len = q.len;
    z->labels = q.n_labels;
    z->hash = q.suffix[0];
    z->is_short = is_short;
    p->n_zones++;
    return 0;
}

/* Does the block ask for SERVICE.NAMESPACE.nomad? */
static bool wants_short(const struct wp_zones *zones)
{
    static const uint8_t nomad[] = {5, 'n', 'o', 'm', 'a', 'd', 0};

    for (unsigned i = 0; i < zones->n; i++)
        if (zones->zone[i][0] == 0 || wp_name_equal(zones->zone[i], nomad))
            return true;
    return false;
}

static int make_zones(struct nomad *p, struct wp_setup *s)
{
    int r = add_zone(p, p->zone_word != NULL ? p->zone_word : "service.nomad", false);

    return r == 0 && p->zone_word == NULL && wants_short(s->zones) ? add_zone(p, "nomad", true) : r;
}

/* --- the agents --------------------------------------------------------------------------------- */

static int parse_address(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct nomad *p = self;
    struct wp_nomad_agents *a = &p->wants.agents;
    unsigned more = l->n_words - 1, n = a->n_addresses + more;
    const char **all;

    if (more == 0)
        return wp_setup_error(s, l, "at least one address is required");
    if (n > WP_NOMAD_ADDRESSES_MAX)
        return wp_setup_error(s, l, "more than %d addresses", WP_NOMAD_ADDRESSES_MAX);
    all = wp_arena_array(s->arena, n, sizeof(*all));
    if (all == NULL)
        return -ENOMEM;
    if (a->n_addresses > 0)
        memcpy(all, a->addresses, a->n_addresses * sizeof(*all));
    memcpy(all + a->n_addresses, l->words + 1, more * sizeof(*all));
    a->addresses = all;
    a->n_addresses = n;
    p->address_line = l;
    return 0;
}

static int parse_token(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return one_word(s, l, "token", &((struct nomad *)self)->wants.agents.token);
}

static int path_word(struct wp_setup *s, const struct wp_line *l, const char *what, const char **ret)
{
    const char *word;
    int r = one_word(s, l, what, &word);

    if (r < 0)
        return r;
    *ret = wp_setup_path(s, word);
    return *ret == NULL ? -ENOMEM : 0;
}

static int parse_token_file(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return path_word(s, l, "token_file", &((struct nomad *)self)->wants.agents.token_file);
}

static int parse_region(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return one_word(s, l, "region", &((struct nomad *)self)->wants.agents.region);
}

static int parse_filter(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct nomad *p = self;
    int r = one_word(s, l, "filter", &p->wants.filter);

    if (r == 0 && *p->wants.filter == '\0')
        p->wants.filter = NULL;
    return r;
}

static int parse_tls(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct nomad *p = self;
    struct wp_nomad_agents *a = &p->wants.agents;
    unsigned n = l->n_words - 1;
    const char **to[3] = {&a->cert_file, &a->key_file, &a->ca_file};

    if (n < 1 || n > 3)
        return wp_setup_arg_error(s, l);
    if (n == 1)
        to[0] = &a->ca_file;
    for (unsigned i = 0; i < n; i++) {
        *to[i] = wp_setup_path(s, l->words[1 + i]);
        if (*to[i] == NULL)
            return -ENOMEM;
    }
    p->tls_line = l;
    return 0;
}

static int parse_tls_servername(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return one_word(s, l, "tls_servername", &((struct nomad *)self)->wants.agents.server_name);
}

static int parse_stale(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const words[] = {
        [WP_NOMAD_STALE_LEADERLESS] = "leaderless",
        [WP_NOMAD_STALE_ALWAYS] = "always",
        [WP_NOMAD_STALE_NEVER] = "never",
    };
    unsigned which = WP_NOMAD_STALE_LEADERLESS;
    int r = choose(s, l, words, WP_COUNT(words), &which);

    ((struct nomad *)self)->wants.stale = (enum wp_nomad_stale)which;
    return r;
}

static int parse_state(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct nomad *p = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    p->state = strcmp(l->words[1], "off") == 0 ? "" : wp_setup_path(s, l->words[1]);
    return p->state == NULL ? -ENOMEM : 0;
}

/* --- the answers -------------------------------------------------------------------------------- */

static int parse_ttl(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const char *word;
    int64_t v;
    int r = one_word(s, l, "ttl value", &word);

    if (r < 0)
        return r;
    r = wp_int_parse(word, INT64_MIN, INT64_MAX, &v);
    if (r < 0)
        return wp_setup_error(s, l, "error parsing ttl: strconv.Atoi: parsing \"%s\": %s", word,
                              r == WP_ELIMIT ? "value out of range" : "invalid syntax");
    if (v < 0 || v > TTL_MAX_S)
        return wp_setup_error(s, l, "ttl must be in range [0, %d]: %lld", TTL_MAX_S, (long long)v);
    ((struct nomad *)self)->ttl_s = (uint32_t)v;
    return 0;
}

static int parse_tags(void *self, struct wp_setup *s, const struct wp_line *l)
{
    ((struct nomad *)self)->wants.tags = true;
    return no_words(s, l);
}

static int parse_weights(void *self, struct wp_setup *s, const struct wp_line *l)
{
    ((struct nomad *)self)->wants.weights = true;
    return no_words(s, l);
}

static int parse_health(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const int64_t second = 1000000000;
    struct nomad *p = self;
    int64_t ns = HEALTH_INTERVAL_S * second;

    if (l->n_words > 2)
        return wp_setup_arg_error(s, l);
    if (l->n_words == 2 && (wp_duration_parse(l->words[1], &ns) < 0 || ns < HEALTH_LEAST_S * second ||
                            ns > HEALTH_MOST_S * second))
        return wp_setup_error(s, l, "invalid health interval '%s': a duration of 1s to 1h",
                              l->words[1]);
    p->wants.health = true;
    p->wants.health_interval_ns = ns;
    return 0;
}

static int parse_negative(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const words[] = {
        [NOMAD_RFC2308] = "rfc2308", [NOMAD_COREDNS] = "coredns"};
    unsigned which = NOMAD_RFC2308;
    int r = choose(s, l, words, WP_COUNT(words), &which);

    ((struct nomad *)self)->negative = (enum nomad_negative)which;
    return r;
}

static int parse_duplicates(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const words[] = {"keep", "drop"};
    unsigned which = 0;
    int r = choose(s, l, words, WP_COUNT(words), &which);

    ((struct nomad *)self)->drop_duplicates = which == 1;
    return r;
}

static int parse_hostnames(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const words[] = {[NOMAD_HOSTS_FAIL] = "fail",
                                        [NOMAD_HOSTS_SKIP] = "skip",
                                        [NOMAD_HOSTS_RESOLVE] = "resolve"};
    unsigned which = NOMAD_HOSTS_FAIL;
    int r = choose(s, l, words, WP_COUNT(words), &which);

    ((struct nomad *)self)->hosts = (enum nomad_hosts)which;
    return r;
}

/* Options are known by any case. */
static int parse_any(void *self, struct wp_setup *s, const struct wp_line *l)
{
    const struct wp_option *row = nomad_options;
    char *word = wp_arena_strdup(s->arena, l->words[0]);

    if (word == NULL)
        return -ENOMEM;
    for (char *c = word; *c != '\0'; c++)
        *c = (char)wp_lower((uint8_t)*c);
    for (; row->name != NULL; row++)
        if (*word != '\0' && *word != '*' && strcmp(row->name, word) == 0)
            return row->parse(self, s, l);
    return wp_setup_error(s, l, "unknown property '%s'", word);
}

const struct wp_option nomad_options[] = {
    {.name = "",
     .kind = WP_OPT_CALL,
     .parse = parse_head,
     .help = "zone to serve; none: service.nomad, and nomad where the block has it"},
    {.name = "zone", .kind = WP_OPT_CALL, .parse = parse_zone, .help = "the same as an option"},
    {.name = "address",
     .kind = WP_OPT_CALL,
     .parse = parse_address,
     .help = "URLs of agents (http:, https:, unix:); lines add up"},
    {.name = "token", .kind = WP_OPT_CALL, .parse = parse_token, .help = "ACL token"},
    {.name = "token_file",
     .kind = WP_OPT_CALL,
     .parse = parse_token_file,
     .help = "file that holds the token; read again when it changes"},
    {.name = "region", .kind = WP_OPT_CALL, .parse = parse_region, .help = "region to ask for"},
    {.name = "filter",
     .kind = WP_OPT_CALL,
     .parse = parse_filter,
     .help = "expression that instances must meet; Nomad reads it"},
    {.name = "tls",
     .kind = WP_OPT_CALL,
     .parse = parse_tls,
     .help = "CERT KEY [CACERT] | CACERT, for addresses with https:"},
    {.name = "tls_servername",
     .kind = WP_OPT_CALL,
     .parse = parse_tls_servername,
     .help = "name in the certificates of the agents (server.REGION.nomad)"},
    {.name = "stale",
     .kind = WP_OPT_CALL,
     .parse = parse_stale,
     .help = "may servers answer that are not the leader: always, never, or leaderless: after 5 s "
             "without one"},
    {.name = "ttl", .kind = WP_OPT_CALL, .parse = parse_ttl, .help = "of answers, 0 to 3600 s"},
    {.name = "tags",
     .kind = WP_OPT_CALL,
     .parse = parse_tags,
     .help = "names with a tag before the service: TAG.SERVICE.NAMESPACE.ZONE"},
    {.name = "weights",
     .kind = WP_OPT_CALL,
     .parse = parse_weights,
     .help = "priority and weight of SRV from tags: dns-priority=N, dns-weight=N"},
    {.name = "health",
     .kind = WP_OPT_CALL,
     .parse = parse_health,
     .help = "[INTERVAL]: leave out instances whose checks fail, unless all do"},
    {.name = "negative",
     .kind = WP_OPT_CALL,
     .parse = parse_negative,
     .help = "answers without data: rfc2308, or as coredns gives them"},
    {.name = "duplicates",
     .kind = WP_OPT_CALL,
     .parse = parse_duplicates,
     .help = "records that are the same: keep or drop"},
    {.name = "hostnames",
     .kind = WP_OPT_CALL,
     .parse = parse_hostnames,
     .help = "instances whose address is a host name: fail, skip or resolve"},
    {.name = "state",
     .kind = WP_OPT_CALL,
     .parse = parse_state,
     .help = "directory for the data that is loaded after a restart, or off"},
    {.name = "*", .kind = WP_OPT_CALL, .parse = parse_any},
    {0},
};

int nomad_new(void *self, struct wp_setup *s)
{
    struct nomad *p = self;

    (void)s;
    p->ttl_s = TTL_S;
    return 0;
}

int nomad_begin(void *self, struct wp_setup *s, const struct wp_line *l)
{
    (void)s;
    ((struct nomad *)self)->directive = l;
    return 0;
}

/* Names that are not covered by the list are read anew while they are asked for. */
static uint32_t at_most(uint32_t ttl_s, uint32_t most)
{
    return ttl_s == 0 ? 1 : ttl_s < most ? ttl_s : most;
}

static void make_heads(struct nomad *p)
{
    for (unsigned v6 = 0; v6 < 2; v6++) {
        uint8_t *to = p->head[v6];
        wp_put16(to, 0xc000 | 12);
        wp_put16(to + 2, v6 ? WP_TYPE_AAAA : WP_TYPE_A);
        wp_put16(to + 4, WP_CLASS_IN);
        wp_put32(to + 6, p->ttl_s);
        wp_put16(to + 10, v6 ? 16 : 4);
    }
}

/* Addresses and the environment together, which is where most of it may be. */
static int check_agents(struct nomad *p, struct wp_setup *s)
{
    struct wp_nomad_access *access = NULL;
    const struct wp_line *l = p->directive;
    char why[256] = "";
    int r;

    if (p->wants.agents.token != NULL && p->wants.agents.token_file != NULL)
        return wp_setup_error(s, l, "token and token_file: one of them");
    r = wp_nomad_access_new(&p->wants.agents, why, &access);
    wp_nomad_access_free(access);
    if (r >= 0 || r == -ENOMEM)
        return r;
    if (strncmp(why, "invalid address", 15) == 0 && p->address_line != NULL)
        l = p->address_line;
    else if (p->tls_line != NULL)
        l = p->tls_line;
    return wp_setup_error(s, l, "%s", why);
}

int nomad_check(void *self, struct wp_setup *s)
{
    struct nomad *p = self;
    int r = make_zones(p, s);

    if (r < 0)
        return r;
    p->wants.fresh_s = at_most(p->ttl_s, FRESH_MAX_S);
    p->wants.absent_s = at_most(p->ttl_s, ABSENT_MAX_S);
    make_heads(p);
    return check_agents(p, s);
}
