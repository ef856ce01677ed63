/* Responses of Nomad's API: what is told of them, what is refused and how. In the tables ' stands for ". */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include "backends/common/json_pull.h"
#include "backends/nomad/decode.h"

/* What the callbacks were told, as text. */
struct heard {
    char text[8192];
    size_t len, told;
    size_t stop_at; /* the call of this number returns -ECANCELED; 0: none */
};

static void put(struct heard *h, struct wp_nomad_text t)
{
    CHECK(h->len + t.len < sizeof(h->text));
    memcpy(h->text + h->len, t.at, t.len);
    h->len += t.len;
    h->text[h->len] = '\0';
}

static void say(struct heard *h, const char *s)
{
    put(h, (struct wp_nomad_text){s, strlen(s)});
}

static int told(struct heard *h)
{
    return ++h->told == h->stop_at ? -ECANCELED : 0;
}

/* "ns/name id address:port alloc dc create modify [tag][tag]; " */
static int on_registration(void *arg, const struct wp_nomad_registration *r)
{
    const struct wp_nomad_text texts[] = {r->namespace, r->name, r->id, r->address, r->alloc_id,
                                          r->datacenter};
    struct heard *h = arg;
    char number[96];

    for (size_t i = 0; i < COUNT(texts); i++) {
        put(h, texts[i]);
        say(h, "/");
    }
    snprintf(number, sizeof(number), "%u/%llu/%llu", r->port, (unsigned long long)r->create_index,
             (unsigned long long)r->modify_index);
    say(h, number);
    for (size_t i = 0; i < r->n_tags; i++) {
        say(h, "[");
        put(h, r->tags[i]);
        say(h, "]");
    }
    say(h, ";");
    return told(h);
}

static int on_listed(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name)
{
    put(arg, namespace);
    say(arg, "/");
    put(arg, name);
    say(arg, ";");
    return told(arg);
}

static void on_ns(void *arg, struct wp_nomad_text namespace)
{
    put(arg, namespace);
    say(arg, ":");
}

static int on_name(void *arg, struct wp_nomad_text name)
{
    put(arg, name);
    say(arg, ";");
    return told(arg);
}

static int on_event(void *arg, const struct wp_nomad_event *e)
{
    char number[32];

    snprintf(number, sizeof(number), "%c%llu ", e->removed ? '-' : '+', (unsigned long long)e->index);
    say(arg, number);
    put(arg, e->namespace);
    say(arg, "/");
    put(arg, e->name);
    say(arg, ";");
    return told(arg);
}

static int on_check(void *arg, struct wp_nomad_text service, bool ok)
{
    put(arg, service);
    say(arg, ok ? "+;" : "-;");
    return told(arg);
}

enum what { SERVICE, LIST, NAMESPACES, EVENT, CHECKS };

/* From memory of exactly this length, so that reading past it is seen. */
static int decode(enum what what, const char *text, size_t len, struct heard *h, char why[256])
{
    char *copy = malloc(len > 0 ? len : 1);
    uint64_t index = 999;
    int r = 0;

    CHECK(copy != NULL);
    memcpy(copy, text, len);
    for (size_t i = 0; i < len; i++)
        copy[i] = copy[i] == '\'' ? '"' : copy[i];
    h->len = h->told = 0;
    h->text[0] = why[0] = '\0';
    switch (what) {
    case SERVICE:
        r = wp_nomad_decode_service(copy, len, on_registration, h, why);
        break;
    case LIST:
        r = wp_nomad_decode_list(copy, len, on_listed, on_ns, h, why);
        break;
    case NAMESPACES:
        r = wp_nomad_decode_namespaces(copy, len, on_name, h, why);
        break;
    case EVENT:
        r = wp_nomad_decode_event(copy, len, on_event, h, &index, why);
        CHECK((index == 999) == (r != 0));
        if (r == 0) {
            char number[32];
            snprintf(number, sizeof(number), "@%llu", (unsigned long long)index);
            say(h, number);
        }
        break;
    case CHECKS:
        r = wp_nomad_decode_checks(copy, len, on_check, h, why);
        break;
    }
    CHECK((r == WP_EMALFORMED) == (why[0] != '\0'));
    free(copy);
    return r;
}

/* --- what is told ------------------------------------------------------------------------------ */

#define S63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define S128 S63 "-" S63 "x"
#define EVENT_OF(topic, type, rest)                                                                \
    "{'Index':7,'Events':[{'Topic':'" topic "','Type':'" type "'," rest "}]}"
#define PAYLOAD(name) "'Payload':{'Service':{'ServiceName':'" name "','Namespace':'inner','Port':1}}"

static const struct {
    const char *what;
    enum what kind;
    const char *text, *told;
} good[] = {
    {"as Nomad writes it", SERVICE,
     "[{'Address':'10.1.0.1','AllocID':'a1','CreateIndex':18,'Datacenter':'dc1','ID':'_nomad-task-x',"
     "'JobID':'j','ModifyIndex':19,'Namespace':'default','NodeID':'n','Port':8001,'ServiceName':'web',"
     "'Tags':['blue','v=1']}]",
     "default/web/_nomad-task-x/10.1.0.1/a1/dc1/8001/18/19[blue][v=1];"},
    {"order of the API", SERVICE, "[{'ID':'b','Port':2},{'ID':'a','Port':1}]",
     "//b////2/0/0;//a////1/0/0;"},
    {"null", SERVICE, "null", ""},
    {"empty", SERVICE, " [ ] \r\n", ""},
    {"null in the list is an empty one", SERVICE, "[null]", "//////0/0/0;"},
    {"null for every member", SERVICE,
     "[{'Address':null,'ID':null,'Port':null,'Tags':null,'CreateIndex':null,'ServiceName':null}]",
     "//////0/0/0;"},
    {"members that a small server leaves out", SERVICE, "[{'Address':'10.0.0.1','Port':6379}]",
     "///10.0.0.1///6379/0/0;"},
    {"unknown members", SERVICE, "[{'X':{'ID':'no','a':[1,{'b':null}]},'ID':'yes','Y':-1.5e300}]",
     "//yes////0/0/0;"},
    {"names compare exactly", SERVICE, "[{'id':'a','port':3,'ADDRESS':'x'}]", "//////0/0/0;"},
    {"of two the last one", SERVICE, "[{'ID':'a','Tags':['x','y'],'Port':1,'ID':'b','Tags':['z'],'Port':2}]",
     "//b////2/0/0[z];"},
    {"port 0", SERVICE, "[{'Port':0}]", "//////0/0/0;"},
    {"largest port", SERVICE, "[{'Port':65535}]", "//////65535/0/0;"},
    {"largest index", SERVICE, "[{'ModifyIndex':9223372036854775807}]",
     "//////0/0/9223372036854775807;"},
    {"escapes", SERVICE, "[{'ID':'a\\u002fb\\n\\u00e9\\ud83d\\ude00'}]",
     "//a/b\n\xc3\xa9\xf0\x9f\x98\x80////0/0/0;"},
    {"lone surrogate", SERVICE, "[{'ID':'\\ud800'}]", "//\xef\xbf\xbd////0/0/0;"},
    {"no UTF-8", SERVICE, "[{'ID':'a\xff\xc0z'}]", "//a\xef\xbf\xbd\xef\xbf\xbdz////0/0/0;"},
    {"escaped member", SERVICE, "[{'\\u0049D':'a'}]", "//a////0/0/0;"},
    {"host name as address", SERVICE, "[{'Address':'db.corp.example'}]",
     "///db.corp.example///0/0/0;"},
    {"tags twice and empty ones", SERVICE, "[{'Tags':['','a','a']}]", "//////0/0/0[][a][a];"},

    {"list", LIST,
     "[{'Namespace':'default','Services':[{'ServiceName':'web','Tags':['a']},{'ServiceName':'db','Tags':null}]},"
     "{'Namespace':'ops','Services':[{'ServiceName':'web','Tags':[]}]}]",
     "default:default/web;default/db;ops:ops/web;"},
    {"services before their namespace", LIST, "[{'Services':[{'ServiceName':'a'}],'Namespace':'n'}]",
     "n:n/a;"},
    {"namespace without services", LIST, "[{'Namespace':'a','Services':[]},{'Namespace':'b'},"
                                         "{'Namespace':'c','Services':null}]",
     "a:b:c:"},
    {"services twice: the last ones", LIST,
     "[{'Services':[{'ServiceName':'a'}],'Namespace':'n','Services':[{'ServiceName':'b'}]}]", "n:n/b;"},
    {"null list", LIST, "null", ""},
    {"empty list", LIST, "[]", ""},
    {"longest name", LIST, "[{'Namespace':'n','Services':[{'ServiceName':'" S63 "'}]}]",
     "n:n/" S63 ";"},
    {"names that nobody can ask for", LIST,
     "[{'Namespace':'n','Services':[{'ServiceName':'" S63 "x'},{'ServiceName':''},{},null,{'ServiceName':'a'}]}]",
     "n:n/a;"},
    {"longest namespace", LIST, "[{'Namespace':'" S128 "','Services':[{'ServiceName':'a'}]}]",
     S128 ":" S128 "/a;"},
    {"namespace beyond it", LIST, "[{'Namespace':'" S128 "x','Services':[{'ServiceName':'a'}]}]",
     S128 "x:"},

    {"namespaces", NAMESPACES,
     "[{'Name':'default','Description':'x','Quota':'','CreateIndex':1},{'Name':'ops'},{'Name':null},{}]",
     "default;ops;"},
    {"null for namespaces", NAMESPACES, "null", ""},

    {"heartbeat", EVENT, "{}", "@0"},
    {"index only", EVENT, "{'Index':12}", "@12"},
    {"registration", EVENT,
     EVENT_OF("Service", "ServiceRegistration",
              "'Key':'k','Namespace':'ops','FilterKeys':['job','web'],'Index':6," PAYLOAD("web")),
     "+6 ops/web;@7"},
    {"deregistration", EVENT,
     EVENT_OF("Service", "ServiceDeregistration", "'Namespace':'ops','Index':6," PAYLOAD("web")),
     "-6 ops/web;@7"},
    {"removed by another operation", EVENT,
     EVENT_OF("Service", "AllocationUpdated", "'Namespace':'ops','Index':6," PAYLOAD("web")),
     "-6 ops/web;@7"},
    {"without payload", EVENT,
     EVENT_OF("Service", "PlanResult", "'Namespace':'ops','FilterKeys':['job','web'],'Payload':null"),
     "-0 ops/web;@7"},
    {"namespace of the payload", EVENT, EVENT_OF("Service", "ServiceRegistration", PAYLOAD("web")),
     "+0 inner/web;@7"},
    {"another topic", EVENT, EVENT_OF("Job", "JobRegistered", "'Namespace':'ops'," PAYLOAD("web")),
     "@7"},
    {"an event without a name", EVENT,
     EVENT_OF("Service", "ServiceRegistration", "'Namespace':'ops','FilterKeys':['job']"), "@7"},
    {"two events, index behind them", EVENT,
     "{'Events':[{'Topic':'Service','Type':'ServiceRegistration','Namespace':'a'," PAYLOAD("b") "},"
     "{'Type':'X','Payload':{'Service':{'ServiceName':'d'}},'Topic':'Service','Namespace':'c'}],'Index':9}",
     "+0 a/b;-0 c/d;@9"},

    {"checks", CHECKS,
     "{'9f4e':{'Check':'alive','Group':'e.c[0]','ID':'9f4e','Mode':'healthiness','Output':'nomad: tcp ok',"
     "'Service':'redis','Status':'success','StatusCode':0,'Task':'','Timestamp':1678374623},"
     "'2':{'Mode':'readiness','Service':'redis','Status':'failure'},"
     "'3':{'Service':'web','Status':'pending'}}",
     "redis+;redis-;web+;"},
    {"no checks", CHECKS, "{}", ""},
    {"null for checks", CHECKS, "null", ""},
    {"checks without a service or a status", CHECKS, "{'1':{'Status':'failure'},'2':{'Service':'a'},'3':null}",
     "a+;"},
};

static void test_told(void)
{
    static struct heard h;
    char why[256];

    for (size_t i = 0; i < COUNT(good); i++) {
        int r = decode(good[i].kind, good[i].text, strlen(good[i].text), &h, why);
        if (r != 0 || strcmp(h.text, good[i].told) != 0)
            print_error("%d '%s', told '%s'\n", r, why, h.text);
        CHECK_AT(good[i].what, r == 0 && strcmp(h.text, good[i].told) == 0);
    }
}

/* A text that is cut anywhere is refused, whatever was told before. */
static void test_cut(void)
{
    static struct heard h;
    char why[256];

    for (size_t i = 0; i < COUNT(good); i++) {
        size_t len = strlen(good[i].text);
        while (len > 0 && strchr(" \r\n", good[i].text[len - 1]) != NULL)
            len--;
        for (size_t n = 0; n < len; n++)
            CHECK_AT(good[i].what, decode(good[i].kind, good[i].text, n, &h, why) == WP_EMALFORMED);
    }
}

/* --- what is refused --------------------------------------------------------------------------- */

static const struct {
    const char *what;
    enum what kind;
    const char *text, *why;
} bad[] = {
    {"nothing", SERVICE, "", "JSON: the text ends early at octet 0"},
    {"HTML of a proxy", SERVICE, "<html>", "JSON: no JSON value at octet 0"},
    {"two values", SERVICE, "[] []", "JSON: something follows at octet 3"},
    {"an object", SERVICE, "{'ID':'a'}", "response: not a list at octet 0"},
    {"a text", SERVICE, "'web'", "response: not a list at octet 0"},
    {"registrations of texts", SERVICE, "['web']", "registration: not an object at octet 1"},
    {"port as text", SERVICE, "[{'ServiceName':'web','Port':'80'}]",
     "service web: Port: not a number at octet 29"},
    {"port before the name", SERVICE, "[{'Port':'80','ServiceName':'web'}]",
     "Port: not a number at octet 9"},
    {"the name before is not blamed", SERVICE, "[{'ServiceName':'web'},{'Port':'80'}]",
     "Port: not a number at octet 31"},
    {"port too large", SERVICE, "[{'Port':65536}]", "Port: out of range at octet 14"},
    {"negative port", SERVICE, "[{'Port':-1}]", "Port: out of range at octet 11"},
    {"port with fraction", SERVICE, "[{'Port':80.0}]", "Port: not an integer at octet 13"},
    {"port with exponent", SERVICE, "[{'Port':1e400}]", "Port: not an integer at octet 14"},
    {"port of forty digits", SERVICE, "[{'Port':1000000000000000000000000000000000000000}]",
     "Port: out of range at octet 49"},
    {"index beyond 63 bits", SERVICE, "[{'CreateIndex':9223372036854775808}]",
     "CreateIndex: out of range at octet 35"},
    {"negative index", SERVICE, "[{'ModifyIndex':-5}]", "ModifyIndex: out of range at octet 18"},
    {"tags as text", SERVICE, "[{'Tags':'a,b'}]", "Tags: not a list at octet 9"},
    {"tag as number", SERVICE, "[{'Tags':['a',3]}]", "Tags: not a string at octet 14"},
    {"address as list", SERVICE, "[{'Address':['10.0.0.1']}]", "Address: not a string at octet 12"},
    {"odd octets in the name", SERVICE, "[{'ServiceName':'a\\n\xc3\xa9 b','Port':{}}]",
     "service a????b: Port: not a number at octet 33"},
    {"what is passed over must be JSON", SERVICE, "[{'X':[1,2,]}]", "JSON: no JSON value at octet 11"},
    {"control octet", SERVICE, "[{'ID':'a\nb'}]", "JSON: bad character in a string at octet 9"},
    {"list of another kind", LIST, "{}", "response: not a list at octet 0"},
    {"no namespace", LIST, "[{'Services':[{'ServiceName':'a'}]}]", "Namespace: empty at octet 35"},
    {"services as object", LIST, "[{'Namespace':'n','Services':{}}]",
     "Services: not a list at octet 29"},
    {"services of texts", LIST, "[{'Namespace':'n','Services':['web']}]",
     "Services: not an object at octet 30"},
    {"name as number", LIST, "[{'Namespace':'n','Services':[{'ServiceName':1}]}]",
     "ServiceName: not a string at octet 45"},
    {"namespaces of texts", NAMESPACES, "['a']", "namespace: not an object at octet 1"},
    {"name of a namespace", NAMESPACES, "[{'Name':true}]", "Name: not a string at octet 9"},
    {"event as list", EVENT, "[]", "response: not an object at octet 0"},
    {"events as object", EVENT, "{'Events':{}}", "Events: not a list at octet 10"},
    {"index as text", EVENT, "{'Index':'7'}", "Index: not a number at octet 9"},
    {"payload as text", EVENT, "{'Events':[{'Payload':'x'}]}", "Payload: not an object at octet 22"},
    {"two lines", EVENT, "{}\n{}", "JSON: something follows at octet 3"},
    {"checks as list", CHECKS, "[]", "response: not an object at octet 0"},
    {"check as text", CHECKS, "{'a':'success'}", "check: not an object at octet 5"},
    {"status as number", CHECKS, "{'a':{'Status':0}}", "Status: not a string at octet 15"},
};

static void test_refused(void)
{
    static struct heard h;
    char why[256];

    for (size_t i = 0; i < COUNT(bad); i++) {
        int r = decode(bad[i].kind, bad[i].text, strlen(bad[i].text), &h, why);
        if (strcmp(why, bad[i].why) != 0)
            print_error("%d '%s'\n", r, why);
        CHECK_AT(bad[i].what, r == WP_EMALFORMED && strcmp(why, bad[i].why) == 0);
    }
}

/* --- limits ------------------------------------------------------------------------------------ */

static void test_long_texts(void)
{
    static char text[3 * WP_NOMAD_TEXT_MAX];
    static struct heard h;
    char why[256];

    for (int over = 0; over < 2; over++) {
        int n = snprintf(text, sizeof(text), "[{'ServiceName':'web','Address':'%0*d'}]",
                         WP_NOMAD_TEXT_MAX + over, 0);
        int r = decode(SERVICE, text, (size_t)n, &h, why);
        CHECK(r == (over ? WP_EMALFORMED : 0));
        CHECK(!over || strcmp(why, "service web: Address: too long at octet 4131") == 0);
    }
    /* A tag may be as long as it likes: what keeps it decides. */
    int n = snprintf(text, sizeof(text), "[{'Tags':['%0*d','a']}]", 2 * WP_NOMAD_TEXT_MAX - 300, 0);
    CHECK(decode(SERVICE, text, (size_t)n, &h, why) == 0);
    CHECK(strcmp(h.text + h.len - 4, "[a];") == 0);
}

static void test_many_tags(void)
{
    static char text[8 * WP_NOMAD_TAGS_MAX];
    static struct heard h;
    char why[256], last[16];
    size_t n = (size_t)snprintf(text, sizeof(text), "[{'Tags':[");

    for (int i = 0; i < WP_NOMAD_TAGS_MAX + 1; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s'%d'", i > 0 ? "," : "", i);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "]}]");
    CHECK(decode(SERVICE, text, n, &h, why) == 0);
    snprintf(last, sizeof(last), "[%d];", WP_NOMAD_TAGS_MAX - 1);
    CHECK(h.len > strlen(last) && strcmp(h.text + h.len - strlen(last), last) == 0);
}

static void test_deep(void)
{
    static char text[3 * WP_JSON_PULL_DEPTH];
    static struct heard h;
    char why[256];

    for (size_t depth = WP_JSON_PULL_DEPTH; depth <= WP_JSON_PULL_DEPTH + 1; depth++) {
        size_t n = (size_t)snprintf(text, sizeof(text), "[{'X':");
        memset(text + n, '[', depth);
        memset(text + n + depth, ']', depth);
        memcpy(text + n + 2 * depth, "}]", 2);
        CHECK(decode(SERVICE, text, n + 2 * depth + 2, &h, why) ==
              (depth > WP_JSON_PULL_DEPTH ? WP_EMALFORMED : 0));
    }
    CHECK(strcmp(why, "JSON: nested too deep at octet 518") == 0);
}

/* What a callback returns ends the reading and is what the caller gets, whatever follows. */
static void test_stopped(void)
{
    static const struct {
        enum what kind;
        const char *text;
    } rows[] = {
        {SERVICE, "[{'ID':'a'},{'ID':'b'},{'ID':'c'},oops"},
        {LIST, "[{'Namespace':'n','Services':[{'ServiceName':'a'},{'ServiceName':'b'},oops"},
        {LIST, "[{'Namespace':'n','Services':[{'ServiceName':'a'},{'ServiceName':'b'},"
               "{'ServiceName':'c'}]}]"},
        {NAMESPACES, "[{'Name':'a'},{'Name':'b'},{'Name':'c'},oops"},
        {EVENT, "{'Index':3,'Events':[{'Topic':'Service','Namespace':'n','FilterKeys':['','a']},"
                "{'Topic':'Service','Namespace':'n','FilterKeys':['','b']},oops"},
        {CHECKS, "{'1':{'Service':'a'},'2':{'Service':'b'},'3':{'Service':'c'},oops"},
    };
    static struct heard h;
    char why[256];

    for (size_t i = 0; i < COUNT(rows); i++) {
        int r;
        h.stop_at = 2;
        r = decode(rows[i].kind, rows[i].text, strlen(rows[i].text), &h, why);
        /* of a list that is cut inside the services nothing is told: they are gone through first */
        CHECK_AT(rows[i].text, r == (i == 1 ? WP_EMALFORMED : -ECANCELED));
        CHECK_AT(rows[i].text, h.told == (i == 1 ? 0 : 2));
    }
    h.stop_at = 0;
}

RUN_TESTS(TEST(test_told), TEST(test_cut), TEST(test_refused), TEST(test_long_texts),
          TEST(test_many_tags), TEST(test_deep), TEST(test_stopped))
