/* GET /explain: the question is asked on a worker's loop by the way that every question takes, and
 * comes back with its story. */
#include <stdlib.h>
#include <string.h>

#include "server/status/explain_priv.h"
#include "server/status/status_priv.h"
#include "waypost/plugin/loop.h"

static void free_asking(struct asking *k)
{
    wp_arena_done(&k->arena);
    free(k);
}

/* Back on the admin thread. */
static void come_back(struct wp_mail *mail)
{
    struct asking *k = (struct asking *)mail;
    struct wp_http_answer out;

    k->a->n_asking--;
    if (k->refused[0] != '\0')
        status_say(&out, 404, k->refused);
    else
        status_show(&out, &k->report, k->question.text);
    wp_http_finish(k->later, &out);
    free_asking(k);
}

void asking_is_over(struct asking *k)
{
    k->mail.fn = come_back;
    wp_loop_post(k->a->loop, &k->mail);
}

static struct asking *new_asking(struct wp_admin *a, const struct question *q)
{
    struct asking *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return NULL;
    k->a = a;
    k->loop = a->workers[0];
    k->question = *q;
    wp_arena_init(&k->arena, STATUS_OCTETS_MAX);
    wp_report_init(&k->report, &k->arena);
    return k;
}

void explain_page(void *arg, const struct wp_http_request *rq, struct wp_http_answer *out)
{
    static char why[128]; /* until the answer is copied */
    struct wp_admin *a = arg;
    struct question q;
    struct asking *k;

    if (strcmp(rq->method, "GET") != 0) {
        status_say(out, 405, "GET only\n");
        return;
    }
    if (question_read(rq->query, &q, why) < 0) {
        status_say(out, 400, why);
        return;
    }
    if (a->n_asking >= STATUS_ASKING_MAX) {
        status_say(out, 503, "too many questions are being explained\n");
        return;
    }
    k = new_asking(a, &q);
    if (k != NULL)
        k->later = wp_http_later(rq);
    if (k == NULL || k->later == NULL) {
        if (k != NULL)
            free_asking(k);
        status_say(out, 500, "out of memory\n");
        return;
    }
    a->n_asking++;
    asking_begins(k);
}
