/* What happens to one question, told step by step (`waypost explain`). A query that is explained
 * has `explain` set; every other one costs a branch that is never taken. The router tells of the
 * steps themselves: which plugin, what it decided, how long it took. Plugins add what only they
 * know, as rows of a report, to the step that they are in:
 *
 *     if (WP_UNLIKELY(wp_query_is_explained(q)))
 *         wp_report_text(wp_explain_details(q), "cache", "hit");
 *
 * An explained query is a query like any other in all that it does: it is counted, logged and
 * cached. Loop thread, like everything of a query. */
#pragma once
#include <stdbool.h>
#include "waypost/plugin/query.h"
#include "waypost/plugin/report.h"

static inline bool wp_query_is_explained(const struct wp_query *q)
{
    return q->explain != NULL;
}

/* Rows of the step that the query is in; NULL, which every function of the report takes, when it is
 * not explained or too much has been told. While it WAITs the step goes on. Values that fit on a
 * line: no objects. */
struct wp_report *wp_explain_details(struct wp_query *q);
/* The list of what the answer was made from: an object for each record's source, which says in
 * "source" whose it is. */
struct wp_report *wp_explain_sources(struct wp_query *q);
