/* Objects from JSON into a store, and what the store has as text. */
#pragma once
#ifndef CHECK /* a fuzz target has its own */
#include "check.h"
#endif

#include <stdlib.h>

#include "backends/kubernetes/decode.h"
#include "backends/kubernetes/store.h"

struct kube_world {
    struct wp_kube_store *store;
    struct wp_kube_decode_config decode;
    struct wp_arena arena;
    uint32_t now_s;
};

static inline void kube_open(struct kube_world *w)
{
    struct wp_kube_store_config c = {.source = 99, .labels = w->decode.labels};

    wp_arena_init(&w->arena, 64 << 20);
    w->now_s = 100;
    CHECK(wp_kube_store_new(&c, &w->store) == 0);
}

static inline void kube_close(struct kube_world *w)
{
    for (int i = 0; i < 10 && wp_kube_store_reap(w->store) > 0; i++)
        ;
    CHECK(wp_kube_store_reap(w->store) == 0);
    wp_kube_store_free(w->store);
    wp_arena_done(&w->arena);
}

/* Stays until the next one. */
static inline const struct wp_kube_object *kube_read(struct kube_world *w,
                                                     enum wp_kube_collection c, const char *json)
{
    static struct wp_kube_object o;
    struct wp_kube_decode_error e = {{0}};
    int r;

    wp_arena_reset(&w->arena);
    r = wp_kube_decode(&w->decode, c, json, strlen(json), &w->arena, &o, &e);
    if (r != 0)
        print_error("%s\n", e.text);
    CHECK_AT(json, r == 0);
    return &o;
}

static inline int kube_put(struct kube_world *w, enum wp_kube_collection c, const char *json)
{
    return wp_kube_store_put(w->store, kube_read(w, c, json), w->now_s);
}

/* JSON with ' for ". */
static inline __attribute__((format(printf, 3, 0))) const char *
kube_json(char *buf, size_t cap, const char *format, va_list args)
{
    CHECK(vsnprintf(buf, cap, format, args) < (int)cap);
    for (char *c = buf; *c != '\0'; c++)
        if (*c == '\'')
            *c = '"';
    return buf;
}

static inline __attribute__((format(printf, 3, 4))) int
kube_putf(struct kube_world *w, enum wp_kube_collection c, const char *format, ...)
{
    char buf[4096];
    va_list args;

    va_start(args, format);
    kube_json(buf, sizeof(buf), format, args);
    va_end(args);
    return kube_put(w, c, buf);
}

static inline int kube_remove(struct kube_world *w, enum wp_kube_collection c, const char *ns,
                              const char *name)
{
    struct wp_kube_object o = {
        .collection = c, .ns = {ns, strlen(ns)}, .name = {name, strlen(name)}};

    return wp_kube_store_remove(w->store, &o, w->now_s);
}

/* The collections that an object of the fixture belongs to; a slice of another cluster is seen by
 * both watches. */
static inline void kube_put_any(struct kube_world *w, const char *json)
{
    static const struct {
        const char *kind;
        enum wp_kube_collection collection;
    } kinds[] = {
        {"\"kind\":\"Service\"", WP_KUBE_SERVICES},
        {"\"kind\":\"Pod\"", WP_KUBE_PODS},
        {"\"kind\":\"Namespace\"", WP_KUBE_NAMESPACES},
        {"\"kind\":\"ServiceImport\"", WP_KUBE_IMPORTS},
        {"\"kind\":\"EndpointSlice\"", WP_KUBE_SLICES},
    };
    const char *first = NULL;
    size_t which = 0;

    for (size_t i = 0; i < COUNT(kinds); i++) {
        const char *at = strstr(json, kinds[i].kind);
        if (at != NULL && (first == NULL || at < first)) {
            first = at;
            which = i;
        }
    }
    CHECK_AT(json, first != NULL);
    CHECK_AT(json, kube_put(w, kinds[which].collection, json) == 1);
    if (strstr(json, "\"multicluster.kubernetes.io/service-name\"") != NULL)
        CHECK_AT(json, kube_put(w, WP_KUBE_IMPORT_SLICES, json) == 1);
}

/* A file of tests/scenario/kubernetes. */
static inline void kube_load(struct kube_world *w, const char *file)
{
    static const char here[] = __FILE__, tail[] = "tests/unit/backends/kubernetes/kube_world.h";
    char path[4096], *line = NULL;
    size_t cap = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%.*stests/scenario/kubernetes/%s",
             (int)(sizeof(here) - sizeof(tail)), here, file);
    f = fopen(path, "re");
    CHECK_AT(path, f != NULL);
    while (getline(&line, &cap, f) > 0)
        kube_put_any(w, line);
    free(line);
    fclose(f);
}

/* --- as text -----------------------------------------------------------------------------------
 */

struct kube_text {
    char at[8192];
    size_t len;
};

static inline void kube_add(struct kube_text *t, const char *at, size_t len)
{
    CHECK(t->len + len < sizeof(t->at));
    memcpy(t->at + t->len, at, len);
    t->len += len;
    t->at[t->len] = '\0';
}

static inline void kube_say(struct kube_text *t, const char *word)
{
    kube_add(t, word, strlen(word));
}

static inline void kube_add_addr(struct kube_text *t, const struct wp_kube_addr *a)
{
    char text[WP_KUBE_TEXT_MAX];

    kube_add(t, text, wp_kube_addr_text(a, text));
}

static inline void kube_add_ports(struct kube_text *t, struct wp_kube_cursor c)
{
    struct wp_kube_port port;

    while (wp_kube_port_next(&c, &port)) {
        char number[24];
        kube_say(t, " ");
        kube_add(t, port.name.at, port.name.len);
        kube_say(t, "/");
        kube_add(t, port.protocol.at, port.protocol.len);
        snprintf(number, sizeof(number), "/%d", port.number);
        kube_say(t, number);
    }
}

static inline void kube_add_addrs(struct kube_text *t, struct wp_kube_cursor c)
{
    struct wp_kube_addr a;

    while (wp_kube_addr_next(&c, &a)) {
        kube_say(t, " ");
        kube_add_addr(t, &a);
    }
}

/* " [name=address@zone ... : ports]" */
static inline void kube_add_slice(struct kube_text *t, const struct wp_kube_slice *s)
{
    struct wp_kube_text cluster = wp_kube_slice_cluster(s);

    kube_say(t, " [");
    if (cluster.len > 0) {
        kube_add(t, cluster.at, cluster.len);
        kube_say(t, ": ");
    }
    for (size_t i = 0; i < s->n; i++) {
        struct wp_kube_addr a = wp_kube_slice_addr(s, i);
        struct wp_kube_text zone = wp_kube_slice_zone(s, i), name;
        char buf[WP_KUBE_NAME_MAX];
        name = wp_kube_slice_name(s, i, buf);
        kube_add(t, name.at, name.len);
        kube_say(t, "=");
        kube_add_addr(t, &a);
        if (zone.len > 0) {
            kube_say(t, "@");
            kube_add(t, zone.at, zone.len);
        }
        kube_say(t, " ");
    }
    kube_say(t, ":");
    kube_add_ports(t, wp_kube_slice_ports(s));
    kube_say(t, "]");
}

static inline const struct wp_kube_place *kube_find(const struct kube_world *w, const char *ns,
                                                    const char *name)
{
    size_t a = strlen(ns), b = strlen(name);

    return wp_kube_place_find(w->store, wp_kube_place_hash(ns, a, name, b), ns, a, name, b);
}

/* What a zone of the view has at the name. */
static inline const char *kube_place(const struct kube_world *w, enum wp_kube_view v,
                                     const char *ns, const char *name)
{
    static const char *const kinds[] = {"none", "cluster-ip", "headless", "external-name"};
    const struct wp_kube_place *p = kube_find(w, ns, name);
    static struct kube_text t;
    size_t ready = 0;

    t.len = 0;
    if (p == NULL)
        return "absent";
    kube_say(&t, kinds[p->kind[v]]);
    if (v == WP_KUBE_LOCAL && wp_kube_place_external_name(p).len > 0) {
        kube_say(&t, " ");
        kube_add(&t, wp_kube_place_external_name(p).at, wp_kube_place_external_name(p).len);
    }
    kube_add_addrs(&t, wp_kube_place_ips(p, v));
    if (v == WP_KUBE_LOCAL && wp_kube_place_text(p, WP_KUBE_PART_EXTERNALS).len > 0) {
        kube_say(&t, " ext");
        kube_add_addrs(&t, wp_kube_place_externals(p));
    }
    kube_add_ports(&t, wp_kube_place_ports(p, v));
    for (uint32_t i = 0; i < p->n_slices[v]; i++) {
        kube_add_slice(&t, wp_kube_place_slices(p, v)[i]);
        ready += wp_kube_place_slices(p, v)[i]->n;
    }
    CHECK_AT(name, ready == p->n_ready[v]);
    return t.at;
}

static inline int kube_compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline struct wp_kube_addr kube_addr(const char *text)
{
    static uint8_t room[16];

    return wp_kube_addr_from_text(text, strlen(text), room);
}

/* Who has the address, sorted: "svc:NS/NAME", "ext:NS/NAME", "ep:NS/SVC/ENDPOINT", "pod:NS/NAME".
 */
static inline const char *kube_reverse(const struct kube_world *w, const char *addr)
{
    static struct kube_text t;
    char word[32][300], *words[32], buf[WP_KUBE_NAME_MAX];
    const struct wp_kube_addr a = kube_addr(addr);
    const struct wp_kube_place *p;
    const struct wp_kube_slice *s;
    const struct wp_kube_pod *pod;
    struct wp_kube_hits h;
    size_t n = 0, i;

    for (int which = 0; which < 2; which++) {
        h = which == 0 ? wp_kube_cluster_ip_hits(w->store, &a)
                       : wp_kube_external_ip_hits(w->store, &a);
        while ((p = wp_kube_hits_place(&h)) != NULL && n < COUNT(words)) {
            struct wp_kube_text ns = wp_kube_place_namespace(p), name = wp_kube_place_name(p);
            snprintf(word[n++], sizeof(word[0]), "%s:%.*s/%.*s", which == 0 ? "svc" : "ext",
                     (int)ns.len, ns.at, (int)name.len, name.at);
        }
    }
    h = wp_kube_endpoint_hits(w->store, &a);
    while ((s = wp_kube_hits_slice(&h, &i)) != NULL && n < COUNT(words)) {
        struct wp_kube_text ns = wp_kube_slice_namespace(s), svc = wp_kube_slice_service(s);
        struct wp_kube_text name = wp_kube_slice_name(s, i, buf);
        snprintf(word[n++], sizeof(word[0]), "ep:%.*s/%.*s/%.*s", (int)ns.len, ns.at, (int)svc.len,
                 svc.at, (int)name.len, name.at);
    }
    h = wp_kube_pod_hits(w->store, &a);
    while ((pod = wp_kube_hits_pod(&h)) != NULL && n < COUNT(words)) {
        struct wp_kube_text ns = wp_kube_pod_namespace(pod), name = wp_kube_pod_name(pod);
        snprintf(word[n++], sizeof(word[0]), "pod:%.*s/%.*s", (int)ns.len, ns.at, (int)name.len,
                 name.at);
    }
    for (i = 0; i < n; i++)
        words[i] = word[i];
    qsort(words, n, sizeof(words[0]), kube_compare_words);
    t.len = 0;
    t.at[0] = '\0';
    for (i = 0; i < n; i++) {
        kube_say(&t, i > 0 ? " " : "");
        kube_say(&t, words[i]);
    }
    return t.at;
}

/* All endpoints of the name in a view: "name=address ..." */
static inline const char *kube_endpoint(const struct kube_world *w, enum wp_kube_view v,
                                        const char *ns, const char *name, const char *label)
{
    const struct wp_kube_place *p = kube_find(w, ns, name);
    struct wp_kube_label l = wp_kube_label_from(label, strlen(label));
    static struct kube_text t;

    t.len = 0;
    t.at[0] = '\0';
    for (uint32_t k = 0; p != NULL && k < p->n_slices[v]; k++) {
        const struct wp_kube_slice *s = wp_kube_place_slices(p, v)[k];
        for (size_t i = 0; (i = wp_kube_slice_find_name(s, i, &l)) < s->n; i++) {
            struct wp_kube_addr a = wp_kube_slice_addr(s, i);
            kube_say(&t, t.len > 0 ? " " : "");
            kube_add_addr(&t, &a);
        }
    }
    return t.at;
}
