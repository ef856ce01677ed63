/* Saved state: what is saved reads back, nothing else does; when it is written; what a disk may do.
 */
#include "backends/common/state_priv.h"
#include "state_world.h"

#include <sys/file.h>
#include <sys/resource.h>

enum { SMALL = 3 };

static void test_round_trip(void)
{
    static const struct {
        const char *what;
        uint32_t n;
        size_t len;
    } rows[] = {
        {"nothing", 0, 8},
        {"one record", 1, 5},
        {"a block is just filled", (WP_STATE_BLOCK / 64), 60},
        {"one more", (WP_STATE_BLOCK / 64) + 1, 60},
        {"larger than a block", 2, WP_STATE_BLOCK + 1},
        {"more blocks than wait at a time", 40000, 100},
        {"the largest", 1, WP_STATE_RECORD_MAX},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_state *s = world_state(world_dir, "test", rows[i].what, 0);
        struct world_seen seen;
        struct stat st;
        CHECK_AT(rows[i].what, world_read(s, &seen) == WP_ENOTFOUND);
        CHECK_AT(rows[i].what, world_save(s, rows[i].n, rows[i].len, 7) == 0);
        CHECK_AT(rows[i].what, world_read(s, &seen) == 0);
        CHECK_AT(rows[i].what, seen.n == rows[i].n && !seen.mixed);
        CHECK_AT(rows[i].what, stat(wp_state_path(s), &st) == 0 && (st.st_mode & 07777) == 0600);
        wp_state_free(s);
        world_empty(world_dir);
    }
}

/* An end that is waited for: what was ended is on the disk afterwards. */
static void test_free_finishes(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    struct world_seen seen;
    uint8_t *to = NULL;

    CHECK(world_save(s, SMALL, 10, 1) == 0);
    CHECK(wp_state_begin(s, 1, "meta", 4) == 0 && wp_state_room(s, 5, &to) == 0);
    memset(to, 0, 5);
    CHECK(wp_state_end(s) == 0);
    wp_state_free(s);
    s = world_state(world_dir, "test", "id", 0);
    CHECK(world_read(s, &seen) == 0 && seen.n == 1);
    CHECK(wp_state_begin(s, 1, "meta", 4) == 0 && wp_state_room(s, 5, &to) == 0);
    wp_state_free(s); /* not ended: given up */
    s = world_state(world_dir, "test", "id", 0);
    CHECK(world_read(s, &seen) == 0 && seen.n == 1);
    wp_state_free(s);
    world_empty(world_dir);
}

static void test_directory_is_made(void)
{
    struct wp_state *s;
    struct world_seen seen;
    struct stat st;
    char dir[64];

    snprintf(dir, sizeof(dir), "%s/new", world_dir);
    s = world_state(dir, "test", "id", 0);
    CHECK(world_read(s, &seen) == WP_ENOTFOUND && stat(dir, &st) < 0);
    CHECK(world_save(s, SMALL, 10, 1) == 0 && world_read(s, &seen) == 0 && seen.n == SMALL);
    CHECK(stat(dir, &st) == 0 && (st.st_mode & 07777) == 0700);
    wp_state_free(s);
    world_empty(dir);
    world_empty(world_dir);
}

static void test_sources_do_not_mix(void)
{
    struct wp_state *a = world_state(world_dir, "test", "a", 0);
    struct wp_state *b = world_state(world_dir, "test", "b", 0);
    struct wp_state *other = world_state(world_dir, "other", "a", 0);
    struct world_seen seen;

    CHECK(world_save(a, 1, 10, 1) == 0);
    CHECK(world_read(b, &seen) == WP_ENOTFOUND && world_read(other, &seen) == WP_ENOTFOUND);
    CHECK(world_save(b, 2, 10, 2) == 0 && world_save(other, 3, 10, 3) == 0);
    CHECK(world_read(a, &seen) == 0 && seen.n == 1);
    CHECK(rename(wp_state_path(b), wp_state_path(a)) == 0); /* somebody's mistake */
    CHECK(world_read(a, &seen) == WP_EMALFORMED && world_has(wp_state_path(a), ".bad"));
    CHECK(world_read(a, &seen) == WP_ENOTFOUND);
    CHECK(rename(wp_state_path(other), wp_state_path(a)) == 0);
    CHECK(world_read(a, &seen) == WP_EMALFORMED);
    wp_state_free(a);
    wp_state_free(b);
    wp_state_free(other);
    world_empty(world_dir);
}

/* --- files that are not what they should be -------------------------------------------------- */

static size_t slurp(const char *path, uint8_t *to, size_t cap)
{
    FILE *f = fopen(path, "rb");
    size_t n = fread(to, 1, cap, f);

    fclose(f);
    return n;
}

static void put_file(const char *path, const uint8_t *p, size_t len)
{
    FILE *f = fopen(path, "wb");

    CHECK(f != NULL && fwrite(p, 1, len, f) == len && fclose(f) == 0);
}

static void test_every_octet_counts(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    uint8_t good[512], bad[513];
    struct world_seen seen;
    size_t len;

    CHECK(world_save(s, SMALL, 10, 1) == 0);
    len = slurp(wp_state_path(s), good, sizeof(good));
    CHECK(len > 80 && len < sizeof(good));
    for (size_t i = 0; i < len; i++) {
        put_file(wp_state_path(s), good, i); /* torn */
        CHECK(world_read(s, &seen) == WP_EMALFORMED);
        for (unsigned bit = 1; bit < 256; bit <<= 1) {
            memcpy(bad, good, len);
            bad[i] ^= (uint8_t)bit;
            put_file(wp_state_path(s), bad, len);
            CHECK(world_read(s, &seen) == WP_EMALFORMED);
            CHECK(world_has(wp_state_path(s), ".bad") && !world_has(wp_state_path(s), ""));
        }
    }
    memcpy(bad, good, len);
    bad[len] = 0;
    put_file(wp_state_path(s), bad, len + 1);
    CHECK(world_read(s, &seen) == WP_EMALFORMED);
    put_file(wp_state_path(s), good, len);
    CHECK(world_read(s, &seen) == 0 && seen.n == SMALL);
    wp_state_free(s);
    world_empty(world_dir);
}

/* A block with a right checksum that says something wrong. */
struct built {
    uint8_t octets[4096];
    size_t len;
    struct wp_state_file f;
};

static void build_block(struct built *b, uint8_t kind, const char *payload, size_t len)
{
    struct wp_state_block *block = wp_state_block_new((enum wp_state_kind)kind, len);

    memcpy(wp_state_payload(block), payload, len);
    block->len = len;
    CHECK(wp_state_file_block(&b->f, block) == 0);
    free(block);
}

#define HEAD "\0\0\0\0\0\0\0\1\0\4test\0\4meta\0\0\0\2id"
static void test_wrong_contents(void)
{
    static const struct {
        const char *what;
        struct {
            uint8_t kind;
            const char *payload;
            size_t len;
        } blocks[4];
        int r;
    } rows[] = {
        {"good", {{'H', WIRE(HEAD)}, {'E', WIRE("\0\0\0\0\0\0\0\0")}}, 0},
        {"good, with a record",
         {{'H', WIRE(HEAD)}, {'D', WIRE("\0\0\0\5\0\0\0\0x")}, {'E', WIRE("\0\0\0\0\0\0\0\1")}},
         0},
        {"records before the head", {{'D', WIRE("\0\0\0\5\0\0\0\0x")}}, WP_EMALFORMED},
        {"an empty head", {{'H', "", 0}}, WP_EMALFORMED},
        {"octets behind the head's", {{'H', WIRE(HEAD "x")}}, WP_EMALFORMED},
        {"a head that promises more",
         {{'H', WIRE("\0\0\0\0\0\0\0\1\0\4test\0\4meta\0\0\0\3id")}},
         WP_EMALFORMED},
        {"two heads", {{'H', WIRE(HEAD)}, {'H', WIRE(HEAD)}}, WP_EMALFORMED},
        {"an unknown kind", {{'H', WIRE(HEAD)}, {'Z', "", 0}}, WP_EMALFORMED},
        {"no end", {{'H', WIRE(HEAD)}, {'D', WIRE("\0\0\0\5\0\0\0\0x")}}, WP_EMALFORMED},
        {"a wrong number of records",
         {{'H', WIRE(HEAD)}, {'E', WIRE("\0\0\0\0\0\0\0\1")}},
         WP_EMALFORMED},
        {"a short end", {{'H', WIRE(HEAD)}, {'E', WIRE("\0\0\0\0")}}, WP_EMALFORMED},
        {"blocks behind the end",
         {{'H', WIRE(HEAD)}, {'E', WIRE("\0\0\0\0\0\0\0\0")}, {'D', "", 0}},
         WP_EMALFORMED},
        {"a record that passes its block",
         {{'H', WIRE(HEAD)}, {'D', WIRE("\0\0\0\6\0\0\0\0x")}},
         WP_EMALFORMED},
        {"half a length", {{'H', WIRE(HEAD)}, {'D', WIRE("\0\0")}}, WP_EMALFORMED},
        {"a record that the backend refuses",
         {{'H', WIRE(HEAD)}, {'D', WIRE("\0\0\0\1x")}},
         WP_EMALFORMED},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_state *s = world_state(world_dir, "test", "id", 0);
        struct built b = {.f = {.dir = world_dir,
                                .path = wp_state_path(s),
                                .temp = s->temp,
                                .max = 4096,
                                .fd = -1}};
        struct world_seen seen;
        CHECK_AT(rows[i].what, wp_state_file_open(&b.f) == 0);
        for (size_t k = 0; k < COUNT(rows[i].blocks) && rows[i].blocks[k].kind != 0; k++)
            build_block(&b, rows[i].blocks[k].kind, rows[i].blocks[k].payload,
                        rows[i].blocks[k].len);
        CHECK_AT(rows[i].what, wp_state_file_commit(&b.f) == 0);
        CHECK_AT(rows[i].what, world_read(s, &seen) == rows[i].r);
        wp_state_free(s);
        world_empty(world_dir);
    }
}

/* Not set aside where that is no help, never trusted. */
static void test_odd_places(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 4096);
    struct world_seen seen;

    CHECK(mkdir(wp_state_path(s), 0700) == 0);
    CHECK(world_read(s, &seen) == WP_EMALFORMED && !world_has(wp_state_path(s), ""));
    CHECK(symlink("/dev/zero", wp_state_path(s)) == 0);
    CHECK(world_read(s, &seen) == -ELOOP);
    CHECK(unlink(wp_state_path(s)) == 0 && mkfifo(wp_state_path(s), 0600) == 0);
    CHECK(rmdir(world_dir) < 0);
    world_read(s, &seen); /* does not hang; a folder named .bad may be in the way */
    world_empty(world_dir);
    put_file(wp_state_path(s), (const uint8_t *)"x", 1);
    CHECK(truncate(wp_state_path(s), 4097) == 0);
    CHECK(world_read(s, &seen) == WP_EMALFORMED && world_has(wp_state_path(s), ".bad"));
    wp_state_free(s);
    world_empty(world_dir);
}

/* --- when --------------------------------------------------------------------------------------
 */

static uint64_t at_ms(uint64_t n)
{
    return n * 1000000u;
}

static void test_when(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    uint8_t *to = NULL;

    CHECK(!wp_state_is_dirty(s) && wp_state_due(s) == UINT64_MAX);
    wp_state_changed(s, at_ms(100));
    wp_state_changed(s,
                     at_ms(900)); /* the first one counts: a stream of changes puts nothing off */
    CHECK(wp_state_due(s) == at_ms(100 + WP_STATE_DELAY_MS));
    CHECK(wp_state_begin(s, at_ms(2000), "meta", 4) == 0 && !wp_state_is_dirty(s));
    CHECK(wp_state_begin(s, at_ms(2000), "meta", 4) == -EBUSY);
    wp_state_changed(s, at_ms(2001)); /* while it is written */
    CHECK(wp_state_due(s) == UINT64_MAX && wp_state_end(s) == 0);
    world_wait(s);
    CHECK(wp_state_due(s) == at_ms(2000 + WP_STATE_EVERY_MS));
    CHECK(wp_state_begin(s, at_ms(40000), "meta", 4) == 0 && wp_state_end(s) == 0);
    world_wait(s);
    CHECK(wp_state_due(s) == UINT64_MAX);
    wp_state_aged(s, at_ms(40001));
    CHECK(wp_state_is_dirty(s) && wp_state_due(s) == at_ms(40000 + WP_STATE_AGED_MS));
    wp_state_changed(s, at_ms(200000)); /* more urgent */
    CHECK(wp_state_due(s) == at_ms(200000 + WP_STATE_DELAY_MS));
    CHECK(wp_state_begin(s, at_ms(202000), "meta", 4) == 0);
    CHECK(wp_state_room(s, 4 << 20, &to) == 0 && wp_state_room(s, 4 << 20, &to) == 0);
    memset(to, 0, 4 << 20);
    wp_state_cancel(s); /* given up is not saved */
    world_wait(s);
    CHECK(wp_state_due(s) == at_ms(202000 + WP_STATE_EVERY_MS));
    wp_state_free(s);
    world_empty(world_dir);
}

/* Times alone wear out no disk: a large file waits longer. */
static void test_large_files_age_slowly(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    uint64_t size = 100 << 20;

    CHECK(world_save(s, 1, 10, 1) == 0);
    atomic_store(&s->last_size, size);
    wp_state_aged(s, 5);
    CHECK(wp_state_due(s) == 1 + at_ms(size / WP_STATE_AGED_RATE));
    wp_state_changed(s, 5);
    CHECK(wp_state_due(s) == 1 + at_ms(WP_STATE_EVERY_MS));
    wp_state_free(s);
    world_empty(world_dir);
}

static void test_confirm_moves_the_time(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct timespec future[2] = {{.tv_sec = 1L << 33}, {.tv_sec = 1L << 33}};
    struct wp_state_reader *r = NULL;
    struct wp_state_info info;
    struct stat st;

    wp_state_confirm(s); /* nothing is there: nothing comes */
    CHECK(world_save(s, 1, 10, 1) == 0);
    CHECK(utimensat(AT_FDCWD, wp_state_path(s), old, 0) == 0);
    CHECK(wp_state_open(s, &info, &r) == 0 && info.known_ms == info.saved_ms);
    wp_state_close(r);
    CHECK(utimensat(AT_FDCWD, wp_state_path(s), future, 0) == 0);
    CHECK(wp_state_open(s, &info, &r) == 0 && info.known_ms <= wp_state_clock_ms());
    wp_state_close(r);
    CHECK(utimensat(AT_FDCWD, wp_state_path(s), old, 0) == 0);
    wp_state_confirm(s);
    do {
        world_pause();
        CHECK(stat(wp_state_path(s), &st) == 0);
    } while (st.st_mtim.tv_sec == 1000);
    CHECK(st.st_mtim.tv_sec * 1000 >= info.saved_ms - 2000);
    wp_state_free(s);
    world_empty(world_dir);
}

/* --- disks -------------------------------------------------------------------------------------
 */

enum fault { TOO_LARGE, NO_SPACE, NO_FOLDER, BUSY };

static void test_failures_leave_the_old_file(void)
{
    static const struct {
        const char *what;
        enum fault fault;
        bool has_old;
    } rows[] = {
        {"larger than may be", TOO_LARGE, true},
        {"the disk is full", NO_SPACE, true},
        {"the folder's place is taken", NO_FOLDER, false},
        {"somebody else is writing", BUSY, true},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_state *s = world_state(world_dir, "test", "id", 8 << 20);
        struct rlimit was, less = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
        struct world_seen seen;
        uint32_t n = rows[i].fault == TOO_LARGE ? 90000 : 20000;
        int fd = -1, r;
        if (rows[i].has_old)
            CHECK_AT(rows[i].what, world_save(s, SMALL, 10, 1) == 0);
        if (rows[i].fault == NO_FOLDER) {
            CHECK(rmdir(world_dir) == 0);
            put_file(world_dir, (const uint8_t *)"", 0);
        }
        CHECK(getrlimit(RLIMIT_FSIZE, &was) == 0);
        less.rlim_max = was.rlim_max;
        if (rows[i].fault == NO_SPACE)
            CHECK(setrlimit(RLIMIT_FSIZE, &less) == 0);
        if (rows[i].fault == BUSY) {
            fd = open(s->temp, O_CREAT | O_RDWR, 0600);
            CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
        }
        r = world_save(s, n, 100, 2);
        CHECK_AT(rows[i].what, r == WP_ECANCELLED || r == 0); /* 0: the thread met it at the end */
        CHECK_AT(rows[i].what, wp_state_is_dirty(s));
        CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
        if (rows[i].fault == NO_FOLDER)
            CHECK(unlink(world_dir) == 0 && mkdir(world_dir, 0700) == 0);
        CHECK_AT(rows[i].what, world_has(s->temp, "") == (fd >= 0));
        if (fd >= 0)
            close(fd);
        r = world_read(s, &seen);
        CHECK_AT(rows[i].what, rows[i].has_old ? r == 0 && seen.n == SMALL : r == WP_ENOTFOUND);
        CHECK_AT(rows[i].what, world_save(s, 9, 10, 3) == 0 && world_read(s, &seen) == 0);
        CHECK_AT(rows[i].what, seen.n == 9);
        wp_state_free(s);
        world_empty(world_dir);
    }
}

static void test_large_records_are_left_out(void)
{
    struct wp_state *s = world_state(world_dir, "test", "id", 0);
    struct world_seen seen;
    uint8_t *to = NULL;

    CHECK(wp_state_begin(s, 1, "meta", 4) == 0);
    CHECK(wp_state_room(s, WP_STATE_RECORD_MAX + 1, &to) == WP_ELIMIT);
    CHECK(wp_state_room(s, 5, &to) == 0);
    memset(to, 0, 5);
    CHECK(wp_state_end(s) == 0);
    world_wait(s);
    CHECK(world_read(s, &seen) == 0 && seen.n == 1);
    wp_state_free(s);
    world_empty(world_dir);
}

RUN_TESTS_WITH(world_setup, world_teardown, TEST(test_round_trip), TEST(test_free_finishes),
               TEST(test_directory_is_made), TEST(test_sources_do_not_mix),
               TEST(test_every_octet_counts), TEST(test_wrong_contents), TEST(test_odd_places),
               TEST(test_when), TEST(test_large_files_age_slowly),
               TEST(test_confirm_moves_the_time), TEST(test_failures_leave_the_old_file),
               TEST(test_large_records_are_left_out))
