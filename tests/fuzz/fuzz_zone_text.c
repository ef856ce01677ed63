/* Zone text. Properties: whatever is read is well formed; printed as one line it is read back the
 * same; a zone made of it has an entry for every owner, and only tells of records it was given. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/common/zone.h"
#include "waypost/dns/rr.h"
#include "waypost/dns/types.h"

enum { RECORDS_MAX = 300, TEXT_MAX = 400000 };

struct run {
    struct wp_zone_maker *maker;
    struct wp_arena arena;
    struct wp_name owner[RECORDS_MAX];
    unsigned n, n_within;
};

static struct wp_name origin;

static int compare(void *arg, const struct wp_zone_rr *rr)
{
    const struct wp_zone_rr **want = arg;
    const struct wp_zone_rr *w = *want;

    CHECK(w != NULL && wp_name_equal(w->owner->wire, rr->owner->wire));
    CHECK(w->type == rr->type && w->cls == rr->cls && w->ttl == rr->ttl && w->rdlen == rr->rdlen);
    CHECK(memcmp(w->rdata, rr->rdata, rr->rdlen) == 0);
    *want = NULL;
    return 0;
}

static void check_round_trip(struct run *run, const struct wp_zone_rr *rr)
{
    static char rdata[TEXT_MAX], line[TEXT_MAX + 2000];
    char owner[WP_NAME_TEXT_MAX], type[16], cls[16];
    const struct wp_zone_rr *want = rr;
    struct wp_zone_text t = {.arena = &run->arena, .fn = compare, .arg = &want, .no_files = true};
    int len;

    if (wp_rdata_text(rr->type, rr->rdata, rr->rdlen, rdata, sizeof(rdata)) < 0)
        return; /* longer than the buffer */
    if (rdata[0] == '\0')
        return; /* a type whose rdata may be empty prints as nothing, which is no record */
    len = snprintf(line, sizeof(line), "%s %u %s %s %s\n", wp_name_text(rr->owner->wire, owner),
                   rr->ttl, wp_class_text(rr->cls, cls), wp_type_text(rr->type, type), rdata);
    CHECK(wp_zone_text_read_memory(&t, line, (size_t)len, "line", &origin) == 0);
    CHECK(want == NULL);
}

static int take(void *arg, const struct wp_zone_rr *rr)
{
    struct run *run = arg;

    CHECK(rr->owner->len <= WP_NAME_MAX && rr->rdlen <= 65535 && rr->line > 0);
    CHECK(wp_name_len(rr->owner->wire, rr->owner->len) == rr->owner->len);
    CHECK(wp_rdata_check(rr->type, rr->rdata, rr->rdlen) == 0);
    check_round_trip(run, rr);
    CHECK(wp_zone_maker_add(run->maker, rr->owner->wire, rr->type, rr->ttl, rr->rdata, rr->rdlen) ==
          0);
    run->n_within += wp_name_within(rr->owner->wire, origin.wire);
    run->owner[run->n++] = *rr->owner;
    return run->n == RECORDS_MAX ? 77 : 0;
}

static void check_zone(const struct run *run, const struct wp_zone *z)
{
    CHECK(z->n_records == run->n_within && z->n_foreign == run->n - run->n_within);
    for (unsigned i = 0; i < run->n; i++) {
        struct wp_qname q;
        struct wp_seek s;

        if (!wp_name_within(run->owner[i].wire, origin.wire))
            continue;
        CHECK(wp_qname_set(&q, run->owner[i].wire, run->owner[i].len) == run->owner[i].len);
        wp_catalog_seek(z->catalog, &q, NULL, &s);
        CHECK(s.exact && !(wp_entry_flags(s.entry) & WP_ENTRY_EMPTY) && s.entry->n_sets > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run run;
    struct wp_zone_text t = {.fn = take, .arg = &run, .no_files = true};
    struct wp_zone *z = NULL;
    int r;

    CHECK(wp_name_parse("example.org.", &origin) == 0);
    run.n = run.n_within = 0;
    wp_arena_init(&run.arena, 0);
    t.arena = &run.arena;
    CHECK(wp_zone_maker_new(&origin, &run.maker) == 0);
    r = wp_zone_text_read_memory(&t, (const char *)data, size, "fuzz", &origin);
    CHECK(r == 0 || r == 77 || (r == WP_EMALFORMED && t.error != NULL));
    r = wp_zone_maker_finish(run.maker, 1, &z);
    CHECK(r == 0 || r == WP_ENOTFOUND || r == WP_ELIMIT);
    if (r == 0)
        check_zone(&run, z);
    wp_zone_unref(z);
    wp_zone_maker_free(run.maker);
    wp_arena_done(&run.arena);
    return 0;
}
