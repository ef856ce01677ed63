/* A question whose name nobody has asked for yet waits until an agent has been asked. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/answer.h"
#include "waypost/plugin/loop.h"

struct wait {
    struct wp_nomad_ask ask;
    struct wp_timer deadline; /* the question's own, when it ends before the asking */
    struct nomad_answer a;
};

static int look_again(struct wait *w)
{
    struct nomad_answer *a = &w->a;

    return nomad_answer(a, nomad_find(a));
}

static void on_done(struct wp_nomad_ask *ask)
{
    struct wait *w = (struct wait *)((char *)ask - offsetof(struct wait, ask));
    struct wp_query *q = w->a.q;
    int r;

    wp_timer_cancel(&w->deadline);
    r = look_again(w);
    if (r != WP_STEP_WAIT) /* for another reading of the name, or for what a host name stands for */
        wp_query_resume(q, r);
}

static void on_deadline(struct wp_timer *t)
{
    struct wait *w = (struct wait *)((char *)t - offsetof(struct wait, deadline));
    struct wp_query *q = w->a.q;

    wp_nomad_ask_cancel(w->a.p->source, &w->ask);
    wp_query_resume(q, nomad_cannot_tell(&w->a));
}

/* A name that would make another path of the request: no service has it. */
static bool is_impossible(const struct wp_nomad_key *k)
{
    return memchr(k->name, '/', k->name_len) != NULL || *k->name == '.';
}

int nomad_wait(struct nomad_answer *a)
{
    unsigned reading = a->key == &a->name.plain ? NOMAD_ASKED_PLAIN : NOMAD_ASKED_TAGGED;
    struct wp_query *q = a->q;
    struct wait *w;

    if (is_impossible(a->key))
        return nomad_answer(a, WP_NOMAD_ABSENT);
    if ((a->asked & reading) != 0)
        return nomad_cannot_tell(a);
    w = wp_arena_zalloc(q->arena, sizeof(*w));
    if (w == NULL)
        return -ENOMEM;
    w->a = *a;
    w->a.asked |= reading;
    w->a.key = reading == NOMAD_ASKED_PLAIN ? &w->a.name.plain : &w->a.name.tagged;
    w->ask.done = on_done;
    w->ask.loop = q->loop;
    wp_query_state_set(q, w);
    if (wp_nomad_ask(a->p->source, w->a.key, &w->ask) < 0)
        return nomad_cannot_tell(a);
    if (q->deadline_ns != 0 &&
        q->deadline_ns < wp_loop_now(q->loop) + WP_NOMAD_ASK_MS * UINT64_C(1000000)) {
        w->deadline.fn = on_deadline;
        wp_timer_set(q->loop, &w->deadline, q->deadline_ns);
    }
    return WP_STEP_WAIT;
}

void nomad_cancel(void *self, struct wp_query *q)
{
    struct nomad *p = self;
    struct wait *w = wp_query_state(q);

    wp_timer_cancel(&w->deadline);
    wp_nomad_ask_cancel(p->source, &w->ask);
    wp_query_fail(q, WP_RCODE_SERVFAIL, WP_ECANCELLED, "context canceled");
    wp_query_resume(q, WP_STEP_DONE);
}
