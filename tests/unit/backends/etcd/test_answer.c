/* The rows of tests/scenario/etcd, asked of the tree directly: data set, question, answer. */
#include "check.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "backends/etcd/answer.h"
#include "backends/etcd/lease.h"
#include "waypost/base/rd.h"

enum { NOW_S = 1000, SERIAL = 1700000000 };
#define NOW_NS (UINT64_C(1000000000) * NOW_S)

/* --- text of a record ------------------------------------------------------------------------- */

static size_t put_name(char *out, const uint8_t *name)
{
    char text[WP_NAME_TEXT_MAX];

    return (size_t)sprintf(out, "%s", wp_name_text(name, text));
}

static size_t put_strings(char *out, const uint8_t *p, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i += 1 + p[i])
        n +=
            (size_t)sprintf(out + n, "%s\"%.*s\"", i > 0 ? " " : "", p[i], (const char *)p + i + 1);
    return n;
}

static size_t put_rdata(char *out, uint16_t type, const uint8_t *p, size_t len)
{
    char addr[INET6_ADDRSTRLEN];
    size_t n, mname;

    switch (type) {
    case WP_TYPE_A:
        return (size_t)sprintf(out, "A %s", inet_ntop(AF_INET, p, addr, sizeof(addr)));
    case WP_TYPE_AAAA:
        return (size_t)sprintf(out, "AAAA %s", inet_ntop(AF_INET6, p, addr, sizeof(addr)));
    case WP_TYPE_CNAME:
    case WP_TYPE_PTR:
    case WP_TYPE_NS:
        n = (size_t)sprintf(out, "%s ",
                            type == WP_TYPE_CNAME ? "CNAME"
                            : type == WP_TYPE_PTR ? "PTR"
                                                  : "NS");
        return n + put_name(out + n, p);
    case WP_TYPE_MX:
        n = (size_t)sprintf(out, "MX %u ", wp_be16(p));
        return n + put_name(out + n, p + 2);
    case WP_TYPE_SRV:
        n = (size_t)sprintf(out, "SRV %u %u %u ", wp_be16(p), wp_be16(p + 2), wp_be16(p + 4));
        return n + put_name(out + n, p + 6);
    case WP_TYPE_TXT:
        n = (size_t)sprintf(out, "TXT ");
        return n + put_strings(out + n, p, len);
    case WP_TYPE_SOA:
        mname = (size_t)wp_name_len(p, len);
        n = (size_t)sprintf(out, "SOA ");
        n += put_name(out + n, p);
        n += (size_t)sprintf(out + n, " ");
        n += put_name(out + n, p + mname);
        p += len - WP_ETCD_SOA_NUMBERS;
        CHECK(wp_be32(p) == SERIAL);
        return n + (size_t)sprintf(out + n, " * %u %u %u %u", wp_be32(p + 4), wp_be32(p + 8),
                                   wp_be32(p + 12), wp_be32(p + 16));
    default:
        fail();
        return 0;
    }
}

/* --- what is outside -------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint16_t type;
    const char *text;
} outside[] = {
    {"ext.partner.example.", WP_TYPE_A, "ext.partner.example. 60 A 198.51.100.7"},
    {"ext.partner.example.", WP_TYPE_AAAA, "ext.partner.example. 60 AAAA 2001:db8:ff::7"},
    {"ext.partner.example.", WP_TYPE_TXT, "ext.partner.example. 60 TXT \"from outside\""},
    {"al.partner.example.", WP_TYPE_A,
     "al.partner.example. 60 CNAME ext.partner.example. | ext.partner.example. 60 A 198.51.100.7"},
    {"al.partner.example.", WP_TYPE_AAAA,
     "al.partner.example. 60 CNAME ext.partner.example. | ext.partner.example. 60 AAAA "
     "2001:db8:ff::7"},
};

static const char *look_up(const struct wp_etcd_lookup *l)
{
    char text[WP_NAME_TEXT_MAX];

    wp_name_text(l->name, text);
    for (size_t i = 0; i < COUNT(outside); i++)
        if (outside[i].type == l->type && strcmp(outside[i].name, text) == 0)
            return outside[i].text;
    return "";
}

static size_t put_external(char *out, const struct wp_etcd_lookup *l, bool no_cname)
{
    char all[512];
    size_t n = 0;

    snprintf(all, sizeof(all), "%s", look_up(l));
    for (char *save = NULL, *rr = strtok_r(all, "|", &save); rr != NULL;
         rr = strtok_r(NULL, "|", &save)) {
        while (*rr == ' ')
            rr++;
        rr[strcspn(rr, "|")] = '\0';
        if (rr[strlen(rr) - 1] == ' ')
            rr[strlen(rr) - 1] = '\0';
        if (!no_cname || strstr(rr, " CNAME ") == NULL)
            n += (size_t)sprintf(out + n, "%s%s", n > 0 ? " | " : "", rr);
    }
    return n;
}

static void section_text(const struct wp_etcd_answer *a, enum wp_section s, const char *qname,
                         char *out)
{
    size_t n = 0;

    *out = '\0';
    for (uint32_t i = 0; i < a->n; i++) {
        const struct wp_etcd_item *item = &a->items[i];
        size_t before = n, start;
        if (item->section != s || !item->live)
            continue;
        n += (size_t)sprintf(out + n, "%s", n > 0 ? " | " : "");
        start = n;
        if (item->kind == WP_ETCD_EXTERNAL) {
            n += put_external(out + n, &a->lookups[item->rdlen], item->ttl == 1);
            if (n == start)
                n = before;
            continue;
        }
        n += item->owner != NULL ? put_name(out + n, item->owner)
                                 : (size_t)sprintf(out + n, "%s.", qname);
        n += (size_t)sprintf(out + n, " %u ", item->ttl);
        n += put_rdata(out + n, item->type, item->rdata, item->rdlen);
    }
    out[n] = '\0';
}

/* --- data sets -------------------------------------------------------------------------------- */

static const char *const zone_texts[] = {"way.test.",
                                         "za.test.",
                                         "zb.test.",
                                         "zc.test.",
                                         "zd.test.",
                                         "ze.test.",
                                         "zf.test.",
                                         "zg.test.",
                                         "2.0.192.in-addr.arpa.",
                                         "8.b.d.0.1.0.0.2.ip6.arpa."};
static struct wp_etcd_zone zones[COUNT(zone_texts)];
static struct wp_arena forever;

struct set {
    char name[8];
    struct wp_etcd_tree *tree;
    struct wp_etcd_lease leases[64];
    unsigned n_leases;
};
static struct set sets[16];
static unsigned n_sets;

static void drop(void *arg, struct wp_etcd_lease *lease)
{
    (void)arg;
    lease->refs--;
}

static struct set *find_set(const char *name)
{
    struct wp_etcd_tree_config c = {.source = 1, .base = "", .drop = drop};

    for (unsigned i = 0; i < n_sets; i++)
        if (strcmp(sets[i].name, name) == 0)
            return &sets[i];
    CHECK(n_sets < COUNT(sets));
    snprintf(sets[n_sets].name, sizeof(sets[n_sets].name), "%s", name);
    CHECK(wp_etcd_tree_new(&c, &sets[n_sets].tree) == 0);
    return &sets[n_sets++];
}

/* In place. */
static size_t unescape(char *s)
{
    char *to = s;

    for (const char *from = s; *from != '\0'; from++)
        *to++ = *from != '\\' ? *from : *++from == 'n' ? '\n' : *from;
    *to = '\0';
    return (size_t)(to - s);
}

static void load_key(struct set *set, const char *key, const char *lease_text, const char *json,
                     size_t len)
{
    static int64_t revision;
    struct wp_etcd_scratch scratch;
    struct wp_etcd_flaw flaw;
    struct wp_etcd_value v;
    struct wp_etcd_lease *lease = NULL;
    int r = wp_etcd_value_read(json, len, &scratch, &v, &flaw);

    CHECK_AT(key, r == 0 || r == WP_EMALFORMED);
    if (*lease_text != '\0') {
        CHECK(set->n_leases < COUNT(set->leases));
        lease = &set->leases[set->n_leases++];
        lease->refs = 1;
        lease->ends = atoi(lease_text) < 0
                          ? WP_ETCD_LEASE_GONE
                          : NOW_NS + UINT64_C(1000000000) * (unsigned)atoi(lease_text);
    }
    CHECK_AT(key, wp_etcd_tree_put(set->tree, key, strlen(key), &v, lease, ++revision) == 1);
    wp_etcd_scratch_done(&scratch);
}

/* Fields of a line, tabs between them. */
static unsigned split(char *line, char *fields[], unsigned n)
{
    unsigned i = 0;

    line[strcspn(line, "\n")] = '\0';
    for (char *p = line; p != NULL && i < n; i++) {
        fields[i] = p;
        p = strchr(p, '\t');
        if (p != NULL)
            *p++ = '\0';
    }
    return i;
}

static FILE *open_data(const char *name)
{
    static const char self[] = "tests/unit/backends/etcd/test_answer.c";
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%.*stests/scenario/etcd/%s",
             (int)(strlen(__FILE__) - strlen(self)), __FILE__, name);
    f = fopen(path, "re");
    if (f == NULL)
        print_error("%s\n", path);
    CHECK(f != NULL);
    return f;
}

static int setup(void **state)
{
    FILE *f = open_data("keys.txt");
    char *line = NULL, *fields[4];
    size_t cap = 0;

    (void)state;
    wp_arena_init(&forever, 0);
    for (size_t i = 0; i < COUNT(zones); i++) {
        struct wp_name name;
        CHECK(wp_name_parse(zone_texts[i], &name) == 0);
        CHECK(wp_etcd_zone_init(&zones[i], wp_arena_dup(&forever, name.wire, name.len), &forever) ==
              0);
    }
    while (getline(&line, &cap, f) > 0)
        if (line[0] != '#' && split(line, fields, 4) == 4) {
            bool is_escaped = strcmp(fields[0], "BAD") == 0;
            size_t len = is_escaped ? unescape(fields[3]) : strlen(fields[3]);
            load_key(find_set(fields[0]), fields[1], fields[2], fields[3], len);
        }
    for (unsigned i = 0; i < n_sets; i++) {
        struct wp_etcd_batch_size size;
        wp_etcd_tree_publish(sets[i].tree, true, &size);
    }
    free(line);
    fclose(f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < n_sets; i++) {
        wp_etcd_tree_free(sets[i].tree);
        for (unsigned k = 0; k < sets[i].n_leases; k++)
            CHECK(sets[i].leases[k].refs == 0);
    }
    wp_arena_done(&forever);
    return 0;
}

/* --- the rows --------------------------------------------------------------------------------- */

static size_t n_depends;
static void depends(void *arg, uint64_t key)
{
    (void)arg;
    (void)key;
    n_depends++;
}

static const struct wp_etcd_zone *zone_of(const struct wp_qname *q)
{
    for (size_t i = 0; i < COUNT(zones); i++)
        if (wp_name_within(q->wire, zones[i].name))
            return &zones[i];
    return NULL;
}

static void bounds_of(const char *options, struct wp_etcd_lease_bounds *b)
{
    unsigned v;

    *b = (struct wp_etcd_lease_bounds){30, 86400, 0};
    if (sscanf(options, "min-lease-ttl %u", &v) == 1 && v > 0)
        b->min_s = v;
    if (sscanf(options, "max-lease-ttl %u", &v) == 1 && v > 0)
        b->max_s = v;
}

struct asked {
    struct wp_arena arena;
    struct wp_etcd_view view;
    struct wp_etcd_answer a;
};

static void ask(struct asked *asked, const struct set *set, const struct wp_qname *q, uint16_t type,
                const char *options)
{
    struct wp_etcd_answer *a = &asked->a;
    struct wp_etcd_target t;

    wp_arena_init(&asked->arena, 0);
    asked->view = (struct wp_etcd_view){.snap = wp_etcd_tree_snap(set->tree),
                                        .zone = zone_of(q),
                                        .svcb = strcmp(options, "svcb") == 0,
                                        .now_ns = NOW_NS,
                                        .serial = SERIAL};
    bounds_of(options, &asked->view.bounds);
    *a = (struct wp_etcd_answer){.arena = &asked->arena, .view = &asked->view, .depends = depends};
    t.name = q;
    wp_etcd_path_set(&t.path, q);
    CHECK(wp_etcd_answer(a, &t, type) == 0);
    CHECK(wp_etcd_answer_pin(a) == 0);
    for (unsigned i = 0; i < a->n_lookups; i++)
        a->lookups[i].answered = true;
}

static void check_row(char *f[])
{
    const char *rcode = f[5];
    char answer[20000], additional[20000];
    struct asked asked;
    struct wp_name name;
    struct wp_qname q;
    uint16_t type;
    size_t n;

    CHECK_AT(f[0], wp_name_parse(f[3], &name) == 0 && wp_qname_set(&q, name.wire, name.len) > 0);
    CHECK_AT(f[0], wp_type_parse(f[4], &type) == 0);
    if (strcmp(rcode, "NEXT") == 0) {
        CHECK_AT(f[0], zone_of(&q) == NULL);
        return;
    }
    n_depends = 0;
    ask(&asked, find_set(f[1]), &q, type, f[2]);
    n = wp_etcd_answer_settle(&asked.a);
    section_text(&asked.a, WP_ANSWER, f[3], answer);
    section_text(&asked.a, WP_ADDITIONAL, f[3], additional);
    if (strcmp(answer, f[6]) != 0 || strcmp(additional, f[8]) != 0)
        print_error("[%s]\n got  %s\n want %s\n got  %s\n want %s\n", f[0], answer, f[6],
                    additional, f[8]);
    CHECK_AT(f[0], asked.a.outcome == (strcmp(rcode, "NOERROR") == 0    ? WP_ETCD_FOUND
                                       : strcmp(rcode, "NXDOMAIN") == 0 ? WP_ETCD_NO_NAME
                                                                        : WP_ETCD_FAILED));
    CHECK_AT(f[0], strcmp(answer, f[6]) == 0);
    CHECK_AT(f[0], strcmp(additional, f[8]) == 0);
    CHECK_AT(f[0], (n == 0) == (f[7][0] != '\0')); /* no records: the zone's SOA */
    CHECK_AT(f[0], (asked.a.error != NULL) == (asked.a.outcome == WP_ETCD_FAILED));
    CHECK_AT(f[0], (n_depends > 0) == (type != WP_TYPE_SOA));
    CHECK_AT(f[0], !asked.a.truncated);
    wp_arena_done(&asked.arena);
}

static void test_rows(void **state)
{
    FILE *in = open_data("questions.txt");
    char *line = NULL, *fields[9];
    size_t cap = 0;
    unsigned n = 0;

    (void)state;
    while (getline(&line, &cap, in) > 0) {
        if (line[0] == '#')
            continue;
        CHECK_AT(line, split(line, fields, 9) == 9);
        check_row(fields);
        n++;
    }
    CHECK(n >= 166);
    free(line);
    fclose(in);
}

/* An alias whose target gets no reply at all is dropped, and so is what leads to it. */
static void test_unanswered(void **state)
{
    struct set *set = find_set("ALIAS");
    struct asked asked;
    struct wp_name name;
    struct wp_qname q;

    (void)state;
    CHECK(wp_name_parse("out.al.way.test.", &name) == 0 &&
          wp_qname_set(&q, name.wire, name.len) > 0);
    ask(&asked, set, &q, WP_TYPE_A, "");
    CHECK(asked.a.n_lookups == 1);
    asked.a.lookups[0].answered = false;
    CHECK(wp_etcd_answer_settle(&asked.a) == 0);
    asked.a.lookups[0] = (struct wp_etcd_lookup){.answered = true, .truncated = true};
    CHECK(wp_etcd_answer_settle(&asked.a) == 2 && asked.a.truncated);
    wp_arena_done(&asked.arena);
}

/* --- SVCB and HTTPS --------------------------------------------------------------------------- */

static const struct {
    const char *key, *json;
} svcb_keys[] = {
    {"/test/way/w/a", "{\"host\":\"10.0.1.100\",\"port\":8080}"},
    {"/test/way/w/b", "{\"host\":\"10.0.1.101\",\"port\":8080,\"ttl\":60}"},
    {"/test/way/w/c", "{\"host\":\"2001:db8::1\",\"port\":8080}"},
    {"/test/way/w/d", "{\"host\":\"10.0.1.100\",\"port\":8080}"},
    {"/test/way/w/e", "{\"host\":\"ext.partner.example\",\"port\":8080}"},
    {"/test/way/w/f", "{\"host\":\"ext.partner.example\",\"port\":8080}"},
    {"/test/way/w/g", "{\"host\":\"10.0.1.102\",\"port\":8080,\"priority\":1}"},
    {"/test/way/w/h", "{\"text\":\"no endpoint\"}"},
    {"/test/way/w/i", "{\"host\":7}"},
    {"/test/way/mix/a", "{\"host\":\"10.0.2.1\",\"port\":80}"},
    {"/test/way/mix/b", "{\"host\":\"10.0.2.2\"}"},
    {"/test/way/mix/c", "{\"host\":\"10.0.2.3\",\"port\":-1}"},
    {"/test/way/mix/d", "{\"host\":\"al.partner.example\"}"},
    {"/test/way/mix/e", "{\"host\":\"10.0.2.4\",\"port\":80,\"targetstrip\":1}"},
    {"/test/way/zero/a", "{\"host\":\"10.0.3.1\",\"priority\":65536}"},
    {"/test/way/top/a", "{\"host\":\"10.0.3.2\",\"port\":65535,\"priority\":65535}"},
    {"/test/way/none/a", "{\"host\":\"10.0.4.1\",\"port\":-1}"},
    {"/test/way/bad/a", "{\"host\":7}"},
    {"/test/way/nameless/a", "{\"host\":\"10.0.5.1\",\"port\":1}"},
    {"/test/way/nameless//b", "{\"host\":\"10.0.5.2\",\"port\":1}"},
    {"/test/way/grp/a", "{\"host\":\"10.0.6.1\",\"port\":1,\"group\":\"g\"}"},
    {"/test/way/grp/b/c", "{\"host\":\"10.0.6.2\",\"port\":1,\"group\":\"h\"}"},
    {"/test/za/dns/apex/a", "{\"host\":\"10.0.7.1\",\"port\":443}"},
    {"/test/za/x", "{\"host\":\"10.0.7.2\",\"port\":1}"},
};
static const struct {
    const char *name, *answer; /* "TTL RDATA", separated by | */
    enum wp_etcd_outcome outcome;
} svcb_rows[] = {
    {"w.way.test.",
     "60 10 . port=8080 ipv4hint=10.0.1.100,10.0.1.101 ipv6hint=2001:db8::1 | "
     "300 10 ext.partner.example. port=8080 | 300 1 . port=8080 ipv4hint=10.0.1.102",
     WP_ETCD_FOUND},
    {"a.w.way.test.", "300 10 . port=8080 ipv4hint=10.0.1.100", WP_ETCD_FOUND},
    {"e.w.way.test.", "300 10 ext.partner.example. port=8080", WP_ETCD_FOUND},
    {"g.*.way.test.", "300 1 . port=8080 ipv4hint=10.0.1.102", WP_ETCD_FOUND},
    {"h.w.way.test.", "", WP_ETCD_FOUND},
    {"mix.way.test.",
     "300 10 a.mix.way.test. port=80 ipv4hint=10.0.2.1 | 300 10 b.mix.way.test. ipv4hint=10.0.2.2 | "
     "300 10 al.partner.example. | 300 10 mix.way.test. port=80 ipv4hint=10.0.2.4",
     WP_ETCD_FOUND},
    {"zero.way.test.", "300 1 . ipv4hint=10.0.3.1", WP_ETCD_FOUND},
    {"top.way.test.", "300 65535 . port=65535 ipv4hint=10.0.3.2", WP_ETCD_FOUND},
    {"none.way.test.", "", WP_ETCD_FOUND},
    {"bad.way.test.", "", WP_ETCD_FAILED},
    {"gone.way.test.", "", WP_ETCD_NO_NAME},
    {"nameless.way.test.", "300 10 . port=1 ipv4hint=10.0.5.1", WP_ETCD_FOUND},
    {"grp.way.test.", "300 10 . port=1 ipv4hint=10.0.6.1", WP_ETCD_FOUND},
    {"za.test.", "300 10 . port=443 ipv4hint=10.0.7.1", WP_ETCD_FOUND},
    {"many.way.test.",
     "300 10 . port=9 ipv4hint=10.1.0.0,10.1.0.1,10.1.0.2,10.1.0.3,10.1.0.4,10.1.0.5,10.1.0.6,"
     "10.1.0.7,10.1.0.8,10.1.0.9,10.1.0.10,10.1.0.11,10.1.0.12,10.1.0.13,10.1.0.14,10.1.0.15",
     WP_ETCD_FOUND},
};

static struct set *svcb_set(void)
{
    struct set *set = find_set("SVCB");
    struct wp_etcd_batch_size size;
    char key[64], json[96];

    for (size_t i = 0; i < COUNT(svcb_keys); i++)
        load_key(set, svcb_keys[i].key, "", svcb_keys[i].json, strlen(svcb_keys[i].json));
    for (int i = 0; i < 17; i++) {
        snprintf(key, sizeof(key), "/test/way/many/%02d", i);
        snprintf(json, sizeof(json), "{\"host\":\"10.1.0.%d\",\"port\":9}", i);
        load_key(set, key, "", json, strlen(json));
    }
    /* each its own record: more than a message holds */
    for (int i = 0; i < 4000; i++) {
        snprintf(key, sizeof(key), "/test/way/full/%04d", i);
        snprintf(json, sizeof(json), "{\"host\":\"10.1.0.1\",\"port\":%d}", i + 1);
        load_key(set, key, "", json, strlen(json));
    }
    wp_etcd_tree_publish(set->tree, true, &size);
    return set;
}

static void ask_text(struct asked *asked, const struct set *set, const char *name, uint16_t type,
                     const char *options, char *out)
{
    struct wp_name wire;
    struct wp_qname q;

    CHECK_AT(name, wp_name_parse(name, &wire) == 0 && wp_qname_set(&q, wire.wire, wire.len) > 0);
    ask(asked, set, &q, type, options);
    *out = '\0';
    for (uint32_t i = 0; i < asked->a.n; i++) {
        const struct wp_etcd_item *item = &asked->a.items[i];
        CHECK_AT(name, item->type == type && item->section == WP_ANSWER && item->owner == NULL);
        out += sprintf(out, "%s%u ", i > 0 ? " | " : "", item->ttl);
        CHECK_AT(name, wp_rdata_text(type, item->rdata, item->rdlen, out, 512) == 0);
        for (const char *from = out; *from != '\0'; from++)
            if (*from != '"') /* rows are easier to read without */
                *out++ = *from;
        *out = '\0';
    }
}

static void test_svcb(void **state)
{
    static const uint8_t wire[] = {0,  10, 0, 0,  3, 0, 2, 0x1f, 0x90, 0,    4, 0, 8, 10, 0,
                                   1,  100, 10, 0, 1, 101, 0, 6, 0, 16, 0x20, 1, 0x0d, 0xb8, 0,
                                   0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    static char text[1 << 20];
    const struct set *set = svcb_set();
    struct asked asked;

    (void)state;
    for (size_t i = 0; i < COUNT(svcb_rows); i++)
        for (uint16_t type = WP_TYPE_SVCB; type <= WP_TYPE_HTTPS; type++) {
            const char *name = svcb_rows[i].name;
            ask_text(&asked, set, name, type, "svcb", text);
            if (strcmp(text, svcb_rows[i].answer) != 0)
                print_error("[%s] got %s\n", name, text);
            CHECK_AT(name, strcmp(text, svcb_rows[i].answer) == 0);
            CHECK_AT(name, asked.a.outcome == svcb_rows[i].outcome && !asked.a.truncated);
            wp_arena_done(&asked.arena);
            /* not asked for: only whether there is such a name */
            ask_text(&asked, set, name, type, "", text);
            CHECK_AT(name, asked.a.n == 0 && asked.a.outcome == svcb_rows[i].outcome);
            wp_arena_done(&asked.arena);
        }
    ask_text(&asked, set, "w.way.test.", WP_TYPE_HTTPS, "svcb", text);
    CHECK(asked.a.items[0].rdlen == sizeof(wire) &&
          memcmp(asked.a.items[0].rdata, wire, sizeof(wire)) == 0);
    wp_arena_done(&asked.arena);
    ask_text(&asked, set, "full.way.test.", WP_TYPE_HTTPS, "svcb", text);
    CHECK(asked.a.truncated && asked.a.octets > WP_ETCD_OCTETS_MAX &&
          asked.a.octets < WP_ETCD_OCTETS_MAX + 512);
    wp_arena_done(&asked.arena);
}

/* Memory may end anywhere: an error, never half an answer. */
static void test_no_memory(void **state)
{
    static const uint16_t types[] = {WP_TYPE_A, WP_TYPE_SRV, WP_TYPE_TXT, WP_TYPE_MX,
                                     WP_TYPE_HTTPS};
    struct wp_etcd_target t;
    struct wp_name name;
    struct wp_qname q;

    (void)state;
    CHECK(wp_name_parse("way.test.", &name) == 0 && wp_qname_set(&q, name.wire, name.len) > 0);
    for (unsigned s = 0; s < n_sets; s++)
        for (size_t i = 0; i < COUNT(types); i++) {
            bool worked = false;
            for (size_t max = 64; !worked && max < (1 << 24); max += max / 4) {
                struct asked asked;
                int r;
                asked.view = (struct wp_etcd_view){.snap = wp_etcd_tree_snap(sets[s].tree),
                                                   .zone = &zones[0],
                                                   .svcb = true};
                asked.a = (struct wp_etcd_answer){
                    .arena = &asked.arena, .view = &asked.view, .depends = depends};
                wp_arena_init(&asked.arena, max);
                t.name = &q;
                wp_etcd_path_set(&t.path, &q);
                r = wp_etcd_answer(&asked.a, &t, types[i]);
                CHECK(r == 0 || r == -12);
                worked = r == 0 && wp_etcd_answer_pin(&asked.a) == 0;
                wp_arena_done(&asked.arena);
            }
            CHECK(worked);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_unanswered),
        cmocka_unit_test(test_svcb),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
