/* Inside the status pages. Everything is the admin thread's unless it says otherwise. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "waypost/plugin/http_admin.h"
#include "waypost/plugin/report.h"
#include "waypost/server/admin.h"
#include "waypost/server/local_socket.h"

struct wp_http_local;

enum {
    STATUS_WHY_MAX = 1024,
    STATUS_OCTETS_MAX = 8 << 20, /* of one report */
    STATUS_WAIT_MS = 2000,       /* for the workers' figures */
    STATUS_ASKING_MAX = 32,      /* explained questions at a time */
};

struct wp_admin {
    struct wp_loop *loop;
    struct wp_loop *const *workers;
    int n_workers;
    const char *conf;
    int64_t started_ms; /* Unix time, as all of these */
    uint64_t started_ns;
    const struct wp_gen *gen; /* NULL: none is in service */
    unsigned number;          /* of it: 1 is the first */
    int64_t loaded_ms;
    uint64_t loading_ns; /* a reload runs since then; 0: none does */
    unsigned failed; /* reloads */
    int64_t failed_ms;
    char why[STATUS_WHY_MAX];
    unsigned n_asking;
    /* main's */
    struct wp_http_local *local; /* NULL: no socket */
    struct wp_local_socket socket;
    const char *told; /* what `admin` said when the socket was made: of malloc, or NULL */
};

int64_t status_clock_ms(void);

/* page.c */
wp_http_fn status_page;
/* explain.c */
wp_http_fn explain_page;
/* An answer that is only a line of text. */
void status_say(struct wp_http_answer *a, int status, const char *line);
/* The report as the answer; frees nothing of it. */
void status_show(struct wp_http_answer *a, struct wp_report *r, bool text);

/* figures.c: what the workers say; NULL for those who have not answered. */
struct status_worker {
    bool came;
    unsigned queries, waiting; /* made so far; waiting for somebody */
    uint64_t asked;            /* questions, internal ones excepted */
};
void status_fill(const struct wp_admin *a, const struct status_worker *workers,
                 struct wp_report *r);
