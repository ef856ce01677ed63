/* Questions that wait for a name to be read. A ticket is taken on the question's loop, goes to the engine
 * and comes back; it outlives the question that was cancelled, and the source. */
#include "backends/nomad/source_priv.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKS = 32 }; /* tickets that are looked at for a free one */

/* --- tickets ----------------------------------------------------------------------------------- */

int wp_nomad_tickets_new(struct wp_nomad_source_own *o)
{
    struct wp_nomad_tickets *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return -ENOMEM;
    atomic_init(&t->refs, 1);
    o->tickets = t;
    return 0;
}

void wp_nomad_tickets_unref(struct wp_nomad_tickets *t)
{
    if (t != NULL && atomic_fetch_sub(&t->refs, 1) == 1)
        free(t);
}

static struct wp_nomad_ticket *take(struct wp_nomad_tickets *t, uint64_t from)
{
    for (size_t i = 0; i < LOOKS; i++) {
        struct wp_nomad_ticket *k = &t->at[(from + i) % WP_NOMAD_TICKETS];
        int is_free = WP_NOMAD_TICKET_FREE;
        if (atomic_compare_exchange_strong(&k->state, &is_free, WP_NOMAD_TICKET_ASKED)) {
            atomic_fetch_add(&t->refs, 1);
            k->pool = t; /* not before: pages that nobody needs are not touched */
            return k;
        }
    }
    return NULL;
}

static void give_back(struct wp_nomad_ticket *k)
{
    struct wp_nomad_tickets *pool = k->pool;

    atomic_store(&k->state, WP_NOMAD_TICKET_FREE);
    wp_nomad_tickets_unref(pool);
}

/* --- the loop's side --------------------------------------------------------------------------- */

static void on_mail(struct wp_mail *mail)
{
    struct wp_nomad_ticket *k =
        (struct wp_nomad_ticket *)(void *)((char *)mail - offsetof(struct wp_nomad_ticket, mail));
    struct wp_nomad_ask *ask = k->ask;

    give_back(k);
    if (ask == NULL)
        return;
    ask->own = NULL;
    ask->done(ask);
}

static void on_ask(struct wp_engine_post *post);

int wp_nomad_ask(struct wp_nomad_source *s, const struct wp_nomad_key *k, struct wp_nomad_ask *a)
{
    struct wp_nomad_source_own *o = s->own;
    struct wp_nomad_ticket *t;

    if (atomic_load_explicit(&s->away, memory_order_relaxed))
        return WP_EUNREACHABLE;
    if (k->name_len > WP_NOMAD_NAME_MAX || k->namespace_len > WP_NOMAD_NAME_MAX)
        return WP_ELIMIT;
    t = take(o->tickets, k->hash);
    if (t == NULL)
        return WP_ELIMIT;
    t->own = o;
    t->ask = a;
    t->loop = a->loop;
    t->name_len = k->name_len;
    t->namespace_len = k->namespace_len;
    memcpy(t->name, k->name, k->name_len);
    memcpy(t->namespace, k->namespace, k->namespace_len);
    t->mail.fn = on_mail;
    t->post.fn = on_ask;
    a->own = t;
    o->h->post(&t->post);
    return 0;
}

void wp_nomad_ask_cancel(struct wp_nomad_source *s, struct wp_nomad_ask *a)
{
    struct wp_nomad_ticket *t = a->own;
    int asked = WP_NOMAD_TICKET_ASKED;

    (void)s;
    if (t == NULL)
        return;
    a->own = NULL;
    t->ask = NULL;
    /* Else its mail is on the way to this very thread. */
    atomic_compare_exchange_strong(&t->state, &asked, WP_NOMAD_TICKET_CANCELLED);
}

/* --- the engine's side ------------------------------------------------------------------------- */

static void reply(struct wp_nomad_ticket *t)
{
    int asked = WP_NOMAD_TICKET_ASKED;

    if (atomic_compare_exchange_strong(&t->state, &asked, WP_NOMAD_TICKET_ANSWERED))
        wp_loop_post(t->loop, &t->mail);
    else
        give_back(t);
}

/* Nothing newer was to be had: what there is counts a while longer. */
static void make_do(struct wp_nomad_source_own *o, const struct wp_nomad_item *i)
{
    struct wp_nomad_service *v = wp_nomad_published(o, i);

    if (v != NULL && v->on_demand && v->until_s < wp_nomad_now_s(o))
        wp_nomad_freshen(o, v);
}

static void set_timer(struct wp_nomad_source_own *o)
{
    if (o->oldest != NULL)
        o->h->timer_set(&o->asks, o->oldest->due_ns);
    else
        o->h->timer_cancel(&o->asks);
}

static void leave_line(struct wp_nomad_source_own *o, struct wp_nomad_ticket *t)
{
    *(t->older != NULL ? &t->older->newer : &o->oldest) = t->newer;
    *(t->newer != NULL ? &t->newer->older : &o->newest) = t->older;
}

static void leave_item(struct wp_nomad_source_own *o, struct wp_nomad_ticket *t)
{
    struct wp_nomad_ticket **at = &t->item->waiters;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    o->n_asked -= t->item->waiters == NULL;
}

static void on_due(struct wp_engine_timer *timer)
{
    struct wp_nomad_source_own *o =
        (struct wp_nomad_source_own *)(void *)((char *)timer -
                                               offsetof(struct wp_nomad_source_own, asks));

    while (o->oldest != NULL && o->oldest->due_ns <= o->h->now()) {
        struct wp_nomad_ticket *t = o->oldest;
        make_do(o, t->item);
        leave_line(o, t);
        leave_item(o, t);
        reply(t);
    }
    set_timer(o);
}

void wp_nomad_answer(struct wp_nomad_source_own *o, struct wp_nomad_item *i)
{
    struct wp_nomad_ticket *t = i->waiters, *next;

    if (t == NULL)
        return;
    make_do(o, i);
    i->waiters = NULL;
    o->n_asked--;
    for (; t != NULL; t = next) {
        next = t->next;
        leave_line(o, t);
        reply(t);
    }
    set_timer(o);
}

void wp_nomad_answer_all(struct wp_nomad_source_own *o)
{
    while (o->oldest != NULL)
        wp_nomad_answer(o, o->oldest->item);
}

static void wait_for(struct wp_nomad_source_own *o, struct wp_nomad_ticket *t,
                     struct wp_nomad_item *i)
{
    o->n_asked += i->waiters == NULL;
    t->item = i;
    t->next = i->waiters;
    i->waiters = t;
    t->due_ns = o->h->now() + wp_nomad_ms(WP_NOMAD_ASK_MS);
    t->newer = NULL;
    t->older = o->newest;
    *(o->newest != NULL ? &o->newest->newer : &o->oldest) = t;
    o->newest = t;
    o->asks.fn = on_due;
    set_timer(o);
}

/* There is nothing to be found out now: the question looks at what there is. i, ns: NULL, if nothing is
 * known of them. */
static bool is_settled(const struct wp_nomad_source_own *o, const struct wp_nomad_item *i,
                       const struct wp_nomad_item *ns)
{
    uint64_t now = o->h->now();

    if (o->stopped || o->s.away || o->filter_bad_ns > now)
        return true;
    if (ns != NULL && (ns->due_ns > now || (ns->covered == WP_NOMAD_COVERED && (i == NULL || !i->listed))))
        return true;
    if (i != NULL && i->due_ns > now)
        return true;
    return (i == NULL || i->waiters == NULL) && o->n_asked >= WP_NOMAD_ASKED_MAX;
}

static struct wp_nomad_item *item_for(struct wp_nomad_source_own *o, const struct wp_nomad_ticket *t)
{
    wp_nomad_demand_room(o);
    return wp_nomad_item_get(&o->items, t->name, t->name_len, t->namespace, t->namespace_len);
}

static void on_ask(struct wp_engine_post *post)
{
    struct wp_nomad_ticket *t =
        (struct wp_nomad_ticket *)(void *)((char *)post - offsetof(struct wp_nomad_ticket, post));
    struct wp_nomad_source_own *o = t->own;
    struct wp_nomad_item *i =
        wp_nomad_item_find(&o->items, t->name, t->name_len, t->namespace, t->namespace_len);
    const struct wp_nomad_item *ns =
        wp_nomad_item_find(&o->items, "", 0, t->namespace, t->namespace_len);

    if (is_settled(o, i, ns)) {
        if (i != NULL)
            make_do(o, i);
        reply(t);
        return;
    }
    if (i == NULL)
        i = item_for(o, t);
    if (i == NULL) { /* memory */
        reply(t);
        return;
    }
    if (!i->listed)
        wp_nomad_demand(o, i);
    wait_for(o, t, i);
    if (!i->reading)
        wp_nomad_read(o, i, WP_NOMAD_URGENT);
    wp_nomad_reads_run(o);
}
