/* From a record to its line: every placeholder, odd formats, the JSON record. */
#include "check.h"
#include "server/plugins/log/record.h"
#include <jansson.h>
#include <stdlib.h>

static struct log_record rec;

static void fill(const char *format, const char *client, const char *local, const char *name,
                 size_t name_len)
{
    memset(&rec, 0, sizeof(rec));
    rec.format = wp_log_format_get(format);
    CHECK(rec.format != NULL);
    CHECK(wp_addr_parse(client, 0, &rec.client) == 0 && wp_addr_parse(local, 0, &rec.local) == 0);
    rec.elapsed_ns = 142301;
    rec.size = 31;
    rec.reply_size = 97;
    rec.id = 57022;
    rec.bufsize = 4096;
    rec.qtype = WP_TYPE_A;
    rec.qclass = WP_CLASS_IN;
    rec.rcode = WP_RCODE_NOERROR;
    rec.flags = WP_FLAG_QR | WP_FLAG_AA | WP_FLAG_RD;
    rec.is_udp = true;
    rec.dnssec_ok = true;
    rec.name_len = (uint8_t)name_len;
    rec.len = (uint16_t)name_len;
    memcpy(rec.tail, name, name_len);
}

static const char *line(bool json)
{
    static char out[WP_LOG_FORMAT_MAX + 1];
    size_t n = wp_log_record_line(&rec, wp_log_record_len(&rec), json, out, WP_LOG_FORMAT_MAX);

    CHECK(n < sizeof(out));
    out[n] = '\0';
    return out;
}

#define NAME "\1x\7example\3org\0"
static const struct {
    const char *format, *text;
} formats[] = {
    {LOG_COMMON,
     "192.0.2.7:49697 - 57022 \"A IN x.example.org. udp 31 true 4096\" NOERROR qr,aa,rd 97 "
     "0.000142301s"},
    {LOG_COMBINED,
     "192.0.2.7:49697 - 57022 \"A IN x.example.org. udp 31 true 4096\" NOERROR qr,aa,rd 97 "
     "0.000142301s \"0\""},
    {"{local} {>opcode}", "[2001:db8::1] 0"},
    {"no placeholder", "no placeholder"},
    {"", ""},
    {"{ {name} } x}y {nope} {/}", "{ x.example.org. } x}y {nope} {/}"},
    {"{{name}", "{x.example.org."},
    {"{name", "{name"},
    {"}{", "}{"},
    {"{/a} {//} {a/b}", "{/a} {//} {a/b}"},
    {"{/log/type}", "-"},
};

static void test_formats(void)
{
    for (size_t i = 0; i < COUNT(formats); i++) {
        fill(formats[i].format, "192.0.2.7:49697", "[2001:db8::1]:53", WIRE(NAME));
        CHECK_AT(formats[i].format, strncmp(line(false), "[INFO] ", 7) == 0);
        CHECK_AT(formats[i].format, strcmp(line(false) + 7, formats[i].text) == 0);
        CHECK(wp_log_format_get(formats[i].format) == rec.format); /* each text once */
    }
}

static const struct {
    uint16_t flags;
    const char *text;
} flags[] = {{0xffff, "qr,aa,tc,rd,ra,z,ad,cd"},
             {WP_FLAG_QR, "qr"},
             {0, ""},
             {WP_FLAG_TC | WP_FLAG_CD, "tc,cd"}};

static void test_flags(void)
{
    for (size_t i = 0; i < COUNT(flags); i++) {
        fill("{>rflags}", "192.0.2.7:1", "192.0.2.1:53", WIRE(NAME));
        rec.flags = flags[i].flags;
        CHECK_AT(flags[i].text, strcmp(line(false) + 7, flags[i].text) == 0);
    }
}

static const struct {
    uint64_t ns;
    const char *text;
} durations[] = {{1, "0.000000001s"}, {142000, "0.000142s"},
                 {1000000000, "1s"},  {2500000000, "2.5s"},
                 {0, "0s"},           {61000000010, "61.00000001s"}};

static void test_durations(void)
{
    for (size_t i = 0; i < COUNT(durations); i++) {
        fill("{duration}", "192.0.2.7:1", "192.0.2.1:53", WIRE(NAME));
        rec.elapsed_ns = durations[i].ns;
        CHECK_AT(durations[i].text, strcmp(line(false) + 7, durations[i].text) == 0);
    }
}

static void test_odd_questions(void)
{
    fill(LOG_COMMON, "[fe80::1%lo]:5", "192.0.2.1:53", WIRE("\3q.x\2\0\x80\0"));
    rec.qtype = 65280;
    rec.qclass = 7;
    rec.is_udp = rec.dnssec_ok = false;
    rec.bufsize = 65535;
    rec.rcode = 3841;
    CHECK(strcmp(line(false) + 7,
                 "[fe80::1%lo]:5 - 57022 \"TYPE65280 CLASS7 q\\.x.\\000\\128. tcp 31 false "
                 "65535\" 3841 qr,aa,rd 97 0.000142301s") == 0);
    rec.rcode = LOG_NO_REPLY;
    rec.reply_size = 0;
    CHECK(strstr(line(false), "\" - - 0 0.000142301s") != NULL);
    fill("{name}", "192.0.2.7:1", "192.0.2.1:53", WIRE("\0"));
    CHECK(strcmp(line(false), "[INFO] .") == 0);
}

/* The default format has a function of its own: it says what its parts say. */
static void test_common_is_its_parts(void)
{
    unsigned seed = 3;

    for (int i = 0; i < 20000; i++) {
        char fast[600];
        fill(LOG_COMMON, i % 3 ? "192.0.2.7:0" : "[2001:db8::7]:1", "192.0.2.1:53", WIRE(NAME));
        CHECK(rec.format->is_common);
        rec.elapsed_ns = (uint64_t)rand_r(&seed) >> rand_r(&seed) % 31;
        rec.elapsed_ns *= i % 7 == 0 ? 1000000000 : 1;
        rec.size = (uint32_t)rand_r(&seed) >> rand_r(&seed) % 31;
        rec.reply_size = (uint32_t)rand_r(&seed) >> rand_r(&seed) % 31;
        rec.id = (uint16_t)rand_r(&seed);
        rec.client.port = (uint16_t)(rand_r(&seed) >> rand_r(&seed) % 31);
        rec.bufsize = (uint16_t)(rand_r(&seed) >> rand_r(&seed) % 31);
        rec.qtype = (uint16_t)(rand_r(&seed) % 300);
        rec.qclass = (uint16_t)(rand_r(&seed) % 6);
        rec.rcode = i % 5 ? (uint16_t)(rand_r(&seed) % 30) : LOG_NO_REPLY;
        rec.flags = (uint16_t)rand_r(&seed);
        rec.is_udp = rand_r(&seed) % 2;
        rec.dnssec_ok = rand_r(&seed) % 2;
        snprintf(fast, sizeof(fast), "%s|", line(false));
        rec.format = wp_log_format_get(LOG_COMMON "|");
        CHECK(!rec.format->is_common);
        CHECK_AT(fast, strcmp(line(false), fast) == 0);
    }
}

static void add_value(const char *value)
{
    uint16_t len = value != NULL ? (uint16_t)strlen(value) : 0xffff;

    memcpy(rec.tail + rec.len, &len, 2);
    rec.len = (uint16_t)(rec.len + 2);
    if (value != NULL) {
        memcpy(rec.tail + rec.len, value, len);
        rec.len = (uint16_t)(rec.len + len);
    }
}

static void test_metadata(void)
{
    fill("{/a/b}|{/c/d}|{/e/f}|{/g/h}", "192.0.2.7:1", "192.0.2.1:53", WIRE(NAME));
    CHECK(rec.format->n_meta == 4);
    add_value("o\nn\x7f");
    add_value(NULL);
    add_value("");
    CHECK(strcmp(line(false), "[INFO] o n |-||-") == 0); /* the last had no room */
}

static void test_json(void)
{
    static const char *const order[] = {"level",           "msg",     "plugin", "client_ip",
                                        "client_port",     "qname",   "qtype",  "qclass",
                                        "protocol",        "id",      "opcode", "request_size",
                                        "dnssec_ok",       "bufsize", "rcode",  "response_size",
                                        "duration_seconds"};
    char text[WP_LOG_FORMAT_MAX + 2];
    json_t *o, *v;
    const char *at;

    fill("say \"{name}\"\n", "[2001:db8::7]:49697", "192.0.2.1:53", WIRE("\3q\"x\0"));
    snprintf(text, sizeof(text), "{%s", line(true));
    o = json_loads(text, 0, NULL);
    CHECK_AT(text, o != NULL && json_object_size(o) == COUNT(order));
    at = text;
    for (size_t i = 0; i < COUNT(order); i++) {
        char key[32];
        snprintf(key, sizeof(key), "\"%s\":", order[i]);
        at = strstr(at, key);
        CHECK_AT(order[i], at != NULL);
    }
#define STRING(key, want)                                                                          \
    CHECK_AT(key, strcmp(json_string_value(json_object_get(o, key)), want) == 0)
#define NUMBER(key, want) CHECK_AT(key, json_number_value(json_object_get(o, key)) == (want))
    STRING("level", "INFO");
    STRING("msg", "say \"q\\\"x.\"\n");
    STRING("plugin", "log");
    STRING("client_ip", "2001:db8::7");
    NUMBER("client_port", 49697);
    STRING("qname", "q\\\"x.");
    STRING("qtype", "A");
    STRING("qclass", "IN");
    STRING("protocol", "udp");
    NUMBER("id", 57022);
    NUMBER("opcode", 0);
    NUMBER("request_size", 31);
    CHECK(json_is_true(json_object_get(o, "dnssec_ok")));
    NUMBER("bufsize", 4096);
    STRING("rcode", "NOERROR");
    NUMBER("response_size", 97);
    NUMBER("duration_seconds", 0.000142301);
    json_decref(o);
    rec.rcode = LOG_NO_REPLY;
    snprintf(text, sizeof(text), "{%s", line(true));
    o = json_loads(text, 0, NULL);
    v = json_object_get(o, "rcode");
    CHECK(v != NULL && json_is_null(v));
    json_decref(o);
}

/* The longest names in an endless format: the line is cut, the JSON stays JSON. */
static void test_limits(void)
{
    char name[255], format[3000] = "", text[WP_LOG_FORMAT_MAX + 2];
    json_t *o;

    memset(name, '"', sizeof(name));
    name[0] = name[64] = name[128] = 63;
    name[192] = 61;
    name[254] = '\0';
    for (int i = 0; i < 400; i++)
        strcat(format, "{name}\t");
    fill(format, "192.0.2.7:1", "192.0.2.1:53", name, sizeof(name));
    CHECK(strlen(line(false)) <= WP_LOG_FORMAT_MAX);
    snprintf(text, sizeof(text), "{%s", line(true));
    o = json_loads(text, 0, NULL);
    CHECK(o != NULL && json_object_get(o, "duration_seconds") != NULL);
    json_decref(o);
}

RUN_TESTS(TEST(test_formats), TEST(test_flags), TEST(test_durations), TEST(test_odd_questions),
          TEST(test_common_is_its_parts), TEST(test_metadata), TEST(test_json), TEST(test_limits))
