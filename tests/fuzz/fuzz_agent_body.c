/* What a request tells the agent of a service. Properties: nothing is taken that has no name, address
 * and port, or that breaks a limit; a refusal has a reason; a record that is fit to be registered makes
 * keys that stand for names, each below its name's, and values that the backend reads. */
#include "fuzz.h"

#include "backends/etcd/command/agent.h"
#include "backends/etcd/path.h"
#include "backends/etcd/record.h"

static char said[ETCD_SAID];

static void check_limits(const struct agent_body *b)
{
    CHECK(b->name != NULL && b->record.address != NULL);
    CHECK(b->id == NULL || agent_id_ok(b->id));
    CHECK(b->record.tags.n <= AGENT_TAGS_MAX);
    CHECK(b->lease_s >= 0 && b->lease_s <= 86400);
    CHECK(b->record.priority >= 0 && b->record.priority <= 65535);
    CHECK(b->record.weight >= 0 && b->record.weight <= 65535);
    CHECK(b->check_in_ns >= 0 && b->check_in_ns <= 86400 * AGENT_SECOND);
    CHECK(b->check_interval_ns > 0 && b->check_timeout_ns > 0 && b->check_fails > 0);
}

static void check_pair(const struct etcd_place *p, const char *base, const struct etcd_pair *pair)
{
    struct wp_etcd_scratch scratch = {0};
    struct wp_etcd_flaw flaw;
    struct wp_etcd_value v;
    struct wp_name name;
    size_t skip = strlen(p->src.prefix);

    CHECK(strncmp(pair->key, base, strlen(base)) == 0 && pair->key[strlen(base)] == '/');
    CHECK(wp_etcd_path_name(pair->key + skip, strlen(pair->key) - skip, &name) == 0);
    CHECK(wp_etcd_value_read(pair->value, strlen(pair->value), &scratch, &v, &flaw) == 0);
    CHECK(v.kind != WP_ETCD_BARE);
    wp_etcd_scratch_done(&scratch);
}

static void check_record(const struct agent_body *b, struct wp_arena *a)
{
    struct etcd_place p = {.who = "fuzz", .arena = a, .src = {.prefix = "/skydns"}};
    struct etcd_access access = {.zone = b->zone};
    struct etcd_health_config c = {0};
    struct etcd_pair *pairs;
    struct wp_name name;
    const char *why;
    unsigned n;

    if (b->check != NULL)
        CHECK(etcd_health_parse(b->check, b->record.address, b->record.port, a, &c, &why) != 0 ||
              c.host != NULL || c.command != NULL);
    if (etcd_access_name(&access, "fuzz", b->name, &name) < 0 ||
        etcd_record_name_check(&name, "fuzz") < 0 || etcd_record_check(&b->record, "fuzz") < 0 ||
        etcd_record_pairs(&b->record, &p, &name, &pairs, &n) < 0) {
        CHECK(said[0] != '\0');
        return;
    }
    for (unsigned i = 0; i < n; i++)
        check_pair(&p, etcd_access_key(&p, &name), &pairs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agent_body b;
    struct wp_arena arena;
    char *exact;
    int r;

    if (size > 65536)
        return 0;
    exact = malloc(size > 0 ? size : 1); /* so that one octet too many is seen */
    memcpy(exact, data, size);
    wp_arena_init(&arena, AGENT_ROOM);
    said[0] = '\0';
    etcd_say_to(said);
    r = agent_body_read(exact, size, &arena, &b, said);
    CHECK(r == 0 || r == -ENOMEM || (r == WP_EMALFORMED && said[0] != '\0'));
    if (r == 0) {
        check_limits(&b);
        check_record(&b, &arena);
    }
    etcd_say_to(NULL);
    wp_arena_done(&arena);
    free(exact);
    return 0;
}
