/* The lines of the directive. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "backends/etcd/discover.h"
#include "backends/etcd/etcd.h"
#include "waypost/base/text.h"
#include "waypost/plugin/log.h"

enum {
    PREFIX_MAX = 1024,
    LEASE_MIN_S = 30,
    LEASE_MAX_S = 86400,
    READY_AFTER_S = 60,
    MEMORY_MB = 4096,
    HEALTH_INTERVAL_S = 5, /* as `waypost register` checks */
    HEALTH_TIMEOUT_S = 2,
    HEALTH_FAILS = 2,
    HEALTH_LEAST_MS = 100,
    HEALTH_MOST_S = 3600,
    HEALTH_FAILS_MOST = 100,
    MEMORY_MB_MOST = 1 << 24,
};

/* CoreDNS reads on: a word too many is the next property. */
static int no_more_words(struct wp_setup *s, const struct wp_line *l, unsigned n)
{
    return l->n_words > n ? wp_setup_error(s, l, "unknown property '%s'", l->words[n]) : 0;
}

/* Both spellings add up; a word that is no zone is left out without an error. */
static int parse_zones(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    return wp_setup_zones(s, l->words + 1, l->n_words - 1, &p->zones);
}

static int parse_path(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;
    char clean[PREFIX_MAX];

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (wp_etcd_path_clean(l->words[1], clean, sizeof(clean)) < 0)
        return wp_setup_error(s, l, "path is too long");
    p->prefix = wp_arena_strdup(s->arena, clean);
    return p->prefix == NULL ? -ENOMEM : no_more_words(s, l, 2);
}

static int set_endpoints(struct etcd *p, struct wp_setup *s, const struct wp_line *l,
                         const char *const *words, unsigned n)
{
    p->endpoints = wp_arena_array(s->arena, n, sizeof(*p->endpoints));
    if (p->endpoints == NULL)
        return -ENOMEM;
    for (p->n_endpoints = 0; p->n_endpoints < n; p->n_endpoints++) {
        const char *word = words[p->n_endpoints], *why;
        int r = wp_etcd_endpoint_parse(word, s->arena, &p->endpoints[p->n_endpoints], &why);
        if (r == WP_EMALFORMED)
            return wp_setup_error(s, l, "invalid endpoint \"%s\": %s",
                                  wp_etcd_endpoint_bare(word, s->arena), why);
        if (r < 0)
            return r;
        if (strcmp(p->endpoints[p->n_endpoints].text, word) != 0)
            wp_log(WP_WARNING, "etcd",
                   "endpoint %s: what stands before the @ is not used: `credentials` names user "
                   "and password",
                   p->endpoints[p->n_endpoints].text);
    }
    return 0;
}

static int parse_endpoint(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    return set_endpoints(self, s, l, l->words + 1, l->n_words - 1);
}

/* A host name as it may stand before and behind ours in the name of an SRV record. */
static bool is_domain(const char *word)
{
    struct wp_name name;

    return strlen(word) < WP_ETCD_HOST_MAX && wp_name_parse(word, &name) == 0 &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
               strlen(word);
}

static int parse_discovery(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    if (l->n_words < 2 || l->n_words > 3)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 1; i < l->n_words; i++)
        if (!is_domain(l->words[i]) || (i == 2 && strchr(l->words[i], '.') != NULL))
            return wp_setup_error(s, l, "invalid discovery_srv value: \"%s\" is no %s", l->words[i],
                                  i == 1 ? "domain" : "name of a service");
    p->discovery = l->words[1];
    p->discovery_name = l->n_words > 2 ? l->words[2] : NULL;
    return 0;
}

static int parse_credentials(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    if (l->n_words == 1)
        return wp_setup_arg_error(s, l);
    if (l->n_words != 3)
        return wp_setup_error(s, l, "credentials requires 2 arguments, username and password");
    p->user = l->words[1];
    p->password = l->words[2];
    return 0;
}

static int parse_tls(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;
    unsigned n = l->n_words - 1;
    int r;

    if (n > 3)
        return wp_setup_error(s, l, "maximum of three arguments allowed for TLS config, found %u",
                              n);
    r = wp_client_tls_words(&p->tls, s, l);
    /* Only to see that the files are good: connections to etcd are gRPC's. */
    return r < 0 ? r : wp_client_tls_check(&p->tls, s);
}

/* Go trims, and takes nothing for 0. */
int etcd_seconds_parse(const char *text, int64_t *ret_s)
{
    char word[64];
    size_t n;
    int64_t v;
    int r;

    text += strspn(text, " \t\r\n");
    n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
        n--;
    if (n >= sizeof(word))
        return WP_EMALFORMED;
    memcpy(word, text, n);
    word[n] = '\0';
    if (n == 0) {
        *ret_s = 0;
        return 0;
    }
    if (strspn(word, "0123456789") == n)
        return wp_int_parse(word, 0, UINT32_MAX, ret_s);
    r = wp_duration_parse(word, &v);
    if (r == 0 && (v < 0 || v / 1000000000 > UINT32_MAX))
        r = WP_ELIMIT;
    if (r == 0)
        *ret_s = v / 1000000000;
    return r;
}

static int parse_lease_ttl(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;
    int64_t *to = strcmp(l->words[0], "min-lease-ttl") == 0 ? &p->min_s : &p->max_s;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (etcd_seconds_parse(l->words[1], to) < 0)
        return wp_setup_error(
            s, l,
            "invalid %s value: \"%s\" is neither a number of seconds nor a duration "
            "within 0..4294967295 seconds",
            l->words[0], l->words[1]);
    return no_more_words(s, l, 2);
}

static int parse_ready_after(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (etcd_seconds_parse(l->words[1], &p->ready_after_s) < 0)
        return wp_setup_error(s, l, "invalid ready-after value: \"%s\"", l->words[1]);
    return no_more_words(s, l, 2);
}

static int parse_max_memory(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;
    int64_t mb;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (wp_int_parse(l->words[1], 0, MEMORY_MB_MOST, &mb) < 0)
        return wp_setup_error(s, l, "invalid max-memory value: \"%s\" is no number of megabytes",
                              l->words[1]);
    p->max_octets = (uint64_t)mb << 20;
    return no_more_words(s, l, 2);
}

static int parse_state(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    p->state = strcmp(l->words[1], "off") == 0 ? "" : wp_setup_path(s, l->words[1]);
    return p->state == NULL ? -ENOMEM : 0;
}

static int parse_health_checks(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;
    const char *word = l->n_words > 1 ? l->words[1] : "", *all = l->n_words > 2 ? l->words[2] : "all";

    p->health = strcmp(word, "on") == 0;
    if (l->n_words < 2 || l->n_words > (p->health ? 3u : 2u))
        return wp_setup_arg_error(s, l);
    if (!p->health && strcmp(word, "off") != 0)
        return wp_setup_error(s, l, "invalid health_checks value: \"%s\" is neither on nor off",
                              word);
    p->none_when_all_unwell = strcmp(all, "none") == 0;
    if (!p->none_when_all_unwell && strcmp(all, "all") != 0)
        return wp_setup_error(s, l, "invalid health_checks value: \"%s\" is neither all nor none",
                              all);
    return 0;
}

static bool is_time(const char *text, uint64_t *ret_ns)
{
    int64_t ns;

    if (wp_duration_parse(text, &ns) < 0 || ns < HEALTH_LEAST_MS * INT64_C(1000000) ||
        ns > HEALTH_MOST_S * INT64_C(1000000000))
        return false;
    *ret_ns = (uint64_t)ns;
    return true;
}

static int parse_health_interval(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;
    int64_t fails = p->terms.fails;

    if (l->n_words < 2 || l->n_words > 4)
        return wp_setup_arg_error(s, l);
    if (!is_time(l->words[1], &p->terms.interval_ns) ||
        (l->n_words > 2 && !is_time(l->words[2], &p->terms.timeout_ns)))
        return wp_setup_error(s, l, "invalid health_interval value: a duration of 100ms to 1h");
    if (l->n_words > 3 && wp_int_parse(l->words[3], 1, HEALTH_FAILS_MOST, &fails) < 0)
        return wp_setup_error(s, l, "invalid health_interval value: \"%s\" is no number of failures",
                              l->words[3]);
    p->terms.fails = (unsigned)fails;
    if (p->terms.timeout_ns > p->terms.interval_ns) {
        if (l->n_words > 2)
            return wp_setup_error(s, l, "invalid health_interval value: the timeout is longer");
        p->terms.timeout_ns = p->terms.interval_ns;
    }
    return 0;
}

static int parse_lapsed(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    if (strcmp(l->words[1], "keep") != 0 && strcmp(l->words[1], "drop") != 0)
        return wp_setup_error(s, l, "invalid lapsed value: \"%s\" is neither drop nor keep",
                              l->words[1]);
    p->keep_lapsed = *l->words[1] == 'k';
    return 0;
}

static int parse_no_apex_fallback(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct etcd *p = self;

    if (l->n_words > 1)
        return wp_setup_arg_error(s, l);
    p->no_apex_fallback = true;
    return 0;
}

static int parse_nothing(void *self, struct wp_setup *s, const struct wp_line *l)
{
    (void)self;
    return no_more_words(s, l, 1);
}

static int parse_unknown(void *self, struct wp_setup *s, const struct wp_line *l)
{
    (void)self;
    return wp_setup_error(s, l, "unknown property '%s'", l->words[0]);
}

const struct wp_option etcd_options[] = {
    {.name = "",
     .kind = WP_OPT_CALL,
     .parse = parse_zones,
     .help = "zones to serve; none: the block's"},
    {.name = "zones", .kind = WP_OPT_CALL, .parse = parse_zones, .help = "more zones to serve"},
    {.name = "path", .kind = WP_OPT_CALL, .parse = parse_path, .help = "prefix of the keys"},
    {.name = "endpoint",
     .kind = WP_OPT_CALL,
     .parse = parse_endpoint,
     .help = "URLs of the cluster"},
    {.name = "discovery_srv",
     .kind = WP_OPT_CALL,
     .parse = parse_discovery,
     .help = "DOMAIN [NAME]: endpoints from its SRV records"},
    {.name = "credentials",
     .kind = WP_OPT_CALL,
     .parse = parse_credentials,
     .help = "user and password"},
    {.name = "tls",
     .kind = WP_OPT_CALL,
     .parse = parse_tls,
     .help = "[CERT KEY [CACERT] | CACERT]"},
    {.name = "fallthrough",
     .kind = WP_OPT_FALL,
     .offset = offsetof(struct etcd, fall),
     .help = "names that do not exist go to the next directive"},
    {.name = "min-lease-ttl",
     .kind = WP_OPT_CALL,
     .parse = parse_lease_ttl,
     .help = "least TTL made from a lease"},
    {.name = "max-lease-ttl",
     .kind = WP_OPT_CALL,
     .parse = parse_lease_ttl,
     .help = "largest TTL made from a lease"},
    {.name = "health_checks",
     .kind = WP_OPT_CALL,
     .parse = parse_health_checks,
     .help = "off, or on [all|none]: endpoints with a check leave while it fails"},
    {.name = "health_interval",
     .kind = WP_OPT_CALL,
     .parse = parse_health_interval,
     .help = "DURATION [TIMEOUT [FAILS]] of health checks"},
    {.name = "lapsed",
     .kind = WP_OPT_CALL,
     .parse = parse_lapsed,
     .help = "keys whose lease ends while etcd is away: drop or keep"},
    {.name = "ready-after",
     .kind = WP_OPT_CALL,
     .parse = parse_ready_after,
     .help = "*ready* waits no longer than this for the first data"},
    {.name = "max-memory",
     .kind = WP_OPT_CALL,
     .parse = parse_max_memory,
     .help = "megabytes of keys at most, 0: no limit"},
    {.name = "state",
     .kind = WP_OPT_CALL,
     .parse = parse_state,
     .help = "DIRECTORY for the last known data, or off"},
    {.name = "max_stale",
     .kind = WP_OPT_DURATION,
     .offset = offsetof(struct etcd, max_stale_ns),
     .min = 1000000000,
     .max = INT64_MAX,
     .help = "data out of step for longer is not served"},
    {.name = "no_apex_fallback",
     .kind = WP_OPT_CALL,
     .parse = parse_no_apex_fallback,
     .help = "the zone's own addresses come from apex.dns.ZONE only"},
    {.name = "svcb",
     .kind = WP_OPT_FLAG,
     .offset = offsetof(struct etcd, svcb),
     .help = "SVCB and HTTPS are answered, too"},
    {.name = "stubzones",
     .kind = WP_OPT_CALL,
     .parse = parse_nothing,
     .help = "accepted, no effect"},
    {.name = "debug", .kind = WP_OPT_CALL, .parse = parse_nothing, .help = "accepted, no effect"},
    {.name = "upstream", .kind = WP_OPT_IGNORE, .help = "accepted, no effect"},
    {.name = "*", .kind = WP_OPT_CALL, .parse = parse_unknown},
    {0},
};

/* --- all lines together ------------------------------------------------------------------------
 */

static int init_zones(struct etcd *p, struct wp_setup *s)
{
    if (p->zones.n == 0)
        p->zones = *s->zones;
    p->zone = wp_arena_array(s->arena, p->zones.n, sizeof(*p->zone));
    p->range = wp_arena_array(s->arena, p->zones.n, sizeof(struct wp_etcd_range *));
    if (p->zone == NULL || p->range == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < p->zones.n; i++) {
        int r = wp_etcd_zone_init(&p->zone[i], p->zones.zone[i], s->arena);
        if (r < 0)
            return r;
    }
    return 0;
}

int etcd_new(void *self, struct wp_setup *s)
{
    struct etcd *p = self;

    (void)s;
    p->ready_after_s = READY_AFTER_S;
    p->max_octets = (uint64_t)MEMORY_MB << 20;
    p->terms = (struct wp_probe_terms){HEALTH_INTERVAL_S * UINT64_C(1000000000),
                                       HEALTH_TIMEOUT_S * UINT64_C(1000000000), HEALTH_FAILS};
    return 0;
}

int etcd_check(void *self, struct wp_setup *s)
{
    static const char *const here[] = {"http://localhost:2379"};
    struct etcd *p = self;
    int r;

    p->bounds.min_s = p->min_s != 0 ? (uint32_t)p->min_s : LEASE_MIN_S;
    p->bounds.max_s = p->max_s != 0 ? (uint32_t)p->max_s : LEASE_MAX_S;
    if (p->prefix == NULL)
        p->prefix = "/skydns";
    if (p->endpoints != NULL && p->discovery != NULL)
        return wp_setup_error(s, NULL, "endpoint and discovery_srv exclude each other");
    if (p->endpoints == NULL && p->discovery == NULL) {
        r = set_endpoints(p, s, NULL, here, 1);
        if (r < 0)
            return r;
    }
    if (p->user != NULL && (*p->user == '\0' || *p->password == '\0')) {
        wp_log(WP_WARNING, "etcd", "credentials with an empty user or password are not used");
        p->user = p->password = NULL;
    }
    return init_zones(p, s);
}
