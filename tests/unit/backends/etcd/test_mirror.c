/* The mirror against a store that fails and lies, on a clock of its own: rows F.. are lines of
 * tests/rows/etcd-faults.tsv. */
#include "etcd_world.h"

static struct wp_etcd_range *range;

static void begin(void)
{
    world_begin();
    world_put_host("/p/z/a", 1);
    world_put_host("/p/z/b", 2);
    world_put_host("/p/z/b/c", 3);
    world_put_host("/p/zz", 4); /* none of ours */
    range = NULL;
}

static void follow(void)
{
    CHECK(world_follow(&range) == 0);
    world_run(1000);
    CHECK(wp_etcd_range_is_loaded(range) && world_is_same(range));
    CHECK(wp_etcd_range_behind_s(range, world.now) == 0);
}

static void end(void)
{
    world.down = false;
    wp_etcd_range_put(range);
    CHECK(world.users == 0);
    for (size_t i = 0; i < WORLD_CALLS; i++)
        CHECK(!world.calls[i].used);
}

static uint32_t ttl_of(const char *key)
{
    static const struct wp_etcd_lease_bounds bounds = {30, 86400, 0};
    const struct wp_etcd_rec *r = world_rec(range, key);

    return r != NULL ? wp_etcd_rec_ttl(r, &bounds, world.now) : 0;
}

static void test_follow(void)
{
    begin();
    follow();
    world_put_host("/p/z/d", 9);
    world_delete("/p/z/a");
    world_put_host("/p/z/b", 8);
    world_put_host("/p/zz", 5);
    world_run(10);
    CHECK(world_is_same(range) && ttl_of("/p/z/b") == 8 && ttl_of("/p/z/a") == 0);
    end();
}

/* Of the keys below the zone. */
static int64_t watch_id(void)
{
    for (size_t i = 0; i < world.n_watches; i++)
        if (strcmp(world.watches[i].key, "/p/z/") == 0)
            return world.watches[i].id;
    fail_msg("not watched");
    return 0;
}

/* --- away ------------------------------------------------------------------------------------- */

static void test_away(void)
{
    const char *row = "F03 all members die while serving";

    begin();
    follow();
    world.down = true;
    world_run(29000);
    CHECK_AT(row, wp_etcd_range_behind_s(range, world.now) <= WP_ETCD_STALE_S);
    world_run(3600000);
    CHECK_AT(row, wp_etcd_range_behind_s(range, world.now) > 3600 && ttl_of("/p/z/a") == 1);
    CHECK_AT(row, world.n_calls < 18500); /* at most five in two seconds, at each of two, for an hour */
    world.down = false;
    world_put_host("/p/z/a", 7);
    world_run(700); /* however long it was away */
    CHECK_AT(row, wp_etcd_range_behind_s(range, world.now) == 0 && ttl_of("/p/z/a") == 7);
    end();
}

static void test_silence(void)
{
    const char *row = "F06 nothing comes any more";

    begin();
    follow();
    world.mute_stream = true;
    world_run(31000);
    CHECK_AT(row, wp_etcd_range_behind_s(range, world.now) > 0);
    world.mute_stream = false;
    world_run(10000);
    CHECK_AT(row, wp_etcd_range_behind_s(range, world.now) == 0);
    end();
}

/* --- another store ------------------------------------------------------------------------------ */

static void fill(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/k%03u", i);
        world_put_host(key, i % 250 + 1);
    }
}

static void away_and_back(void)
{
    world.down = true;
    world_run(1000);
    world.down = false;
    world_run(7000);
}

static void test_held(void)
{
    const char *row = "F11 wiped and empty";

    begin();
    fill(100);
    follow();
    world.down = true;
    world_run(100);
    world_wipe(3);
    world_put_host("/p/z/k001", 200);
    away_and_back();
    CHECK_AT(row, ttl_of("/p/z/k099") == 100 && ttl_of("/p/z/k001") == 2);
    world_run(280000);
    CHECK_AT(row, ttl_of("/p/z/k099") == 100);
    world_run(20000);
    CHECK_AT(row, ttl_of("/p/z/k099") == 0 && ttl_of("/p/z/k001") == 200 && world_is_same(range));
    end();
}

static void test_restored(void)
{
    begin();
    fill(100);
    follow();
    world.down = true;
    world_run(100);
    world_wipe(3);
    fill(60);
    away_and_back();
    CHECK_AT("F13 an older state with data", world_is_same(range) && ttl_of("/p/z/k099") == 0);
    end();
    begin();
    fill(100);
    follow();
    world.down = true;
    world_run(100);
    world_wipe(3);
    world.cluster_id = 8;
    fill(60);
    world.revision += 1000;
    away_and_back();
    CHECK_AT("F12 another cluster", world_is_same(range) && ttl_of("/p/z/k099") == 0);
    end();
}

/* The store has moved on by writes elsewhere, which progress tells of; an older state that is still
 * newer than our last event is older all the same. */
static void test_restored_to_after_our_last_event(void)
{
    begin();
    fill(10);
    follow();
    world.revision += 500;
    world_run(16000); /* asked for a sign of life */
    world.down = true;
    world_run(100);
    world_wipe(100);
    fill(9);
    away_and_back();
    CHECK(world_is_same(range) && ttl_of("/p/z/k009") == 0);
    world_put_host("/p/z/k009", 77);
    world_run(10);
    CHECK(ttl_of("/p/z/k009") == 77);
    end();
}

/* --- compaction ------------------------------------------------------------------------------- */

static void cancel_watches(struct world *w, Etcd__WatchResponse *r)
{
    if (!r->created)
        return;
    r->created = false;
    r->canceled = true;
    r->compact_revision = w->revision;
}

static void test_compacted(void)
{
    begin();
    follow();
    world.down = true;
    world_run(100);
    world_put_host("/p/z/a", 50);
    world_delete("/p/z/b");
    world.compacted = world.revision;
    away_and_back();
    CHECK_AT("F08 history compacted past the resume point", world_is_same(range));

    stream_say(watch_id(), WORLD_CANCELED, NULL); /* what came meanwhile is lost */
    world.n_watches = 0;
    world_put_host("/p/z/a", 51);
    world_run(1000);
    CHECK_AT("F10 watch canceled by the server", world_is_same(range) && ttl_of("/p/z/a") == 51);
    world_put_host("/p/z/a", 52);
    world_run(10);
    CHECK_AT("F10 and goes on", ttl_of("/p/z/a") == 52);
    end();
}

static void test_compacted_for_ever(void)
{
    unsigned before;

    begin();
    follow();
    world.on_watch = cancel_watches;
    world.down = true;
    world_run(100);
    world.down = false;
    before = world.n_calls;
    world_run(600000);
    CHECK(world.n_calls - before < 2000); /* backs off */
    CHECK(ttl_of("/p/z/a") == 1);
    world.on_watch = NULL;
    world_run(6000);
    CHECK(wp_etcd_range_behind_s(range, world.now) == 0 && world_is_same(range));
    end();
}

/* --- listings that cannot be ----------------------------------------------------------------- */

static void compacted_page(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)r;
    if (q->revision != 0 || !q->keys_only)
        *status = WP_GRPC_OUT_OF_RANGE;
}

static void corrupt(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)r;
    *status = WP_GRPC_DATA_LOSS;
}

static void too_large_page(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)r;
    if (q->range_end.len > 0 && (q->limit == 0 || q->limit > 3) && !q->keys_only)
        *status = WP_GRPC_RESOURCE_EXHAUSTED;
}

static void same_page(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    static Etcd__KeyValue kv, *list[1] = {&kv};

    (void)status;
    if (q->range_end.len == 0)
        return;
    fill_kv(&kv, &w->keys[0], true);
    r->kvs = list;
    r->n_kvs = r->more = 1;
}

/* Always one more key. */
static void endless_pages(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    static Etcd__KeyValue kvs[100], *list[100];
    static struct world_kv made[100];
    static uint64_t next;

    (void)w, (void)status;
    if (q->range_end.len == 0 || q->keys_only)
        return;
    for (size_t i = 0; i < 100; i++) {
        snprintf(made[i].key, sizeof(made[i].key), "/p/z/m%012llu", (unsigned long long)++next);
        snprintf(made[i].value, sizeof(made[i].value), "{\"host\":\"192.0.2.1\"}");
        made[i].mod = 1;
        fill_kv(&kvs[i], &made[i], true);
        list[i] = &kvs[i];
    }
    r->kvs = list;
    r->n_kvs = 100;
    r->more = 1;
    w->now += wp_etcd_ms(1);
}

static void unordered_page(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)status;
    if (q->range_end.len > 0 && r->n_kvs > 1) {
        Etcd__KeyValue *first = r->kvs[0];
        r->kvs[0] = r->kvs[1];
        r->kvs[1] = first;
    }
}

static void foreign_key(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    static Etcd__KeyValue kv, *list[1] = {&kv};

    (void)status, (void)q;
    fill_kv(&kv, &w->keys[w->n_keys - 1], true); /* /p/zz */
    r->kvs = list;
    r->n_kvs = 1;
    r->more = 0;
}

static void no_keys_but_more(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)status;
    r->n_kvs = 0;
    r->more = 1;
}

static void no_header(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)status;
    r->header = NULL;
}

static void zero_revision(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)status;
    r->header->revision = 0;
}

static void last_revision(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)status;
    r->header->revision = INT64_MAX;
}

static void keys_from_the_future(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)status;
    for (size_t i = 0; i < r->n_kvs; i++)
        r->kvs[i]->mod_revision = INT64_MAX;
}

static void negative_keys(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)q, (void)status;
    for (size_t i = 0; i < r->n_kvs; i++)
        r->kvs[i]->mod_revision = -5;
}

static const struct {
    const char *what;
    world_range_fn *fn;
    bool loads;
} lies[] = {
    {"F09 compacted at each page", compacted_page, false},
    {"F28 corrupt cluster", corrupt, false},
    {"F17 larger than may be received", too_large_page, true},
    {"AV086 the same page again and again", same_page, false},
    {"AV086 pages without end", endless_pages, false},
    {"AV086 keys out of order", unordered_page, false},
    {"AV086 a key that was not asked for", foreign_key, false},
    {"AV086 no keys but more", no_keys_but_more, false},
    {"AV086 no header", no_header, false},
    {"AV086 revision 0", zero_revision, false},
    {"AV086 the last revision", last_revision, false},
    {"AV086 keys of the last revision", keys_from_the_future, false},
    {"AV086 keys of a negative revision", negative_keys, false},
};

/* What was there stays, little is asked, and the first good reply is taken. */
static void test_lies(void)
{
    for (size_t i = 0; i < COUNT(lies); i++) {
        unsigned before;
        size_t octets;
        begin();
        world.memory = 1 << 20;
        follow();
        world.down = true;
        world_run(100);
        world_put_host("/p/z/a", 70);
        world.compacted = world.revision; /* it has to be listed again */
        world.down = false;
        world.on_range = lies[i].fn;
        before = world.n_calls;
        world_run(120000);
        octets = wp_etcd_tree_octets(range->tree);
        CHECK_AT(lies[i].what, ttl_of("/p/z/a") == (lies[i].loads ? 70 : 1));
        CHECK_AT(lies[i].what, octets < 2 << 20);
        CHECK_AT(lies[i].what, lies[i].fn == endless_pages || world.n_calls - before < 700);
        world.on_range = NULL;
        world_run(40000);
        CHECK_AT(lies[i].what, wp_etcd_range_behind_s(range, world.now) == 0 && world_is_same(range));
        CHECK_AT(lies[i].what, wp_etcd_tree_octets(range->tree) < 512 << 10); /* the index stays large */
        end();
    }
}

/* --- events that cannot be ------------------------------------------------------------------- */

static void say_event(const char *key, int64_t mod, bool is_delete)
{
    struct world_kv kv = {.mod = mod, .is_delete = is_delete};

    snprintf(kv.key, sizeof(kv.key), "%s", key);
    snprintf(kv.value, sizeof(kv.value), "{\"host\":\"192.0.2.1\",\"ttl\":%u}", (unsigned)mod % 10000);
    stream_say(watch_id(), WORLD_EVENT, &kv);
}

static void test_events(void)
{
    static const struct {
        const char *what, *key;
        int64_t mod;
        bool is_delete, ends;
    } rows[] = {
        {"F34 the event again", "/p/z/a", 2, false, false},
        {"F34 an older delete", "/p/z/a", 1, true, false},
        {"F34 a delete of a key that is not there", "/p/z/none", 9, true, false},
        {"F35 outside the range", "/p/other", 9, false, false},
        {"F35 beside the range", "/p/zz", 9, false, false},
        {"F35 the prefix itself", "/p", 9, false, false},
        {"AV086 event of revision 0", "/p/z/a", 0, false, true},
        {"AV086 event of a negative revision", "/p/z/a", -1, true, true},
        {"AV086 event of the last revision", "/p/z/a", INT64_MAX, false, true},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned watches;
        size_t keys;
        begin();
        follow();
        watches = world.n_watch_created;
        keys = wp_etcd_tree_keys(range->tree);
        say_event(rows[i].key, rows[i].mod, rows[i].is_delete);
        while (world_step(world.now))
            ;
        CHECK_AT(rows[i].what, ttl_of("/p/z/a") == 1 && wp_etcd_tree_keys(range->tree) == keys);
        CHECK_AT(rows[i].what, (world.n_watch_created > watches) == rows[i].ends);
        world_put_host("/p/z/a", 60);
        world_run(7000);
        CHECK_AT(rows[i].what, ttl_of("/p/z/a") == 60 && world_is_same(range));
        end();
    }
}

static void endless_fragment(struct world *w, Etcd__WatchResponse *r)
{
    (void)w;
    r->fragment = r->n_events > 0;
}

/* Parts of one change that never ends: nothing of it is shown, and it does not fill the memory. */
static void test_endless_fragment(void)
{
    begin();
    world.memory = 64 << 10;
    follow();
    world.on_watch = endless_fragment;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 40 && world.n_watches > 0; i++)
            say_event("/p/z/a", 1000 + round * 40 + i, false);
        world_run(1);
        CHECK(wp_etcd_tree_octets(range->tree) < 128 << 10);
        CHECK(ttl_of("/p/z/a") == 1);
    }
    world.on_watch = NULL;
    world_run(40000);
    CHECK(world_is_same(range) && wp_etcd_range_behind_s(range, world.now) == 0);
    end();
}

/* --- too large ---------------------------------------------------------------------------------- */

static void test_max_memory(void)
{
    begin();
    world.memory = 20 << 10;
    follow();
    fill(400); /* each takes some hundred octets with its share of the index */
    world_run(100);
    CHECK(wp_etcd_range_behind_s(range, world.now) > 0);
    CHECK(wp_etcd_tree_octets(range->tree) < 40 << 10);
    CHECK(ttl_of("/p/z/a") == 1 && ttl_of("/p/z/k399") == 0);
    world_run(100000);
    CHECK(ttl_of("/p/z/a") == 1 && wp_etcd_tree_octets(range->tree) < 40 << 10);
    while (world.n_keys > 10)
        world_delete(world.keys[world.n_keys - 2].key);
    world_run(60000);
    CHECK(world_is_same(range) && wp_etcd_range_behind_s(range, world.now) == 0);
    end();
}

/* --- leases ------------------------------------------------------------------------------------- */

/* Each is asked about a bounded number of times, all of them at a bounded rate. */
static void test_many_leases(void)
{
    begin();
    for (int64_t i = 0; i < 400; i++) {
        char key[32];
        snprintf(key, sizeof(key), "/p/z/l%03d", (int)i);
        world_put(key, "{\"host\":\"192.0.2.9\"}", (i << 32) | 0xffffffff);
    }
    CHECK(world_follow(&range) == 0);
    world_run(100);
    CHECK(wp_etcd_range_is_loaded(range) && world.n_lease > 20 && world.n_lease <= 60);
    for (size_t i = 0, known = 0; i < world.n_keys; i++) {
        if (world.keys[i].lease == 0)
            continue;
        known += ttl_of(world.keys[i].key) == 100; /* the others may be short ones */
        CHECK(known <= world.n_lease && (ttl_of(world.keys[i].key) == 100 || ttl_of(world.keys[i].key) == 30));
    }
    world_run(1000);
    CHECK(world.n_lease == 400 && ttl_of("/p/z/l399") >= 98);
    world_run(59000);
    CHECK(world.n_lease <= 3 * 400);
    end();
}

static void test_leases(void)
{
    begin();
    world_put("/p/z/l", "{\"host\":\"192.0.2.9\"}", (7LL << 32) | 0xfffffff0);
    world_put("/p/z/m", "{\"host\":\"192.0.2.9\"}", (7LL << 32) | 0xfffffff0);
    follow();
    CHECK_AT("E140 remaining", ttl_of("/p/z/l") >= 99 && ttl_of("/p/z/l") <= 100 && world.n_lease == 1);
    world_run(20000);
    CHECK_AT("E140 counts down", ttl_of("/p/z/l") >= 79 && ttl_of("/p/z/l") <= 80 && world.n_lease == 1);
    world.lease_ttl = 90;
    world_run(20000);
    CHECK_AT("E193 kept alive", ttl_of("/p/z/l") > 70 && world.n_lease == 2);
    world.lease_ttl = -1;
    world_run(40000);
    CHECK_AT("E146 lease already gone", ttl_of("/p/z/l") == 300 && world_is_same(range));
    world.lease_ttl = 100;
    world_run(40000);
    CHECK(ttl_of("/p/z/l") > 60 && ttl_of("/p/z/l") <= 100);
    world.down = true;
    world_run(50000);
    CHECK_AT("F30 stays until the lease ends", ttl_of("/p/z/l") >= 30);
    world_run(250000);
    CHECK_AT("F30 stays until the lease ends", ttl_of("/p/z/l") == 0 && ttl_of("/p/z/a") == 1);
    world.down = false;
    end();

    begin();
    world.lease_status = WP_GRPC_PERMISSION_DENIED;
    world_put("/p/z/l", "{\"host\":\"192.0.2.9\"}", 5);
    world_put("/p/z/m", "{\"host\":\"192.0.2.9\",\"ttl\":70}", 5);
    world_put("/p/z/n", "{\"host\":\"192.0.2.9\",\"ttl\":4000}", 5);
    follow();
    world_run(3600000);
    CHECK_AT("F31 lease query fails", ttl_of("/p/z/l") == 300 && ttl_of("/p/z/m") == 70 && ttl_of("/p/z/n") == 300);
    CHECK_AT("F31 lease query fails", world.n_lease < 130);
    end();
}

/* --- verification --------------------------------------------------------------------------------- */

static void test_verify(void)
{
    const char *row = "F41 verification finds a difference";
    unsigned listings;

    begin();
    fill(20);
    follow();
    world.mute_events = true; /* three that were lost */
    world_put_host("/p/z/a", 90);
    world_delete("/p/z/b/c");
    world_put_host("/p/z/new", 91);
    world_run(1000);
    world.mute_events = false;
    CHECK_AT(row, !world_is_same(range));
    world_run(11 * 60000);
    CHECK_AT(row, world_is_same(range) && ttl_of("/p/z/a") == 90 && ttl_of("/p/z/b/c") == 0 && ttl_of("/p/z/new") == 91);
    listings = world.n_range;
    world_run(11 * 60000);
    CHECK_AT(row, world.n_range - listings <= 4 && world.n_range > listings); /* nothing to mend: one pass */
    end();
}

/* After a reconnection it does not take ten minutes. */
static void test_verify_after_a_reconnection(void)
{
    begin();
    follow();
    world.mute_events = true;
    world_put_host("/p/z/a", 90);
    world.down = true;
    world_run(100);
    world.down = false;
    world_run(1000);
    world.mute_events = false;
    CHECK(!world_is_same(range));
    world_run(10000);
    CHECK(world_is_same(range));
    end();
}

/* Between the listing and its reading something is deleted and put: no alarm, however busy. */
static void busy(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    static unsigned n;
    char key[32];

    (void)status, (void)r;
    if (!q->keys_only || w->n_watches == 0)
        return;
    for (unsigned i = 0; i < 5; i++, n++) {
        snprintf(key, sizeof(key), "/p/z/k%03u", n % 20);
        if (n % 40 < 20)
            world_delete(key);
        else
            world_put_host(key, n % 200 + 1);
    }
}

static void test_verify_amid_changes(void)
{
    unsigned pages;

    begin();
    fill(20);
    follow();
    pages = world.n_watch_created;
    for (int i = 0; i < 8; i++) {
        world.on_range = busy;
        world_run(11 * 60000);
        CHECK(world_is_same(range));
    }
    CHECK(world.n_watch_created == pages); /* never loaded again */
    world.on_range = NULL;
    end();
}

/* The end of a start, or a reload, that the engine has not yet heard of. */
static void test_left_before_it_began(void)
{
    struct wp_etcd_range *r;

    world_begin();
    late_begin(2);
    CHECK(world_follow(&r) == 0);
    wp_etcd_range_put(r);
    late_end();
    CHECK(world.users == 0 && world.timers == NULL);
}

RUN_TESTS(TEST(test_left_before_it_began), TEST(test_follow), TEST(test_away), TEST(test_silence), TEST(test_held), TEST(test_restored),
          TEST(test_restored_to_after_our_last_event), TEST(test_compacted), TEST(test_compacted_for_ever), TEST(test_lies),
          TEST(test_events), TEST(test_endless_fragment), TEST(test_max_memory), TEST(test_leases), TEST(test_many_leases), TEST(test_verify),
          TEST(test_verify_after_a_reconnection), TEST(test_verify_amid_changes))
