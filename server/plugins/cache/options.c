/* The options of `cache`, with the reference's words for what is wrong. */
#include <stdlib.h>
#include <string.h>

#include "server/plugins/cache/cache.h"
#include "waypost/base/text.h"

#define MINUTES(n) ((n)*60000000000ll)
enum { CAPACITY_MAX = 1 << 28 };

extern const struct wp_option cache_options[];

/* A whole number that is anything but a name. */
static bool is_int(const char *s, int64_t *ret)
{
    return wp_int_parse(s, INT32_MIN, INT32_MAX, ret) == 0;
}

static int bad_int(struct wp_setup *s, const struct wp_line *l, const char *word)
{
    return wp_setup_error(s, l, "strconv.Atoi: parsing \"%s\": invalid syntax", word);
}

static int positive_ttl(struct wp_setup *s, const struct wp_line *l, const char *word, int64_t *ret)
{
    if (!is_int(word, ret))
        return bad_int(s, l, word);
    if (*ret <= 0)
        return wp_setup_error(s, l, "cache TTL can not be zero or negative: %lld", (long long)*ret);
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cache *c = self;
    unsigned first = 1;
    int64_t ttl;

    if (l->n_words > 1 && is_int(l->words[1], &ttl)) {
        int r = positive_ttl(s, l, l->words[1], &ttl);

        if (r < 0)
            return r;
        c->limits[0].ttl_s = c->limits[1].ttl_s = ttl;
        first = 2;
    }
    return wp_setup_zones(s, l->words + first, l->n_words - first, &c->zones);
}

static int parse_limits(struct cache_limits *m, struct wp_setup *s, const struct wp_line *l)
{
    int r;

    if (l->n_words < 2 || l->n_words > 4)
        return wp_setup_arg_error(s, l);
    if (!is_int(l->words[1], &m->capacity) || m->capacity > CAPACITY_MAX)
        return bad_int(s, l, l->words[1]);
    if (l->n_words > 2) {
        r = positive_ttl(s, l, l->words[2], &m->ttl_s);
        if (r < 0)
            return r;
    }
    if (l->n_words > 3) {
        if (!is_int(l->words[3], &m->min_ttl_s))
            return bad_int(s, l, l->words[3]);
        if (m->min_ttl_s < 0)
            return wp_setup_error(s, l, "cache min TTL can not be negative: %lld",
                                  (long long)m->min_ttl_s);
    }
    return 0;
}

static int parse_success(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_limits(&((struct cache *)self)->limits[CACHE_SUCCESS_AT], s, l);
}

static int parse_denial(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_limits(&((struct cache *)self)->limits[CACHE_DENIAL_AT], s, l);
}

static int duration(struct wp_setup *s, const struct wp_line *l, const char *word, int64_t *ret)
{
    if (wp_duration_parse(word, ret) < 0)
        return wp_setup_error(s, l, "time: invalid duration \"%s\"", word);
    return 0;
}

static int parse_prefetch(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cache *c = self;
    int r;

    if (l->n_words < 2 || l->n_words > 4)
        return wp_setup_arg_error(s, l);
    if (!is_int(l->words[1], &c->prefetch_amount))
        return bad_int(s, l, l->words[1]);
    if (c->prefetch_amount < 0)
        return wp_setup_error(s, l, "prefetch amount should be positive: %lld",
                              (long long)c->prefetch_amount);
    if (l->n_words > 2) {
        r = duration(s, l, l->words[2], &c->prefetch_ns);
        if (r < 0)
            return r;
    }
    if (l->n_words > 3) {
        const char *word = l->words[3];
        size_t len = strlen(word);
        char digits[8];

        if (len < 2 || word[len - 1] != '%' || len > sizeof(digits))
            return wp_setup_error(s, l, "last character of percentage should be `%%`, but is: '%c'",
                                  len > 0 ? word[len - 1] : ' ');
        memcpy(digits, word, len - 1);
        digits[len - 1] = '\0';
        if (!is_int(digits, &c->prefetch_percent))
            return bad_int(s, l, digits);
        if (c->prefetch_percent < 10 || c->prefetch_percent > 90)
            return wp_setup_error(s, l, "percentage should fall in range [10, 90]: %lld",
                                  (long long)c->prefetch_percent);
    }
    return 0;
}

/* STALE_TTL and RECHECK, which may follow both modes. */
static int stale_rest(struct cache *c, struct wp_setup *s, const struct wp_line *l, unsigned at)
{
    int r;

    if (at < l->n_words) {
        int64_t ns;

        r = duration(s, l, l->words[at], &ns);
        if (r < 0)
            return r;
        if (ns < 0 || ns % 1000000000 != 0)
            return wp_setup_error(s, l, "invalid stale TTL: %s", l->words[at]);
        c->stale_ttl_s = ns / 1000000000;
        at++;
    }
    if (at < l->n_words) {
        r = duration(s, l, l->words[at], &c->recheck_ns);
        if (r < 0)
            return r;
        if (c->recheck_ns < 0 || c->recheck_ns > MINUTES(5))
            return wp_setup_error(s, l, "invalid recheck interval: %s", l->words[at]);
        at++;
    }
    return at == l->n_words ? 0 : wp_setup_arg_error(s, l);
}

static int parse_serve_stale(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cache *c = self;
    unsigned at = 3;
    int r;

    c->stale = CACHE_STALE_IMMEDIATE;
    if (l->n_words > 1) {
        r = duration(s, l, l->words[1], &c->stale_ns);
        if (r < 0)
            return r;
        if (c->stale_ns < 0)
            return wp_setup_error(s, l, "invalid negative duration for serve_stale '%s'", l->words[1]);
    }
    if (l->n_words > 2) {
        if (strcasecmp(l->words[2], "verify") == 0)
            c->stale = CACHE_STALE_VERIFY;
        else if (strcasecmp(l->words[2], "immediate") != 0)
            return wp_setup_error(s, l, "invalid value for serve_stale refresh mode: %s", l->words[2]);
    }
    if (c->stale == CACHE_STALE_VERIFY && at < l->n_words) {
        r = duration(s, l, l->words[at], &c->verify_ns);
        if (r < 0)
            return r;
        if (c->verify_ns < 0)
            return wp_setup_error(s, l, "invalid negative verify timeout '%s'", l->words[at]);
        at++;
    }
    return l->n_words > 3 ? stale_rest(c, s, l, at) : 0;
}

static int parse_policy(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cache *c = self;

    if (l->n_words != 2 || c->prefer_positive_set)
        return wp_setup_arg_error(s, l);
    if (strcmp(l->words[1], "prefer_positive") != 0)
        return wp_setup_error(s, l, "invalid value for serve_stale_policy: %s", l->words[1]);
    c->prefer_positive = c->prefer_positive_set = true;
    return 0;
}

static int parse_servfail(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cache *c = self;
    int r;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    r = duration(s, l, l->words[1], &c->servfail_ns);
    if (r < 0)
        return r;
    if (c->servfail_ns < 0)
        return wp_setup_error(s, l, "invalid negative ttl for servfail '%s'", l->words[1]);
    if (c->servfail_ns > MINUTES(5))
        return wp_setup_error(s, l, "caching SERVFAIL responses over 5 minutes is not permitted");
    return 0;
}

static int parse_disable(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct cache *c = self;
    struct cache_limits *m;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (strcmp(l->words[1], "success") == 0)
        m = &c->limits[CACHE_SUCCESS_AT];
    else if (strcmp(l->words[1], "denial") == 0)
        m = &c->limits[CACHE_DENIAL_AT];
    else
        return wp_setup_error(s, l, "cache type for disable must be \"success\" or \"denial\"");
    m->disabled = true;
    m->disabled_zones = (struct wp_zones){0}; /* a second line replaces the first */
    return wp_setup_zones(s, l->words + 2, l->n_words - 2, &m->disabled_zones);
}

static int parse_keepttl(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words != 1)
        return wp_setup_arg_error(s, l);
    ((struct cache *)self)->keep_ttl = true;
    return 0;
}

static int unknown(void *self, struct wp_setup *s, const struct wp_line *l)
{
    (void)self;
    return wp_setup_arg_error(s, l);
}

const struct wp_option cache_options[] = {
    {.name = "", .kind = WP_OPT_CALL, .parse = parse_line, .help = "[TTL] [ZONES...]"},
    {.name = "success", .kind = WP_OPT_CALL, .parse = parse_success, .help = "CAPACITY [TTL] [MINTTL] of answers"},
    {.name = "denial", .kind = WP_OPT_CALL, .parse = parse_denial, .help = "CAPACITY [TTL] [MINTTL] of negative answers"},
    {.name = "prefetch", .kind = WP_OPT_CALL, .parse = parse_prefetch, .help = "AMOUNT [DURATION] [PCT%]"},
    {.name = "serve_stale", .kind = WP_OPT_CALL, .parse = parse_serve_stale, .help = "[DURATION] [immediate|verify ...]"},
    {.name = "serve_stale_policy", .kind = WP_OPT_CALL, .parse = parse_policy, .help = "prefer_positive"},
    {.name = "servfail", .kind = WP_OPT_CALL, .parse = parse_servfail, .help = "how long failures are kept, 0 to 5m"},
    {.name = "disable", .kind = WP_OPT_CALL, .parse = parse_disable, .help = "success|denial [ZONES...]"},
    {.name = "keepttl", .kind = WP_OPT_CALL, .parse = parse_keepttl, .help = "show the stored TTL"},
    {.name = "*", .kind = WP_OPT_CALL, .parse = unknown},
    {0},
};
