/* Requests of a collection: how they are written, and their answers as they come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kubernetes/cluster_priv.h"
#include "waypost/base/random.h"

/* --- URLs ------------------------------------------------------------------------------------ */

static const char *const paths[] = {
    [WP_KUBE_SERVICES] = "/api/v1/services",
    [WP_KUBE_SLICES] = "/apis/discovery.k8s.io/v1/endpointslices",
    [WP_KUBE_NAMESPACES] = "/api/v1/namespaces",
    [WP_KUBE_PODS] = "/api/v1/pods",
    [WP_KUBE_IMPORTS] = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports",
    [WP_KUBE_IMPORT_SLICES] = "/apis/discovery.k8s.io/v1/endpointslices",
};

static void put_escaped(FILE *f, const char *s)
{
    for (; *s != '\0'; s++) {
        bool plain = (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
                     (*s >= 'A' && *s <= 'Z') || strchr("-._~", *s) != NULL;
        fprintf(f, plain ? "%c" : "%%%02X", (unsigned char)*s);
    }
}

static void put_selectors(FILE *f, const struct wp_kube_reflector *r)
{
    const struct wp_kube_wants *w = &r->own->wants;
    bool of_namespaces =
        r->collection == WP_KUBE_NAMESPACES || r->collection == WP_KUBE_IMPORTS;
    const char *labels = of_namespaces ? w->namespace_labels : w->labels;
    bool imported = r->collection == WP_KUBE_IMPORT_SLICES;

    if (labels != NULL || imported)
        fputs("&labelSelector=", f);
    if (labels != NULL)
        put_escaped(f, labels);
    if (imported)
        put_escaped(f, &",multicluster.kubernetes.io/service-name"[labels == NULL]);
    if (r->collection == WP_KUBE_PODS) {
        fputs("&fieldSelector=", f);
        put_escaped(f, "status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown");
    }
}

static void put_version(FILE *f, const char *rv)
{
    if (rv[0] == '\0')
        return;
    fputs("&resourceVersion=", f);
    put_escaped(f, rv);
}

static unsigned watch_time(void)
{
    return WP_KUBE_WATCH_S + wp_random_below(WP_KUBE_WATCH_S + 1);
}

static void put_list(FILE *f, const struct wp_kube_reflector *r)
{
    if (!r->whole)
        fprintf(f, "&limit=%d", WP_KUBE_PAGE);
    if (r->page == NULL) {
        put_version(f, r->list_rv);
        return;
    }
    fputs("&continue=", f);
    put_escaped(f, r->page);
}

static void put_watch(FILE *f, const struct wp_kube_reflector *r, unsigned seconds)
{
    fputs("&watch=true&allowWatchBookmarks=true", f);
    if (r->phase == WP_KUBE_STREAMING)
        fputs("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", f);
    put_version(f, r->phase == WP_KUBE_STREAMING && r->rv_gone ? "" : r->rv);
    fprintf(f, "&timeoutSeconds=%u", seconds);
}

/* NULL: memory. The caller's to free. */
static char *make_url(const struct wp_kube_reflector *r, unsigned seconds)
{
    size_t len = 0, mark;
    char *text = NULL;
    FILE *f = open_memstream(&text, &len);

    if (f == NULL)
        return NULL;
    fprintf(f, "%s%s", wp_kube_access_base(r->own->access), paths[r->collection]);
    fflush(f);
    mark = len;
    if (r->phase == WP_KUBE_LISTING)
        put_list(f, r);
    else
        put_watch(f, r, seconds);
    put_selectors(f, r);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    if (text[mark] == '&')
        text[mark] = '?';
    return text;
}

/* --- what comes back ------------------------------------------------------------------------- */

/* The body of data begins. 0, -ENOMEM, WP_EUNSUPPORTED. */
static int begin_body(struct wp_kube_reflector *r, const char *content_type)
{
    bool is_list = r->phase == WP_KUBE_LISTING;
    int e = wp_kube_encoding_of(content_type, &r->encoding);

    if (e < 0)
        return e;
    r->body = wp_kube_body_new(r->encoding, is_list ? WP_KUBE_LIST : WP_KUBE_WATCH,
                               is_list ? &wp_kube_list_ops : &wp_kube_watch_ops, r);
    return r->body != NULL ? 0 : -ENOMEM;
}

/* The server is there again: nobody needs to wait for it any more. */
static void wake_others(const struct wp_kube_reflector *r)
{
    struct wp_kube_cluster_own *o = r->own;

    for (unsigned i = 0; i < o->n_reflectors; i++) {
        struct wp_kube_reflector *other = &o->reflectors[i];
        if (other->away && other->phase == WP_KUBE_RESTING)
            wp_kube_rest(other, other->next, 0);
        other->away = false;
    }
}

static void on_head(void *arg, const struct wp_httpc_head *head)
{
    struct wp_kube_reflector *r = arg;
    int e;

    wp_kube_count_request(r->own, head->status);
    r->heard_ns = r->own->h->now();
    r->status = head->status;
    r->retry_after_s = head->retry_after_s;
    snprintf(r->content_type, sizeof(r->content_type), "%s", head->content_type);
    if (head->status != 200)
        return;
    wake_others(r);
    r->retries = 0;
    e = begin_body(r, head->content_type);
    if (e < 0) { /* who knows when the body comes */
        r->own->h->drop(r->call);
        r->call = NULL;
        wp_kube_call_ended(r, e, wp_strerror(e));
    } else if (r->phase == WP_KUBE_WATCHING) {
        wp_kube_watch_opened(r);
    }
}

static int keep_refusal(struct wp_kube_reflector *r, const uint8_t *data, size_t len)
{
    char *grown;

    if (len > WP_KUBE_REFUSAL_MAX - r->refusal_len)
        return WP_ELIMIT;
    grown = realloc(r->refusal, r->refusal_len + len);
    if (grown == NULL)
        return -ENOMEM;
    memcpy(grown + r->refusal_len, data, len);
    r->refusal = grown;
    r->refusal_len += len;
    return 0;
}

static int on_body(void *arg, const uint8_t *data, size_t len)
{
    struct wp_kube_reflector *r = arg;
    int e;

    r->heard_ns = r->own->h->now();
    if (r->body == NULL)
        return len > 0 ? keep_refusal(r, data, len) : 0;
    e = wp_kube_body_feed(r->body, data, len);
    wp_kube_reap(r->own);
    return e;
}

static void on_end(void *arg, const struct wp_httpc_end *end)
{
    struct wp_kube_reflector *r = arg;

    r->call = NULL;
    if (r->status == 0)
        wp_kube_count_request(r->own, 0);
    wp_kube_call_ended(r, end->err, end->text);
}

/* --- calls ----------------------------------------------------------------------------------- */

/* The CA or the certificate are other ones: what runs still goes over connections of the old. */
static void renew_others(struct wp_kube_reflector *r)
{
    struct wp_kube_cluster_own *o = r->own;

    for (unsigned i = 0; i < o->n_reflectors; i++) {
        struct wp_kube_reflector *other = &o->reflectors[i];
        if (other == r || other->phase != WP_KUBE_WATCHING || other->generation == o->generation)
            continue;
        wp_kube_call_drop(other);
        wp_kube_watch_ended(other, false, false);
        wp_kube_rest(other, WP_KUBE_GO_WATCH, 0);
    }
}

static int start(struct wp_kube_reflector *r, const char *url, unsigned seconds)
{
    static const struct wp_httpc_call_ops ops = {.head = on_head, .body = on_body, .end = on_end};
    struct wp_kube_cluster_own *o = r->own;
    bool is_list = r->phase == WP_KUBE_LISTING;
    struct wp_httpc_header accept = {
        "Accept", wp_kube_accept(is_list ? WP_KUBE_LIST : WP_KUBE_WATCH,
                                 r->collection == WP_KUBE_NAMESPACES)};
    struct wp_httpc_request q = {.url = url, .idle_ms = WP_KUBE_IDLE_MS};
    int e = wp_kube_access_next(o->access, o->h->now(), &accept, 1, &q);

    if (e < 0)
        return e;
    o->generation = r->generation = wp_kube_access_generation(o->access);
    if (!is_list)
        q.total_ms = (seconds + WP_KUBE_WATCH_GRACE_S) * 1000;
    return o->h->start(&q, &ops, r, &r->call);
}

static void forget(struct wp_kube_reflector *r)
{
    wp_kube_body_free(r->body);
    free(r->refusal);
    r->body = NULL;
    r->refusal = NULL;
    r->refusal_len = 0;
    r->status = 0;
    r->retry_after_s = -1;
    r->content_type[0] = '\0';
    r->n_events = 0;
    r->has_event_error = false;
}

void wp_kube_call(struct wp_kube_reflector *r, enum wp_kube_phase phase)
{
    unsigned seconds = watch_time();
    char *url;
    int e = -ENOMEM;

    forget(r);
    r->phase = phase;
    r->began_ns = r->heard_ns = r->own->h->now();
    url = make_url(r, seconds);
    if (url != NULL)
        e = start(r, url, seconds);
    free(url);
    if (e < 0) {
        wp_kube_call_ended(r, e, wp_strerror(e));
        return;
    }
    renew_others(r);
}

void wp_kube_call_drop(struct wp_kube_reflector *r)
{
    r->own->h->drop(r->call);
    r->call = NULL;
    forget(r);
}
