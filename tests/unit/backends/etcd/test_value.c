#include "check.h"

#include <stdlib.h>

#include "backends/etcd/record.h"

#define KEY "/test/way/x"

/* Section 4: one value, what becomes of it. `want` is a summary, NULL: malformed with `flaw` in
 * the message at octet `at`. */
static const struct {
    const char *id, *json, *want, *flaw;
    size_t at;
} rows[] = {
    {"seed", "{\"host\":\"10.0.1.100\", \"port\":8080}", "A 10.0.1.100 port=8080", NULL, 0},
    {"000-4", "{\"port\":8080 , \"zz\":[1,{}], \"host\":\"10.0.1.100\"}", "A 10.0.1.100 port=8080",
     NULL, 0},
    {"all fields",
     "{\"host\":\"h.x\",\"port\":1,\"priority\":2,\"weight\":3,\"text\":\"t\",\"mail\":true,"
     "\"ttl\":4,"
     "\"targetstrip\":5,\"group\":\"g\"}",
     "TEXT h.x. 't' port=1 prio=2 weight=3 ttl=4 strip=5 group=g mail", NULL, 0},
    {"v6", "{\"host\":\"2001:db8::1\"}", "AAAA 20010db8000000000000000000000001 port=0", NULL, 0},
    {"v6 spelled otherwise", "{\"host\":\"2001:DB8::1\"}",
     "AAAA 20010db8000000000000000000000001 (2001:DB8::1) port=0", NULL, 0},
    {"E061", "{\"host\":\"::ffff:192.0.2.31\"}", "A 192.0.2.31 (::ffff:192.0.2.31) port=0", NULL,
     0},
    {"E063", "{\"host\":\"192.0.2.257\"}", "ALIAS 192.0.2.257. port=0", NULL, 0},
    {"E064", "{\"host\":\"192.0.2.010\"}", "ALIAS 192.0.2.010. port=0", NULL, 0},
    {"zone of an address", "{\"host\":\"fe80::1%eth0\"}", "ALIAS fe80::1%eth0. port=0", NULL, 0},
    {"text beside an address goes", "{\"host\":\"192.0.2.1\",\"text\":\"x\"}", "A 192.0.2.1 port=0",
     NULL, 0},
    {"text", "{\"text\":\"alpha\"}", "TEXT - 'alpha' port=0", NULL, 0},
    {"text with a note", "{\"text\":\"a\",\"host\":\"no..name\"}", "TEXT - 'a' port=0", NULL, 0},
    {"empty object", "{}", "BARE port=0", NULL, 0},
    {"E155", "null", "BARE port=0", NULL, 0},
    {"E160", "{\"host\":null,\"ttl\":5}", "BARE port=0 ttl=5", NULL, 0},
    {"E158", "{\"HOST\":\"192.0.2.96\",\"Ttl\":77}", "A 192.0.2.96 port=0 ttl=77", NULL, 0},
    {"E159", "{\"host\":\"192.0.2.96\",\"zzz\":[1,2]}", "A 192.0.2.96 port=0", NULL, 0},
    {"E161", "  {\"host\":\"192.0.2.96\"}\n", "A 192.0.2.96 port=0", NULL, 0},
    {"last spelling wins", "{\"host\":\"a.b\",\"HOST\":\"c.d\"}", "ALIAS c.d. port=0", NULL, 0},
    {"last duplicate wins", "{\"port\":1,\"port\":2}", "BARE port=2", NULL, 0},
    {"null does not undo a duplicate", "{\"host\":\"192.0.2.1\" , \"host\" : null , \"port\":2}",
     "A 192.0.2.1 port=2", NULL, 0},
    {"a duplicate in a field nobody wants",
     "{\"x\":{\"y\":\"}\",\"y\":[\"\\\"\",2]},\"port\":1,\"p\\u006frt\":2}", "BARE port=2", NULL,
     0},
    {"duplicates around others", "{\"ttl\":1,\"group\":\"g\",\"ttl\":2,\"mail\":true,\"ttl\":3}",
     "BARE port=0 ttl=3 group=g mail", NULL, 0},
    {"octet 0 of a host", "{\"host\":\"a\\u0000b.c\"}", "ALIAS a\\000b.c. port=0", NULL, 0},
    {"null does not undo", "{\"port\":1,\"PORT\":null}", "BARE port=1", NULL, 0},
    {"port -1", "{\"host\":\"192.0.2.1\",\"port\":-1}", "A 192.0.2.1 port=-1", NULL, 0},
    {"E073", "{\"host\":\"192.0.2.1\",\"port\":65537}", "A 192.0.2.1 port=65537", NULL, 0},
    {"priority 0 is unset", "{\"priority\":0}", "BARE port=0", NULL, 0},
    {"E207", "{\"targetstrip\":9223372036854775807}", "BARE port=0 strip=9223372036854775807", NULL,
     0},
    {"Unicode's other s", "{\"ho\\u017ft\":\"192.0.2.1\",\"target\xc5\xbf\xc5\xbftrip\":1}",
     "A 192.0.2.1 port=0", NULL, 0},
    {"long s in the middle", "{\"target\xc5\xbftrip\":3}", "BARE port=0 strip=3", NULL, 0},
    {"the last of three, two spelled alike", "{\"port\":1,\"PORT\":2,\"port\":3}", "BARE port=3",
     NULL, 0},
    {"null behind a duplicate", "{\"port\":1,\"port\":null}", "BARE port=1", NULL, 0},
    {"least integer", "{\"weight\":-9223372036854775808}",
     "BARE port=0 weight=-9223372036854775808", NULL, 0},
    {"ttl max", "{\"ttl\":4294967295}", "BARE port=0 ttl=4294967295", NULL, 0},
    {"bad octets in a string", "{\"text\":\"a\xff\xc0\x80z\"}",
     "TEXT - 'a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz' port=0", NULL, 0},
    {"lone surrogates", "{\"text\":\"\\ud800x\\udc00\\ud83d\\ude00\"}",
     "TEXT - '\xef\xbf\xbdx\xef\xbf\xbd\xf0\x9f\x98\x80' port=0", NULL, 0},
    {"huge number nobody wants", "{\"n\":123456789012345678901234567890,\"m\":1e999,\"port\":3}",
     "BARE port=3", NULL, 0},
    {"huge number in a list", "{\"n\":[-1e-999,1e999],\"port\":3}", "BARE port=3", NULL, 0},

    {"a duplicate of another type", "{\"host\":1,\"host\":\"192.0.2.1\"}", NULL,
     "host must be a string", 1},
    {"the second is of another type", "{\"port\":1, \"port\":\"2\"}", NULL,
     "port must be an integer", 11},
    {"E151", "{\"host\":", NULL, "", 8},
    {"E152", "{\"host\":\"192.0.2.96\",\"port\":\"80\"}", NULL, "port must be an integer", 21},
    {"E153", "{\"host\":\"192.0.2.96\",\"weight\":1.5}", NULL, "weight must be an integer", 21},
    {"exponent", "{\"port\":1e2}", NULL, "port must be an integer", 1},
    {"E154", "{\"host\":\"192.0.2.96\",\"ttl\":-1}", NULL, "ttl must be within", 21},
    {"ttl above", "{\"ttl\":4294967296}", NULL, "ttl must be within", 1},
    {"ttl -0", "{\"ttl\":-0}", NULL, "ttl must be within", 1},
    {"wrong type before a right one", "{\"port\":\"1\",\"port\":1}", NULL, "port must be", 1},
    {"integer too large", "{\"port\":9223372036854775808}", NULL, "port must be an integer", 1},
    {"E156", "[\"192.0.2.96\"]", NULL, "object", 0},
    {"a string", "\"x\"", NULL, "object", 0},
    {"a number", "7", NULL, "object", 0},
    {"E157", "", NULL, "", 0},
    {"white space only", "  ", NULL, "", 2},
    {"E162", "{\"host\":\"192.0.2.96\"}x", NULL, "more than one value", 21},
    {"host a number", "{\"host\":1}", NULL, "host must be a string", 1},
    {"mail a number", "{\"MAIL\":1}", NULL, "mail must be true or false", 1},
    {"host no name", "{\"ttl\":1,\"host\":\"a..b\"}", NULL, "neither an address nor a domain name",
     16},
    {"trailing comma", "{\"port\":1,}", NULL, "", 10},
    {"control octet in a string", "{\"text\":\"a\nb\"}", NULL, "", 10},
    {"bad octet before the place", "{\"text\":\"\xff\xff\",\"port\":}", NULL, "", 20},
    {"leading zero", "{\"port\":08080}", NULL, "", 9},
};

static void summary(const struct wp_etcd_rec *r, char *out, size_t cap)
{
    static const char *const kinds[] = {"BAD", "BARE", "A", "AAAA", "ALIAS", "TEXT"};
    struct wp_etcd_wide w = wp_etcd_rec_wide(r);
    const uint8_t *a = wp_etcd_rec_addr(r);
    char text[WP_NAME_TEXT_MAX];
    size_t n = (size_t)snprintf(out, cap, "%s", kinds[r->kind]);

    if (r->kind == WP_ETCD_A)
        n += (size_t)snprintf(out + n, cap - n, " %d.%d.%d.%d", a[0], a[1], a[2], a[3]);
    if (r->kind == WP_ETCD_AAAA)
        n += (size_t)snprintf(out + n, cap - n, " ");
    for (size_t i = 0; r->kind == WP_ETCD_AAAA && i < 16; i++)
        n += (size_t)snprintf(out + n, cap - n, "%02x", a[i]);
    if (r->flags & WP_ETCD_REC_ODD)
        n += (size_t)snprintf(out + n, cap - n, " (%.*s)", r->host_len,
                              (const char *)wp_etcd_rec_host(r));
    if (r->flags & WP_ETCD_REC_HOST)
        n += (size_t)snprintf(out + n, cap - n, " %s", wp_name_text(wp_etcd_rec_host(r), text));
    else if (r->kind == WP_ETCD_TEXT)
        n += (size_t)snprintf(out + n, cap - n, " -");
    if (r->text_len > 0)
        n += (size_t)snprintf(out + n, cap - n, " '%.*s'", (int)r->text_len, wp_etcd_rec_text(r));
    n += (size_t)snprintf(out + n, cap - n, " port=%lld", (long long)w.port);
    if (w.priority != 0)
        n += (size_t)snprintf(out + n, cap - n, " prio=%lld", (long long)w.priority);
    if (w.weight != 0)
        n += (size_t)snprintf(out + n, cap - n, " weight=%lld", (long long)w.weight);
    if (r->ttl != 0)
        n += (size_t)snprintf(out + n, cap - n, " ttl=%u", r->ttl);
    if (w.targetstrip != 0)
        n += (size_t)snprintf(out + n, cap - n, " strip=%lld", (long long)w.targetstrip);
    if (r->group_len > 0)
        n += (size_t)snprintf(out + n, cap - n, " group=%.*s", r->group_len, wp_etcd_rec_group(r));
    if (r->flags & WP_ETCD_REC_MAIL)
        n += (size_t)snprintf(out + n, cap - n, " mail");
    CHECK(r->key_len == strlen(KEY) && memcmp(wp_etcd_rec_key(r), KEY, r->key_len) == 0);
}

static void test_read(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct wp_etcd_scratch scratch;
        struct wp_etcd_value v;
        struct wp_etcd_flaw flaw = {0};
        int r = wp_etcd_value_read(rows[i].json, strlen(rows[i].json), &scratch, &v, &flaw);

        if (rows[i].want == NULL) {
            CHECK_AT(rows[i].id, r == WP_EMALFORMED);
            CHECK_AT(rows[i].id, v.kind == WP_ETCD_BAD);
            CHECK_AT(rows[i].id, strstr(flaw.text, rows[i].flaw) != NULL && flaw.text[0] != '\0');
            if (flaw.offset != rows[i].at)
                print_error("[%s] at %zu: %s\n", rows[i].id, flaw.offset, flaw.text);
            CHECK_AT(rows[i].id, flaw.offset == rows[i].at);
        } else {
            char text[2048];
            struct wp_etcd_rec *rec;
            CHECK_AT(rows[i].id, r == 0);
            rec = wp_etcd_rec_new(KEY, strlen(KEY), &v, NULL, 1, 1 + i % 3);
            CHECK_AT(rows[i].id, rec != NULL);
            summary(rec, text, sizeof(text));
            if (strcmp(text, rows[i].want) != 0)
                print_error("[%s] %s\n", rows[i].id, text);
            CHECK_AT(rows[i].id, strcmp(text, rows[i].want) == 0);
            CHECK_AT(rows[i].id, wp_etcd_rec_equal(rec, rec) && wp_etcd_rec_same_host(rec, rec));
            wp_etcd_rec_free(rec);
        }
        wp_etcd_scratch_done(&scratch);
    }
}

/* Cut at every octet a value is malformed, never something else, and nothing is read behind it. */
static void test_cut(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t len = strlen(rows[i].json);
        if (rows[i].want == NULL || rows[i].json[0] != '{')
            continue;
        for (size_t n = 0; n < len; n++) {
            char *exact = malloc(n + (n == 0));
            struct wp_etcd_scratch scratch;
            struct wp_etcd_value v;
            struct wp_etcd_flaw flaw;
            memcpy(exact, rows[i].json, n);
            CHECK_AT(rows[i].id,
                     wp_etcd_value_read(exact, n, &scratch, &v, &flaw) == WP_EMALFORMED);
            CHECK_AT(rows[i].id, flaw.offset <= n);
            wp_etcd_scratch_done(&scratch);
            free(exact);
        }
    }
}

/* As deep as Go goes, and no deeper. */
static void test_depth(void)
{
    static const struct {
        size_t depth;
        int ret;
    } cases[] = {{2000, 0}, {9999, 0}, {10000, WP_EMALFORMED}, {1000000, WP_EMALFORMED}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = cases[i].depth, len = 0;
        char *text = malloc(2 * n + 32);
        struct wp_etcd_scratch scratch;
        struct wp_etcd_value v;
        struct wp_etcd_flaw flaw;
        len += (size_t)sprintf(text, "{\"x\":");
        memset(text + len, '[', n);
        memset(text + len + n, ']', n);
        len += 2 * n;
        text[len++] = '}';
        CHECK(wp_etcd_value_read(text, len, &scratch, &v, &flaw) == cases[i].ret);
        wp_etcd_scratch_done(&scratch);
        free(text);
    }
}

RUN_TESTS(TEST(test_read), TEST(test_cut), TEST(test_depth))
