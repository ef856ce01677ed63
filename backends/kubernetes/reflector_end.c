/* How a call ended, and what follows from it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kubernetes/cluster_priv.h"
#include "waypost/base/random.h"

enum verdict {
    DONE,      /* a list is whole, a watch's time is over */
    BROKEN,    /* cut after it began */
    AWAY,      /* nothing came */
    BUSY,      /* 429 */
    EXPIRED,   /* 410 */
    TOO_LARGE, /* the server does not know our version yet */
    REFUSED,
    NONSENSE, /* no answer of an API server */
    NOMEM,
};

static const char *host_of(const struct wp_kube_reflector *r)
{
    return wp_kube_access_host(r->own->access);
}

/* --- judging --------------------------------------------------------------------------------- */

static enum verdict judge_status(const struct wp_kube_status *s, int code)
{
    return s->expired || code == 410 ? EXPIRED
           : s->too_large            ? TOO_LARGE
           : code == 429             ? BUSY
                                     : REFUSED;
}

static enum verdict judge_event(const struct wp_kube_reflector *r, char why[WP_KUBE_WHY_MAX])
{
    const struct wp_kube_status *s = &r->event_error;

    snprintf(why, WP_KUBE_WHY_MAX, "%s: %s", host_of(r),
             s->message[0] != '\0' ? s->message : "an event ERROR that tells nothing");
    return judge_status(s, s->code);
}

static enum verdict judge_refusal(struct wp_kube_reflector *r, char why[WP_KUBE_WHY_MAX])
{
    struct wp_kube_status s = {0};
    enum wp_kube_encoding e = WP_KUBE_JSON;

    wp_arena_reset(&r->own->scratch);
    if (wp_kube_encoding_of(r->content_type, &e) < 0 ||
        wp_kube_status_read(e, r->refusal != NULL ? r->refusal : "", r->refusal_len,
                            &r->own->scratch, &s) < 0)
        s = (struct wp_kube_status){0};
    if (s.message[0] != '\0')
        snprintf(why, WP_KUBE_WHY_MAX, "%s: %s", host_of(r), s.message);
    else
        snprintf(why, WP_KUBE_WHY_MAX, "%s: HTTP status %d%s", host_of(r), r->status,
                 r->status >= 300 && r->status < 400 ? ": redirects are not followed" : "");
    return judge_status(&s, r->status);
}

static enum verdict judge_nonsense(const struct wp_kube_reflector *r, int err,
                                   char why[WP_KUBE_WHY_MAX])
{
    const char *what = r->phase == WP_KUBE_LISTING ? "list" : "watch";

    if (err == WP_EUNSUPPORTED)
        snprintf(why, WP_KUBE_WHY_MAX, "%s: content type \"%s\" is none of the Kubernetes API",
                 host_of(r), r->content_type);
    else if (err == WP_ELIMIT)
        snprintf(why, WP_KUBE_WHY_MAX, "%s: %d MB without the end of an object", host_of(r),
                 WP_KUBE_RUN_MAX >> 20);
    else
        snprintf(why, WP_KUBE_WHY_MAX, "%s: what came is no %s of the Kubernetes API", host_of(r), what);
    return NONSENSE;
}

/* Of a response whose head was good. */
static enum verdict judge_body(struct wp_kube_reflector *r, int err, const char *text,
                               struct wp_kube_list_head *ret, char why[WP_KUBE_WHY_MAX])
{
    if (err == 0) {
        wp_arena_reset(&r->own->scratch);
        err = wp_kube_body_end(r->body, &r->own->scratch,
                               r->phase == WP_KUBE_LISTING ? ret : NULL);
        text = "the body ends within an object";
        if (err == 0)
            return DONE;
        if (err == WP_ECLOSED)
            snprintf(why, WP_KUBE_WHY_MAX, "%s: %s", host_of(r), text);
    } else {
        snprintf(why, WP_KUBE_WHY_MAX, "%s", text);
    }
    if (err == -ENOMEM)
        return NOMEM;
    return err == WP_EMALFORMED || err == WP_ELIMIT || err == WP_EUNSUPPORTED
               ? judge_nonsense(r, err, why)
               : BROKEN;
}

static enum verdict judge(struct wp_kube_reflector *r, int err, const char *text,
                          struct wp_kube_list_head *ret, char why[WP_KUBE_WHY_MAX])
{
    snprintf(why, WP_KUBE_WHY_MAX, "%s", text != NULL ? text : "");
    if (r->has_event_error)
        return judge_event(r, why);
    if (err == -ENOMEM) {
        snprintf(why, WP_KUBE_WHY_MAX, "out of memory");
        return NOMEM;
    }
    if (r->status == 200)
        return judge_body(r, err, text, ret, why);
    if (r->status != 0)
        return judge_refusal(r, why);
    if (err == WP_ETLS)
        wp_kube_access_tls_failed(r->own->access);
    return AWAY;
}

/* --- telling --------------------------------------------------------------------------------- */

/* One line for each cycle that failed, in the words of CoreDNS's client library. */
static void tell(struct wp_kube_reflector *r, const char *verb, const char *why)
{
    const char *type = wp_kube_type_text(r->collection);

    wp_kube_tell_error(r->own, verb, type, why);
    if (wp_log_allow(&r->limit, 20, 60))
        wp_log(WP_ERROR, "kubernetes",
               "Failed to watch: failed to %s %s: %s logger=\"UnhandledError\" "
               "reflector=\"%s\" type=\"%s\"",
               verb, type, why, r->own->name, type);
}

/* --- each phase ------------------------------------------------------------------------------ */

/* Ended at once, without a word. */
static bool is_brief(const struct wp_kube_reflector *r)
{
    return r->n_events == 0 && r->own->h->now() - r->began_ns < wp_kube_ms(WP_KUBE_BRIEF_MS);
}

static const char brief[] = "unexpected watch close - watch lasted less than a second and no "
                            "items received";

static void stream_ended(struct wp_kube_reflector *r, enum verdict v, const char *why)
{
    if (v == DONE || v == BROKEN) {
        tell(r, "watch-list", is_brief(r) ? brief : v == DONE ? "it ended before the list did" : why);
        if (!is_brief(r) && ++r->torn < WP_KUBE_TORN_MOST) {
            wp_kube_back_off(r, WP_KUBE_GO_CYCLE);
            return;
        }
        r->torn = 0;
    } else if (v == AWAY || v == BUSY || v == NOMEM) {
        tell(r, "watch-list", why);
        wp_kube_back_off(r, WP_KUBE_GO_CYCLE);
        return;
    } else if ((v == EXPIRED || v == TOO_LARGE) && !r->rv_gone) {
        r->rv_gone = true;
        wp_kube_rest(r, WP_KUBE_GO_CYCLE, 0);
        return;
    } else if (r->status == 422 || r->status == 400) {
        r->own->stream_refused_ns = r->own->h->now();
    }
    wp_kube_list(r, false);
}

static void page_came(struct wp_kube_reflector *r, const struct wp_kube_list_head *head)
{
    char rv[WP_KUBE_RV_MAX + 1];

    strcpy(rv, head->rv);
    free(r->page);
    r->page = head->next[0] != '\0' ? strdup(head->next) : NULL;
    if (head->next[0] != '\0' && r->page != NULL) {
        r->paginates |= strcmp(r->list_rv, "0") == 0;
        wp_kube_rest(r, WP_KUBE_GO_PAGE, 0);
    } else if (head->next[0] != '\0' || wp_kube_list_complete(r, rv) < 0) {
        tell(r, "list", "out of memory");
        wp_kube_back_off(r, WP_KUBE_GO_CYCLE);
    } else {
        wp_kube_reap(r->own);
        wp_kube_watch(r);
    }
}

static void list_ended(struct wp_kube_reflector *r, enum verdict v, const char *why,
                       const struct wp_kube_list_head *head)
{
    uint64_t took = r->own->h->now() - r->page_began_ns;

    wp_metric_observe(r->own->stats.list_time, WP_METRIC_SHARED, (double)took / 1e9);
    if (v == DONE) {
        page_came(r, head);
    } else if (v == EXPIRED && r->page != NULL) {
        wp_kube_list(r, true);
    } else if ((v == EXPIRED || v == TOO_LARGE) && r->list_rv[0] != '\0') {
        r->rv_gone = true;
        wp_kube_list(r, false);
    } else {
        tell(r, "list", why);
        wp_kube_back_off(r, WP_KUBE_GO_CYCLE);
    }
}

/* A stream that ends soon after it began, again and again, may not cost a request each time. */
static void watch_on(struct wp_kube_reflector *r)
{
    bool soon = r->own->h->now() - r->began_ns < wp_kube_ms(WP_KUBE_BRIEF_MS);

    wp_kube_rest(r, WP_KUBE_GO_WATCH, soon ? wp_kube_ms(100 + wp_random_below(100)) : 0);
}

static void watch_ended(struct wp_kube_reflector *r, enum verdict v, const char *why)
{
    uint64_t now = r->own->h->now();

    if ((v == DONE || v == BROKEN) && !is_brief(r)) {
        watch_on(r);
        return;
    }
    if (v == EXPIRED) {
        r->reason = WP_KUBE_RELIST_EXPIRED;
        wp_log(WP_INFO, "kubernetes", "%s: %s: listed again: %s", r->own->name,
               wp_kube_collection_name(r->collection), why);
        if (now - r->listed_ns < wp_kube_ms(WP_KUBE_RELIST_MS))
            wp_kube_back_off(r, WP_KUBE_GO_CYCLE);
        else
            wp_kube_rest(r, WP_KUBE_GO_CYCLE, 0);
        return;
    }
    tell(r, "watch", v == DONE || v == BROKEN ? brief : why);
    wp_kube_back_off(r, v == AWAY || v == BUSY || v == NOMEM ? WP_KUBE_GO_WATCH
                                                             : WP_KUBE_GO_CYCLE);
}

/* The server has said when to come back. */
static bool is_put_off(struct wp_kube_reflector *r, enum wp_kube_phase phase)
{
    static const enum wp_kube_next again[] = {
        [WP_KUBE_STREAMING] = WP_KUBE_GO_CYCLE,
        [WP_KUBE_LISTING] = WP_KUBE_GO_PAGE,
        [WP_KUBE_WATCHING] = WP_KUBE_GO_WATCH,
    };
    int64_t s = r->retry_after_s;

    if (s < 0 || (r->status != 429 && r->status < 500) || r->retries >= WP_KUBE_RETRIES)
        return false;
    r->retries++;
    s = s == 0 ? 1 : s > WP_KUBE_RETRY_MOST_S ? WP_KUBE_RETRY_MOST_S : s;
    wp_kube_rest(r, again[phase], wp_kube_ms(1000) * (uint64_t)s);
    return true;
}

void wp_kube_call_ended(struct wp_kube_reflector *r, int err, const char *text)
{
    enum wp_kube_phase phase = r->phase;
    struct wp_kube_list_head head = {.rv = "", .next = ""};
    char why[WP_KUBE_WHY_MAX];
    enum verdict v = judge(r, err, text, &head, why);

    r->away = v == AWAY;
    if (phase == WP_KUBE_WATCHING)
        wp_kube_watch_ended(r, v == AWAY, r->status == 200 && err == WP_ETIMEOUT);
    if (phase == WP_KUBE_LISTING)
        wp_kube_list_release(r);
    if (r->status == 401)
        wp_kube_access_unauthorized(r->own->access);
    if (v == TOO_LARGE) /* time went back: a store from a backup, which gives numbers again */
        r->distrusts = true;
    if (v != EXPIRED && v != TOO_LARGE && is_put_off(r, phase))
        return;
    if (phase == WP_KUBE_STREAMING)
        stream_ended(r, v, why);
    else if (phase == WP_KUBE_LISTING)
        list_ended(r, v, why, &head);
    else
        watch_ended(r, v, why);
}
