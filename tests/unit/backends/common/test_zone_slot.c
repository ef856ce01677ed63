/* Zones from files, and what keeps them current: rows of the manual's table of options. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/common/zone_slot.h"
#include "backends/common/zone_table.h"
#include "loop_thread.h"
#include "waypost/plugin/change.h"

static char dir[] = "/tmp/wp_zone_slot_XXXXXX";
static time_t clock_s = 1700000000;

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

/* Written anew and moved into place, with an mtime of its own. */
static void write_zone(const char *name, const char *text)
{
    char tmp[128];
    struct timespec times[2];
    FILE *f;

    snprintf(tmp, sizeof(tmp), "%s/tmp", dir);
    f = fopen(tmp, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    times[0] = times[1] = (struct timespec){.tv_sec = ++clock_s};
    CHECK(utimensat(AT_FDCWD, tmp, times, 0) == 0 && rename(tmp, path_of(name)) == 0);
}

static void set_slot(struct wp_zone_slot *s, const char *file, const char *origin)
{
    *s = (struct wp_zone_slot){.path = strdup(path_of(file))};
    CHECK(wp_name_parse(origin, &s->origin) == 0);
    s->source = wp_zone_source(s->path, &s->origin);
}

static void end_slot(struct wp_zone_slot *s)
{
    wp_zone_slot_done(s);
    free((char *)(uintptr_t)s->path);
}

/* This thread reads as a worker does: what it looks at is not freed meanwhile. */
static int reader;

static uint32_t serial_of(struct wp_zone_slot *s)
{
    const struct wp_zone *z;
    uint32_t serial;

    wp_grace_online(reader);
    z = wp_zone_slot_zone(s);
    serial = z == NULL ? 0 : z->serial;
    wp_grace_offline(reader);
    return serial;
}

/* --- loading --------------------------------------------------------------------------------- */

static const struct {
    const char *what, *text, *error; /* PATH stands for the file */
    int ret;
} loads[] = {
    {"good", "@ 1 SOA a b 1 2 3 4 5\n@ 1 A 192.0.2.1\n", NULL, 0},
    {"SOA in capitals, escaped", "EX\\065MPLE.org. 1 SOA a b 1 2 3 4 5\n", NULL, 0},
    {"no SOA", "@ 1 A 192.0.2.1\n", "file \"PATH\" has no SOA record for origin example.org.", WP_ECONFIG},
    {"empty", "", "file \"PATH\" has no SOA record for origin example.org.", WP_ECONFIG},
    {"serial 0", "@ 1 SOA a b 0 2 3 4 5\n", NULL, WP_EEXISTS},
    {"SOA of another zone", "$ORIGIN example.net.\n@ 1 SOA a b 1 2 3 4 5\n",
     "file \"PATH\" has SOA owner example.net. that does not match origin example.org.", WP_ECONFIG},
    {"a second SOA of another name", "@ 1 SOA a b 1 2 3 4 5\nx 1 SOA a b 1 2 3 4 5\n",
     "file \"PATH\" has SOA owner x.example.org. that does not match origin example.org.", WP_ECONFIG},
    {"owner before serial", "x 1 SOA a b 0 2 3 4 5\n",
     "file \"PATH\" has SOA owner x.example.org. that does not match origin example.org.", WP_ECONFIG},
    {"owner without dot", "example.org 1 SOA a b 1 2 3 4 5\n",
     "file \"PATH\" has SOA owner example.org.example.org. that does not match origin example.org.",
     WP_ECONFIG},
    {"NSEC3", "@ 1 SOA a b 1 2 3 4 5\n@ 1 NSEC3PARAM 1 0 1 AB\n",
     "NSEC3 zone is not supported, dropping RR: example.org. for zone: example.org.", WP_ECONFIG},
    {"other class", "@ 1 SOA a b 1 2 3 4 5\n@ 1 CH TXT x\n",
     "failed to parse file \"PATH\" for origin example.org. with error PATH: class CH is not "
     "served at line: 2", WP_ECONFIG},
    {"syntax", "@ 1 SOA a b 1 2 3 4 5\n@ 1 A x\n",
     "failed to parse file \"PATH\" for origin example.org. with error PATH: dns: bad A data: \"x\" "
     "at line: 2", WP_ECONFIG},
    {"include of nothing", "@ 1 SOA a b 1 2 3 4 5\n$INCLUDE nope\n", "failed to parse file", WP_ECONFIG},
};

/* Is `got` the text with PATH replaced? Compared up to the length of `want`. */
static bool is_error(const char *got, const char *want)
{
    for (; *want != '\0'; want++, got++) {
        if (strncmp(want, "PATH", 4) == 0) {
            size_t len = strlen(path_of("db"));

            if (strncmp(got, path_of("db"), len) != 0)
                return false;
            want += 3;
            got += len - 1;
        } else if (*want != *got) {
            return false;
        }
    }
    return true;
}

static void test_load(void)
{
    struct wp_zone_slot s;

    for (size_t i = 0; i < COUNT(loads); i++) {
        const char *error = NULL;
        struct wp_arena a;
        int r;

        wp_arena_init(&a, 0);
        write_zone("db", loads[i].text);
        set_slot(&s, "db", "example.org.");
        r = wp_zone_slot_load(&s, &a, &error);
        if (error != NULL)
            print_message("%s: %s\n", loads[i].what, error);
        CHECK_AT(loads[i].what, r == loads[i].ret && (error == NULL) == (loads[i].error == NULL));
        CHECK_AT(loads[i].what, error == NULL || is_error(error, loads[i].error));
        CHECK_AT(loads[i].what, serial_of(&s) == (r == 0));
        end_slot(&s);
        wp_arena_done(&a);
    }
}

static void test_load_missing(void)
{
    const char *error = NULL;
    struct wp_zone_slot s;
    struct wp_arena a;

    wp_arena_init(&a, 0);
    set_slot(&s, "nope", "example.org.");
    CHECK(wp_zone_slot_load(&s, &a, &error) == -ENOENT && error == NULL);
    end_slot(&s);
    set_slot(&s, "", "example.org."); /* a folder */
    CHECK(wp_zone_slot_load(&s, &a, &error) == WP_ECONFIG);
    CHECK(strstr(error, "with error read /tmp/") != NULL && strstr(error, ": is a directory") != NULL);
    error = wp_zone_file_error(&a, "open", "/x/y", -ENOENT);
    CHECK(strcmp(error, "open /x/y: no such file or directory") == 0);
    end_slot(&s);
    wp_arena_done(&a);
}

/* Two blocks with one file hold one zone; after a change each loads anew. */
static void test_shared(void)
{
    struct wp_zone_slot one, two, three, other;
    const char *error = NULL;
    struct wp_arena a;

    wp_arena_init(&a, 0);
    write_zone("db", "@ 1 SOA a b 1 2 3 4 5\n");
    set_slot(&one, "db", "example.org.");
    set_slot(&two, "db", "example.org.");
    set_slot(&other, "db", "example.net.");
    set_slot(&three, "db", "example.org.");
    CHECK(wp_zone_slot_load(&one, &a, &error) == 0 && one.fresh);
    CHECK(wp_zone_slot_load(&two, &a, &error) == 0 && !two.fresh);
    CHECK(wp_zone_slot_zone(&one) == wp_zone_slot_zone(&two));
    CHECK(wp_zone_slot_load(&other, &a, &error) == 0 && other.fresh && other.source != one.source);
    end_slot(&one);
    write_zone("db", "@ 1 SOA a b 2 2 3 4 5\n");
    CHECK(wp_zone_slot_load(&three, &a, &error) == 0 && three.fresh && serial_of(&three) == 2);
    CHECK(serial_of(&two) == 1);
    end_slot(&two);
    end_slot(&three);
    end_slot(&other);
    wp_arena_done(&a);
}

/* --- reloading ------------------------------------------------------------------------------- */

static uint32_t version(const struct wp_zone_slot *s)
{
    return atomic_load(&wp_change_version[wp_change_slot(wp_change_key(s->source, 0))]);
}

static atomic_int reloads;

static void count_reload(void *arg, struct wp_zone_slot *s)
{
    (void)arg;
    (void)s;
    atomic_fetch_add(&reloads, 1);
}

/* Let `n` more looks at the file of s pass: each is followed by a timer that is set anew. */
static void pass_looks(struct wp_zone_slot *s, int n)
{
    (void)s;
    nanosleep(&(struct timespec){.tv_nsec = n * 120000000L}, NULL);
}

static void test_reload(void)
{
    /* static: a check that fails leaves this function while the admin loop still works on them */
    static struct wp_zone_slot by_serial, by_mtime, late, never;
    static struct wp_zone_slot *slots[] = {&by_serial, &by_mtime, &late, &never};
    static struct wp_zone_reloader r = {.plugin = "file", .slots = slots, .n_slots = 4, .reloaded = count_reload};
    struct loop_thread admin;
    const char *error = NULL;
    struct wp_arena a;
    uint32_t before;

    wp_arena_init(&a, 0);
    write_zone("serial", "@ 1 SOA a b 5 2 3 4 5\n");
    write_zone("mtime", "@ 1 SOA a b 5 2 3 4 5\n@ 1 A 192.0.2.1\n");
    set_slot(&by_serial, "serial", "example.org.");
    set_slot(&by_mtime, "mtime", "example.org.");
    set_slot(&late, "late", "example.org.");
    set_slot(&never, "serial", "example.org.");
    by_serial.reload_ns = by_mtime.reload_ns = late.reload_ns = 1;
    by_mtime.by_mtime = true;
    for (int i = 0; i < 4; i++)
        CHECK((wp_zone_slot_load(slots[i], &a, &error) == 0) == (i != 2));
    loop_thread_start(&admin);
    wp_zone_reloader_start(&r, admin.loop);

    before = version(&by_serial);
    write_zone("serial", "@ 1 SOA a b 4 2 3 4 5\n"); /* any other serial, also a lower one */
    WAIT_FOR(serial_of(&by_serial) == 4);
    CHECK(version(&by_serial) != before && serial_of(&never) == 5);

    write_zone("late", "@ 1 SOA a b 9 2 3 4 5\n"); /* it was missing at start */
    WAIT_FOR(serial_of(&late) == 9);
    WAIT_FOR(atomic_load(&reloads) == 2); /* told after the version is there */

    atomic_store(&reloads, 0);
    write_zone("mtime", "@ 1 SOA a b 5 2 3 4 5\n@ 1 A 192.0.2.2\n"); /* same serial, newer */
    WAIT_FOR(atomic_load(&reloads) == 1);
    pass_looks(&by_mtime, 3); /* the mtime is remembered: no reload follows */
    CHECK(atomic_load(&reloads) == 1);

    write_zone("serial", "@ 1 SOA a b 4 2 3 4 5\nwww 1 A 192.0.2.1\n"); /* same serial: not taken */
    write_zone("mtime", "broken");                                      /* old data stay */
    write_zone("late", "x 1 SOA a b 10 2 3 4 5\n");
    pass_looks(&by_serial, 3);
    CHECK(atomic_load(&reloads) == 1 && serial_of(&by_serial) == 4 && serial_of(&by_mtime) == 5);
    CHECK(serial_of(&late) == 9);
    CHECK(wp_zone_slot_zone(&by_serial)->n_records == 1);
    unlink(path_of("serial")); /* gone: old data stay */
    write_zone("mtime", "@ 1 SOA a b 6 2 3 4 5\n");
    WAIT_FOR(serial_of(&by_mtime) == 6);
    CHECK(serial_of(&by_serial) == 4);

    wp_zone_reloader_stop(&r);
    wp_zone_reloader_stop(&r); /* again is nothing */
    loop_thread_stop(&admin);
    for (int i = 0; i < 4; i++)
        end_slot(slots[i]);
    wp_arena_done(&a);
    CHECK(wp_grace_reclaim() == 0);
}

/* Stopped while a large file is being read. */
static void test_stop_midway(void)
{
    struct wp_zone_slot s, *slots[] = {&s};
    struct wp_zone_reloader r = {.plugin = "file", .slots = slots, .n_slots = 1};
    struct loop_thread admin;
    FILE *f;

    f = fopen(path_of("large"), "w");
    CHECK(f != NULL);
    fputs("@ 1 SOA a b 1 2 3 4 5\n$GENERATE 0-65000 h$ 1 A 192.0.2.1\n", f);
    for (int i = 0; i < 300000; i++)
        fprintf(f, "n%d 1 A 192.0.2.1\n", i);
    CHECK(fclose(f) == 0);
    set_slot(&s, "large", "example.org.");
    s.reload_ns = 1;
    loop_thread_start(&admin);
    wp_zone_reloader_start(&r, admin.loop);
    nanosleep(&(struct timespec){.tv_nsec = 110000000}, NULL); /* into the first look */
    wp_zone_reloader_stop(&r);
    loop_thread_stop(&admin);
    end_slot(&s);
    unlink(path_of("large"));
}

static void test_table(void)
{
    static const struct {
        const char *name, *zone;
    } rows[] = {
        {"www.example.org.", "example.org."}, {"example.org.", "example.org."},
        {"a.sub.example.org.", "sub.example.org."}, {"example.com.", NULL},
        {"10.in-addr.arpa.", "in-addr.arpa."}, {".", NULL},
    };
    struct wp_zone_slot s[3], *slots[] = {&s[0], &s[1], &s[2]};
    struct wp_zone_table t;
    struct wp_arena a;

    wp_arena_init(&a, 0);
    set_slot(&s[0], "x", "example.org.");
    set_slot(&s[1], "x", "sub.example.org.");
    set_slot(&s[2], "x", "in-addr.arpa.");
    CHECK(wp_zone_table_init(&t, &a, slots, 3) == 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct wp_zone_slot *got;
        struct wp_name name;
        struct wp_qname q;

        CHECK(wp_name_parse(rows[i].name, &name) == 0 && wp_qname_set(&q, name.wire, name.len) > 0);
        got = wp_zone_table_find(&t, &q);
        CHECK_AT(rows[i].name, (got == NULL) == (rows[i].zone == NULL));
        if (got != NULL)
            CHECK_AT(rows[i].name, wp_name_parse(rows[i].zone, &name) == 0 &&
                                       wp_name_equal(name.wire, got->origin.wire));
    }
    CHECK(wp_zone_table_get(&t, s[1].origin.wire) == &s[1]);
    for (int i = 0; i < 3; i++)
        end_slot(&s[i]);
    wp_arena_done(&a);
}

static int set_up(void **state)
{
    (void)state;
    reader = wp_grace_register();
    wp_grace_offline(reader);
    return reader < 0 || mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"db", "serial", "mtime", "late", "tmp"};

    (void)state;
    wp_grace_unregister(reader);
    for (size_t i = 0; i < COUNT(files); i++)
        unlink(path_of(files[i]));
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_load),   TEST(test_load_missing), TEST(test_shared),
                                       TEST(test_reload), TEST(test_stop_midway),  TEST(test_table)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
