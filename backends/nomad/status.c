/* What `waypost status` tells of an instance and its region. */
#include "backends/nomad/nomad.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/report.h"

void nomad_status(void *self, struct wp_report *r)
{
    const struct nomad *p = self;
    char zone[WP_NAME_TEXT_MAX];

    wp_report_list(r, "zones");
    for (unsigned i = 0; i < p->n_zones; i++) {
        wp_report_open(r, NULL);
        wp_report_text(r, "zone", wp_name_text(p->zone[i].name, zone));
        wp_report_text(r, "form", p->zone[i].is_short ? "SERVICE.NAMESPACE.ZONE only"
                                                      : "SERVICE.NAMESPACE[...].ZONE");
        wp_report_close(r);
    }
    wp_report_close(r);
    wp_nomad_source_report(p->source, r);
}
