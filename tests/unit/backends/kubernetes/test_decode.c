/* API objects read from JSON: which fields are kept, what counts as absent, what is refused. */
#include "kube_world.h"

static const struct wp_kube_decode_config plain,
    all = {.zonal = true, .pod_names = true, .labels = true};

static int decode(const struct wp_kube_decode_config *c, enum wp_kube_collection collection,
                  const char *text, struct wp_kube_object *o, struct wp_kube_decode_error *e)
{
    static struct wp_arena arena;
    static char buf[65536];

    wp_arena_done(&arena);
    wp_arena_init(&arena, 1 << 20);
    CHECK(strlen(text) < sizeof(buf));
    strcpy(buf, text);
    for (char *at = buf; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    e->text[0] = '\0';
    return wp_kube_decode(c, collection, buf, strlen(buf), &arena, o, e);
}

#define IN_META(s) "{'metadata':{'name':'n','namespace':'a'}," s "}"
#define SERVICE(s) IN_META("'spec':{" s "}")
#define SLICE(s) IN_META(s)

/* --- what is refused, and what is said about it ------------------------------------------------
 */

static const struct {
    const char *what;
    enum wp_kube_collection collection;
    const char *text, *error;
} refused[] = {
    {"no JSON", WP_KUBE_SERVICES, "", "services ?: JSON: the text ends early"},
    {"cut", WP_KUBE_SERVICES, "{'metadata':{'name':'n'", "services n: JSON: the text ends early"},
    {"two values", WP_KUBE_SERVICES, IN_META("'spec':{}") " {}",
     "services a/n: JSON: something follows"},
    {"no object", WP_KUBE_SERVICES, "[]", "services ?: object: not an object"},
    {"type of spec", WP_KUBE_SERVICES, IN_META("'spec':[]"), "services a/n: spec: not an object"},
    {"name after the error", WP_KUBE_SERVICES, "{'spec':3,'metadata':{'name':'n','namespace':'a'}}",
     "services a/n: spec: not an object"},
    {"type of ports", WP_KUBE_SERVICES, SERVICE("'ports':{}"),
     "services a/n: spec.ports: not a list"},
    {"port as text", WP_KUBE_SERVICES, SERVICE("'ports':[{'port':'80'}]"),
     "services a/n: ports.port: not a number"},
    {"port too large", WP_KUBE_SERVICES, SERVICE("'ports':[{'port':65536}]"),
     "services a/n: ports.port: out of range"},
    {"negative port", WP_KUBE_SLICES, SLICE("'ports':[{'port':-1}]"),
     "endpointslices a/n: ports.port: out of range"},
    {"fraction", WP_KUBE_SLICES, SLICE("'ports':[{'port':80.0}]"),
     "endpointslices a/n: ports.port: not an integer"},
    {"beyond 64 bits", WP_KUBE_SLICES, SLICE("'ports':[{'port':99999999999999999999}]"),
     "endpointslices a/n: ports.port: out of range"},
    {"number as name", WP_KUBE_SLICES, SLICE("'endpoints':[{'hostname':3}]"),
     "endpointslices a/n: endpoints.hostname: not a string"},
    {"ready as text", WP_KUBE_SLICES, SLICE("'endpoints':[{'conditions':{'ready':'true'}}]"),
     "endpointslices a/n: endpoints.conditions.ready: not true or false"},
    {"one address", WP_KUBE_SLICES, SLICE("'endpoints':[{'addresses':'10.0.0.1'}]"),
     "endpointslices a/n: endpoints.addresses: not a list"},
    {"name with a dot", WP_KUBE_SERVICES, "{'metadata':{'name':'a.b','namespace':'a'}}",
     "services a/a.b: metadata.name: not a DNS label"},
    {"no name", WP_KUBE_PODS, "{'metadata':{'namespace':'a'}}", "pods a/: metadata.name: empty"},
    {"no namespace", WP_KUBE_PODS, "{'metadata':{'name':'n'}}",
     "pods n: metadata.namespace: not a DNS label"},
    {"odd namespace", WP_KUBE_NAMESPACES, "{'metadata':{'name':'a b'}}",
     "namespaces a?b: metadata.name: not a DNS label"},
    {"podIPs of texts", WP_KUBE_PODS, IN_META("'status':{'podIPs':['10.0.0.1']}"),
     "pods a/n: status.podIPs: not an object"},
    {"podIPs beyond count", WP_KUBE_PODS,
     IN_META("'status':{'podIPs':[{'ip':'1'},{'ip':'2'},{'ip':'3'},{'ip':'4'},{'ip':'5'}]}"),
     "pods a/n: status.podIPs.ip: too many addresses"},
    {"bad value that is skipped", WP_KUBE_PODS, IN_META("'spec':{'x':[1,2,]}"),
     "pods a/n: JSON: no JSON value"},
    {"bad escape that is skipped", WP_KUBE_PODS, IN_META("'spec':'\\x'"),
     "pods a/n: JSON: bad character in a string"},
    {"missing colon", WP_KUBE_PODS, IN_META("'spec' 3"), "pods a/n: JSON: a colon is missing"},
    {"missing comma", WP_KUBE_PODS, IN_META("'x':1 'y':2"), "pods a/n: JSON: a comma is missing"},
    {"leading zero", WP_KUBE_PODS, IN_META("'x':01"), "pods a/n: JSON: a comma is missing"},
    {"bad number", WP_KUBE_PODS, IN_META("'x':1.e5"), "pods a/n: JSON: bad number"},
    {"brackets crossed", WP_KUBE_PODS, IN_META("'x':[{]}"), "pods a/n: JSON: a name is missing"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct wp_kube_decode_error e;
        struct wp_kube_object o;
        int r = decode(&all, refused[i].collection, refused[i].text, &o, &e);
        if (strcmp(e.text, refused[i].error) != 0)
            print_error("got '%s'\n", e.text);
        CHECK_AT(refused[i].what, r == WP_EMALFORMED);
        CHECK_AT(refused[i].what, strcmp(e.text, refused[i].error) == 0);
    }
}

/* A text that is cut anywhere is refused. */
static void test_cut(void)
{
    static const char text[] =
        "{\"metadata\":{\"name\":\"n\",\"namespace\":\"a\",\"labels\":{\"x\\u00e9\":\"y\"}},"
        "\"spec\":{\"skipped\":[1,-2.5e3,true,null,{\"a\":[]}],\"ports\":[{\"port\":80}]}}";
    struct wp_kube_decode_error e;
    struct wp_kube_object o;
    struct wp_arena arena;

    wp_arena_init(&arena, 1 << 16);
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, text, n);
        CHECK(wp_kube_decode(&all, WP_KUBE_SERVICES, copy, n, &arena, &o, &e) == WP_EMALFORMED);
        free(copy);
    }
    CHECK(wp_kube_decode(&all, WP_KUBE_SERVICES, text, sizeof(text) - 1, &arena, &o, &e) == 0);
    wp_arena_done(&arena);
}

/* --- what is kept ------------------------------------------------------------------------------
 */

/* kind; addresses; externals; ports as name/protocol/number; endpoints as name=address@zone */
static const char *tell(const struct wp_kube_object *o)
{
    static struct kube_text t;
    char number[32];

    t.len = 0;
    snprintf(number, sizeof(number), "%d", o->kind);
    kube_say(&t, number);
    for (size_t i = 0; i < o->n_ips; i++) {
        kube_say(&t, " ");
        kube_add(&t, o->ips[i].at, o->ips[i].len);
    }
    for (size_t i = 0; i < o->n_externals; i++) {
        kube_say(&t, " +");
        kube_add(&t, o->externals[i].at, o->externals[i].len);
    }
    for (size_t i = 0; i < o->n_ports; i++) {
        kube_say(&t, " ");
        kube_add(&t, o->ports[i].name.at, o->ports[i].name.len);
        kube_say(&t, "/");
        kube_add(&t, o->ports[i].protocol.at, o->ports[i].protocol.len);
        snprintf(number, sizeof(number), "/%d", o->ports[i].number);
        kube_say(&t, number);
    }
    for (size_t i = 0; i < o->n_endpoints; i++) {
        const struct wp_kube_endpoint *e = &o->endpoints[i];
        kube_say(&t, " ");
        kube_add(&t, e->name.at, e->name.len);
        kube_say(&t, "=");
        kube_add(&t, e->addr.at, e->addr.len);
        kube_say(&t, e->zone.len > 0 ? "@" : "");
        kube_add(&t, e->zone.at, e->zone.len);
    }
    return t.at;
}

#define POD(name) "'targetRef':{'kind':'Pod','name':'" name "'}"
static const struct {
    const char *what;
    const struct wp_kube_decode_config *config;
    enum wp_kube_collection collection;
    const char *text, *kept;
} kept[] = {
    {"nothing but a name", &plain, WP_KUBE_SERVICES, "{'metadata':{'name':'n','namespace':'a'}}",
     "1 //-1"},
    {"null everywhere", &plain, WP_KUBE_SERVICES,
     SERVICE("'ports':null,'clusterIPs':null,'clusterIP':null,'type':null,'externalIPs':null"),
     "1 //-1"},
    {"spec is null", &plain, WP_KUBE_SERVICES, IN_META("'spec':null,'status':null"), "1 //-1"},
    {"clusterIPs first", &plain, WP_KUBE_SERVICES,
     SERVICE("'clusterIP':'10.0.0.1','clusterIPs':['10.0.0.2','fd00::1']"),
     "1 10.0.0.2 fd00::1 //-1"},
    {"clusterIPs empty", &plain, WP_KUBE_SERVICES,
     SERVICE("'clusterIP':'10.0.0.1','clusterIPs':[]"), "1 10.0.0.1 //-1"},
    {"headless", &plain, WP_KUBE_SERVICES, SERVICE("'clusterIPs':['None']"), "2 //-1"},
    {"ExternalName goes first", &plain, WP_KUBE_SERVICES,
     SERVICE("'type':'ExternalName','clusterIPs':['None']"), "3 //-1"},
    {"port without number", &plain, WP_KUBE_SERVICES, SERVICE("'ports':[{'name':'x'}]"), "1 x//0"},
    {"protocol is free", &plain, WP_KUBE_SERVICES,
     SERVICE("'ports':[{'port':0,'protocol':'Odd'},{'port':65535}]"), "1 /Odd/0 //65535"},
    {"status before spec", &plain, WP_KUBE_SERVICES,
     IN_META("'status':{'loadBalancer':{'ingress':[{'ip':'192.0.2.2','hostname':'x'},{'hostname':"
             "'lb.test'},{},null]}},'spec':{'externalIPs':['192.0.2.1','']}"),
     "1 +192.0.2.1 +192.0.2.2 +lb.test //-1"},
    {"spec before status", &plain, WP_KUBE_SERVICES,
     IN_META("'spec':{'externalIPs':['192.0.2.1']},'status':{'loadBalancer':{'ingress':[{'ip':"
             "'192.0.2.2'}]}}"),
     "1 +192.0.2.1 +192.0.2.2 //-1"},
    {"slice of nothing", &plain, WP_KUBE_SLICES, SLICE("'endpoints':null,'ports':null"), "0 //-1"},
    {"ports without number", &plain, WP_KUBE_SLICES,
     SLICE("'ports':[{'name':'x','port':null},{'name':'y'},{}]"), "0 x//-1 y//-1 //-1"},
    {"ready", &plain, WP_KUBE_SLICES,
     SLICE("'ports':[],'endpoints':[{'addresses':['1']},{'addresses':['2'],'conditions':null},{"
           "'addresses':['3'],'conditions':{}},{'addresses':['4'],'conditions':{'ready':null}},{"
           "'addresses':['5'],'conditions':{'ready':true}},{'conditions':{'ready':false},"
           "'addresses':['6']},{'addresses':['7'],'conditions':{'ready':false,'serving':true}}]"),
     "0 //-1 =1 =2 =3 =4 =5"},
    {"every address", &plain, WP_KUBE_SLICES,
     SLICE("'endpoints':[{'addresses':['1','2'],'hostname':'h'},{'addresses':null},{'addresses':"
           "['3']},null]"),
     "0 //-1 h=1 h=2 =3"},
    {"pod names", &all, WP_KUBE_SLICES,
     SLICE("'endpoints':[{'addresses':['1']," POD("p") ",'hostname':'h'},{'addresses':['2']," POD(
         "p.q") "},{'addresses':['3']," POD("012345678901234567890123456789012345678901234567890123"
                                            "4567890123") "},{'addresses':['4'],"
                                                          "'targetRef':null}]"),
     "0 //-1 h=1 p.q=2 =3 =4"},
    {"pod names when off", &plain, WP_KUBE_SLICES,
     SLICE("'endpoints':[{'addresses':['1']," POD("p") ",'zone':'Z'}]"), "0 //-1 =1"},
    {"no names", &plain, WP_KUBE_SLICES,
     SLICE("'endpoints':[{'addresses':['1'],'hostname':'.a'},{'addresses':['2'],'hostname':'a.'},{"
           "'addresses':['3'],'hostname':'a..b'},{'addresses':['4'],'hostname':''}]"),
     "0 //-1 =1 =2 =3 =4"},
    {"zones", &all, WP_KUBE_SLICES,
     SLICE("'endpoints':[{'addresses':['1'],'zone':'US-West-2b'},{'addresses':['2'],'zone':null}]"),
     "0 //-1 =1@us-west-2b =2"},
    {"escapes", &plain, WP_KUBE_SLICES,
     SLICE("'endpoints':[{'addresses':['\\u0031\\/'],'hostname':'\\ud800\\u00e9'}]"),
     "0 //-1 \xef\xbf\xbd\xc3\xa9=1/"},
    {"pod", &plain, WP_KUBE_PODS,
     IN_META("'status':{'podIP':'9','podIPs':[{'ip':'1'},{},{'ip':''},{'ip':'2'}]}"), "0 1 2"},
    {"import without ports", &plain, WP_KUBE_IMPORTS, SERVICE("'type':'ClusterSetIP','ips':['1']"),
     "1 1"},
    {"headless import", &plain, WP_KUBE_IMPORTS,
     SERVICE("'type':'Headless','ports':[{'port':80,'name':'http','protocol':'TCP'}]"),
     "2 http/TCP/80"},
};

static void test_kept(void)
{
    for (size_t i = 0; i < COUNT(kept); i++) {
        struct wp_kube_decode_error e;
        struct wp_kube_object o;
        int r = decode(kept[i].config, kept[i].collection, kept[i].text, &o, &e);
        if (r != 0 || strcmp(tell(&o), kept[i].kept) != 0)
            print_error("got '%s' %s\n", r == 0 ? tell(&o) : "", e.text);
        CHECK_AT(kept[i].what, r == 0 && strcmp(tell(&o), kept[i].kept) == 0);
    }
}

static void test_metadata(void)
{
    struct wp_kube_decode_error e;
    struct wp_kube_object o;

    CHECK(decode(&all, WP_KUBE_SLICES,
                 "{'metadata':{'name':'x.y','namespace':'a','resourceVersion':'0x1','annotations':{"
                 "'endpoints.kubernetes.io/last-change-trigger-time':'T'},'labels':{"
                 "'kubernetes.io/service-name':'s','multicluster.kubernetes.io/service-name':'m',"
                 "'multicluster.kubernetes.io/source-cluster':'c'}}}",
                 &o, &e) == 0);
    CHECK(wp_kube_text_is(o.name, "x.y") && wp_kube_text_is(o.resource_version, "0x1"));
    CHECK(wp_kube_text_is(o.service, "s") && wp_kube_text_is(o.import, "m"));
    CHECK(wp_kube_text_is(o.cluster, "c") && wp_kube_text_is(o.trigger_time, "T"));
    /* a name that cannot be asked for is as good as none */
    CHECK(decode(&all, WP_KUBE_SLICES,
                 "{'metadata':{'name':'x','namespace':'a','labels':{'kubernetes.io/service-name':"
                 "'s.t'}}}",
                 &o, &e) == 0);
    CHECK(o.service.len == 0);
    CHECK(decode(&all, WP_KUBE_PODS,
                 "{'metadata':{'name':'x','namespace':'a','deletionTimestamp':null,'labels':{'k':"
                 "'v','l':''}}}",
                 &o, &e) == 0);
    CHECK(!o.deleting && o.n_labels == 2 && wp_kube_text_is(o.labels[0].key, "k"));
    CHECK(decode(&plain, WP_KUBE_PODS,
                 "{'metadata':{'name':'x','namespace':'a','deletionTimestamp':'T','labels':{'k':"
                 "'v'}}}",
                 &o, &e) == 0);
    CHECK(o.deleting && o.n_labels == 0);
    /* a bookmark */
    CHECK(decode(&plain, WP_KUBE_SERVICES,
                 "{'kind':'Service','metadata':{'resourceVersion':'900','creationTimestamp':null,"
                 "'annotations':{'k8s.io/initial-events-end':'true'}},'spec':{},'status':{"
                 "'loadBalancer':{}}}",
                 &o, &e) == 0);
    CHECK(o.initial_events_end && wp_kube_text_is(o.resource_version, "900"));
}

RUN_TESTS(TEST(test_refused), TEST(test_cut), TEST(test_kept), TEST(test_metadata))
