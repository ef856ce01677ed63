/* Upstreams and what each loop has of them: made, looked after, retired. */
#include "backends/common/upstream_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SECOND 1000000000ll
#define SWEEP_MAX (10 * SECOND) /* how often idle sockets are looked for, as CoreDNS does */
#define SWEEP_MIN (SECOND / 10)
#define DIAL_AVG_START (15 * SECOND)

/* --- a loop's part ------------------------------------------------------------------------- */

uint16_t wp_up_random(struct wp_up_here *h)
{
    if (h->n_random == 0) {
        /* Up to 256 octets a call of getrandom cannot be short once the pool is ready. */
        for (size_t at = 0; at < sizeof(h->random); at += 256) {
            if (getrandom((uint8_t *)h->random + at, 256, 0) != 256)
                abort(); /* guessable ids are worse than none */
        }
        h->n_random = WP_COUNT(h->random);
    }
    return h->random[--h->n_random];
}

static struct wp_up_here *here_of(struct wp_upstreams *s, struct wp_loop *loop)
{
    int index = wp_loop_index(loop);
    struct wp_up_here *h = s->here[index];

    if (h != NULL)
        return h;
    h = calloc(1, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->loop = loop;
    h->index = index;
    s->here[index] = h;
    return h;
}

static void on_sweep(struct wp_timer *t);

struct wp_up_local *wp_up_local_of(struct wp_upstream *u, struct wp_loop *loop)
{
    int index = wp_loop_index(loop);
    struct wp_up_local *l = u->local[index];
    struct wp_up_here *h;

    if (WP_LIKELY(l != NULL))
        return l;
    h = here_of(u->set, loop);
    l = h != NULL ? calloc(1, sizeof(*l)) : NULL;
    if (l == NULL)
        return NULL;
    l->up = u;
    l->here = h;
    l->sweep.fn = on_sweep;
    l->queue_end = &l->queue;
    l->depth = UINT32_MAX;
    l->next = h->locals;
    l->prev = &h->locals;
    if (l->next != NULL)
        l->next->prev = &l->next;
    h->locals = l;
    u->local[index] = l;
    return l;
}

static void local_free(struct wp_up_local *l)
{
    wp_up_udp_close(l);
    wp_up_conn_close_all(l);
    wp_timer_cancel(&l->sweep);
    *l->prev = l->next;
    if (l->next != NULL)
        l->next->prev = l->prev;
    l->up->local[l->here->index] = NULL;
    free(l);
}

static int64_t sweep_interval(const struct wp_up_local *l)
{
    int64_t ns = l->up->profile->expire_ns / 2;

    if (ns > SWEEP_MAX)
        return SWEEP_MAX;
    return ns < SWEEP_MIN ? SWEEP_MIN : ns;
}

void wp_up_sweep_later(struct wp_up_local *l)
{
    if (!wp_timer_is_set(&l->sweep))
        wp_timer_set(l->here->loop, &l->sweep,
                     wp_loop_now(l->here->loop) + (uint64_t)sweep_interval(l));
}

static bool is_idle(const struct wp_up_local *l)
{
    return l->holds == 0 && !wp_up_udp_is_open(l) && !wp_up_conn_is_open(l);
}

static void retire_here(struct wp_upstream *u);

static void on_sweep(struct wp_timer *t)
{
    struct wp_up_local *l = (struct wp_up_local *)((char *)t - offsetof(struct wp_up_local, sweep));
    uint64_t now_ns = wp_loop_now(l->here->loop);
    bool udp = wp_up_udp_sweep(l, now_ns), conns = wp_up_conn_sweep(l, now_ns);

    if (l->retiring) {
        if (is_idle(l)) {
            retire_here(l->up);
            return;
        }
        udp = true;
    }
    if (udp || conns)
        wp_up_sweep_later(l);
}

/* --- the set ------------------------------------------------------------------------------- */

int wp_upstreams_new(const struct wp_env *env, struct wp_upstreams **ret)
{
    struct wp_upstreams *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    s->env = env;
    s->n_loops = env->n_workers + 1;
    s->here = calloc((size_t)s->n_loops, sizeof(struct wp_up_here *));
    if (s->here == NULL) {
        free(s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

static struct wp_loop *loop_at(const struct wp_upstreams *s, int i)
{
    return i < s->env->n_workers ? s->env->workers[i] : s->env->admin;
}

static void upstream_free(struct wp_upstream *u)
{
    free(u->server_name);
    free(u->local);
    pthread_mutex_destroy(&u->fault_lock);
    free(u);
}

static void stop_probes(void *arg, struct wp_loop *loop)
{
    struct wp_upstreams *s = arg;

    (void)loop;
    for (struct wp_upstream *u = s->all; u != NULL; u = u->next)
        wp_up_probe_stop(u);
}

void wp_upstreams_quiesce(struct wp_upstreams *s)
{
    if (s == NULL || atomic_exchange(&s->quiet, true))
        return;
    wp_loop_call(s->env->admin, stop_probes, s);
}

static void close_here(void *arg, struct wp_loop *loop)
{
    struct wp_upstreams *s = arg;
    struct wp_up_here *h = s->here[wp_loop_index(loop)];

    if (h == NULL)
        return;
    while (h->locals != NULL)
        local_free(h->locals);
    wp_up_udp_done(h);
    free(h->rx);
    free(h->read);
    free(h->plain);
    free(h);
    s->here[wp_loop_index(loop)] = NULL;
}

void wp_upstreams_free(struct wp_upstreams *s)
{
    if (s == NULL)
        return;
    wp_upstreams_quiesce(s);
    /* Upwards: what retires moves the same way and never falls behind. */
    for (int i = 0; i < s->n_loops; i++)
        wp_loop_call(loop_at(s, i), close_here, s);
    while (s->all != NULL) {
        struct wp_upstream *u = s->all;
        s->all = u->next;
        upstream_free(u);
    }
    free(s->here);
    free(s);
}

/* --- one upstream -------------------------------------------------------------------------- */

int wp_upstream_new(struct wp_upstreams *s, const struct wp_upstream_profile *p,
                    enum wp_upstream_kind kind, const struct wp_addr *addr, const char *server_name,
                    struct wp_upstream **ret)
{
    struct wp_upstream *u = calloc(1, sizeof(*u));

    if (u == NULL)
        return -ENOMEM;
    pthread_mutex_init(&u->fault_lock, NULL);
    u->local = calloc((size_t)s->n_loops, sizeof(struct wp_up_local *));
    if (server_name != NULL)
        u->server_name = strdup(server_name);
    if (u->local == NULL || (server_name != NULL && u->server_name == NULL)) {
        upstream_free(u);
        return -ENOMEM;
    }
    u->set = s;
    u->profile = p;
    u->kind = kind;
    u->addr = *addr;
    u->sa_len = wp_addr_to_sockaddr(addr, &u->sa);
    wp_addr_text(addr, u->text);
    wp_addr_ip_text(addr, u->ip);
    u->verify = u->server_name != NULL ? u->server_name : u->ip;
    atomic_init(&u->dial_avg_ns, DIAL_AVG_START);
    wp_up_make_series(u);
    u->next = s->all;
    s->all = u;
    *ret = u;
    return 0;
}

bool wp_upstream_is(const struct wp_upstream *u, enum wp_upstream_kind kind,
                    const struct wp_addr *addr, const char *server_name)
{
    const char *mine = u->server_name != NULL ? u->server_name : "";

    return u->kind == kind && wp_addr_equal(&u->addr, addr) &&
           strcasecmp(mine, server_name != NULL ? server_name : "") == 0;
}

const char *wp_upstream_text(const struct wp_upstream *u)
{
    return u->text;
}

const char *wp_upstream_over(const struct wp_upstream *u, bool tcp)
{
    static const char *const encrypted[] = {
        [WP_UPSTREAM_TLS] = "tls", [WP_UPSTREAM_HTTPS] = "https"};

    return u->kind == WP_UPSTREAM_DNS ? (tcp ? "tcp" : "udp") : encrypted[u->kind];
}

bool wp_upstream_is_down(const struct wp_upstream *u, uint32_t max_fails)
{
    return max_fails > 0 && atomic_load_explicit(&u->fails, memory_order_relaxed) > max_fails;
}

/* --- retiring ------------------------------------------------------------------------------ */

static void on_retire_mail(struct wp_mail *m)
{
    struct wp_upstream *u =
        (struct wp_upstream *)((char *)m - offsetof(struct wp_upstream, retire_mail));
    struct wp_up_local *l = u->local[u->retire_at];

    if (l != NULL && !is_idle(l)) {
        l->retiring = true; /* the sweep goes on with it */
        wp_up_sweep_later(l);
        return;
    }
    retire_here(u);
}

/* Nothing is open on this loop: let go, and on to the next one; the last is the admin loop, which
 * frees. */
static void retire_here(struct wp_upstream *u)
{
    struct wp_upstreams *s = u->set;

    if (u->local[u->retire_at] != NULL)
        local_free(u->local[u->retire_at]);
    if (u->retire_at < s->n_loops - 1) {
        u->retire_at++;
        wp_loop_post(loop_at(s, u->retire_at), &u->retire_mail);
        return;
    }
    wp_up_probe_stop(u);
    for (struct wp_upstream **at = &s->all; *at != NULL; at = &(*at)->next) {
        if (*at == u) {
            *at = u->next;
            break;
        }
    }
    upstream_free(u);
}

int wp_upstream_hold(struct wp_upstream *u, struct wp_loop *loop)
{
    struct wp_up_local *l = wp_up_local_of(u, loop);

    if (l == NULL)
        return -ENOMEM;
    l->holds++;
    return 0;
}

void wp_upstream_release(struct wp_upstream *u, struct wp_loop *loop)
{
    u->local[wp_loop_index(loop)]->holds--;
}

void wp_upstream_retire(struct wp_upstream *u)
{
    u->gone = true;
    wp_up_probe_stop(u);
    u->retire_at = 0;
    u->retire_mail.fn = on_retire_mail;
    wp_loop_post(loop_at(u->set, 0), &u->retire_mail);
}
