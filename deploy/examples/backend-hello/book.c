/* book: a backend that knows the records in its block.
 *
 *     book [ZONES...] {
 *         record NAME TTL TYPE DATA...
 *     }
 *
 * A backend says which records there are. They go into a catalog (waypost/plugin/catalog.h), and
 * the core makes the answers of it: SOA and NS of the zone, wildcards, CNAMEs, NODATA and NXDOMAIN
 * with the SOA, and how long the cache may keep each. Where the records come from is the part to
 * replace: read_record(). What else a plugin gets for nothing shows the other example,
 * plugin-hello. */
#include <time.h>
#include "waypost/base/hash.h"
#include "waypost/plugin/catalog.h"
#include "waypost/plugin/module.h"
#include "waypost/plugin/plugin.h"

enum { APEX_TTL_S = 300 }; /* of SOA and NS, and of "there is no such name" */

struct book {
    struct wp_zones zones;
    struct wp_catalog **catalogs; /* one for each zone */
};

/* A catalog with nothing but its apex. The source is a number: whose data it is that changes. */
static int open_catalog(const uint8_t *apex, struct wp_catalog **ret)
{
    uint64_t source = wp_hash_mix(wp_hash_bytes("book", 4), wp_name_hash(apex));
    struct wp_entry_maker maker;
    int r = wp_catalog_new(apex, source, WP_CATALOG_WHOLE, ret);

    wp_entry_maker_init(&maker);
    wp_entry_maker_start(&maker, apex, 0);
    if (r == 0)
        r = wp_entry_maker_apex(&maker, (uint32_t)time(NULL), APEX_TTL_S);
    if (r == 0)
        r = wp_catalog_put(*ret, &maker);
    wp_entry_maker_done(&maker);
    return r;
}

/* Once: at the first record, or after the last line of a block without any. Memory from the arena
 * lives as long as the configuration; catalogs are from the heap, and stop() frees them. */
static int open_catalogs(void *self, struct wp_setup *s)
{
    struct book *b = self;
    int r = 0;

    if (b->catalogs == NULL)
        b->catalogs = wp_arena_array(s->arena, b->zones.n, sizeof(*b->catalogs));
    for (unsigned i = 0; b->catalogs != NULL && r == 0 && i < b->zones.n; i++) {
        if (b->catalogs[i] == NULL)
            r = open_catalog(b->zones.zone[i], &b->catalogs[i]);
    }
    return b->catalogs != NULL ? r : -ENOMEM;
}

/* One record into the catalog of one zone, to which a name without final dot is relative. A feed
 * that goes on, from a thread of its own, takes a catalog of the kind WP_CATALOG_LIVE and calls
 * wp_catalog_add, _put, _del: each change drops what the cache has of that name, nothing else. */
static int add(struct wp_setup *s, const struct wp_line *line, const char *text, uint32_t ttl_s,
               struct wp_catalog *c)
{
    struct wp_entry_maker maker;
    struct wp_name zone, name;
    const uint8_t *data;
    uint16_t type;
    size_t len;
    int r;

    if (wp_name_join((const uint8_t *)"", 0, wp_catalog_apex(c), &zone) < 0 ||
        wp_name_parse_origin(line->words[1], &zone, &name) < 0 ||
        !wp_name_within(name.wire, zone.wire))
        return wp_setup_error(s, line, "'%s' is no name in the zone", line->words[1]);
    if (wp_type_parse(line->words[3], &type) < 0)
        return wp_setup_error(s, line, "'%s' is no type of records", line->words[3]);
    if (wp_rdata_parse(type, text, &zone, s->arena, &data, &len) < 0)
        return wp_setup_error(s, line, "'%s' is no data of type %s", text, line->words[3]);
    wp_entry_maker_init(&maker);
    r = wp_catalog_add(c, &maker, name.wire, type, ttl_s, data, len);
    wp_entry_maker_done(&maker);
    return r;
}

/* A line that no kind of row can read by itself. What is wrong is told with file and line, at a
 * start, by `waypost check`, and at a reload, which then leaves everything as it is. */
static int read_record(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct book *b = self;
    const char *text = line->n_words > 4 ? line->words[4] : NULL;
    int64_t ttl_s;
    int r = open_catalogs(b, s);

    if (text == NULL)
        return wp_setup_arg_error(s, line);
    if (r == 0)
        r = wp_setup_int(s, line, line->words[2], 0, INT32_MAX, &ttl_s);
    for (unsigned i = 5; i < line->n_words && text != NULL; i++)
        text = wp_arena_printf(s->arena, "%s %s", text, line->words[i]);
    for (unsigned i = 0; text != NULL && r == 0 && i < b->zones.n; i++)
        r = add(s, line, text, (uint32_t)ttl_s, b->catalogs[i]);
    return text != NULL ? r : -ENOMEM;
}

/* Our records take the place of those before a reload, which the cache is to forget. */
static int book_start(void *self, struct wp_env *env)
{
    const struct book *b = self;

    (void)env;
    for (unsigned i = 0; i < b->zones.n; i++)
        wp_changed(wp_catalog_key(b->catalogs[i], 0));
    return 0;
}

static int book_serve(void *self, struct wp_query *q)
{
    const struct book *b = self;
    const uint8_t *zone = wp_zones_match(&b->zones, &q->msg.qname);
    unsigned i = 0;

    while (i < b->zones.n && b->zones.zone[i] != zone)
        i++;
    return i < b->zones.n ? wp_catalog_serve_plain(b->catalogs[i], q) : WP_STEP_NEXT;
}

static void book_stop(void *self)
{
    struct book *b = self;

    for (unsigned i = 0; b->catalogs != NULL && i < b->zones.n; i++)
        wp_catalog_free(b->catalogs[i]);
}

static const struct wp_option options[] = {
    {.name = "", .kind = WP_OPT_ZONES, .offset = offsetof(struct book, zones), .help = "[ZONES...]"},
    {.name = "record", .kind = WP_OPT_CALL, .parse = read_record, .help = "NAME TTL TYPE DATA..."},
    {0},
};
const struct wp_plugin wp_plugin_book = {.name = "book",
                                                .size = sizeof(struct book),
                                                .options = options,
                                                .repeat = WP_REPEAT_ERROR,
                                                .check = open_catalogs,
                                                .start = book_start,
                                                .serve = book_serve,
                                                .stop = book_stop};
WP_PLUGIN_EXPORT(wp_plugin_book); /* its place: with the backends */
