/* Files that name upstreams are followed: a change of /etc/resolv.conf reaches the next query
 * within a second. Certificate files of TLS upstreams too. All on the admin loop. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "backends/forward/forward.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/loop.h"

#define SECOND 1000000000ull

struct seen {
    struct timespec mtime;
    off_t size;
    ino_t ino;
    dev_t dev;
};

struct forward_watch {
    struct forward *f;
    struct wp_timer timer;
    unsigned ticks;
    bool has_files, has_certificates;
    struct seen *seen; /* FORWARD_TO_MAX for each stanza */
};

/* --- lists --------------------------------------------------------------------------------- */

static struct wp_upstream *known(const struct forward_list *old, const struct forward_found *f)
{
    for (unsigned i = 0; old != NULL && i < old->n; i++) {
        if (wp_upstream_is(old->up[i], f->transport, &f->addr, f->server_name))
            return old->up[i];
    }
    return NULL;
}

/* The name that the certificate must have: the stanza's, or the upstream's own. */
static const char *name_of(const struct forward_stanza *st, const struct forward_found *f)
{
    return f->server_name != NULL ? f->server_name : st->tls_servername;
}

int forward_list_new(struct forward_stanza *st, const struct forward_list *old,
                     struct forward_list **ret)
{
    struct forward_found found[FORWARD_UPSTREAMS_MAX];
    unsigned n = forward_to_list(st, found);
    struct forward_list *l;

    if (n == 0)
        return WP_ENOTFOUND;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        int r = 0;

        if (found[i].transport != WP_UPSTREAM_DNS)
            found[i].server_name = name_of(st, &found[i]);
        l->up[i] = known(old, &found[i]);
        if (l->up[i] == NULL)
            r = wp_upstream_new(st->forward->set, &st->profile, found[i].transport, &found[i].addr,
                                found[i].server_name, &l->up[i]);
        if (r < 0) {
            /* those made so far go with the set, or are retired by the next change */
            free(l);
            return r;
        }
        l->n++;
    }
    *ret = l;
    return 0;
}

static bool has(const struct forward_list *l, const struct wp_upstream *u)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (l->up[i] == u)
            return true;
    }
    return false;
}

static void free_list(struct wp_grace_item *item)
{
    free(item); /* it is the first member */
}

static void take_over(struct forward_stanza *st, const char *path)
{
    struct forward_list *old = atomic_load_explicit(&st->list, memory_order_relaxed), *l;
    int r = forward_list_new(st, old, &l);
    unsigned changes = 0;

    if (r < 0) {
        wp_log(WP_WARNING, "forward", "%s names no usable name server, the known ones stay: %s",
               path, wp_strerror(r));
        return;
    }
    atomic_store_explicit(&st->list, l, memory_order_release);
    for (unsigned i = 0; i < old->n; i++) {
        if (!has(l, old->up[i])) {
            wp_upstream_retire(old->up[i]);
            changes++;
        }
    }
    for (unsigned i = 0; i < l->n; i++)
        changes += !has(old, l->up[i]);
    wp_grace_retire(&old->grace, free_list);
    if (changes > 0)
        wp_log(WP_INFO, "forward", "%s changed: %u upstreams now, %s first", path, l->n,
               wp_upstream_text(l->up[0]));
}

/* --- looking ------------------------------------------------------------------------------- */

static struct seen look(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct seen){0};
    return (struct seen){
        .mtime = st.st_mtim, .size = st.st_size, .ino = st.st_ino, .dev = st.st_dev};
}

static bool same(const struct seen *a, const struct seen *b)
{
    return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->size == b->size && a->ino == b->ino && a->dev == b->dev;
}

/* A file that is away for a moment (being replaced) is not a change. At the first look all are
 * new: what changed while we started is not missed. */
static void look_at_files(struct forward_watch *w, struct forward_stanza *st)
{
    for (unsigned i = 0; i < st->n_to; i++) {
        struct seen *was = &w->seen[st->index * FORWARD_TO_MAX + i], is;

        if (st->to[i].kind != FORWARD_TO_FILE)
            continue;
        is = look(st->to[i].name);
        if (is.ino == 0 || same(was, &is))
            continue;
        *was = is;
        take_over(st, st->to[i].name);
    }
}

static void on_timer(struct wp_timer *t)
{
    struct forward_watch *w =
        (struct forward_watch *)((char *)t - offsetof(struct forward_watch, timer));
    struct wp_loop *loop = w->f->env->admin;
    bool certificates = ++w->ticks % (FORWARD_TLS_WATCH_S / FORWARD_WATCH_S) == 0;

    for (struct forward_stanza *st = w->f->first; st != NULL; st = st->next) {
        look_at_files(w, st);
        if (certificates && wp_client_tls_has_files(&st->client_tls)) {
            wp_client_tls_refresh(st->tls, "forward");
            wp_client_tls_refresh(st->https, "forward");
        }
    }
    wp_timer_set(loop, t, wp_loop_now(loop) + FORWARD_WATCH_S * SECOND);
}

/* --- life ---------------------------------------------------------------------------------- */

static void arm(void *arg, struct wp_loop *loop)
{
    struct forward_watch *w = arg;

    w->timer.fn = on_timer;
    wp_timer_set(loop, &w->timer, wp_loop_now(loop) + FORWARD_WATCH_S * SECOND);
}

static void disarm(void *arg, struct wp_loop *loop)
{
    struct forward_watch *w = arg;

    (void)loop;
    wp_timer_cancel(&w->timer);
}

int forward_watch_start(struct forward *f)
{
    struct forward_watch *w;
    bool needed = false;

    for (const struct forward_stanza *st = f->first; st != NULL; st = st->next)
        needed = needed || st->has_files || wp_client_tls_has_files(&st->client_tls);
    if (!needed)
        return 0;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->seen = calloc((size_t)f->n * FORWARD_TO_MAX, sizeof(*w->seen));
    if (w->seen == NULL) {
        free(w);
        return -ENOMEM;
    }
    w->f = f;
    f->watch = w;
    wp_loop_call(f->env->admin, arm, w);
    return 0;
}

void forward_watch_stop(struct forward *f)
{
    if (f->watch == NULL)
        return;
    wp_loop_call(f->env->admin, disarm, f->watch);
    free(f->watch->seen);
    free(f->watch);
    f->watch = NULL;
}
