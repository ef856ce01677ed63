/* The n-th allocation fails while a hosts table is made: there is none, and nothing is lost. */
#include <errno.h>
#include <stdlib.h>
#include "backends/hosts/hosts_priv.h"
#include "check.h"
#include "failmalloc.h"

static int make(struct hosts_table **ret)
{
    static struct wp_name zone = {.len = 1};
    static const uint8_t *zones[] = {zone.wire};
    static const struct wp_zones all = {.zone = zones, .n = 1};
    const struct hosts_maker_config config = {.zones = &all, .ttl = 300, .source = 1};
    struct hosts_maker *m = NULL;
    int r = hosts_maker_new(&config, &m);

    for (unsigned i = 0; i < 200 && r == 0; i++) {
        struct wp_addr addr = {.family = i % 2 == 0 ? 4 : 6, .ip = {10, 0, 0, (uint8_t)i}};
        char name[64];

        snprintf(name, sizeof(name), i % 7 == 0 ? "*.w%u.test" : "n%u.test", i / 3);
        r = hosts_maker_add(m, i < 100 ? HOSTS_FILE : HOSTS_INLINE, &addr, name);
    }
    if (r == 0)
        r = hosts_maker_finish(m, ret);
    hosts_maker_free(m);
    return r;
}

static void test_table(void)
{
    struct hosts_table *t = NULL;
    unsigned failed = 0;
    int r;

    for (long n = 0;; n++) {
        failmalloc_after(n);
        r = make(&t);
        if (!failmalloc_stop())
            break;
        CHECK((r == -ENOMEM && t == NULL) || r == 0);
        failed += r < 0;
        hosts_table_free(t);
        t = NULL;
        CHECK(n < 10000);
    }
    CHECK(r == 0 && failed > 5 && t->entries == 371);
    hosts_table_free(t);
}

RUN_TESTS(TEST(test_table))
