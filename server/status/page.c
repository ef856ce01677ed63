/* GET /status: the workers are asked for their figures, then the report is written. */
#include <stdlib.h>
#include <string.h>

#include "server/status/status_priv.h"
#include "waypost/plugin/loop.h"
#include "waypost/server/worker.h"

void status_say(struct wp_http_answer *a, int status, const char *line)
{
    *a = (struct wp_http_answer){.status = status, .len = strlen(line)};
    a->body = line;
}

void status_show(struct wp_http_answer *a, struct wp_report *r, bool text)
{
    size_t len = 0;
    char *body = text ? wp_report_as_text(r, &len) : wp_report_as_json(r, &len);

    if (body == NULL) {
        status_say(a, 500, "out of memory\n");
        return;
    }
    *a = (struct wp_http_answer){.status = 200, .body = body, .len = len, .to_free = body};
    if (!text)
        a->type = "application/json";
}

/* --- asking the workers ---------------------------------------------------------------------- */

struct gathering;

struct visit {
    struct wp_mail mail; /* to the worker, and back */
    struct gathering *g;
    struct wp_loop *loop;
    struct status_worker seen;
};

struct gathering {
    struct wp_admin *a;
    struct wp_http_later *later; /* NULL: has been answered */
    struct wp_timer timer;
    bool text;
    int left; /* visits under way */
    struct visit visits[];
};

static void answer(struct gathering *g)
{
    const struct wp_admin *a = g->a;
    struct status_worker *workers = calloc((size_t)a->n_workers, sizeof(*workers));
    struct wp_http_answer out;
    struct wp_report r;
    struct wp_arena arena;

    wp_arena_init(&arena, STATUS_OCTETS_MAX);
    wp_report_init(&r, &arena);
    for (int i = 0; workers != NULL && i < a->n_workers; i++)
        workers[i] = g->visits[i].seen;
    if (workers != NULL) {
        status_fill(a, workers, &r);
        status_show(&out, &r, g->text);
    } else {
        status_say(&out, 500, "out of memory\n");
    }
    wp_arena_done(&arena);
    free(workers);
    wp_timer_cancel(&g->timer);
    wp_http_finish(g->later, &out);
    g->later = NULL;
}

/* A worker that hangs must not hide the others. */
static void on_timeout(struct wp_timer *t)
{
    answer((struct gathering *)((char *)t - offsetof(struct gathering, timer)));
}

static void come_back(struct wp_mail *mail)
{
    struct visit *v = (struct visit *)mail;
    struct gathering *g = v->g;

    v->seen.came = true;
    if (--g->left > 0)
        return;
    if (g->later != NULL)
        answer(g);
    free(g);
}

/* On the worker's thread. */
static void look(struct wp_mail *mail)
{
    struct visit *v = (struct visit *)mail;
    const struct wp_worker *w = wp_loop_user(v->loop);

    v->seen = (struct status_worker){
        .queries = w->n_queries, .waiting = w->n_waiting, .asked = w->n_asked};
    mail->fn = come_back;
    wp_loop_post(v->g->a->loop, mail);
}

void status_page(void *arg, const struct wp_http_request *rq, struct wp_http_answer *out)
{
    struct wp_admin *a = arg;
    struct gathering *g;

    if (strcmp(rq->method, "GET") != 0 && strcmp(rq->method, "HEAD") != 0) {
        status_say(out, 405, "GET only\n");
        return;
    }
    if (rq->query[0] != '\0' && strcmp(rq->query, "format=text") != 0 &&
        strcmp(rq->query, "format=json") != 0) {
        status_say(out, 400, "format=text or format=json\n");
        return;
    }
    g = calloc(1, sizeof(*g) + (size_t)a->n_workers * sizeof(g->visits[0]));
    if (g != NULL)
        g->later = wp_http_later(rq);
    if (g == NULL || g->later == NULL) {
        free(g);
        status_say(out, 500, "out of memory\n");
        return;
    }
    g->a = a;
    g->text = strcmp(rq->query, "format=text") == 0;
    g->left = a->n_workers;
    g->timer.fn = on_timeout;
    wp_timer_set(a->loop, &g->timer, wp_loop_now(a->loop) + (uint64_t)STATUS_WAIT_MS * 1000000);
    for (int i = 0; i < a->n_workers; i++) {
        g->visits[i] = (struct visit){.mail.fn = look, .g = g, .loop = a->workers[i]};
        wp_loop_post(a->workers[i], &g->visits[i].mail);
    }
}
