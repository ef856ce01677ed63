/* A question that is being explained. */
#pragma once
#include "server/status/question.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/report.h"
#include "waypost/server/explain.h"

struct wp_admin;
struct wp_group;
struct wp_http_later;

enum {
    ASKING_WIRE_MAX = WP_NAME_MAX + 12 + 4 + 11, /* header, question, OPT */
    ASKING_WAIT_MS = 10000,                      /* then it is cancelled */
};

/* Belongs to the admin thread, then to the worker's, then to the admin thread again. */
struct asking {
    struct wp_mail mail; /* first */
    struct wp_admin *a;
    struct wp_loop *loop; /* the worker's */
    struct wp_http_later *later;
    struct question question;
    struct wp_arena arena;
    struct wp_report report;
    char refused[512]; /* why it was not asked; "": it was */
    /* the worker's */
    const struct wp_group *group;
    struct wp_query *q;
    struct wp_explain story;
    struct wp_timer timer;
    uint64_t began_ns;
    uint8_t wire[ASKING_WIRE_MAX];
};

/* explain_run.c: off to the worker. */
void asking_begins(struct asking *k);
/* explain.c: any thread; the report is whole, or `refused` says why there is none. */
void asking_is_over(struct asking *k);
/* explain_reply.c: what came of it, into the report; on the worker's thread, when the query is
 * done. */
void asking_tell(struct asking *k);
