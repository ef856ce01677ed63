/* The lines of the directive, in CoreDNS's words where one of them is wrong. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/certificate.h"
#include "backends/kubernetes/kubernetes.h"
#include "backends/kubernetes/name.h"
#include "backends/kubernetes/selector.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/log.h"

enum {
    TTL_S = 5,
    TTL_MAX_S = 3600,
    STARTUP_TIMEOUT_S = 5,
    SUFFIXES = 11, /* of "hostmaster": the longest label that stands before a zone */
};

static int no_words(struct wp_setup *s, const struct wp_line *l)
{
    return l->n_words > 1 ? wp_setup_arg_error(s, l) : 0;
}

/* CoreDNS takes nothing but zones here; a word that is none is left out without an error. */
static int parse_zones(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    if (l->n_words > 1)
        return wp_setup_zones(s, l->words + 1, l->n_words - 1, &p->zones);
    p->zones = *s->zones;
    return 0;
}

/* --- the API server ---------------------------------------------------------------------------
 */

static int parse_endpoint(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (l->n_words > 2)
        wp_log(WP_WARNING, "kubernetes",
               "Multiple endpoints have been deprecated, only the first specified endpoint '%s' is "
               "used",
               l->words[1]);
    p->wants.source.endpoint = l->words[1];
    return 0;
}

static int parse_tls(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct wp_kube_source *source = &((struct kubernetes *)self)->wants.source;

    if (l->n_words != 4)
        return wp_setup_arg_error(s, l);
    source->cert = wp_setup_path(s, l->words[1]);
    source->key = wp_setup_path(s, l->words[2]);
    source->ca = wp_setup_path(s, l->words[3]);
    return source->cert == NULL || source->key == NULL || source->ca == NULL ? -ENOMEM : 0;
}

static int parse_kubeconfig(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    if (l->n_words != 2 && l->n_words != 3)
        return wp_setup_arg_error(s, l);
    p->wants.source.kubeconfig = wp_setup_path(s, l->words[1]);
    p->wants.source.context = l->n_words == 3 ? l->words[2] : NULL;
    return p->wants.source.kubeconfig == NULL ? -ENOMEM : 0;
}

static int parse_qps(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;
    char *end;
    double v;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    v = strtod(l->words[1], &end);
    if (*end != '\0' || strspn(l->words[1], "0123456789.eE+-") != strlen(l->words[1]) ||
        *l->words[1] == '\0')
        return wp_setup_error(
            s, l,
            "invalid apiserver_qps \"%s\": strconv.ParseFloat: parsing \"%s\": invalid syntax",
            l->words[1], l->words[1]);
    if (v > (double)__FLT_MAX__)
        return wp_setup_error(
            s, l,
            "invalid apiserver_qps \"%s\": strconv.ParseFloat: parsing \"%s\": value out of range",
            l->words[1], l->words[1]);
    if (v < 0)
        return wp_setup_error(s, l, "apiserver_qps must be >= 0");
    p->wants.qps = v;
    return 0;
}

static const char *number_trouble(const char *word, int64_t *ret)
{
    int r = wp_int_parse(word, INT64_MIN, INT64_MAX, ret);

    return r == 0 ? NULL : r == WP_ELIMIT ? "value out of range" : "invalid syntax";
}

static int parse_count(struct wp_setup *s, const struct wp_line *l, unsigned *ret)
{
    const char *trouble;
    int64_t v;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    trouble = number_trouble(l->words[1], &v);
    if (trouble != NULL)
        return wp_setup_error(s, l, "invalid %s \"%s\": strconv.Atoi: parsing \"%s\": %s",
                              l->words[0], l->words[1], l->words[1], trouble);
    if (v < 0)
        return wp_setup_error(s, l, "%s must be >= 0", l->words[0]);
    *ret = v > INT32_MAX ? INT32_MAX : (unsigned)v;
    return 0;
}

static int parse_burst(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_count(s, l, &((struct kubernetes *)self)->wants.burst);
}

static int parse_max_inflight(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_count(s, l, &((struct kubernetes *)self)->wants.max_inflight);
}

static int parse_startup_timeout(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    if (wp_duration_parse(l->words[1], &p->startup_timeout_ns) < 0)
        return wp_setup_fail(s, "failed to parse startup_timeout: %s, %s", l->words[1],
                             wp_setup_duration_why(s, l->words[1]));
    if (p->startup_timeout_ns < 0)
        p->startup_timeout_ns = 0;
    return 0;
}

static int parse_state(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    p->state = strcmp(l->words[1], "off") == 0 ? "" : wp_setup_path(s, l->words[1]);
    return p->state == NULL ? -ENOMEM : 0;
}

/* --- what is shown ----------------------------------------------------------------------------
 */

static int parse_namespaces(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;
    unsigned n = p->n_namespaces + l->n_words - 1;
    const char **all;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    all = wp_arena_array(s->arena, n, sizeof(const char *));
    if (all == NULL)
        return -ENOMEM;
    if (p->n_namespaces > 0)
        memcpy(all, p->namespaces, p->n_namespaces * sizeof(const char *));
    memcpy(all + p->n_namespaces, l->words + 1, (l->n_words - 1) * sizeof(const char *));
    p->namespaces = all;
    p->n_namespaces = n;
    return 0;
}

/* All words are one selector. */
static int parse_selector(struct wp_setup *s, const struct wp_line *l, const char *what,
                          const char **ret)
{
    const char *text, *why = NULL;
    int r;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    text = l->words[1];
    for (unsigned i = 2; text != NULL && i < l->n_words; i++)
        text = wp_arena_printf(s->arena, "%s %s", text, l->words[i]);
    if (text == NULL)
        return -ENOMEM;
    r = wp_kube_selector_parse(s->arena, text, ret, &why);
    if (r == WP_EMALFORMED)
        return wp_setup_fail(s, "unable to parse %s selector value: '%s': %s", what, text, why);
    if (r == 0 && **ret == '\0')
        *ret = NULL; /* an empty one selects everything */
    return r;
}

static int parse_labels(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_selector(s, l, "label", &((struct kubernetes *)self)->wants.labels);
}

static int parse_namespace_labels(void *self, struct wp_setup *s, const struct wp_line *l)
{
    return parse_selector(s, l, "namespace_label",
                          &((struct kubernetes *)self)->wants.namespace_labels);
}

static int parse_pods(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const modes[] = {"disabled", "insecure", "verified"};
    struct kubernetes *p = self;

    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 0; i < WP_COUNT(modes); i++)
        if (strcmp(l->words[1], modes[i]) == 0) {
            p->pods = i;
            return 0;
        }
    return wp_setup_fail(
        s, "wrong value for pods: %s,  must be one of: disabled, verified, insecure", l->words[1]);
}

static int parse_ttl(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;
    const char *trouble;
    int64_t v;

    if (l->n_words < 2)
        return wp_setup_arg_error(s, l);
    trouble = number_trouble(l->words[1], &v);
    if (trouble != NULL)
        return wp_setup_fail(s, "strconv.Atoi: parsing \"%s\": %s", l->words[1], trouble);
    if (v < 0 || v > TTL_MAX_S)
        return wp_setup_error(s, l, "ttl must be in range [0, 3600]: %lld", (long long)v);
    p->ttl_s = (uint32_t)v;
    return 0;
}

static int parse_pod_names(void *self, struct wp_setup *s, const struct wp_line *l)
{
    ((struct kubernetes *)self)->wants.pod_names = true;
    return no_words(s, l);
}

static int parse_noendpoints(void *self, struct wp_setup *s, const struct wp_line *l)
{
    ((struct kubernetes *)self)->wants.slices = false;
    return no_words(s, l);
}

static int parse_zonal(void *self, struct wp_setup *s, const struct wp_line *l)
{
    ((struct kubernetes *)self)->wants.zonal = true;
    return no_words(s, l);
}

static int parse_ignore(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words > 1 && strcmp(l->words[1], "empty_service") != 0)
        return wp_setup_fail(s, "unable to parse ignore value: '%s'", l->words[1]);
    if (l->n_words > 1)
        ((struct kubernetes *)self)->ignore_empty = true;
    return 0;
}

static int parse_answer(void *self, struct wp_setup *s, const struct wp_line *l)
{
    if (l->n_words != 2)
        return wp_setup_arg_error(s, l);
    if (strcmp(l->words[1], "endpoints") != 0)
        return wp_setup_error(s, l, "unable to parse answer value: '%s'", l->words[1]);
    ((struct kubernetes *)self)->answer_endpoints = true;
    return 0;
}

static int parse_multicluster(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    p->multicluster = (struct wp_zones){0};
    return l->n_words > 1 ? wp_setup_zones(s, l->words + 1, l->n_words - 1, &p->multicluster) : 0;
}

/* Words that old ConfigMaps still have; each is noticed once. */
static int parse_old(void *self, struct wp_setup *s, const struct wp_line *l)
{
    static const char *const old[][2] = {
        {"upstream", "names outside the zones are looked up by the server itself"},
        {"resyncperiod", "changes arrive as they happen"},
        {"transfer", "zone transfers are the directive transfer's"},
    };
    struct kubernetes *p = self;

    (void)s;
    for (unsigned i = 0; i < WP_COUNT(old); i++) {
        if (strcmp(l->words[0], old[i][0]) != 0 || (p->told & 1u << i) != 0)
            continue;
        p->told |= 1u << i;
        wp_log(WP_WARNING, "kubernetes", "%s:%u: %s has no effect any more: %s", l->file, l->line,
               old[i][0], old[i][1]);
    }
    return 0;
}

const struct wp_option kubernetes_options[] = {
    {.name = "",
     .kind = WP_OPT_CALL,
     .parse = parse_zones,
     .help = "zones to serve; none: the block's"},
    {.name = "endpoint",
     .kind = WP_OPT_CALL,
     .parse = parse_endpoint,
     .help = "URL of the API server; none: the one of the cluster that the process runs in"},
    {.name = "tls",
     .kind = WP_OPT_CALL,
     .parse = parse_tls,
     .help = "CERT KEY CACERT for endpoint"},
    {.name = "kubeconfig",
     .kind = WP_OPT_CALL,
     .parse = parse_kubeconfig,
     .help = "FILE [CONTEXT] that says how to reach the API server"},
    {.name = "apiserver_qps",
     .kind = WP_OPT_CALL,
     .parse = parse_qps,
     .help = "lists a second; 0: 5"},
    {.name = "apiserver_burst",
     .kind = WP_OPT_CALL,
     .parse = parse_burst,
     .help = "lists at once before apiserver_qps counts; 0: 10"},
    {.name = "apiserver_max_inflight",
     .kind = WP_OPT_CALL,
     .parse = parse_max_inflight,
     .help = "lists that run at a time; 0: no limit"},
    {.name = "namespaces",
     .kind = WP_OPT_CALL,
     .parse = parse_namespaces,
     .help = "only these are shown; lines add up"},
    {.name = "namespace_labels",
     .kind = WP_OPT_CALL,
     .parse = parse_namespace_labels,
     .help = "only namespaces that this label selector selects"},
    {.name = "labels",
     .kind = WP_OPT_CALL,
     .parse = parse_labels,
     .help = "only services, endpoints and pods that this label selector selects"},
    {.name = "pods",
     .kind = WP_OPT_CALL,
     .parse = parse_pods,
     .help = "names made from addresses of pods: disabled, insecure or verified"},
    {.name = "endpoint_pod_names",
     .kind = WP_OPT_CALL,
     .parse = parse_pod_names,
     .help = "endpoints without a hostname go by the name of their pod"},
    {.name = "ttl", .kind = WP_OPT_CALL, .parse = parse_ttl, .help = "seconds, 0 to 3600; 5"},
    {.name = "noendpoints",
     .kind = WP_OPT_CALL,
     .parse = parse_noendpoints,
     .help = "endpoints are not watched, and not answered"},
    {.name = "fallthrough",
     .kind = WP_OPT_FALL,
     .offset = offsetof(struct kubernetes, fall),
     .help = "names that do not exist go to the next directive"},
    {.name = "ignore",
     .kind = WP_OPT_CALL,
     .parse = parse_ignore,
     .help = "empty_service: services without ready endpoints do not exist"},
    {.name = "answer",
     .kind = WP_OPT_CALL,
     .parse = parse_answer,
     .help = "endpoints: instead of their cluster addresses services answer ready endpoints"},
    {.name = "multicluster",
     .kind = WP_OPT_CALL,
     .parse = parse_multicluster,
     .help = "those of the zones that show imported services"},
    {.name = "zonal",
     .kind = WP_OPT_CALL,
     .parse = parse_zonal,
     .help = "names that choose endpoints by their zone"},
    {.name = "startup_timeout",
     .kind = WP_OPT_CALL,
     .parse = parse_startup_timeout,
     .help = "how long a start waits for the first data; 5s; 0: not at all"},
    {.name = "state",
     .kind = WP_OPT_CALL,
     .parse = parse_state,
     .help = "DIRECTORY for the last known data, or off"},
    {.name = "upstream", .kind = WP_OPT_CALL, .parse = parse_old, .help = "accepted, no effect"},
    {.name = "resyncperiod",
     .kind = WP_OPT_CALL,
     .parse = parse_old,
     .help = "accepted, no effect"},
    {.name = "transfer", .kind = WP_OPT_CALL, .parse = parse_old, .help = "accepted, no effect"},
    {0},
};

/* --- all lines together ------------------------------------------------------------------------
 */

int kubernetes_new(void *self, struct wp_setup *s)
{
    struct kubernetes *p = self;

    (void)s;
    p->ttl_s = TTL_S;
    p->startup_timeout_ns = STARTUP_TIMEOUT_S * INT64_C(1000000000);
    p->wants.slices = true;
    return 0;
}

static bool is_reverse(const uint8_t *zone)
{
    struct wp_qname q;

    return wp_qname_set(&q, zone, wp_name_size(zone)) > 0 && wp_kube_name_in_arpa(&q);
}

static int init_zones(struct kubernetes *p, struct wp_setup *s)
{
    p->zone = wp_arena_array(s->arena, p->zones.n, sizeof(*p->zone));
    if (p->zone == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < p->zones.n; i++) {
        const uint8_t *name = p->zones.zone[i];
        struct kubernetes_zone *z = &p->zone[i];

        *z = (struct kubernetes_zone){.name = name,
                                      .hash = wp_name_hash(name),
                                      .len = (uint8_t)wp_name_size(name),
                                      .labels = (uint8_t)wp_name_labels(name)};
        z->too_long = z->len > WP_NAME_MAX - SUFFIXES;
        if (p->primary == NULL && !is_reverse(name))
            p->primary = z;
    }
    return p->primary == NULL ? wp_setup_fail(s, "non-reverse zone name must be used") : 0;
}

static const char *zones_text(const struct wp_zones *zones, struct wp_arena *a)
{
    const char *text = "";
    char name[WP_NAME_TEXT_MAX];

    for (unsigned i = 0; text != NULL && i < zones->n; i++)
        text = wp_arena_printf(a, "%s%s%s", text, i > 0 ? " " : "",
                               wp_name_text(zones->zone[i], name));
    return text != NULL ? text : "";
}

static int init_multicluster(struct kubernetes *p, struct wp_setup *s)
{
    char name[WP_NAME_TEXT_MAX];

    for (unsigned i = 0; i < p->multicluster.n; i++) {
        unsigned k = 0;
        while (k < p->zones.n && !wp_name_equal(p->zones.zone[k], p->multicluster.zone[i]))
            k++;
        if (k == p->zones.n)
            return wp_setup_error(
                s, p->directive,
                "is not authoritative for the multicluster zone %s (authoritative zones: [%s])",
                wp_name_text(p->multicluster.zone[i], name), zones_text(&p->zones, s->arena));
        p->zone[k].multicluster = p->wants.imports = true;
    }
    return 0;
}

/* Files are read where a start would read them; the account of a Pod is looked for at the start. */
static int check_source(const struct kubernetes *p, struct wp_setup *s)
{
    struct wp_kube_access *access = NULL;
    char why[WP_KUBE_WHY] = "";
    int r;

    if (p->wants.source.kubeconfig == NULL && p->wants.source.endpoint == NULL)
        return 0;
    r = wp_kube_access_new(&p->wants.source, 0, why, &access);
    wp_kube_access_free(access);
    return r == WP_ECONFIG ? wp_setup_fail(s, "%s", why) : r;
}

int kubernetes_begin(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;

    (void)s;
    p->directive = l;
    return 0;
}

int kubernetes_end(void *self, struct wp_setup *s, const struct wp_line *l)
{
    struct kubernetes *p = self;
    int r = init_zones(p, s);

    if (r < 0)
        return r;
    if (p->n_namespaces > 0 && p->wants.namespace_labels != NULL)
        return wp_setup_error(s, l, "namespaces and namespace_labels cannot both be set");
    if (!p->wants.slices && (p->wants.zonal || p->answer_endpoints))
        return wp_setup_error(s, l, "%s requires the endpoint cache; remove noendpoints",
                              p->wants.zonal ? "zonal" : "answer endpoints");
    return init_multicluster(p, s);
}

static void note_wildcard(const struct kubernetes *p, const char *path)
{
    char name[WP_CERTIFICATE_NAME_MAX];

    if (path != NULL && wp_certificate_wildcard(path, name))
        wp_log(WP_WARNING, "kubernetes",
               "%s:%u: pods insecure beside a certificate for %s (%s): names that anybody can "
               "make lead anywhere, and the wildcard vouches for them; use pods verified",
               p->directive->file, p->directive->line, name, path);
}

/* Who has a certificate for every name below the pods' zone can be any pod, and `insecure` makes
 * every such name lead to an address of the asker's choice. */
static void note_insecure(const struct kubernetes *p, const struct wp_setup *s)
{
    const struct wp_tls_settings *tls = &s->block->set.tls;

    wp_log(WP_INFO, "kubernetes",
           "%s:%u: pods insecure answers every address below pod.ZONE, whether or not a pod has "
           "it; the API server is verified all the same. pods verified is the safe choice",
           p->directive->file, p->directive->line);
    note_wildcard(p, tls->cert);
    for (unsigned i = 0; i < tls->n_more; i++)
        note_wildcard(p, tls->more[i][0]);
}

int kubernetes_check(void *self, struct wp_setup *s)
{
    struct kubernetes *p = self;

    p->wants.pods = p->pods == KUBERNETES_PODS_VERIFIED;
    if (s->check_only && p->pods == KUBERNETES_PODS_INSECURE)
        note_insecure(p, s);
    return check_source(p, s);
}
