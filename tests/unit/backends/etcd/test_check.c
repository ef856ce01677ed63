/* Verdicts on endpoints and what becomes of their records: in the midst of events, listings and leases. The
 * probes are made up: a target is what the test says it is. */
#include "etcd_world.h"

#include "backends/common/health_probe.h"

/* --- in place of backends/common/health_probe.c ----------------------------------------------- */

enum { TARGETS = 64 };
struct wp_probe_target {
    struct wp_probe_spec spec;
    enum wp_probe_verdict verdict;
    struct wp_probe *use;
};
static struct wp_probe_target targets[TARGETS];
static unsigned n_joined, n_left;

const char *wp_probe_result_text(enum wp_probe_result r)
{
    (void)r;
    return "refused";
}

const char *wp_probe_spec_text(const struct wp_probe_spec *s, char buf[WP_PROBE_TEXT_MAX])
{
    snprintf(buf, WP_PROBE_TEXT_MAX, "port %u", s->to.port);
    return buf;
}

void wp_probe_spec_of(const struct wp_probe *p, struct wp_probe_spec *ret)
{
    *ret = p->target->spec;
}

void wp_probe_settle(struct wp_loop *loop)
{
    (void)loop;
}

/* A target is its port. */
int wp_probe_join(struct wp_probe_group *g, const struct wp_probe_spec *s, struct wp_probe **ret)
{
    struct wp_probe_target *t = &targets[s->to.port];

    CHECK(s->to.port < TARGETS);
    n_joined++;
    if (t->use == NULL) {
        t->use = calloc(1, g->size);
        CHECK(t->use != NULL);
        *t->use = (struct wp_probe){.group = g, .target = t, .verdict = t->verdict};
        t->spec = *s;
    }
    t->use->refs++;
    *ret = t->use;
    return 0;
}

void wp_probe_leave(struct wp_probe *p)
{
    n_left++;
    if (--p->refs > 0)
        return;
    p->target->use = NULL;
    free(p);
}

struct wp_probe *wp_probe_take(struct wp_probe_group *g)
{
    for (unsigned i = 0; i < TARGETS; i++) {
        struct wp_probe *p = targets[i].use;
        if (p == NULL || p->group != g || p->verdict == targets[i].verdict)
            continue;
        p->verdict = targets[i].verdict;
        return p;
    }
    return NULL;
}

static void judge(unsigned port, enum wp_probe_verdict v)
{
    targets[port].verdict = v;
    if (targets[port].use != NULL)
        targets[port].use->group->wake(targets[port].use->group);
}

/* --- the tests ---------------------------------------------------------------------------------- */

static struct wp_etcd_range *range;

static void put(const char *key, unsigned last, unsigned port, int64_t lease)
{
    char value[128];

    snprintf(value, sizeof(value), "{\"host\":\"192.0.2.%u\",\"health\":{\"tcp\":%u}}", last, port);
    world_put(key, value, lease);
}

static void begin(void)
{
    world_begin();
    memset(targets, 0, sizeof(targets));
    n_joined = n_left = 0;
    world.health = true;
    world_put_host("/p/z/a", 1);
    put("/p/z/s/1", 2, 7, 0);
    put("/p/z/s/2", 3, 8, 0);
    put("/p/z/t", 2, 7, 0);
    range = NULL;
}

static void follow(void)
{
    CHECK(world_follow(&range) == 0);
    world_run(100);
    CHECK(wp_etcd_range_is_loaded(range) && world_is_same(range));
}

static void end(void)
{
    world.down = false;
    wp_etcd_range_put(range);
    CHECK(world.users == 0 && n_left >= n_joined);
    for (unsigned i = 0; i < TARGETS; i++)
        CHECK(targets[i].use == NULL);
}

static bool is_shown(const char *key)
{
    return world_rec(range, key) != NULL;
}

static size_t unwell(void)
{
    return wp_etcd_tree_outs(range->tree, WP_ETCD_OUT_UNWELL);
}

static void test_out_and_back(void)
{
    struct wp_etcd_snap s;

    begin();
    follow();
    judge(7, WP_PROBE_DOWN);
    world_run(10);
    CHECK(!is_shown("/p/z/s/1") && is_shown("/p/z/s/2") && !is_shown("/p/z/t") && is_shown("/p/z/a") && unwell() == 2);
    s = wp_etcd_tree_snap(range->tree);
    s = wp_etcd_snap_with_unwell(&s);
    CHECK(wp_etcd_snap_key(&s, "/z/t", 4, wp_etcd_path_hash("/z/t", 4, 0, wp_name_hash_root())) != NULL);
    judge(7, WP_PROBE_UP);
    world_run(10);
    CHECK(world_is_same(range) && unwell() == 0);
    judge(7, WP_PROBE_DOWN);
    judge(8, WP_PROBE_DOWN);
    judge(7, WP_PROBE_UP); /* before it was taken over, perhaps */
    world_run(10);
    CHECK(is_shown("/p/z/s/1") && !is_shown("/p/z/s/2"));
    end();
}

/* Events of what is out: changed, asked of another port, without a check, deleted, put for a target that is
 * known to be down. */
static void test_events(void)
{
    begin();
    follow();
    judge(7, WP_PROBE_DOWN);
    world_run(10);
    put("/p/z/s/1", 99, 7, 0);
    put("/p/z/new", 4, 7, 0);
    world_run(10);
    CHECK(!is_shown("/p/z/s/1") && !is_shown("/p/z/new") && unwell() == 3);
    put("/p/z/s/1", 99, 9, 0);
    world_put_host("/p/z/t", 5);
    world_delete("/p/z/new");
    world_run(10);
    CHECK(world_is_same(range) && unwell() == 0);
    judge(7, WP_PROBE_UP);
    judge(9, WP_PROBE_DOWN);
    world_run(10);
    CHECK(!is_shown("/p/z/s/1") && is_shown("/p/z/t"));
    world_put("/p/z/s/1", "{\"host\":\"192.0.2.9\",\"health\":{\"icmp\":1}}", 0); /* malformed: not checked */
    world_run(10);
    CHECK(world_is_same(range));
    end();
}

/* Both reasons: shown when neither holds. */
static void test_with_a_lease(void)
{
    for (unsigned first = 0; first < 2; first++) {
        begin();
        world.lease_granted = 5;
        world.lease_ends = world.now + wp_etcd_ms(5000);
        put("/p/z/l", 5, 20, 77);
        follow();
        judge(20, WP_PROBE_DOWN);
        world_run(10);
        CHECK(!is_shown("/p/z/l") && unwell() == 1);
        world.down = true;
        world_run(8000);
        CHECK(wp_etcd_tree_outs(range->tree, WP_ETCD_OUT_LAPSED) == 1 && unwell() == 1);
        if (first == 0)
            judge(20, WP_PROBE_UP);
        world_run(10);
        CHECK(!is_shown("/p/z/l") && unwell() == (first == 0 ? 0 : 1));
        world.lease_ends = world.now + wp_etcd_ms(100000);
        world.down = false;
        world_run(8000);
        CHECK(wp_etcd_tree_outs(range->tree, WP_ETCD_OUT_LAPSED) == 0 && is_shown("/p/z/l") == (first == 0));
        judge(20, WP_PROBE_UP);
        world_run(10);
        CHECK(world_is_same(range));
        end();
    }
}

/* A verdict in the middle of a listing, which is not whole yet: afterwards. */
static void in_the_middle(struct world *w, const Etcd__RangeRequest *q, Etcd__RangeResponse *r, int *status)
{
    (void)w, (void)status;
    if (q->keys_only)
        return; /* a verification */
    if (q->limit > 1 && q->revision == 0) {
        r->n_kvs = 2;
        r->more = true;
    } else if (q->limit > 1) {
        judge(7, WP_PROBE_DOWN);
        judge(8, WP_PROBE_DOWN);
        judge(8, WP_PROBE_UP);
        CHECK(is_shown("/p/z/s/1"));
    }
}

static void test_in_a_listing(void)
{
    begin();
    follow();
    world.down = true;
    world_run(100);
    world_put_host("/p/z/b", 9);
    world.compacted = world.revision;
    world.on_range = in_the_middle;
    world.down = false;
    world_run(8000);
    world.on_range = NULL;
    CHECK(is_shown("/p/z/b") && !is_shown("/p/z/s/1") && is_shown("/p/z/s/2") && unwell() == 2);
    CHECK(wp_etcd_tree_keys(range->tree) == world.n_keys);
    end();
}

static void test_off(void)
{
    begin();
    world.health = false;
    follow();
    CHECK(n_joined == 0);
    end();
}

RUN_TESTS(TEST(test_out_and_back), TEST(test_events), TEST(test_with_a_lease), TEST(test_in_a_listing), TEST(test_off))
