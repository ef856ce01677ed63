/* The field `health` of a value: what is probed, and what is refused. */
#include "check.h"

#include "backends/etcd/check.h"

#define A "{\"host\":\"192.0.2.1\",\"port\":80,\"health\":"

static const struct {
    const char *json, *target; /* target NULL: malformed, "": no check */
    const char *flaw;
    size_t offset;
} rows[] = {
    {"{\"host\":\"192.0.2.1\"}", "", NULL, 0},
    {"null", "", NULL, 0},
    {A "null}", "", NULL, 0},
    {A "{\"tcp\":true}}", "tcp://192.0.2.1:80", NULL, 0},
    {A "{\"tcp\":8080}}", "tcp://192.0.2.1:8080", NULL, 0},
    {A "{\"http\":\"/\"}}", "http://192.0.2.1:80/", NULL, 0},
    {A "{\"HTTP\":\"/healthz?x=1\",\"Port\":81}}", "http://192.0.2.1:81/healthz?x=1", NULL, 0},
    {A "{\"tcp\":1},\"Health\":{\"tcp\":2}}", "tcp://192.0.2.1:2", NULL, 0},
    {"{\"host\":\"2001:db8::1\",\"health\":{\"tcp\":53}}", "tcp://[2001:db8::1]:53", NULL, 0},
    {"{\"host\":\"::ffff:192.0.2.7\",\"health\":{\"tcp\":53}}", "tcp://192.0.2.7:53", NULL, 0},
    {"{\"host\":\"127.0.0.1\",\"health\":{\"tcp\":53}}", "tcp://127.0.0.1:53", NULL, 0},

    {A "true}", NULL, "health must be an object", 30},
    {A "{}}", NULL, "health needs one of tcp and http", 30},
    {A "{\"tcp\":1,\"http\":\"/\"}}", NULL, "health needs one of tcp and http", 30},
    {A "{\"tcp\":1,\"interval\":\"1s\"}}", NULL, "health.interval is none of tcp, http, port", 30},
    {A "{\"tcp\":1,\"port\":1}}", NULL, "health has the port in tcp", 30},
    {A "{\"tcp\":0}}", NULL, "health needs a port within 1..65535", 30},
    {A "{\"tcp\":65536}}", NULL, "health needs a port within 1..65535", 30},
    {A "{\"tcp\":\"80\"}}", NULL, "health must be a port", 30},
    {A "{\"tcp\":false}}", NULL, "health must be a port", 30},
    {A "{\"http\":\"/\",\"port\":1.5}}", NULL, "health must be a port", 30},
    {A "{\"http\":true}}", NULL, "health.http must be a path", 30},
    {A "{\"http\":\"\"}}", NULL, "health.http must be a path that begins with a slash", 30},
    {A "{\"http\":\"http://10.0.0.1/\"}}", NULL, "health.http must be a path that begins with a slash", 30},
    {A "{\"http\":\"/a b\"}}", NULL, "health.http must be a path without blanks and of ASCII", 30},
    {A "{\"http\":\"/a\\r\\nX: y\"}}", NULL, "health.http must be a path without blanks and of ASCII", 30},
    {A "{\"http\":\"/a\\u0000\"}}", NULL, "health.http must be a path without blanks and of ASCII", 30},
    {A "{\"http\":\"/\xc3\xa4\"}}", NULL, "health.http must be a path without blanks and of ASCII", 30},
    {"{\"host\":\"192.0.2.1\",\"health\":{\"tcp\":true}}", NULL, "health needs a port within 1..65535", 20},
    {"{\"host\":\"a.b\",\"port\":1,\"health\":{\"tcp\":true}}", NULL, "health needs a host that is an address", 23},
    {"{\"text\":\"x\",\"port\":1,\"health\":{\"tcp\":true}}", NULL, "health needs a host that is an address", 21},
    {"{\"host\":\"169.254.169.254\",\"health\":{\"tcp\":80}}", NULL, "health is not for an address like this host", 26},
    {"{\"host\":\"0.0.0.0\",\"health\":{\"tcp\":80}}", NULL, "health is not for an address like this host", 18},
    {"{\"host\":\"::\",\"health\":{\"tcp\":80}}", NULL, "health is not for an address like this host", 13},
    {"{\"host\":\"fe80::1\",\"health\":{\"tcp\":80}}", NULL, "health is not for an address like this host", 18},
    {"{\"host\":\"255.255.255.255\",\"health\":{\"tcp\":80}}", NULL, "health is not for an address like this host", 26},
};

static void test_rows(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *json = rows[i].json;
        struct wp_etcd_scratch scratch = {0};
        struct wp_etcd_flaw flaw = {0};
        struct wp_etcd_value v;
        struct wp_probe_spec s;
        char text[WP_PROBE_TEXT_MAX];
        int r;

        CHECK_AT(json, wp_etcd_value_read(json, strlen(json), &scratch, &v, &flaw) == 0);
        r = wp_etcd_health_read(&scratch, &v, &s, &flaw);
        if (rows[i].target == NULL) {
            CHECK_AT(json, r == WP_EMALFORMED);
            CHECK_AT(flaw.text, strcmp(flaw.text, rows[i].flaw) == 0);
            CHECK_AT(json, flaw.offset == rows[i].offset);
        } else if (*rows[i].target == '\0') {
            CHECK_AT(json, r == 0);
        } else {
            CHECK_AT(json, r == 1 && strcmp(wp_probe_spec_text(&s, text), rows[i].target) == 0);
        }
        wp_etcd_scratch_done(&scratch);
    }
}

static void test_long_path(void)
{
    char json[512];

    for (int n = WP_PROBE_PATH_MAX - 1; n <= WP_PROBE_PATH_MAX; n++) {
        struct wp_etcd_scratch scratch = {0};
        struct wp_etcd_flaw flaw = {0};
        struct wp_etcd_value v;
        struct wp_probe_spec s;
        snprintf(json, sizeof(json), A "{\"http\":\"/%0*d\"}}", n, 1);
        CHECK(wp_etcd_value_read(json, strlen(json), &scratch, &v, &flaw) == 0);
        CHECK(wp_etcd_health_read(&scratch, &v, &s, &flaw) == (n < WP_PROBE_PATH_MAX ? 1 : WP_EMALFORMED));
        wp_etcd_scratch_done(&scratch);
    }
}

RUN_TESTS(TEST(test_rows), TEST(test_long_path))
