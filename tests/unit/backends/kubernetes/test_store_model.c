/* The store against a plain model: after any sequence of events and listings, every name and every
 * address shows what the model has. */
#include "kube_world.h"

enum { NAMES = 6, OBJECTS = 12, ADDRS = 24, STEPS = 6000 };

/* Slices belong to services by number; an address is 10.0.0.i. */
struct model_slice {
    bool there;
    unsigned owner, n, addr[8];
    bool named; /* hostname h<i> */
};
struct model {
    struct {
        bool there;
        unsigned ip; /* 10.1.0.i */
    } service[NAMES];
    struct model_slice slice[OBJECTS];
    struct {
        bool there;
        unsigned n, addr[2];
    } pod[OBJECTS];
};

static uint32_t rnd(uint32_t n)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 33) % n;
}

static unsigned version;

static void put_service(struct kube_world *w, struct model *m, unsigned i, bool anew)
{
    if (anew || !m->service[i].there)
        m->service[i].ip = rnd(ADDRS);
    m->service[i].there = true;
    CHECK(kube_putf(w, WP_KUBE_SERVICES,
                    "{'metadata':{'name':'s%u','namespace':'a','resourceVersion':'%u'},'spec':{"
                    "'clusterIPs':['10.1.0.%u'],'externalIPs':['10.9.0.%u']}}",
                    i, ++version, m->service[i].ip, m->service[i].ip) == 1);
}

static void put_slice(struct kube_world *w, struct model *m, unsigned i, bool anew)
{
    struct model_slice *s = &m->slice[i];
    char endpoints[1024] = "";
    size_t len = 0;

    if (anew || !s->there) {
        s->owner = rnd(NAMES);
        s->named = rnd(3) == 0;
        s->n = rnd(8);
        for (unsigned k = 0; k < s->n; k++)
            s->addr[k] = rnd(ADDRS);
    }
    s->there = true;
    for (unsigned k = 0; k < s->n; k++)
        len += (size_t)snprintf(endpoints + len, sizeof(endpoints) - len,
                                "%s{'addresses':['10.0.0.%u']%s%u'}", k > 0 ? "," : "", s->addr[k],
                                s->named ? ",'hostname':'h" : ",'x':'", s->addr[k]);
    CHECK(kube_putf(w, WP_KUBE_SLICES,
                    "{'metadata':{'name':'e%u','namespace':'a','resourceVersion':'%u','labels':{"
                    "'kubernetes.io/service-name':'s%u'}},'endpoints':[%s]}",
                    i, ++version, s->owner, endpoints) == 1);
}

static void put_pod(struct kube_world *w, struct model *m, unsigned i, bool anew)
{
    if (anew || !m->pod[i].there) {
        m->pod[i].n = rnd(3);
        m->pod[i].addr[0] = rnd(ADDRS);
        m->pod[i].addr[1] = rnd(ADDRS);
    }
    m->pod[i].there = true;
    CHECK(kube_putf(w, WP_KUBE_PODS,
                    "{'metadata':{'name':'p%u','namespace':'a','resourceVersion':'%u'},'status':{"
                    "'podIPs':[%s%.*u%s%s%.*u%s]}}",
                    i, ++version, m->pod[i].n > 0 ? "{'ip':'10.2.0." : "", m->pod[i].n > 0 ? 1 : 0,
                    m->pod[i].n > 0 ? m->pod[i].addr[0] : 0, m->pod[i].n > 0 ? "'}" : "",
                    m->pod[i].n > 1 ? ",{'ip':'10.2.0." : "", m->pod[i].n > 1 ? 1 : 0,
                    m->pod[i].n > 1 ? m->pod[i].addr[1] : 0, m->pod[i].n > 1 ? "'}" : "") == 1);
}

static void remove_one(struct kube_world *w, struct model *m)
{
    unsigned i = rnd(OBJECTS);
    char name[16];

    snprintf(name, sizeof(name), "s%u", i % NAMES);
    switch (rnd(3)) {
    case 0:
        CHECK(kube_remove(w, WP_KUBE_SERVICES, "a", name) == m->service[i % NAMES].there);
        m->service[i % NAMES].there = false;
        break;
    case 1:
        snprintf(name, sizeof(name), "e%u", i);
        CHECK(kube_remove(w, WP_KUBE_SLICES, "a", name) == m->slice[i].there);
        m->slice[i].there = false;
        break;
    default:
        snprintf(name, sizeof(name), "p%u", i);
        CHECK(kube_remove(w, WP_KUBE_PODS, "a", name) == m->pod[i].there);
        m->pod[i].there = false;
    }
}

/* A listing in which half is missing and half of the rest has changed. */
static void relist(struct kube_world *w, struct model *m)
{
    size_t gone = 0, removed;

    wp_kube_store_list_begin(w->store, WP_KUBE_SLICES);
    for (unsigned i = 0; i < OBJECTS; i++) {
        if (rnd(2) == 0) {
            put_slice(w, m, i, rnd(2) == 0);
        } else {
            gone += m->slice[i].there;
            m->slice[i].there = false;
        }
    }
    CHECK(wp_kube_store_list_end(w->store, WP_KUBE_SLICES, 1, &removed) == 0);
    CHECK(removed == gone);
}

static void expect_place(const struct kube_world *w, const struct model *m, unsigned i)
{
    struct kube_text t = {.len = 0};
    char name[16], word[64];
    bool there = m->service[i].there;

    snprintf(name, sizeof(name), "s%u", i);
    kube_say(&t, there ? "cluster-ip" : "none");
    if (there) {
        snprintf(word, sizeof(word), " 10.1.0.%u ext 10.9.0.%u //-1", m->service[i].ip,
                 m->service[i].ip);
        kube_say(&t, word);
    }
    for (unsigned k = 0; k < OBJECTS; k++) {
        /* by name: e0, e1, e10, e11, e2 ... */
        static const unsigned order[OBJECTS] = {0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9};
        const struct model_slice *s = &m->slice[order[k]];
        if (!s->there || s->owner != i)
            continue;
        there = true;
        kube_say(&t, " [");
        for (unsigned e = 0; e < s->n; e++) {
            snprintf(word, sizeof(word), s->named ? "h%u=10.0.0.%u " : "10-0-0-%u=10.0.0.%u ",
                     s->addr[e], s->addr[e]);
            kube_say(&t, word);
        }
        kube_say(&t, ": //-1]");
    }
    if (!there)
        strcpy(t.at, "absent");
    if (strcmp(kube_place(w, WP_KUBE_LOCAL, "a", name), t.at) != 0)
        print_error("got      %s\nexpected %s\n", kube_place(w, WP_KUBE_LOCAL, "a", name), t.at);
    CHECK(strcmp(kube_place(w, WP_KUBE_LOCAL, "a", name), t.at) == 0);
}

static void expect_reverse(const struct kube_world *w, const struct model *m, unsigned i)
{
    char addr[32];
    size_t n = 0, got = 0;
    const char *text;

    for (unsigned k = 0; k < NAMES; k++)
        n += m->service[k].there && m->service[k].ip == i;
    snprintf(addr, sizeof(addr), "10.1.0.%u", i);
    for (text = kube_reverse(w, addr); (text = strstr(text, "svc:a/s")) != NULL; text++)
        got++;
    CHECK_AT(addr, got == n);
    snprintf(addr, sizeof(addr), "10.9.0.%u", i);
    for (got = 0, text = kube_reverse(w, addr); (text = strstr(text, "ext:a/s")) != NULL; text++)
        got++;
    CHECK_AT(addr, got == n);
    n = got = 0;
    for (unsigned k = 0; k < OBJECTS; k++) {
        bool has = false;
        for (unsigned e = 0; m->slice[k].there && e < m->slice[k].n; e++)
            has |= m->slice[k].addr[e] == i;
        n += has;
    }
    snprintf(addr, sizeof(addr), "10.0.0.%u", i);
    for (text = kube_reverse(w, addr); (text = strstr(text, "ep:a/s")) != NULL; text++)
        got++;
    CHECK_AT(addr, got == n);
    n = got = 0;
    for (unsigned k = 0; k < OBJECTS; k++)
        n += m->pod[k].there && ((m->pod[k].n > 0 && m->pod[k].addr[0] == i) ||
                                 (m->pod[k].n > 1 && m->pod[k].addr[1] == i));
    snprintf(addr, sizeof(addr), "10.2.0.%u", i);
    for (text = kube_reverse(w, addr); (text = strstr(text, "pod:a/p")) != NULL; text++)
        got++;
    CHECK_AT(addr, got == n);
}

static void expect_figures(const struct kube_world *w, const struct model *m)
{
    size_t services = 0, slices = 0, endpoints = 0, pods = 0;

    for (unsigned i = 0; i < OBJECTS; i++) {
        services += i < NAMES && m->service[i].there;
        slices += m->slice[i].there;
        endpoints += m->slice[i].there ? m->slice[i].n : 0;
        pods += m->pod[i].there;
    }
    CHECK(wp_kube_store_figures(w->store, WP_KUBE_SERVICES).objects == services);
    CHECK(wp_kube_store_figures(w->store, WP_KUBE_SLICES).objects == slices);
    CHECK(wp_kube_store_figures(w->store, WP_KUBE_PODS).objects == pods);
    CHECK(wp_kube_store_endpoints(w->store) == endpoints);
}

static void test_model(void)
{
    struct kube_world w = {0};
    struct model m = {0};
    size_t empty;

    kube_open(&w);
    empty = wp_kube_store_octets(w.store);
    for (unsigned step = 0; step < STEPS; step++) {
        switch (rnd(8)) {
        case 0:
            put_service(&w, &m, rnd(NAMES), true);
            break;
        case 1:
            put_pod(&w, &m, rnd(OBJECTS), rnd(4) > 0);
            break;
        case 2:
        case 3:
            remove_one(&w, &m);
            break;
        case 4:
            if (rnd(10) == 0)
                relist(&w, &m);
            break;
        default:
            put_slice(&w, &m, rnd(OBJECTS), rnd(4) > 0);
        }
        for (unsigned i = 0; i < NAMES; i++)
            expect_place(&w, &m, i);
        expect_reverse(&w, &m, step % ADDRS);
        if (step % 16 == 0) {
            expect_figures(&w, &m);
            wp_kube_store_reap(w.store);
        }
    }
    /* what is gone is gone */
    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++) {
        size_t removed;
        wp_kube_store_list_begin(w.store, c);
        CHECK(wp_kube_store_list_end(w.store, c, 1, &removed) == 0);
    }
    for (unsigned c = 0; c < WP_KUBE_COLLECTIONS; c++)
        CHECK(wp_kube_store_figures(w.store, c).objects == 0);
    /* but the tables have grown, by whole steps */
    CHECK((wp_kube_store_octets(w.store) - empty) % 1024 == 0);
    kube_close(&w);
}

RUN_TESTS(TEST(test_model))
