/* The stanza's words, with CoreDNS's errors. Most of them have no place in the file there: only
 * wrong argument counts, unknown words and addresses do. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "backends/forward/forward.h"
#include "waypost/base/text.h"
#include "waypost/dns/types.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"

#define SECOND 1000000000ll

static struct forward_stanza *stanza(void *self)
{
    return ((struct forward *)self)->current;
}

/* --- numbers and times as Go reads them ---------------------------------------------------- */

static bool all_digits(const char *s)
{
    return *s != '\0' && strspn(s, "0123456789") == strlen(s);
}

static int parse_uint32(struct wp_setup *s, const char *word, uint32_t *ret)
{
    int64_t v;

    if (!all_digits(word))
        return wp_setup_fail(s, "strconv.ParseUint: parsing \"%s\": invalid syntax", word);
    if (wp_int_parse(word, 0, UINT32_MAX, &v) < 0)
        return wp_setup_fail(s, "strconv.ParseUint: parsing \"%s\": value out of range", word);
    *ret = (uint32_t)v;
    return 0;
}

static int parse_count(struct wp_setup *s, const char *option, const char *word, int64_t *ret)
{
    int r = wp_int_parse(word, INT64_MIN, INT64_MAX, ret);

    if (r < 0)
        return wp_setup_fail(s, "strconv.Atoi: parsing \"%s\": %s", word,
                             r == WP_ELIMIT ? "value out of range" : "invalid syntax");
    if (*ret < 0)
        return wp_setup_fail(s, "%s can't be negative: %lld", option, (long long)*ret);
    return 0;
}

static int parse_duration(struct wp_setup *s, const char *word, int64_t *ret)
{
    if (wp_duration_parse(word, ret) == 0)
        return 0;
    if (all_digits(word))
        return wp_setup_fail(s, "time: missing unit in duration \"%s\"", word);
    return wp_setup_fail(s, "time: invalid duration \"%s\"", word);
}

/* Exactly one argument; a second one is taken for the next option there. */
static int one_word(struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (l->n_words > 2)
        return wp_setup_error(s, l, "unknown property '%s'", l->words[2]);
    return 0;
}

static int no_words(struct wp_setup *s, const struct wp_line *l, bool *flag)
{
    if (l->n_words > 1)
        return wp_setup_arg_error(s, l);
    *flag = true;
    return 0;
}

/* --- the directive's line ------------------------------------------------------------------ */

static int parse_from(struct forward_stanza *st, struct wp_setup *s, const char *word)
{
    struct wp_zones z = {0};
    char text[WP_NAME_TEXT_MAX];
    int r = wp_setup_zones(s, &word, 1, &z);

    if (r < 0)
        return r;
    if (z.n == 0)
        return wp_setup_fail(s, "unable to normalize '%s'", word);
    if (z.n > 1)
        wp_log(WP_WARNING, "forward",
               "Unsupported CIDR notation: '%s' expands to multiple zones. Using only '%s'.", word,
               wp_name_text(z.zone[0], text));
    st->from = z.zone[0];
    st->from_len = (uint8_t)wp_name_len(st->from, WP_NAME_MAX);
    return 0;
}

static int parse_line(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct forward *f = self;
    struct forward_stanza *st = wp_arena_zalloc(s->arena, sizeof(*st));
    int r;

    if (st == NULL)
        return -ENOMEM;
    st->forward = f;
    st->line = l;
    st->index = f->n++;
    st->max_fails = 2;
    st->attempts = WP_UNSET;
    st->profile = (struct wp_upstream_profile){
        .asker = "forward",
        .expire_ns = 10 * SECOND,
        .read_timeout_ns = 2 * SECOND,
        .health_ns = SECOND / 2,
        .health_rd = true,
        .health_name = {.len = 1},
    };
    *f->last = st;
    f->last = &st->next;
    f->current = st;
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    r = parse_from(st, s, l->words[1]);
    if (r < 0)
        return r;
    if (l->n_words < 3)
        return wp_setup_arg_error(s, l);
    st->n_words = l->n_words - 2;
    if (st->n_words > FORWARD_TO_MAX)
        return wp_setup_fail(s, "more than %d TOs configured: %u", FORWARD_TO_MAX, st->n_words);
    for (unsigned i = 2; i < l->n_words; i++) {
        r = forward_to_parse(st, s, l->words[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- options ------------------------------------------------------------------------------- */

static int parse_except(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    return wp_setup_zones(s, l->words + 1, l->n_words - 1, &stanza(self)->except);
}

static int parse_force_tcp(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return no_words(s, l, &stanza(self)->force_tcp);
}

static int parse_prefer_udp(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return no_words(s, l, &stanza(self)->prefer_udp);
}

static int parse_max_fails(void *self, struct wp_setup *s, const struct wp_line *l)
{
    int r = one_word(s, l);

    return r < 0 ? r : parse_uint32(s, l->words[1], &stanza(self)->max_fails);
}

static int parse_attempts(void *self, struct wp_setup *s, const struct wp_line *l)
{
    uint32_t n = 0;
    int r = one_word(s, l);

    if (r == 0)
        r = parse_uint32(s, l->words[1], &n);
    if (r == 0)
        stanza(self)->attempts = n;
    return r;
}

static int parse_health_domain(struct forward_stanza *st, struct wp_setup *s, const char *word)
{
    if (wp_name_parse(word, &st->profile.health_name) < 0)
        return wp_setup_fail(s, "health_check: invalid domain name %s", word);
    return 0;
}

static int parse_health(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct forward_stanza *st = stanza(self);
    int64_t ns;
    int r;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    r = parse_duration(s, l->words[1], &ns);
    if (r < 0)
        return r;
    if (ns < 0)
        return wp_setup_fail(s, "health_check can't be negative: %lld", (long long)ns);
    st->profile.health_ns = ns;
    st->profile.health_name = (struct wp_name){.len = 1};
    for (unsigned i = 2; i < l->n_words && r == 0; i++) {
        if (strcmp(l->words[i], "no_rec") == 0)
            st->profile.health_rd = false;
        else if (strcmp(l->words[i], "domain") != 0)
            return wp_setup_fail(s, "health_check: unknown option %s", l->words[i]);
        else if (++i == l->n_words)
            return wp_setup_arg_error(s, l);
        else
            r = parse_health_domain(st, s, l->words[i]);
    }
    return r;
}

static int parse_policy(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const names[] = {"random", "round_robin", "sequential"};

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 0; i < WP_COUNT(names); i++) {
        if (strcmp(l->words[1], names[i]) == 0) {
            stanza(self)->policy = (enum forward_policy)i;
            return one_word(s, l);
        }
    }
    return wp_setup_error(s, l, "unknown policy '%s'", l->words[1]);
}

static int parse_time(struct wp_setup *s, const struct wp_line *l, int64_t *ret)
{
    char text[32];
    int64_t ns;
    int r = one_word(s, l);

    if (r == 0)
        r = parse_duration(s, l->words[1], &ns);
    if (r < 0)
        return r;
    wp_duration_text(ns, text);
    if (ns < 0)
        return wp_setup_fail(s, "%s can't be negative: %s", l->words[0], text);
    *ret = ns;
    return 0;
}

static int parse_expire(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_time(s, l, &stanza(self)->profile.expire_ns);
}

static int parse_max_age(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_time(s, l, &stanza(self)->profile.max_age_ns);
}

static int parse_read_timeout(void *self, struct wp_setup *s, const struct wp_line *l)
{
    char text[32];
    int64_t ns;
    int r = one_word(s, l);

    if (r == 0)
        r = parse_duration(s, l->words[1], &ns);
    if (r < 0)
        return r;
    wp_duration_text(ns, text);
    if (ns <= 0)
        return wp_setup_fail(s, "read_timeout must be positive: %s", text);
    stanza(self)->profile.read_timeout_ns = ns;
    return 0;
}

static int parse_max_idle(void *self, struct wp_setup *s, const struct wp_line *l)
{
    int r = one_word(s, l);

    return r < 0 ? r
                 : parse_count(s, "max_idle_conns", l->words[1], &stanza(self)->profile.max_idle);
}

static int parse_doh_method(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (strcmp(l->words[1], "GET") != 0 && strcmp(l->words[1], "POST") != 0)
        return wp_setup_fail(s, "doh_method must be either POST or GET");
    stanza(self)->profile.doh_get = l->words[1][0] == 'G';
    return one_word(s, l);
}

static int parse_tls(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return l->n_words > 4 ? wp_setup_arg_error(s, l)
                          : wp_client_tls_words(&stanza(self)->client_tls, s, l);
}

static int parse_tls_servername(void *self, struct wp_setup *s, const struct wp_line *l)
{
    int r = one_word(s, l);

    if (r == 0)
        stanza(self)->tls_servername = l->words[1];
    return r;
}

static int parse_max_concurrent(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct forward_stanza *st = stanza(self);
    int r = one_word(s, l);

    if (r < 0)
        return r;
    st->max_concurrent_text = l->words[1];
    return parse_count(s, "max_concurrent", l->words[1], &st->max_concurrent);
}

/* Only names that CoreDNS knows: every rcode up to 23 that has one. */
static int parse_rcodes(struct wp_setup *s, const struct wp_line *l, bool failover, uint32_t *set)
{
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 1; i < l->n_words; i++) {
        uint16_t rcode;

        if (all_digits(l->words[i]) || wp_rcode_parse(l->words[i], &rcode) < 0 || rcode > 23)
            return wp_setup_fail(s, "%s is not a valid rcode", l->words[i]);
        if (failover && rcode == WP_RCODE_NOERROR)
            return wp_setup_fail(s, "NoError cannot be used in failover");
        *set |= (uint32_t)1 << rcode;
    }
    return 0;
}

static int parse_next(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_rcodes(s, l, false, &stanza(self)->next_rcodes);
}

static int parse_failover(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_rcodes(s, l, true, &stanza(self)->failover_rcodes);
}

static int parse_nodata(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return no_words(s, l, &stanza(self)->next_on_nodata);
}

static int parse_failfast(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return no_words(s, l, &stanza(self)->failfast);
}

static int parse_resolver(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct forward_stanza *st = stanza(self);

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 1; i < l->n_words; i++) {
        if (strchr(l->words[i], '%') != NULL || st->n_resolvers == FORWARD_RESOLVERS_MAX ||
            wp_addr_parse(l->words[i], 53, &st->resolver[st->n_resolvers]) < 0)
            return wp_setup_fail(s, "resolver must be an IP address or IP:port: \"%s\"",
                                 l->words[i]);
        st->n_resolvers++;
    }
    return 0;
}

static int parse_source(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (strchr(l->words[1], '%') != NULL ||
        wp_addr_parse_ip(l->words[1], &stanza(self)->profile.source) < 0)
        return wp_setup_error(s, l, "invalid IP address: %s", l->words[1]);
    return one_word(s, l);
}

#define ROW(word, fn, text)                                                                        \
    {                                                                                              \
        .name = word, .kind = WP_OPT_CALL, .parse = fn, .help = text                               \
    }
const struct wp_option forward_options[] = {
    ROW("", parse_line, "FROM TO..."),
    ROW("except", parse_except, "ZONE...: names that go to the next plugin"),
    ROW("force_tcp", parse_force_tcp, "TCP towards plain upstreams, whatever the client used"),
    ROW("prefer_udp", parse_prefer_udp, "UDP first, TCP when the reply was cut"),
    ROW("max_fails", parse_max_fails, "failed health checks before an upstream is down; 2"),
    ROW("max_connect_attempts", parse_attempts, "failed tries of one query; twice the upstreams"),
    ROW("health_check", parse_health, "INTERVAL [no_rec] [domain NAME]; 500ms"),
    ROW("policy", parse_policy, "random, round_robin or sequential"),
    ROW("expire", parse_expire, "idle sockets and connections are closed after this; 10s"),
    ROW("max_age", parse_max_age, "all are closed after this; unlimited"),
    ROW("max_idle_conns", parse_max_idle, "idle ones kept for each upstream; unlimited"),
    ROW("read_timeout", parse_read_timeout, "waiting for the reply of one try; 2s"),
    ROW("doh_method", parse_doh_method, "POST or GET"),
    ROW("tls", parse_tls, "[CERT KEY] [CA]"),
    ROW("tls_servername", parse_tls_servername, "name to verify, and host of https upstreams"),
    ROW("max_concurrent", parse_max_concurrent, "queries at a time, more are refused; unlimited"),
    ROW("next", parse_next, "RCODE...: replies that go to the next forward"),
    ROW("next_on_nodata", parse_nodata, "the same for empty answers"),
    ROW("failover", parse_failover, "RCODE...: replies that go to the next upstream"),
    ROW("failfast_all_unhealthy_upstreams", parse_failfast, "SERVFAIL at once when all are down"),
    ROW("resolver", parse_resolver, "IP[:PORT]...: who is asked for TO host names"),
    ROW("source_address", parse_source, "local address of queries"),
    {0},
};
