/* For a question that is explained: what its name says, and what was found. */
#include "backends/nomad/answer.h"
#include "waypost/plugin/explain.h"
#include "waypost/plugin/loop.h"

static const char *const outcomes[] = {
    [WP_NOMAD_THERE] = "a service",
    [WP_NOMAD_ABSENT] = "no such service",
    [WP_NOMAD_UNKNOWN] = "not known",
};

static void put_source(const struct nomad_answer *a)
{
    struct wp_report *s = wp_explain_sources(a->q);

    wp_report_open(s, NULL);
    wp_report_text(s, "source", "nomad");
    wp_report_printf(s, "service", "%.*s/%.*s", a->key->namespace_len, a->key->namespace,
                     a->key->name_len, a->key->name);
    wp_report_int(s, "instances", a->service->n);
    wp_report_close(s);
}

void nomad_explain(const struct nomad_answer *a, enum wp_nomad_known known)
{
    struct wp_report *d = wp_explain_details(a->q);
    uint64_t behind = wp_nomad_behind_s(a->p->source, wp_loop_now(a->q->loop));
    char zone[WP_NAME_TEXT_MAX];

    wp_report_text(d, "zone", wp_name_text(a->name.zone->name, zone));
    if (behind > 0)
        wp_report_int(d, "behind_s", (int64_t)behind);
    wp_report_printf(d, "service", "%.*s", a->key->name_len, a->key->name);
    wp_report_printf(d, "namespace", "%.*s", a->key->namespace_len, a->key->namespace);
    if (a->tag != NULL)
        wp_report_printf(d, "tag", "%.*s", *a->tag, (const char *)a->tag + 1);
    if (known == WP_NOMAD_THERE) {
        wp_report_int(d, "instances", a->service->n);
        wp_report_int(d, "unhealthy", a->service->n_unhealthy);
        put_source(a);
    }
    wp_report_text(d, "found", outcomes[known]);
}
