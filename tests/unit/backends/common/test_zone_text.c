/* Zone text: each row is a file for origin example.org. and the records it stands for, or what
 * the error says. */
#include "check.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "backends/common/zone_text.h"
#include "waypost/base/err.h"
#include "waypost/dns/rr.h"
#include "waypost/dns/types.h"

struct got {
    char text[32768];
    size_t len;
    unsigned n, stop_at;
};

static int take(void *arg, const struct wp_zone_rr *rr)
{
    struct got *g = arg;
    char owner[WP_NAME_TEXT_MAX], type[16], cls[16], rdata[2048];

    CHECK(wp_rdata_text(rr->type, rr->rdata, rr->rdlen, rdata, sizeof(rdata)) == 0);
    g->len += (size_t)snprintf(g->text + g->len, sizeof(g->text) - g->len, "%s %u %s %s %s\n",
                               wp_name_text(rr->owner->wire, owner), rr->ttl,
                               wp_class_text(rr->cls, cls), wp_type_text(rr->type, type), rdata);
    CHECK(g->len < sizeof(g->text));
    return ++g->n == g->stop_at ? 77 : 0;
}

static int read_text(const char *text, size_t len, struct got *g, struct wp_zone_text *t,
                     struct wp_arena *a)
{
    struct wp_name origin;

    *t = (struct wp_zone_text){.arena = a, .fn = take, .arg = g};
    CHECK(wp_name_parse("example.org.", &origin) == 0);
    return wp_zone_text_read_memory(t, text, len, "zones/db", &origin);
}

static const struct {
    const char *what, *text, *records, *error;
} rows[] = {
    {"empty", "", "", NULL},
    {"blank lines and comments", "\n   \n\t\n; note\n  ; more\n", "", NULL},
    {"all fields", "www 300 IN A 192.0.2.1\n", "www.example.org. 300 IN A 192.0.2.1\n", NULL},
    {"no line end at the end", "www 300 IN A 192.0.2.1", "www.example.org. 300 IN A 192.0.2.1\n",
     NULL},
    {"class before TTL", "www IN 300 A 192.0.2.1\n", "www.example.org. 300 IN A 192.0.2.1\n", NULL},
    {"no class", "www 300 A 192.0.2.1\n", "www.example.org. 300 IN A 192.0.2.1\n", NULL},
    {"carriage returns", "www 300 A 192.0.2.1\r\n\r\n@ 1 A 192.0.2.2\r\n",
     "www.example.org. 300 IN A 192.0.2.1\nexample.org. 1 IN A 192.0.2.2\n", NULL},
    {"tabs", "www\t300\tIN\tA\t192.0.2.1\t\n", "www.example.org. 300 IN A 192.0.2.1\n", NULL},
    {"absolute owner", "www.example.com. 300 A 192.0.2.1\n",
     "www.example.com. 300 IN A 192.0.2.1\n", NULL},
    {"owner repeated", "www 300 A 192.0.2.1\n  300 A 192.0.2.2\n\t7 AAAA ::1\n",
     "www.example.org. 300 IN A 192.0.2.1\nwww.example.org. 300 IN A 192.0.2.2\n"
     "www.example.org. 7 IN AAAA ::1\n",
     NULL},
    {"owner that looks like a type", "a 300 A 192.0.2.1\nns 300 A 192.0.2.2\n",
     "a.example.org. 300 IN A 192.0.2.1\nns.example.org. 300 IN A 192.0.2.2\n", NULL},
    {"lower-case words", "www 300 in a 192.0.2.1\n", "www.example.org. 300 IN A 192.0.2.1\n", NULL},
    {"case of owner is kept", "WwW 300 A 192.0.2.1\n", "WwW.example.org. 300 IN A 192.0.2.1\n",
     NULL},
    {"$TTL", "$TTL 60\nwww A 192.0.2.1\nw2 300 A 192.0.2.1\nw3 A 192.0.2.1\n",
     "www.example.org. 60 IN A 192.0.2.1\nw2.example.org. 300 IN A 192.0.2.1\n"
     "w3.example.org. 60 IN A 192.0.2.1\n",
     NULL},
    {"TTL of the record before",
     "www 300 A 192.0.2.1\nw2 A 192.0.2.2\nw3 5 A 192.0.2.3\n"
     "w4 IN A 192.0.2.4\n",
     "www.example.org. 300 IN A 192.0.2.1\nw2.example.org. 300 IN A 192.0.2.2\n"
     "w3.example.org. 5 IN A 192.0.2.3\nw4.example.org. 5 IN A 192.0.2.4\n",
     NULL},
    {"no TTL at all, with class", "www IN A 192.0.2.1\n", "www.example.org. 0 IN A 192.0.2.1\n",
     NULL},
    {"no TTL at all", "www A 192.0.2.1\n", NULL, "missing TTL with no previous value"},
    {"TTL units", "$TTL 1w2d3h4m5\nwww A 192.0.2.1\nw2 1H A 192.0.2.1\nw3 1m30S A 192.0.2.1\n",
     "www.example.org. 788645 IN A 192.0.2.1\nw2.example.org. 3600 IN A 192.0.2.1\n"
     "w3.example.org. 90 IN A 192.0.2.1\n",
     NULL},
    {"largest TTL", "www 4294967295 A 192.0.2.1\n", "www.example.org. 4294967295 IN A 192.0.2.1\n",
     NULL},
    {"TTL too large", "www 4294967296 A 192.0.2.1\n", NULL, "\"4294967296\" at line: 1"},
    {"TTL too large by its unit", "www 7102w A 192.0.2.1\n", NULL, "\"7102w\" at line: 1"},
    {"bad $TTL", "$TTL soon\n", NULL, "expecting $TTL value, not this...: \"soon\" at line: 1"},
    {"$TTL with more", "$TTL 5 6\n", NULL, "expecting $TTL value"},
    {"$ORIGIN", "$ORIGIN sub.example.org.\nwww 1 A 192.0.2.1\n$ORIGIN x\nwww 1 CNAME @\n",
     "www.sub.example.org. 1 IN A 192.0.2.1\nwww.x.sub.example.org. 1 IN CNAME "
     "x.sub.example.org.\n",
     NULL},
    {"directive in lower case", "$origin com.\nwww 1 A 192.0.2.1\n", "www.com. 1 IN A 192.0.2.1\n",
     NULL},
    {"bad $ORIGIN", "$ORIGIN a..b\n", NULL, "bad origin name"},
    {"$-name that is no directive", "$HOST 1 A 192.0.2.1\n",
     "$HOST.example.org. 1 IN A 192.0.2.1\n", NULL},
    {"comment behind a record", "www 1 A 192.0.2.1 ; one\nw2 1 A 192.0.2.2;two\n",
     "www.example.org. 1 IN A 192.0.2.1\nw2.example.org. 1 IN A 192.0.2.2\n", NULL},
    {"parentheses",
     "@ 3600 IN SOA ns admin ( ; begin\n  1 ; serial\n 7200\n\t3600 1209600\n 3600 )\nwww 1 A "
     "192.0.2.1\n",
     "example.org. 3600 IN SOA ns.example.org. admin.example.org. 1 7200 3600 1209600 3600\n"
     "www.example.org. 1 IN A 192.0.2.1\n",
     NULL},
    {"parentheses anywhere", "www ( 1\n IN ) ( A\n192.0.2.1 )\n",
     "www.example.org. 1 IN A 192.0.2.1\n", NULL},
    {"unbalanced", "www 1 A ( 192.0.2.1\n", NULL, "unbalanced brace at line: 1"},
    {"extra brace", "\nwww 1 A 192.0.2.1 )\n", NULL, "extra closing brace at line: 2"},
    {"quotes", "www 1 TXT \"a;b (c)\" \"d\\\"e\" f\n",
     "www.example.org. 1 IN TXT \"a;b (c)\" \"d\\\"e\" \"f\"\n", NULL},
    {"quotes over two lines", "www 1 TXT \"a\nb\"\n", "www.example.org. 1 IN TXT \"a\\010b\"\n",
     NULL},
    {"open quote", "www 1 TXT \"a\n", NULL, "unbalanced quote at line: 1"},
    {"escapes in the owner", "a\\.b 1 A 192.0.2.1\nhas\\046dot 1 A 192.0.2.2\n",
     "a\\.b.example.org. 1 IN A 192.0.2.1\nhas\\.dot.example.org. 1 IN A 192.0.2.2\n", NULL},
    {"escaped blank in the owner", "a\\ b 1 A 192.0.2.1\n", "a\\ b.example.org. 1 IN A 192.0.2.1\n",
     NULL},
    {"escaped semicolon", "a\\;b 1 A 192.0.2.1\n", "a\\;b.example.org. 1 IN A 192.0.2.1\n", NULL},
    {"unknown type by number", "www 1 TYPE65280 \\# 2 abcd\n",
     "www.example.org. 1 IN TYPE65280 \\# 2 ABCD\n", NULL},
    {"known type in the unknown form", "www 1 A \\# 4 c0000201\n",
     "www.example.org. 1 IN A 192.0.2.1\n", NULL},
    {"service records", "_x._tcp 1 SRV 0 5 8080 www\n@ 1 MX 10 mail\n",
     "_x._tcp.example.org. 1 IN SRV 0 5 8080 www.example.org.\nexample.org. 1 IN MX 10 "
     "mail.example.org.\n",
     NULL},
    {"https", "@ 1 HTTPS 1 . alpn=h2,h3\n", "example.org. 1 IN HTTPS 1 . alpn=\"h2,h3\"\n", NULL},
    {"other class", "www 1 CH TXT x\n", "www.example.org. 1 CH TXT \"x\"\n", NULL},
    {"unknown type", "www 1 IN FOO bar\n", NULL,
     "zones/db: dns: unknown RR type: \"FOO\" at line: 1"},
    {"no type", "www\n", NULL, "expecting RR type, TTL or class"},
    {"no rdata", "www 1 A\n", NULL, "unexpected newline"},
    {"bad address", "\n\nwww 1 A 192.0.2.256\n", NULL, "bad A data: \"192.0.2.256\" at line: 3"},
    {"leading zero", "www 1 A 192.0.2.01\n", NULL, "bad A data"},
    {"more than one address", "www 1 A 192.0.2.1 192.0.2.2\n", NULL, "bad A data"},
    {"bad owner", "a..b 1 A 192.0.2.1\n", NULL, "bad owner name: \"a..b\""},
    {"label of 64 octets",
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1 A 192.0.2.1\n", NULL,
     "bad owner name"},
    {"nothing to repeat", "  1 A 192.0.2.1\n", NULL, "no owner name"},
    {"line number after parentheses", "a 1 TXT ( x\ny )\nb 1 A z\n", NULL, "at line: 3"},
    {"generate", "$GENERATE 1-3 h$ 5 A 192.0.2.$\n",
     "h1.example.org. 5 IN A 192.0.2.1\nh2.example.org. 5 IN A 192.0.2.2\nh3.example.org. 5 IN A "
     "192.0.2.3\n",
     NULL},
    {"generate with step and form", "$GENERATE 8-16/4 h${0,3}-${-8,2,x}-${2,0,X} 5 CNAME x$.y\n",
     "h008-00-A.example.org. 5 IN CNAME x8.y.example.org.\nh012-04-E.example.org. 5 IN CNAME "
     "x12.y.example.org.\n"
     "h016-08-12.example.org. 5 IN CNAME x16.y.example.org.\n",
     NULL},
    {"generate in octal", "$GENERATE 8-8 h${0,4,o} 5 A 192.0.2.$\n",
     "h0010.example.org. 5 IN A 192.0.2.8\n", NULL},
    {"generate a dollar", "$GENERATE 1-1 h$ 5 TXT \"$$ \\$ $\"\n",
     "h1.example.org. 5 IN TXT \"$ $ 1\"\n", NULL},
    {"generate without TTL", "$TTL 60\n$GENERATE 1-1 h$ A 192.0.2.$\nw A 192.0.2.9\n",
     "h1.example.org. 3600 IN A 192.0.2.1\nw.example.org. 60 IN A 192.0.2.9\n", NULL},
    {"generate: no step", "$GENERATE 1-3/ h$ 5 A 192.0.2.$\n", NULL, "bad step in $GENERATE range"},
    {"generate: step 0", "$GENERATE 1-3/0 h$ 5 A 192.0.2.$\n", NULL, "bad step"},
    {"generate: one number", "$GENERATE 1 h$ 5 A 192.0.2.$\n", NULL, "bad start-stop"},
    {"generate: downwards", "$GENERATE 3-1 h$ 5 A 192.0.2.$\n", NULL, "bad range"},
    {"generate: too many", "$GENERATE 0-65536 h$ 5 A 192.0.2.1\n", NULL, "bad range"},
    {"generate: bad start", "$GENERATE x-3 h$ 5 A 192.0.2.$\n", NULL, "bad start in"},
    {"generate: bad stop", "$GENERATE 1-x h$ 5 A 192.0.2.$\n", NULL, "bad stop in"},
    {"generate: bad base", "$GENERATE 1-3 h${0,0,n} 5 A 192.0.2.$\n", NULL, "bad base"},
    {"generate: bad width", "$GENERATE 1-3 h${0,256} 5 A 192.0.2.$\n", NULL, "bad width"},
    {"generate: bad offset", "$GENERATE 1-3 h${-2} 5 A 192.0.2.$\n", NULL, "bad offset"},
    {"generate: open modifier", "$GENERATE 1-3 h${1 5 A 192.0.2.$\n", NULL, "bad modifier"},
    {"generate: nothing", "$GENERATE 1-3\n", NULL, "garbage after $GENERATE range"},
    {"generate: nested", "$GENERATE 1-3 $$GENERATE 1-3 h$ 5 A 192.0.2.$\n", NULL,
     "nested $GENERATE"},
    {"generate: bad record", "\n$GENERATE 1-300 h$ 5 A 192.0.2.$\n", NULL,
     "bad A data: \"192.0.2.256\" at line: 2"},
    {"include of nothing", "$INCLUDE\n", NULL, "expecting $INCLUDE value"},
    {"include that is not there", "$INCLUDE nope.db\n", NULL,
     "failed to open `nope.db' as `zones/nope.db': open zones/nope.db: no such file or directory: "
     "\"nope.db\" at line: 1"},
};

static void test_rows(void)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct got g = {0};
        struct wp_arena a;
        struct wp_zone_text t;
        int r;

        wp_arena_init(&a, 0);
        r = read_text(rows[i].text, strlen(rows[i].text), &g, &t, &a);
        if (rows[i].error == NULL) {
            if (r != 0 || strcmp(g.text, rows[i].records) != 0)
                print_error("%s: %d %s\n%s", rows[i].what, r, t.error, g.text);
            CHECK_AT(rows[i].what, r == 0 && t.error == NULL);
            CHECK_AT(rows[i].what, strcmp(g.text, rows[i].records) == 0);
        } else {
            CHECK_AT(rows[i].what, r == WP_EMALFORMED && t.error != NULL);
            if (strstr(t.error, rows[i].error) == NULL)
                print_error("%s\n", t.error);
            CHECK_AT(rows[i].what, strstr(t.error, rows[i].error) != NULL);
        }
        wp_arena_done(&a);
    }
}

static void test_octets(void)
{
    struct got g = {0};
    struct wp_zone_text t;
    struct wp_arena a;
    size_t len = WP_ZONE_LINE_MAX + 100;
    char *big = malloc(len);

    wp_arena_init(&a, 0);
    CHECK(read_text(WIRE("www 1 A 192.0\0.2.1\n"), &g, &t, &a) == WP_EMALFORMED);
    CHECK(strstr(t.error, "NUL octet at line: 1") != NULL);
    CHECK(read_text(WIRE("www 1 TXT (\na\0b)\n"), &g, &t, &a) == WP_EMALFORMED);
    memset(big, 'a', len);
    memcpy(big, "w 1 TXT (", 9);
    big[len - 1] = ')';
    CHECK(read_text(big, len, &g, &t, &a) == WP_EMALFORMED);
    CHECK(strstr(t.error, "line too long") != NULL);
    free(big);
    g.stop_at = g.n + 2;
    CHECK(read_text(WIRE("a 1 A 192.0.2.1\nb 1 A 192.0.2.1\nc 1 A 192.0.2.1\n"), &g, &t, &a) == 77);
    CHECK(g.n == g.stop_at);
    wp_arena_done(&a);
}

/* Cut at every octet: a prefix reads or is refused, and nothing is read past it. */
static void test_cut(void)
{
    static const char text[] = "$TTL 5\n@ SOA ns admin ( 1 2 3 4 5 )\nwww A 192.0.2.1\n"
                               "\tTXT \"a b\\\"c\" ; x\n$GENERATE 1-2 h${0,2} A 192.0.2.$\n";

    for (size_t len = 0; len < sizeof(text); len++) {
        struct got g = {0};
        struct wp_zone_text t;
        struct wp_arena a;
        char *exact = malloc(len + 1);
        int r;

        memcpy(exact, text, len);
        wp_arena_init(&a, 0);
        r = read_text(exact, len, &g, &t, &a);
        CHECK(r == 0 || (r == WP_EMALFORMED && t.error != NULL));
        free(exact);
        wp_arena_done(&a);
    }
}

/* --- files --------------------------------------------------------------------------------- */

static char dir[] = "/tmp/wp_zone_text_XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static int read_path(const char *name, struct got *g, struct wp_zone_text *t, struct wp_arena *a)
{
    struct wp_name origin;
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    *t = (struct wp_zone_text){.arena = a, .fn = take, .arg = g};
    CHECK(wp_name_parse("example.org.", &origin) == 0);
    return wp_zone_text_read(t, wp_arena_strdup(a, path), &origin);
}

static void remove_file(const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    unlink(path);
}

static void test_include(void)
{
    struct got g = {0};
    struct wp_zone_text t;
    struct wp_arena a;
    unsigned n = 0;

    CHECK(mkdtemp(dir) != NULL);
    wp_arena_init(&a, 0);
    write_file("main", "$TTL 60\n@ A 192.0.2.1\n$INCLUDE inner sub ; there\n A 192.0.2.4\n"
                       "$INCLUDE \"inner\"\nlast A 192.0.2.5\n");
    write_file("inner", "x A 192.0.2.2\n$TTL 7\ny A 192.0.2.3\n$ORIGIN com.\n");
    CHECK(read_path("main", &g, &t, &a) == 0);
    CHECK(strcmp(g.text, "example.org. 60 IN A 192.0.2.1\nx.sub.example.org. 60 IN A 192.0.2.2\n"
                         "y.sub.example.org. 7 IN A 192.0.2.3\nexample.org. 60 IN A 192.0.2.4\n"
                         "x.example.org. 60 IN A 192.0.2.2\ny.example.org. 7 IN A 192.0.2.3\n"
                         "last.example.org. 60 IN A 192.0.2.5\n") == 0);
    for (struct wp_zone_file *f = t.files; f != NULL; f = f->next)
        n += f->size > 0 && f->mtime_ns > 0 && f->inode != 0;
    CHECK(n == 3 && strstr(t.files->path, "/main") != NULL);

    write_file("inner", " A 192.0.2.2\n"); /* an owner does not go over into an included file */
    CHECK(read_path("main", &g, &t, &a) == WP_EMALFORMED);
    CHECK(strstr(t.error, "/inner: dns: no owner name at line: 1") != NULL);
    write_file("inner", "$INCLUDE inner\n");
    CHECK(read_path("main", &g, &t, &a) == WP_EMALFORMED);
    CHECK(strstr(t.error, "too deeply nested $INCLUDE") != NULL);
    CHECK(read_path("nope", &g, &t, &a) == -ENOENT && t.error == NULL);
    wp_arena_done(&a);
    remove_file("main");
    remove_file("inner");
}

/* Larger than the read-ahead, lines across its border. */
static void test_large_file(void)
{
    struct wp_arena a;
    struct wp_zone_text t;
    struct got g = {0};
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/large", dir);
    f = fopen(path, "w");
    CHECK(f != NULL);
    for (int i = 0; i < 300000; i++)
        fprintf(f, "; %d\n", i);
    fputs("www 1 TXT (", f);
    for (int i = 0; i < 5000; i++)
        fprintf(f, "; a comment inside %d\n", i);
    fputs("x )\nw2 1 A 192.0.2.1", f);
    CHECK(fclose(f) == 0);
    wp_arena_init(&a, 0);
    CHECK(read_path("large", &g, &t, &a) == 0);
    CHECK(strcmp(g.text, "www.example.org. 1 IN TXT \"x\"\nw2.example.org. 1 IN A 192.0.2.1\n") ==
          0);
    wp_arena_done(&a);
    remove_file("large");
    rmdir(dir);
}

RUN_TESTS(TEST(test_rows), TEST(test_octets), TEST(test_cut), TEST(test_include),
          TEST(test_large_file))
