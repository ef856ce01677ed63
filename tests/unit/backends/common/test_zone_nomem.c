/* The n-th allocation of a zone's making fails: there is no zone, and nothing is lost. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "backends/common/zone_slot.h"
#include "failmalloc.h"
#include "zone_fixture.h"

static const char text[] =
    "$TTL 60\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
    "@ RRSIG NS 8 2 300 20300101000000 20250101000000 1 example.org. AAAA\n"
    "@ NSEC www NS SOA RRSIG NSEC\nwww ( A\n 192.0.2.2 )\nwww NSEC @ A\nwww TXT \"a b\" c\n"
    "*.w CNAME www\nsub NS ns.sub\nns.sub A 192.0.2.3\na.b.c.d AAAA 2001:db8::1\n"
    "$GENERATE 1-40 h$ A 192.0.2.$\nmx MX 10 www\nsvc HTTPS 1 . alpn=h2\nother.test. A 192.0.2.1\n";

static void test_zone(void)
{
    struct wp_zone *z;
    unsigned failed = 0;

    for (long n = 0;; n++) {
        failmalloc_after(n);
        z = zone_from("example.org.", text);
        if (!failmalloc_stop())
            break;
        failed += z == NULL;
        wp_zone_unref(z);
        CHECK(n < 10000);
    }
    CHECK(failed > 5 && z != NULL && z->n_records == 54 && z->n_nsec == 2);
    wp_zone_unref(z);
}

static void test_load(void)
{
    char path[] = "/tmp/wp_zone_nomem_XXXXXX";
    struct wp_zone_slot s;
    unsigned failed = 0;
    int fd = mkstemp(path), r;

    CHECK(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1 &&
          close(fd) == 0);
    for (long n = 0;; n++) {
        const char *error = NULL;
        struct wp_arena a;
        bool met;

        s = (struct wp_zone_slot){.path = path};
        CHECK(wp_name_parse("example.org.", &s.origin) == 0);
        wp_arena_init(&a, 0);
        failmalloc_after(n);
        r = wp_zone_slot_load(&s, &a, &error);
        met = failmalloc_stop();
        CHECK(r == 0 || r == -ENOMEM);
        CHECK((wp_zone_slot_zone(&s) != NULL) == (r == 0));
        failed += r < 0;
        wp_zone_slot_done(&s);
        wp_arena_done(&a);
        if (!met)
            break;
        CHECK(n < 10000);
    }
    CHECK(failed > 5 && r == 0);
    unlink(path);
}

RUN_TESTS(TEST(test_zone), TEST(test_load))
