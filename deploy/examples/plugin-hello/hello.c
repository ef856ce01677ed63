/* hello: greets whoever asks for the TXT records of hello.ZONE, and lets every other question pass.
 *
 *     hello [ZONES...] {
 *         text TEXT
 *         ttl DURATION
 *     }
 *
 * It is here to be copied. What is yours to write is this one file: a struct with what an instance
 * remembers, a table of options that fill it, and the functions of struct wp_plugin, most of which
 * may be left out. Their order, and who calls them when, stands at the top of
 * waypost/plugin/plugin.h. */
#include <string.h>
#include "waypost/dns/types.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/module.h"
#include "waypost/plugin/plugin.h"

enum { TEXT_MAX = 255 }; /* octets of one string in TXT records (RFC 1035 s3.3) */
#define SECOND INT64_C(1000000000)

/* One for each server block that has the directive. The rows below fill it; after start() it is
 * only read, because all workers use it at once. What changes while questions come is a metric, an
 * atomic, or one piece for each worker. */
struct hello {
    struct wp_zones zones;
    const char *text;
    int64_t ttl_ns;
    uint8_t rdata[1 + TEXT_MAX]; /* of the answer: made once, copied for each question */
    uint8_t rdlen;
    struct wp_series *greetings;
};

/* Metrics are counted for each worker without atomics and summed when Prometheus asks. */
static const struct wp_family greetings_family = {
    .name = "hello_greetings_total",
    .help = "Counter of the greetings that were given.",
    .kind = WP_COUNTER,
    .labels = {"server"},
};

/* All lines have been read: is it what can be served? `waypost check` comes as far as here, so what
 * is wrong is told here, with wp_setup_error, and not later. */
static int hello_check(void *self, struct wp_setup *s)
{
    struct hello *h = self;
    size_t len = strlen(h->text);

    if (len > TEXT_MAX)
        return wp_setup_error(s, NULL, "the text has %zu octets, at most %d are possible", len,
                              TEXT_MAX);
    h->rdata[0] = (uint8_t)len;
    memcpy(h->rdata + 1, h->text, len);
    h->rdlen = (uint8_t)(1 + len);
    return 0;
}

/* The configuration is good, the server runs: open what is needed. This plugin only needs its
 * metric, and has nothing that a stop() would have to give back. A reload calls it for a new
 * instance while the old one still serves. */
static int hello_start(void *self, struct wp_env *env)
{
    struct hello *h = self;
    const char *labels[] = {env->server};

    h->greetings = wp_metric_series(&greetings_family, labels);
    wp_log(WP_INFO, env->plugin, "greeting with \"%s\" in %u zones", h->text, h->zones.n);
    return 0;
}

/* Is the question for the label "hello" in front of a zone? The name is in lower case already. */
static bool is_for_us(const struct hello *h, const struct wp_query *q)
{
    const struct wp_qname *name = &q->msg.qname;
    const uint8_t *zone = wp_zones_match(&h->zones, name);

    return zone != NULL && name->n_labels == wp_name_labels(zone) + 1 &&
           memcmp(name->wire, "\5hello", 6) == 0;
}

/* One question, on a worker's thread: look, decide, never wait. NEXT hands it to the plugin behind
 * this one. A negative return is an error: the client gets SERVFAIL, `errors` and `log` tell of it.
 */
static int hello_serve(void *self, struct wp_query *q)
{
    const struct hello *h = self;
    int r;

    if (q->msg.qtype != WP_TYPE_TXT || !is_for_us(h, q))
        return WP_STEP_NEXT;
    if (WP_UNLIKELY(wp_query_is_explained(q))) /* `waypost explain` tells what we tell it */
        wp_report_text(wp_explain_details(q), "greeting", h->text);
    wp_query_meta_set(q, "hello/text", h->text); /* {/hello/text} in the format of `log` */
    wp_metric_add(h->greetings, q->worker, 1);
    r = wp_reply_begin(q, WP_RCODE_NOERROR, WP_FLAG_AA);
    if (r == 0) /* NULL: the owner is the name that was asked for */
        r = wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_TXT, (uint32_t)(h->ttl_ns / SECOND), h->rdata,
                        h->rdlen);
    return r < 0 ? r : WP_STEP_DONE;
}

/* The words of the block: parsing, defaults, ranges, error messages and `waypost help hello` are
 * made from these rows. The first one is the directive's own line: without zones it takes the
 * block's. */
static const struct wp_option options[] = {
    {.name = "",
     .kind = WP_OPT_ZONES,
     .offset = offsetof(struct hello, zones),
     .help = "where to greet"},
    {.name = "text",
     .kind = WP_OPT_STRING,
     .offset = offsetof(struct hello, text),
     .def = "hello",
     .help = "what to say"},
    {.name = "ttl",
     .kind = WP_OPT_DURATION,
     .offset = offsetof(struct hello, ttl_ns),
     .def = "1h",
     .help = "how long others may keep it",
     .max = 86400 * SECOND},
    {0},
};

const struct wp_plugin wp_plugin_hello = {
    .name = "hello",
    .size = sizeof(struct hello),
    .options = options,
    .repeat = WP_REPEAT_ERROR,
    .check = hello_check,
    .start = hello_start,
    .serve = hello_serve,
};
/* Behind `log`: so its questions are logged, and counted, and their errors told. */
WP_PLUGIN_EXPORT(wp_plugin_hello, .after = "log");
