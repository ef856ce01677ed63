#include "check.h"
#include "server/log/log_priv.h"
#include "waypost/plugin/metric.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Lines go into a temporary file and are read back. */
static int out_fd = -1;
static char got[1 << 20];

static void open_out(void)
{
    char path[] = "/tmp/waypost-log-XXXXXX";

    out_fd = mkstemp(path);
    CHECK(out_fd >= 0);
    unlink(path);
    wp_log_set_fd(out_fd);
}

static const char *read_out(void)
{
    ssize_t n = pread(out_fd, got, sizeof(got) - 1, 0);

    CHECK(n >= 0);
    got[n] = '\0';
    CHECK(ftruncate(out_fd, 0) == 0 && lseek(out_fd, 0, SEEK_SET) == 0);
    return got;
}

static const struct {
    enum wp_level level;
    const char *plugin, *text, *line;
} lines[] = {
    {WP_INFO, NULL, "Reloading", "[INFO] Reloading\n"},
    {WP_WARNING, "forward", "no reply", "[WARNING] plugin/forward: no reply\n"},
    {WP_ERROR, "errors", "2 example.org. A: x", "[ERROR] plugin/errors: 2 example.org. A: x\n"},
    {WP_FATAL, "loop", "Loop", "[FATAL] plugin/loop: Loop\n"},
    {WP_DEBUG, "acl", "hidden", ""},
    {WP_INFO, "etcd", "a\nb\r\x1b[31m\tc\x7f", "[INFO] plugin/etcd: a b  [31m\tc \n"},
};

static void test_text_lines(void)
{
    for (int threaded = 0; threaded < 2; threaded++) {
        if (threaded)
            CHECK(wp_log_start(1) == 0);
        for (size_t i = 0; i < COUNT(lines); i++) {
            wp_log(lines[i].level, lines[i].plugin, "%s", lines[i].text);
            wp_log_flush();
            CHECK_AT(lines[i].text, strcmp(read_out(), lines[i].line) == 0);
        }
        wp_log_stop();
    }
}

static void test_debug_lines(void)
{
    CHECK(!wp_log_is_debug());
    wp_log_debug_add(1);
    wp_log_debug_add(1);
    wp_log_debug_add(-1);
    CHECK(wp_log_is_debug());
    wp_log(WP_DEBUG, "acl", "shown");
    wp_log_debug_add(-1);
    CHECK(!wp_log_is_debug());
    CHECK(strcmp(read_out(), "[DEBUG] plugin/acl: shown\n") == 0);
}

static void test_hexdump(void)
{
    wp_log_hexdump("forward", "x", 1, "not shown");
    wp_log_debug_add(1);
    wp_log_hexdump("forward",
                   WIRE("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\xff"),
                   "odd\nreply");
    wp_log_debug_add(-1);
    CHECK(strcmp(read_out(), "[DEBUG] plugin/forward: odd reply\n"
                             "debug: 000000 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n"
                             "debug: 000010 ff\n") == 0);
}

static void test_print_keeps_lines(void)
{
    wp_log_print("%s", ".:53\nexample.org.:53");
    CHECK(strcmp(read_out(), ".:53\nexample.org.:53\n") == 0);
}

static void test_long_line_is_cut(void)
{
    char text[WP_LOG_LINE_MAX + 100];
    const char *line;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    wp_log(WP_INFO, NULL, "%s", text);
    line = read_out();
    CHECK(strlen(line) == 7 + WP_LOG_LINE_MAX + 1);
    CHECK(strcmp(line + 7 + WP_LOG_LINE_MAX - 3, "...\n") == 0);
    text[WP_LOG_LINE_MAX] = '\0'; /* exactly at the limit: whole */
    wp_log(WP_INFO, NULL, "%s", text);
    CHECK(strcmp(read_out() + 7 + WP_LOG_LINE_MAX - 1, "x\n") == 0);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void check_json(const char *line, const char *level, const char *msg, const char *plugin)
{
    static const char *const order[] = {"time", "level", "msg", "plugin"};
    json_error_t err;
    json_t *o = json_loads(line, 0, &err);
    const char *text, *time, *at = line;
    size_t n = plugin != NULL ? 4 : 3;

    CHECK_AT(line, o != NULL && json_object_size(o) == n);
    for (size_t i = 0; i < n; i++) { /* keys in this order */
        char key[16];
        snprintf(key, sizeof(key), "\"%s\":", order[i]);
        at = strstr(at, key);
        CHECK_AT(line, at != NULL);
    }
    text = json_string_value(json_object_get(o, "msg"));
    CHECK_AT(line, strcmp(text, msg) == 0);
    CHECK_AT(line, strcmp(json_string_value(json_object_get(o, "level")), level) == 0);
    if (plugin != NULL)
        CHECK_AT(line, strcmp(json_string_value(json_object_get(o, "plugin")), plugin) == 0);
    time = json_string_value(json_object_get(o, "time"));
    CHECK_AT(time, strlen(time) >= 27 && time[10] == 'T' && time[19] == '.');
    CHECK_AT(time, time[26] == 'Z' || (strlen(time) == 32 && time[29] == ':'));
    CHECK(line[strlen(line) - 1] == '\n' && strchr(line, '\n') == line + strlen(line) - 1);
    json_decref(o);
}

static void test_json_lines(void)
{
    wp_log_set_json(true);
    wp_log(WP_WARNING, "forward", "%s", "a \"b\"\nc\\");
    check_json(read_out(), "WARN", "a \"b\"\nc\\", "forward");
    wp_log(WP_FATAL, NULL, "x");
    check_json(read_out(), "FATAL", "x", NULL);
    wp_log_print("%s", "[INFO] SIGTERM: Shutting down\nsecond");
    check_json(read_out(), "INFO", "[INFO] SIGTERM: Shutting down\nsecond", NULL);
    wp_log_set_json(false);
}

static size_t format_end(const void *rec, size_t len, bool json, char *out, size_t cap)
{
    (void)rec;
    (void)len;
    CHECK(json && cap > 1);
    out[0] = '}';
    return 1;
}

static const struct {
    const char *tz;
    uint64_t unix_ns;
    const char *line;
} times[] = {
    {"UTC", 1700000000123456789, "{\"time\":\"2023-11-14T22:13:20.123456Z\",}\n"},
    {"IST-5:30", 1700000001000000000, "{\"time\":\"2023-11-15T03:43:21.000000+05:30\",}\n"},
    {"NST3:30", 1700000002999999999, "{\"time\":\"2023-11-14T18:43:22.999999-03:30\",}\n"},
};

static void test_json_time(void)
{
    for (size_t i = 0; i < COUNT(times); i++) {
        char line[256];
        size_t len;
        setenv("TZ", times[i].tz, 1);
        tzset();
        len = wp_log_line_rec(line, sizeof(line), true, times[i].unix_ns, format_end, NULL, 0);
        CHECK_AT(times[i].tz,
                 len == strlen(times[i].line) && memcmp(line, times[i].line, len) == 0);
    }
    unsetenv("TZ");
    tzset();
}

static void test_json_cut_is_valid(void)
{
    char text[WP_LOG_LINE_MAX + 1];
    json_error_t err;
    json_t *o;

    memset(text, 1, WP_LOG_LINE_MAX); /* six octets each when escaped */
    text[WP_LOG_LINE_MAX] = '\0';
    wp_log_set_json(true);
    wp_log(WP_INFO, "x", "%s", text);
    wp_log_set_json(false);
    o = json_loads(read_out(), 0, &err);
    CHECK(o != NULL);
    json_decref(o);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_limit(void)
{
    struct wp_log_limit l = {0};
    int allowed = 0;

    for (int i = 0; i < 10; i++)
        allowed += wp_log_allow(&l, 3, 3600);
    CHECK(allowed == 3);
    /* The window ends: the next line tells of the seven. */
    atomic_store(&l.state, atomic_load(&l.state) & 0xffffffff);
    atomic_fetch_or(&l.state, UINT64_C(1) << 32);
    CHECK(wp_log_allow(&l, 3, 0));
    wp_log(WP_INFO, NULL, "again");
    wp_log(WP_INFO, NULL, "and again");
    CHECK(strcmp(read_out(), "[INFO] again (7 more not shown)\n[INFO] and again\n") == 0);
}

/* --- records ---------------------------------------------------------------------------------- */

static size_t format_number(const void *rec, size_t len, bool json, char *out, size_t cap)
{
    int n;

    CHECK(len >= sizeof(n) && cap >= WP_LOG_FORMAT_MAX - 1);
    memcpy(&n, rec, sizeof(n));
    return n < 0
               ? 0
               : (size_t)snprintf(out, cap, json ? "\"level\":\"INFO\",\"msg\":\"%d\"}" : "%d", n);
}

static void test_records(void)
{
    int numbers[] = {1, -1, 2};

    for (int threaded = 0; threaded < 2; threaded++) {
        if (threaded)
            CHECK(wp_log_start(2) == 0);
        for (size_t i = 0; i < COUNT(numbers); i++)
            wp_log_record(1, 5, format_number, &numbers[i], sizeof(int));
        wp_log_flush();
        CHECK(strcmp(read_out(), "1\n2\n") == 0);
        wp_log_record(7, 5, format_number, &numbers[0], sizeof(int)); /* has no ring */
        wp_log_flush();
        CHECK(strcmp(read_out(), "1\n") == 0);
        wp_log_set_json(true);
        wp_log_record(0, wp_log_mono_ns(), format_number, &numbers[0], sizeof(int));
        wp_log_flush();
        check_json(read_out(), "INFO", "1", NULL);
        wp_log_set_json(false);
        wp_log_stop();
    }
}

/* Lines of several loops come in the order in which things happened; life-cycle lines after the
 * records that were made before them. */
static void test_order(void)
{
    for (int round = 0; round < 50; round++) {
        const char *text;
        CHECK(wp_log_start(3) == 0);
        for (int i = 0; i < 9; i++)
            wp_log_record(i * 7 % 3, (uint64_t)i, format_number, &i, sizeof(i));
        wp_log_print("end");
        wp_log_stop();
        text = read_out();
        CHECK_AT(text, strstr(text, "8\nend\n") != NULL);
    }
}

enum { LOOPS = 2, RECORDS = 50000 };

static void *make_records(void *arg)
{
    int loop = (int)(intptr_t)arg;
    char rec[200] = {0};

    for (int i = 0; i < RECORDS; i++) {
        memcpy(rec, &i, sizeof(i));
        wp_log_record(loop, (uint64_t)i, format_number, rec, sizeof(i) + (size_t)(i % 190));
        if (i % 5000 == 0)
            wp_log_flush(); /* keeps within the ring: none may be dropped here */
    }
    return NULL;
}

static uint64_t dropped_lines(void)
{
    size_t len;
    char *text = wp_metric_text(&len);
    const char *at = strstr(text, "\nwaypost_log_dropped_total ");
    uint64_t n;

    CHECK(at != NULL);
    n = (uint64_t)atof(strchr(at, ' ') + 1);
    free(text);
    return n;
}

static void test_records_from_threads(void)
{
    pthread_t threads[LOOPS];
    long n = 0;
    FILE *in;
    char line[64];

    CHECK(wp_log_start(LOOPS) == 0);
    for (intptr_t i = 0; i < LOOPS; i++)
        CHECK(pthread_create(&threads[i], NULL, make_records, (void *)i) == 0);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    wp_log_stop(); /* writes what is left */
    in = fdopen(dup(out_fd), "r");
    rewind(in);
    while (fgets(line, sizeof(line), in) != NULL) {
        char *end;
        long v = strtol(line, &end, 10);
        CHECK(*end == '\n' && v >= 0 && v < RECORDS);
        n++;
    }
    fclose(in);
    read_out();
    CHECK(n == (long)LOOPS * RECORDS);
    CHECK(dropped_lines() == 0);
}

static void test_ring_wraps_and_fills(void)
{
    struct wp_log_ring *ring;
    uint8_t data[256];
    unsigned pushed = 0, popped = 0, full = 0;
    unsigned seed = 1;

    CHECK(wp_log_ring_new(4096, &ring) == 0);
    while (pushed < 20000) {
        size_t len = (unsigned)rand_r(&seed) % sizeof(data);
        enum wp_log_pushed r;
        memset(data, (int)pushed, len);
        r = wp_log_ring_push(ring, format_number, data, len, pushed);
        if (r != LOG_DROPPED)
            pushed++;
        else
            full++;
        if (r != LOG_DROPPED && rand_r(&seed) % 3 != 0)
            continue;
        for (unsigned n = (unsigned)rand_r(&seed) % 30; n > 0; n--) {
            const struct wp_log_rec *rec = wp_log_ring_peek(ring);
            if (rec == NULL)
                break;
            CHECK(rec->at_ns == popped && rec->len < sizeof(data));
            for (uint32_t i = 0; i < rec->len; i++)
                CHECK(rec->data[i] == (uint8_t)popped);
            wp_log_ring_pop(ring, rec);
            popped++;
        }
    }
    CHECK(full > 0 && wp_log_ring_dropped(ring) == full);
    while (wp_log_ring_peek(ring) != NULL) {
        wp_log_ring_pop(ring, wp_log_ring_peek(ring));
        popped++;
    }
    CHECK(popped == pushed);
    wp_log_ring_free(ring);
    wp_log_ring_free(NULL);
}

/* A reader that does not read: callers go on, lines are counted as dropped, stop ends. */
static void test_stuck_reader(void)
{
    uint64_t before;
    char rec[900] = {0};
    int fd[2], n = 5;

    memcpy(rec, &n, sizeof(n));
    CHECK(pipe(fd) == 0);
    wp_log_set_fd(fd[1]);
    CHECK(wp_log_start(1) == 0);
    before = dropped_lines();
    for (int i = 0; i < 300; i++)
        wp_log(WP_INFO, "x", "%03500d", i);
    for (int i = 0; i < 3000000; i++) {
        wp_log_record(0, wp_log_mono_ns(), format_number, rec, sizeof(rec));
        if (i > LOG_RING_SIZE / 900 && dropped_lines() > before + 1000)
            break;
    }
    CHECK(dropped_lines() > before + 1000);
    wp_log_stop();
    close(fd[0]);
    close(fd[1]);
    wp_log_set_fd(out_fd);
}

RUN_TESTS(TEST(open_out), TEST(test_text_lines), TEST(test_debug_lines), TEST(test_hexdump),
          TEST(test_print_keeps_lines), TEST(test_long_line_is_cut), TEST(test_json_lines),
          TEST(test_json_time), TEST(test_json_cut_is_valid), TEST(test_limit), TEST(test_records),
          TEST(test_order), TEST(test_records_from_threads), TEST(test_ring_wraps_and_fills),
          TEST(test_stuck_reader))
