/* A Corefile's text, parsed and bound, for tests. */
#pragma once
#include <string.h>
#include "waypost/server/config.h"

enum { TEST_PORT = 1053 };

struct loaded {
    struct wp_arena arena;
    struct wp_conf_report report;
    struct wp_conf conf;
    struct wp_block *blocks;
    unsigned n;
    int r;
};

static inline void conf_load(struct loaded *l, const char *text)
{
    memset(l, 0, sizeof(*l));
    wp_arena_init(&l->arena, 0);
    wp_conf_report_init(&l->report, &l->arena);
    l->r = wp_conf_parse("C", text, strlen(text), &l->arena, &l->report, &l->conf);
    if (l->r == 0)
        l->r = wp_conf_bind(&l->conf, TEST_PORT, true, NULL, &l->arena, &l->report, &l->blocks, &l->n);
}

static inline void conf_unload(struct loaded *l)
{
    wp_conf_unbind(l->blocks, l->n);
    wp_arena_done(&l->arena);
}

/* The n-th error as a start prints it, "" when there is none. */
static inline const char *conf_load_error(struct loaded *l, unsigned n)
{
    const struct wp_conf_error *e = l->report.first;

    while (e != NULL && n-- > 0)
        e = e->next;
    return e != NULL ? wp_conf_error_text(&l->report, e) : "";
}
