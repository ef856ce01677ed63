/* Text of hosts files, reverse names, and the table made of them. */
#include <stdlib.h>
#include "backends/hosts/hosts_priv.h"
#include "check.h"
#include "waypost/dns/types.h"

/* --- text ------------------------------------------------------------------------------------- */

struct got {
    char text[2000];
    size_t len;
};

static int take(void *arg, const struct wp_addr *addr, const char *name)
{
    char ip[WP_ADDR_TEXT_MAX];
    struct got *g = arg;

    g->len += (size_t)snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s=%s ",
                               wp_addr_ip_text(addr, ip), name);
    CHECK(g->len < sizeof(g->text));
    return 0;
}

static const struct {
    const char *what, *text, *pairs;
} rows[] = {
    {"empty", "", ""},
    {"one", "192.0.2.1 a\n", "192.0.2.1=a "},
    {"no line end", "192.0.2.1 a", "192.0.2.1=a "},
    {"several names", "192.0.2.1 a b\tc\n", "192.0.2.1=a 192.0.2.1=b 192.0.2.1=c "},
    {"comments", "# x\n192.0.2.1 a # b\n192.0.2.2 c#d e\n#192.0.2.3 f\n",
     "192.0.2.1=a 192.0.2.2=c "},
    {"blank lines and edges", "\n \t\n  192.0.2.1   a  \r\n\v192.0.2.2\fb\n",
     "192.0.2.1=a 192.0.2.2=b "},
    {"IPv6", "2001:db8::1 a\n", "2001:db8::1=a "},
    {"zone suffix", "fe80::1%eth0 a\n", "fe80::1=a "},
    {"mapped", "::ffff:192.0.2.1 a\n", "192.0.2.1=a "},
    {"bad address", "192.0.2.256 a\nx b\n192.0.2.1 c\n", "192.0.2.1=c "},
    {"leading zero", "010.0.0.1 a\n", ""},
    {"address alone", "192.0.2.1\nb\n", ""},
    {"address does not go over a line", "192.0.2.1 a\n b\n", "192.0.2.1=a "},
    {"no-break space is no space", "192.0.2.1 a\302\240b\n", "192.0.2.1=a\302\240b "},
};

/* Fed whole, and octet by octet. */
static void test_text(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t step = 1; step < 1000; step += 998) {
            struct got g = {0};
            struct hosts_text t = {.fn = take, .arg = &g, .source = "x"};
            size_t len = strlen(rows[i].text);

            hosts_text_init(&t);
            for (size_t at = 0; at < len; at += step)
                CHECK(hosts_text_feed(&t, rows[i].text + at, len - at < step ? len - at : step) ==
                      0);
            CHECK(hosts_text_end(&t) == 0);
            CHECK_AT(rows[i].what, strcmp(g.text, rows[i].pairs) == 0);
        }
    }
}

/* A field at the limit, one past it, and megabytes of both kinds; the rest of the file counts. */
static void test_long_fields(void)
{
    size_t big = 5 << 20;
    char *field = malloc(big);
    struct got g = {0};
    struct hosts_text t = {.fn = take, .arg = &g, .source = "x", .quiet = true};

    memset(field, 'x', big);
    hosts_text_init(&t);
    CHECK(hosts_text_feed(&t, WIRE("192.0.2.1 ")) == 0);
    CHECK(hosts_text_feed(&t, field, HOSTS_FIELD_MAX) == 0 && hosts_text_feed(&t, WIRE(" ")) == 0);
    CHECK(strncmp(g.text, "192.0.2.1=xxxx", 14) == 0 && g.len == 10 + HOSTS_FIELD_MAX + 1);
    g.len = 0;
    CHECK(hosts_text_feed(&t, field, HOSTS_FIELD_MAX + 1) == 0 &&
          hosts_text_feed(&t, WIRE(" ")) == 0);
    CHECK(g.len == 0);
    CHECK(hosts_text_feed(&t, field, big) == 0 && hosts_text_feed(&t, WIRE(" a\n")) == 0);
    CHECK(hosts_text_feed(&t, field, big) == 0 &&
          hosts_text_feed(&t, WIRE(" lost\n192.0.2.2 b #")) == 0);
    for (int i = 0; i < 100000; i++)
        CHECK(hosts_text_feed(&t, WIRE(" in-a-comment of five megabytes and some more words")) ==
              0);
    CHECK(hosts_text_feed(&t, WIRE("\n192.0.2.3 c\0d e\n")) == 0 && hosts_text_end(&t) == 0);
    CHECK(strcmp(g.text, "192.0.2.1=a 192.0.2.2=b 192.0.2.3=e ") == 0);
    free(field);
}

/* --- reverse names ------------------------------------------------------------------------------
 */

#define ZEROS18 "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."

static const struct {
    const char *address, *name;
    bool is_canonical; /* the name is what the address gives */
} reverse_rows[] = {
    {"192.0.2.1", "1.2.0.192.in-addr.arpa.", true},
    {"255.255.255.255", "255.255.255.255.in-addr.arpa.", true},
    {"0.0.0.0", "0.0.0.0.in-addr.arpa.", true},
    {"2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
     true},
    {"2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.IP6.ARPA.",
     false},
    {"192.0.2.9", "9.0.2.0.0.0.0.c.f.f.f.f." ZEROS18 "0.0.ip6.arpa.", false},
    {NULL, "256.2.0.192.in-addr.arpa.", false},
    {NULL, "01.2.0.192.in-addr.arpa.", false},
    {NULL, "1.2.0.in-addr.arpa.", false},
    {NULL, "1.1.2.0.192.in-addr.arpa.", false},
    {NULL, "x.2.0.192.in-addr.arpa.", false},
    {NULL, "1234.2.0.192.in-addr.arpa.", false},
    {NULL, "1.2.0.192.in-addr.arp.", false},
    {NULL, "8.b.d.0.1.0.0.2.ip6.arpa.", false},
    {NULL, "g.0.2.0.0.0.0.c.f.f.f.f." ZEROS18 "0.0.ip6.arpa.", false},
    {NULL, "00.2.0.0.0.0.c.f.f.f.f.0." ZEROS18 "0.0.ip6.arpa.", false},
    {NULL, "example.org.", false},
    {NULL, ".", false},
};

static void test_reverse(void)
{
    for (size_t i = 0; i < COUNT(reverse_rows); i++) {
        const char *what = reverse_rows[i].name;
        struct wp_addr want, got;
        struct wp_name name, made;
        struct wp_qname q;

        CHECK_AT(what,
                 wp_name_parse(what, &name) == 0 && wp_qname_set(&q, name.wire, name.len) > 0);
        CHECK_AT(what, hosts_reverse_address(&q, &got) == (reverse_rows[i].address != NULL));
        if (reverse_rows[i].address == NULL)
            continue;
        CHECK_AT(what, wp_addr_parse_ip(reverse_rows[i].address, &want) == 0);
        CHECK_AT(what, wp_addr_equal_ip(&want, &got));
        wp_name_reverse(&got, &made);
        if (reverse_rows[i].is_canonical)
            CHECK_AT(what, made.len == name.len && memcmp(made.wire, name.wire, name.len) == 0);
    }
}

/* --- table
 * ---------------------------------------------------------------------------------------- */

/* Lines of the file, then of the Corefile ("|" before), for zone example.org. */
static const char *const lines[] = {
    "192.0.2.1 one.example.org",      "192.0.2.2 ONE.example.org",
    "2001:db8::1 one.example.org",    "192.0.2.3 *.wild.example.org",
    "2001:db8::3 *.wild.example.org", "192.0.2.4 exact.wild.example.org",
    "192.0.2.5 out.example.net",      "192.0.2.1 again.example.org",
    "192.0.2.6 a..b.example.org",     "|192.0.2.7 one.example.org",
    "|192.0.2.8 *.wild.example.org",  "|192.0.2.9 inline.example.org",
};

/* Last octets of the addresses in order; of PTR the first letters of the names. "-": unknown. */
static const struct {
    const char *name;
    uint16_t type;
    const char *found;
} finds[] = {
    {"one.example.org.", WP_TYPE_A, "127"},
    {"one.example.org.", WP_TYPE_AAAA, "1"},
    {"q.wild.example.org.", WP_TYPE_A, "38"},
    {"q.wild.example.org.", WP_TYPE_AAAA, "3"},
    {"*.wild.example.org.", WP_TYPE_A, "38"},
    {"exact.wild.example.org.", WP_TYPE_A, "48"}, /* its own line in the file, the star's below */
    {"exact.wild.example.org.", WP_TYPE_AAAA, "3"},
    {"q.r.wild.example.org.", WP_TYPE_A, "-"},
    {"wild.example.org.", WP_TYPE_A, "-"},
    {"out.example.net.", WP_TYPE_A, "-"},
    {"inline.example.org.", WP_TYPE_A, "9"},
    {"inline.example.org.", WP_TYPE_AAAA, ""},
    {"nope.example.org.", WP_TYPE_A, "-"},
    {".", WP_TYPE_A, "-"},
    {"1.2.0.192.in-addr.arpa.", WP_TYPE_PTR, "oa"},
    {"7.2.0.192.in-addr.arpa.", WP_TYPE_PTR, "o"},
    {"3.2.0.192.in-addr.arpa.", WP_TYPE_PTR, "-"}, /* none for a wildcard */
};

static struct hosts_table *table(bool no_reverse)
{
    static struct wp_name zone;
    static const uint8_t *zones[] = {zone.wire};
    static const struct wp_zones all = {.zone = zones, .n = 1};
    const struct hosts_maker_config config = {
        .zones = &all, .ttl = 300, .no_reverse = no_reverse, .source = 1};
    struct hosts_table *t = NULL;
    struct hosts_maker *m;

    CHECK(wp_name_parse("example.org.", &zone) == 0 && hosts_maker_new(&config, &m) == 0);
    for (size_t i = 0; i < COUNT(lines); i++) {
        bool is_inline = lines[i][0] == '|';
        char ip[64];
        struct wp_addr addr;

        snprintf(ip, sizeof(ip), "%.*s", (int)strcspn(lines[i] + is_inline, " "),
                 lines[i] + is_inline);
        CHECK(wp_addr_parse_ip(ip, &addr) == 0);
        CHECK(hosts_maker_add(m, is_inline ? HOSTS_INLINE : HOSTS_FILE, &addr,
                              strchr(lines[i], ' ') + 1) == 0);
    }
    CHECK(hosts_maker_finish(m, &t) == 0);
    hosts_maker_free(m);
    return t;
}

static void describe(const struct hosts_table *t, size_t row, char out[16])
{
    struct wp_name name;
    struct wp_qname q;
    struct wp_addr addr;
    const struct wp_entry *e;
    const struct wp_set *s;
    size_t n = 0;

    CHECK(wp_name_parse(finds[row].name, &name) == 0 && wp_qname_set(&q, name.wire, name.len) > 0);
    if (finds[row].type == WP_TYPE_PTR)
        e = hosts_reverse_address(&q, &addr) ? hosts_table_find_address(t, &addr) : NULL;
    else
        e = hosts_table_find(t, &q);
    s = e == NULL ? NULL : wp_entry_set(e, finds[row].type);
    for (size_t at = 0; s != NULL && at < s->len;) {
        const uint8_t *r = wp_entry_body(e, s) + at;
        size_t rdlen = (size_t)(r[10] << 8 | r[11]);

        CHECK(r[6] == 0 && r[7] == 0 && r[8] == 1 && r[9] == 44); /* TTL 300 */
        out[n++] = finds[row].type == WP_TYPE_PTR ? (char)r[13] : (char)('0' + r[12 + rdlen - 1]);
        at += 12 + rdlen;
    }
    if (e == NULL)
        out[n++] = '-';
    out[n] = '\0';
}

static void test_table(void)
{
    struct hosts_table *t = table(false), *none = table(true);
    char got[16];

    for (size_t i = 0; i < COUNT(finds); i++) {
        describe(t, i, got);
        CHECK_AT(finds[i].name, strcmp(got, finds[i].found) == 0);
        describe(none, i, got);
        CHECK_AT(finds[i].name,
                 strcmp(got, finds[i].type == WP_TYPE_PTR ? "-" : finds[i].found) == 0);
    }
    /* addresses of the zone's names, and reverse names of those without a star */
    CHECK(none->entries == 10 && t->entries == 17);
    hosts_table_free(t);
    hosts_table_free(none);
}

/* More addresses than a message holds: what fits is kept. */
static void test_many_addresses(void)
{
    static struct wp_name zone = {.len = 1};
    static const uint8_t *zones[] = {zone.wire};
    static const struct wp_zones all = {.zone = zones, .n = 1};
    const struct hosts_maker_config config = {.zones = &all, .ttl = 300, .source = 1};
    struct hosts_table *t = NULL;
    struct hosts_maker *m;
    struct wp_qname q;

    CHECK(hosts_maker_new(&config, &m) == 0);
    for (unsigned i = 0; i < 6000; i++) {
        struct wp_addr addr = {.family = 4, .ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
        CHECK(hosts_maker_add(m, HOSTS_FILE, &addr, "many") == 0);
    }
    CHECK(hosts_maker_finish(m, &t) == 0);
    CHECK(wp_qname_set(&q, (const uint8_t *)"\4many", 6) == 6);
    CHECK(wp_entry_set(hosts_table_find(t, &q), WP_TYPE_A)->count[WP_ANSWER] > 4000);
    hosts_maker_free(m);
    hosts_table_free(t);
}

RUN_TESTS(TEST(test_text), TEST(test_long_fields), TEST(test_reverse), TEST(test_table),
          TEST(test_many_addresses))
