/* What events and listings make of the store: content, serials, and the keys of what changed. */
#include "kube_world.h"

#include "waypost/plugin/change.h"

#define META "'metadata':{'namespace':'%s','name':'%s','resourceVersion':'%s'}"
static const char service[] =
    "{" META ",'spec':{'clusterIPs':['10.96.0.1'],'ports':[{'port':80}]}}";

static int put_service(struct kube_world *w, const char *name, const char *rv, const char *spec)
{
    return kube_putf(w, WP_KUBE_SERVICES, "{" META ",'spec':{%s}}", "a", name, rv, spec);
}

/* endpoints: JSON; svc NULL: no label */
static int put_slice(struct kube_world *w, enum wp_kube_collection c, const char *name,
                     const char *svc, const char *rv, const char *endpoints)
{
    return kube_putf(w, c,
                     "{'metadata':{'namespace':'a','name':'%s','resourceVersion':'%s','labels':{"
                     "'%s':'%s','multicluster.kubernetes.io/source-cluster':'c1'}},'ports':[{'port'"
                     ":80}],'endpoints':[%s]}",
                     name, rv,
                     svc == NULL           ? "other"
                     : c == WP_KUBE_SLICES ? "kubernetes.io/service-name"
                                           : "multicluster.kubernetes.io/service-name",
                     svc != NULL ? svc : "", endpoints);
}

static int put_pod(struct kube_world *w, const char *name, const char *rv, const char *more,
                   const char *ips)
{
    return kube_putf(w, WP_KUBE_PODS,
                     "{'metadata':{'namespace':'a','name':'%s','resourceVersion':'%s'%s},"
                     "'status':{'podIP':'9.9.9.9','podIPs':[%s]}}",
                     name, rv, more, ips);
}

#define EP(a) "{'addresses':['" a "']}"
#define NAMED(a, h) "{'addresses':['" a "'],'hostname':'" h "'}"
#define NOT_READY(a) "{'addresses':['" a "'],'conditions':{'ready':false}}"
#define IP(a) "{'ip':'" a "'}"
#define CHECK_PLACE(w, name, text)                                                                 \
    CHECK_AT(kube_place(w, 0, "a", name), strcmp(kube_place(w, 0, "a", name), text) == 0)
#define CHECK_WHO(w, addr, text)                                                                   \
    CHECK_AT(kube_reverse(w, addr), strcmp(kube_reverse(w, addr), text) == 0)

/* Rows 338-340, 344, 352. */
static void test_slices(void)
{
    struct kube_world w = {0};

    kube_open(&w);
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-2", "s", "1", EP("10.0.0.3")) == 1);
    CHECK_PLACE(&w, "s", "none [10-0-0-3=10.0.0.3 : //80]");
    CHECK(put_service(&w, "s", "2", "'clusterIP':'None','clusterIPs':['None']") == 1);
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-1", "s", "3", EP("10.0.0.1") "," EP("10.0.0.2")) == 1);
    CHECK_PLACE(&w, "s",
                "headless //-1 [10-0-0-1=10.0.0.1 10-0-0-2=10.0.0.2 : //80] [10-0-0-3=10.0.0.3 : "
                "//80]");
    /* 340: not ready any more */
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-1", "s", "4",
                    NOT_READY("10.0.0.1") "," EP("10.0.0.2")) == 1);
    CHECK_PLACE(&w, "s", "headless //-1 [10-0-0-2=10.0.0.2 : //80] [10-0-0-3=10.0.0.3 : //80]");
    CHECK_WHO(&w, "10.0.0.1", "");
    CHECK_WHO(&w, "10.0.0.2", "ep:a/s/10-0-0-2");
    /* the name of an endpoint changes, the address stays */
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-1", "s", "5", NAMED("10.0.0.2", "Two")) == 1);
    CHECK_WHO(&w, "10.0.0.2", "ep:a/s/Two");
    CHECK(strcmp(kube_endpoint(&w, 0, "a", "s", "two"), "10.0.0.2") == 0);
    /* 352: only its addresses vanish */
    CHECK(kube_remove(&w, WP_KUBE_SLICES, "a", "s-2") == 1);
    CHECK(kube_remove(&w, WP_KUBE_SLICES, "a", "s-2") == 0);
    CHECK_PLACE(&w, "s", "headless //-1 [Two=10.0.0.2 : //80]");
    CHECK_WHO(&w, "10.0.0.3", "");
    /* a slice moves to another service */
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-1", "t", "6", EP("10.0.0.2")) == 1);
    CHECK_PLACE(&w, "s", "headless //-1");
    CHECK_PLACE(&w, "t", "none [10-0-0-2=10.0.0.2 : //80]");
    CHECK_WHO(&w, "10.0.0.2", "ep:a/t/10-0-0-2");
    /* and to none; one that belongs to nobody is known but shown nowhere */
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-1", NULL, "7", EP("10.0.0.2")) == 1);
    CHECK_PLACE(&w, "t", "absent");
    CHECK_WHO(&w, "10.0.0.2", "");
    CHECK(wp_kube_store_figures(w.store, WP_KUBE_SLICES).objects == 1);
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s-1", "s", "8", EP("10.0.0.2")) == 1);
    /* the service goes first: its slices stay */
    CHECK(kube_remove(&w, WP_KUBE_SERVICES, "a", "s") == 1);
    CHECK(kube_remove(&w, WP_KUBE_SERVICES, "a", "s") == 0);
    CHECK_PLACE(&w, "s", "none [10-0-0-2=10.0.0.2 : //80]");
    CHECK(kube_remove(&w, WP_KUBE_SLICES, "a", "s-1") == 1);
    CHECK_PLACE(&w, "s", "absent");
    CHECK(wp_kube_store_endpoints(w.store) == 0);
    kube_close(&w);
}

/* Addresses that are no plain ones: kept and compared as text. */
static void test_odd_addresses(void)
{
    struct kube_world w = {0};
    const struct wp_kube_slice *s;
    struct wp_kube_addr a;
    uint8_t ip[16];

    kube_open(&w);
    CHECK(put_slice(&w, WP_KUBE_SLICES, "s", "s", "1",
                    EP("10.0.0.1") "," EP("FD00::1") "," EP("::ffff:10.0.0.2") "," EP(
                        "db.example.test") "," EP("localhost") "," EP("fd00::2")) == 1);
    CHECK_PLACE(&w, "s",
                "none [10-0-0-1=10.0.0.1 FD00--1=FD00::1 ::ffff:10-0-0-2=::ffff:10.0.0.2 "
                "db-example-test=db.example.test =localhost fd00--2=fd00::2 : //80]");
    CHECK_WHO(&w, "10.0.0.1", "ep:a/s/10-0-0-1");
    CHECK_WHO(&w, "fd00::2", "ep:a/s/fd00--2");
    CHECK_WHO(&w, "fd00::1", "");
    CHECK_WHO(&w, "10.0.0.2", "");
    CHECK(strcmp(kube_endpoint(&w, 0, "a", "s", "fd00--1"), "FD00::1") == 0);
    CHECK(strcmp(kube_endpoint(&w, 0, "a", "s", "10-0-0-1"), "10.0.0.1") == 0);
    CHECK(strcmp(kube_endpoint(&w, 0, "a", "s", "db-example-test"), "db.example.test") == 0);
    s = wp_kube_place_slices(kube_find(&w, "a", "s"), 0)[0];
    a = wp_kube_slice_addr(s, 1);
    CHECK(wp_kube_addr_family(&a, ip) == 6 && ip[0] == 0xfd && ip[15] == 1);
    a = wp_kube_slice_addr(s, 2);
    CHECK(wp_kube_addr_family(&a, ip) == 4 && memcmp(ip, "\x0a\0\0\2", 4) == 0);
    a = wp_kube_slice_addr(s, 3);
    CHECK(wp_kube_addr_family(&a, ip) == 0);
    kube_close(&w);
}

/* Rows 353, 358a, 150a-d. */
static void test_pods(void)
{
    struct kube_world w = {0};
    struct wp_kube_addr a;

    kube_open(&w);
    CHECK(put_pod(&w, "p", "1", "", IP("10.2.0.1") "," IP("fd00::1")) == 1);
    CHECK_WHO(&w, "10.2.0.1", "pod:a/p");
    CHECK_WHO(&w, "fd00::1", "pod:a/p");
    CHECK_WHO(&w, "9.9.9.9", ""); /* 150d */
    CHECK(put_pod(&w, "p", "2", ",'deletionTimestamp':'2026-01-01T00:00:00Z'", "") == 0);
    CHECK_WHO(&w, "10.2.0.1", "pod:a/p"); /* 353 */
    CHECK(put_pod(&w, "gone", "3", ",'deletionTimestamp':'2026-01-01T00:00:00Z'", IP("10.2.0.9")) ==
          0);
    CHECK_WHO(&w, "10.2.0.9", "");
    CHECK(put_pod(&w, "p", "4", "", IP("10.2.0.2") "," IP("fd00::1")) == 1);
    CHECK_WHO(&w, "10.2.0.1", ""); /* 358a */
    CHECK_WHO(&w, "10.2.0.2", "pod:a/p");
    CHECK(put_pod(&w, "q", "5", "", IP("10.2.0.2") "," IP("10.2.0.2")) == 1); /* host network */
    CHECK_WHO(&w, "10.2.0.2", "pod:a/p pod:a/q");
    CHECK(kube_remove(&w, WP_KUBE_PODS, "a", "p") == 1);
    CHECK_WHO(&w, "10.2.0.2", "pod:a/q");
    CHECK_WHO(&w, "fd00::1", "");
    a = kube_addr("10.2.0.2");
    CHECK(wp_kube_pod_has(w.store, "a", 1, &a) && !wp_kube_pod_has(w.store, "b", 1, &a));
    CHECK(wp_kube_store_figures(w.store, WP_KUBE_PODS).objects == 1);
    kube_close(&w);
}

static void test_services(void)
{
    struct kube_world w = {0};

    kube_open(&w);
    CHECK(kube_putf(&w, WP_KUBE_SERVICES, service, "a", "s", "1") == 1);
    CHECK(kube_putf(&w, WP_KUBE_SERVICES, service, "a", "s", "1") == 0);
    CHECK_WHO(&w, "10.96.0.1", "svc:a/s");
    CHECK(put_service(&w, "s", "2",
                      "'clusterIPs':['10.96.0.2'],'externalIPs':['192.0.2.1','192.0.2.2']") == 1);
    CHECK_WHO(&w, "10.96.0.1", "");
    CHECK_WHO(&w, "10.96.0.2", "svc:a/s");
    CHECK_WHO(&w, "192.0.2.2", "ext:a/s");
    CHECK(put_service(&w, "t", "3", "'clusterIPs':['10.96.0.3'],'externalIPs':['192.0.2.2']") == 1);
    CHECK_WHO(&w, "192.0.2.2", "ext:a/s ext:a/t");
    CHECK(kube_remove(&w, WP_KUBE_SERVICES, "a", "s") == 1);
    CHECK_WHO(&w, "192.0.2.2", "ext:a/t");
    CHECK_WHO(&w, "192.0.2.1", "");
    CHECK_PLACE(&w, "s", "absent");
    /* old servers have only the single address */
    CHECK(put_service(&w, "t", "4", "'clusterIP':'10.96.0.4'") == 1);
    CHECK_PLACE(&w, "t", "cluster-ip 10.96.0.4 //-1");
    CHECK(put_service(&w, "t", "5", "'clusterIP':'None'") == 1);
    CHECK_PLACE(&w, "t", "headless //-1");
    CHECK(put_service(&w, "t", "6", "'type':'ExternalName','externalName':'x.test'") == 1);
    CHECK_PLACE(&w, "t", "external-name x.test //-1");
    kube_close(&w);
}

/* A namespace goes while what is in it stays (354). */
static void test_namespaces(void)
{
    struct kube_world w = {0};

    kube_open(&w);
    CHECK(kube_putf(&w, WP_KUBE_SERVICES, service, "a", "s", "1") == 1);
    CHECK(!wp_kube_place_namespace_present(kube_find(&w, "a", "s")));
    CHECK(kube_putf(&w, WP_KUBE_NAMESPACES,
                    "{'kind':'PartialObjectMetadata','metadata':{'name':"
                    "'a','resourceVersion':'5'}}") == 1);
    CHECK(wp_kube_place_namespace_present(kube_find(&w, "a", "s")));
    CHECK(wp_kube_namespace_present(w.store, "a", 1));
    CHECK(kube_remove(&w, WP_KUBE_NAMESPACES, "", "a") == 1);
    CHECK(!wp_kube_place_namespace_present(kube_find(&w, "a", "s")));
    CHECK(kube_remove(&w, WP_KUBE_NAMESPACES, "", "a") == 0);
    CHECK(kube_remove(&w, WP_KUBE_SERVICES, "a", "s") == 1);
    CHECK(wp_kube_store_figures(w.store, WP_KUBE_NAMESPACES).objects == 0);
    kube_close(&w);
}

/* --- listings (344, 349, 351) ------------------------------------------------------------------
 */

static void test_relist(void)
{
    struct kube_world w = {0};
    size_t removed;

    kube_open(&w);
    for (int i = 0; i < 100; i++) {
        char name[16], rv[16], ip[64];
        snprintf(name, sizeof(name), "s%d", i);
        snprintf(rv, sizeof(rv), "%d", i + 1);
        snprintf(ip, sizeof(ip), "'clusterIPs':['10.96.1.%d']", i);
        CHECK(put_service(&w, name, rv, ip) == 1);
        snprintf(ip, sizeof(ip), EP("10.3.0.%d"), i);
        CHECK(put_slice(&w, WP_KUBE_SLICES, name, name, rv, ip) == 1);
    }
    /* one that breaks off takes nothing away */
    wp_kube_store_list_begin(w.store, WP_KUBE_SERVICES);
    CHECK(put_service(&w, "s0", "1", "") == 0);
    wp_kube_store_list_begin(w.store, WP_KUBE_SERVICES);
    for (int i = 0; i < 100; i += 2) {
        char name[16], rv[16];
        snprintf(name, sizeof(name), "s%d", i);
        snprintf(rv, sizeof(rv), "%d", i + 1);
        CHECK(put_service(&w, name, rv, "") == 0); /* not looked at */
    }
    CHECK(put_service(&w, "new", "900", "'clusterIPs':['10.96.9.9']") == 1);
    CHECK(wp_kube_store_list_end(w.store, WP_KUBE_SERVICES, 200, &removed) == 0);
    CHECK(removed == 50);
    CHECK_PLACE(&w, "s0", "cluster-ip 10.96.1.0 //-1 [10-3-0-0=10.3.0.0 : //80]");
    CHECK_PLACE(&w, "s1", "none [10-3-0-1=10.3.0.1 : //80]");
    CHECK_WHO(&w, "10.96.1.1", "");
    CHECK_WHO(&w, "10.96.9.9", "svc:a/new");
    CHECK(wp_kube_store_figures(w.store, WP_KUBE_SERVICES).objects == 51);
    wp_kube_store_list_begin(w.store, WP_KUBE_SLICES);
    CHECK(wp_kube_store_list_end(w.store, WP_KUBE_SLICES, 200, &removed) == 0 && removed == 100);
    CHECK_PLACE(&w, "s1", "absent");
    CHECK_WHO(&w, "10.3.0.0", "");
    kube_close(&w);
}

/* An event between the pieces of a listing counts as listed. */
static void test_event_within_listing(void)
{
    struct kube_world w = {0};
    size_t removed;

    kube_open(&w);
    wp_kube_store_list_begin(w.store, WP_KUBE_PODS);
    CHECK(put_pod(&w, "p", "1", "", IP("10.2.0.1")) == 1);
    CHECK(wp_kube_store_list_end(w.store, WP_KUBE_PODS, 200, &removed) == 0 && removed == 0);
    /* one that is being deleted is in the listing, and stays */
    wp_kube_store_list_begin(w.store, WP_KUBE_PODS);
    CHECK(put_pod(&w, "p", "2", ",'deletionTimestamp':'2026-01-01T00:00:00Z'", "") == 0);
    CHECK(wp_kube_store_list_end(w.store, WP_KUBE_PODS, 200, &removed) == 0 && removed == 0);
    CHECK_WHO(&w, "10.2.0.1", "pod:a/p");
    kube_close(&w);
}

/* Pods have marks of 16 bits. */
static void test_many_listings(void)
{
    struct kube_world w = {0};
    size_t removed;

    kube_open(&w);
    CHECK(put_pod(&w, "p", "1", "", IP("10.2.0.1")) == 1);
    for (int i = 0; i < UINT16_MAX; i++)
        wp_kube_store_list_begin(w.store, WP_KUBE_PODS);
    CHECK(put_pod(&w, "q", "1", "", IP("10.2.0.2")) == 1);
    CHECK(wp_kube_store_list_end(w.store, WP_KUBE_PODS, 200, &removed) == 0 && removed == 1);
    CHECK_WHO(&w, "10.2.0.1", "");
    for (int i = 0; i < UINT16_MAX; i++)
        wp_kube_store_list_begin(w.store, WP_KUBE_PODS);
    CHECK(kube_remove(&w, WP_KUBE_PODS, "a", "q") == 1);
    kube_close(&w);
}

/* --- serials -----------------------------------------------------------------------------------
 */

enum { I = 1, M = 2, E = 4 }; /* internal, multicluster, external */

static int moved(struct kube_world *w)
{
    int which = 0;

    for (int i = 0; i < WP_KUBE_SERIALS; i++)
        if (wp_kube_store_serial(w->store, i) == w->now_s)
            which |= 1 << i;
    w->now_s++;
    return which;
}

static void test_serials(void)
{
    static const struct {
        const char *what, *rv, *spec;
        int moved;
    } services[] = {
        {"comes", "1", "'clusterIPs':['10.96.0.1'],'ports':[{'port':80}]", I},
        {"357 same version", "1", "'clusterIPs':['10.96.0.1'],'ports':[{'port':81}]", 0},
        {"address changes", "2", "'clusterIPs':['10.96.0.2'],'ports':[{'port':80}]", 0},
        {"port changes", "3", "'clusterIPs':['10.96.0.2'],'ports':[{'port':81}]", I | E},
        {"port gets a name", "4", "'clusterIPs':['10.96.0.2'],'ports':[{'port':81,'name':'x'}]",
         I | E},
        {"external address", "5",
         "'clusterIPs':['10.96.0.2'],'ports':[{'port':81,'name':'x'}],'externalIPs':['192.0.2.1']",
         E},
        {"type changes", "6",
         "'type':'ExternalName','clusterIPs':['10.96.0.2'],'ports':[{'port':81,'name':'x'}],"
         "'externalIPs':['192.0.2.1']",
         0},
        {"external name", "7",
         "'type':'ExternalName','externalName':'x.test','clusterIPs':['10.96.0.2'],'ports':[{"
         "'port':81,'name':'x'}],'externalIPs':['192.0.2.1']",
         I | E},
    };
    static const struct {
        const char *what, *rv, *endpoints;
        int moved;
    } slices[] = {
        {"comes", "1", EP("10.0.0.1"), I},
        {"same content", "2", EP("10.0.0.1"), 0},
        {"address changes", "3", EP("10.0.0.2"), I},
        {"hostname", "4", NAMED("10.0.0.2", "x"), I},
        {"one more", "5", NAMED("10.0.0.2", "x") "," EP("10.0.0.3"), I},
        {"not ready", "6", NAMED("10.0.0.2", "x") "," NOT_READY("10.0.0.3"), I},
    };
    struct kube_world w = {0};

    kube_open(&w);
    CHECK(moved(&w) == 0);
    for (size_t i = 0; i < COUNT(services); i++) {
        CHECK_AT(services[i].what, put_service(&w, "s", services[i].rv, services[i].spec) >= 0);
        CHECK_AT(services[i].what, moved(&w) == services[i].moved);
    }
    CHECK(kube_remove(&w, WP_KUBE_SERVICES, "a", "s") == 1 && moved(&w) == (I | E));
    CHECK(put_service(&w, "e", "1", "'externalIPs':['192.0.2.1']") == 1 && moved(&w) == (I | E));
    for (size_t i = 0; i < COUNT(slices); i++) {
        CHECK_AT(slices[i].what,
                 put_slice(&w, WP_KUBE_SLICES, "x", "s", slices[i].rv, slices[i].endpoints) >= 0);
        CHECK_AT(slices[i].what, moved(&w) == slices[i].moved);
    }
    CHECK(kube_remove(&w, WP_KUBE_SLICES, "a", "x") == 1 && moved(&w) == I);
    for (size_t i = 0; i < COUNT(slices); i++) {
        CHECK_AT(slices[i].what, put_slice(&w, WP_KUBE_IMPORT_SLICES, "x", "s", slices[i].rv,
                                           slices[i].endpoints) >= 0);
        CHECK_AT(slices[i].what, moved(&w) == (i == 0 ? I | M : slices[i].moved == 0 ? 0 : M));
    }
    CHECK(kube_remove(&w, WP_KUBE_IMPORT_SLICES, "a", "x") == 1 && moved(&w) == (I | M));
    CHECK(kube_putf(&w, WP_KUBE_IMPORTS, "{" META ",'spec':{'ips':['10.9.0.1']}}", "a", "i", "1") ==
          1);
    CHECK(moved(&w) == (I | M));
    CHECK(kube_putf(&w, WP_KUBE_IMPORTS, "{" META ",'spec':{'ips':['10.9.0.2']}}", "a", "i", "2") ==
          1);
    CHECK(moved(&w) == 0);
    CHECK(kube_putf(&w, WP_KUBE_IMPORTS, "{" META ",'spec':{'type':'Headless'}}", "a", "i", "3") ==
          1);
    CHECK(moved(&w) == M);
    CHECK(put_pod(&w, "p", "1", "", IP("10.2.0.1")) == 1 && moved(&w) == I);
    CHECK(put_pod(&w, "p", "2", "", IP("10.2.0.1")) == 1 && moved(&w) == 0); /* 358 */
    CHECK(put_pod(&w, "p", "3", "", IP("10.2.0.1") "," IP("10.2.0.2")) == 1 && moved(&w) == I);
    CHECK(put_pod(&w, "p", "4", "", IP("10.2.0.2") "," IP("10.2.0.1")) == 1 && moved(&w) == I);
    CHECK(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'a'}}") == 1 && moved(&w) == 0);
    kube_close(&w);
}

/* --- keys --------------------------------------------------------------------------------------
 */

static uint32_t version_of(uint64_t key)
{
    return wp_change_version[wp_change_slot(key)];
}

static uint64_t place_key(const struct kube_world *w, const char *name)
{
    return wp_kube_place_key(w->store, wp_kube_place_hash("a", 1, name, strlen(name)));
}

static uint64_t addr_key(const struct kube_world *w, const char *text)
{
    struct wp_kube_addr a = kube_addr(text);

    return wp_kube_addr_key(w->store, &a);
}

static uint64_t pod_key(const struct kube_world *w, const char *text)
{
    struct wp_kube_addr a = kube_addr(text);

    return wp_kube_pod_key(w->store, &a);
}

/* After `action`, exactly these of the keys below have moved: letters of their places. */
static const char *changed_keys(const struct kube_world *w, bool after)
{
    static uint32_t before[8];
    static char text[9];
    const uint64_t keys[] = {
        place_key(w, "s"),
        place_key(w, "t"),
        addr_key(w, "10.96.0.1"),
        addr_key(w, "10.0.0.1"),
        addr_key(w, "10.0.0.2"),
        pod_key(w, "10.0.0.1"),
        wp_kube_namespace_key(w->store, "a", 1),
        addr_key(w, "192.0.2.1"),
    };
    size_t n = 0;

    for (size_t i = 0; i < COUNT(keys); i++) {
        if (after && version_of(keys[i]) != before[i])
            text[n++] = "STcxypne"[i];
        before[i] = version_of(keys[i]);
    }
    text[n] = '\0';
    return text;
}

static void test_keys(void)
{
    struct kube_world w = {0};

    kube_open(&w);
    changed_keys(&w, false);
#define CHANGES(call, text)                                                                        \
    do {                                                                                           \
        const char *got_;                                                                          \
        CHECK((call) == 1);                                                                        \
        got_ = changed_keys(&w, true);                                                             \
        CHECK_AT(got_, strcmp(got_, text) == 0);                                                   \
    } while (0)
    /* a name that was asked for before it came */
    CHANGES(kube_putf(&w, WP_KUBE_SERVICES, service, "a", "s", "1"), "Sc");
    CHANGES(kube_putf(&w, WP_KUBE_SERVICES, service, "a", "s", "2"), "");
    CHANGES(put_service(&w, "s", "3", "'clusterIPs':['10.96.0.1'],'externalIPs':['192.0.2.1']"),
            "Se");
    CHANGES(put_slice(&w, WP_KUBE_SLICES, "x", "s", "1", EP("10.0.0.1")), "Sx");
    CHANGES(put_slice(&w, WP_KUBE_SLICES, "x", "s", "2", EP("10.0.0.1") "," EP("10.0.0.2")), "Sy");
    CHANGES(put_slice(&w, WP_KUBE_SLICES, "x", "s", "3", EP("10.0.0.2")), "Sx");
    CHANGES(put_slice(&w, WP_KUBE_SLICES, "x", "s", "4", NAMED("10.0.0.2", "n")), "Sy");
    CHANGES(put_slice(&w, WP_KUBE_SLICES, "x", "t", "5", NAMED("10.0.0.2", "n")), "STy");
    CHANGES(kube_remove(&w, WP_KUBE_SLICES, "a", "x"), "Ty");
    CHANGES(put_slice(&w, WP_KUBE_IMPORT_SLICES, "x", "t", "1", EP("10.0.0.1")), "T");
    CHANGES(put_pod(&w, "p", "1", "", IP("10.0.0.1")), "p");
    CHANGES(put_pod(&w, "p", "2", "", IP("10.0.0.1")), "");
    CHANGES(kube_remove(&w, WP_KUBE_PODS, "a", "p"), "p");
    CHANGES(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'a'}}"), "n");
    CHANGES(kube_putf(&w, WP_KUBE_NAMESPACES, "{'metadata':{'name':'a'}}"), "");
    CHANGES(kube_remove(&w, WP_KUBE_NAMESPACES, "", "a"), "n");
    CHANGES(kube_remove(&w, WP_KUBE_SERVICES, "a", "s"), "Sce");
    kube_close(&w);
}

RUN_TESTS(TEST(test_slices), TEST(test_odd_addresses), TEST(test_pods), TEST(test_services),
          TEST(test_namespaces), TEST(test_relist), TEST(test_event_within_listing),
          TEST(test_many_listings), TEST(test_serials), TEST(test_keys))
