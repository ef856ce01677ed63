/* The directive over a store of a test's own, in a chain before one that answers everything. */
#pragma once
#include "asker.h"
#include "backends/kubernetes/answer.h"
#include "backends/kubernetes/cluster_priv.h"
#include "kube_world.h"
#include "server/config/conf_load.h"

extern const struct wp_plugin wp_plugin_kubernetes;

struct answer_world {
    struct kube_world kube;
    struct loaded conf;
    struct wp_kube_cluster_own own;
    struct kubernetes *p;
    struct asker asker;
    unsigned asked_behind;
};

static unsigned *answer_behind; /* questions that went past the directive */

/* "behind.test" and below, and everything that falls through: 203.0.113.53. */
static inline int answer_behind_serve(void *self, struct wp_query *q)
{
    static const uint8_t ip[] = {203, 0, 113, 53};

    (void)self;
    ++*answer_behind;
    if (wp_reply_begin(q, WP_RCODE_NOERROR, 0) < 0)
        return WP_ESPACE;
    if (q->msg.qtype == WP_TYPE_A && wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, 60, ip, 4) < 0)
        return WP_ESPACE;
    return WP_STEP_DONE;
}
static const struct wp_plugin answer_behind_plugin = {.name = "behind",
                                                      .serve = answer_behind_serve};

/* line: "kubernetes ZONES { OPTIONS }" and what stands beside it in the block. */
static inline void answer_open(struct answer_world *w, const char *lines)
{
    char text[2000];

    memset(w, 0, sizeof(*w));
    snprintf(text, sizeof(text), ".:53 {\n%s\n}\n", lines);
    conf_load(&w->conf, text);
    if (w->conf.r < 0)
        print_error("%s\n", conf_load_error(&w->conf, 0));
    CHECK_AT(lines, w->conf.r == 0);
    w->p = wp_block_plugin(&w->conf.blocks[0], "kubernetes");
    CHECK(w->p != NULL);
    w->kube.decode = (struct wp_kube_decode_config){
        .zonal = w->p->wants.zonal, .pod_names = w->p->wants.pod_names, .labels = true};
    kube_open(&w->kube);
    w->own.c.own = &w->own;
    w->own.c.store = w->kube.store;
    w->own.state_key = wp_change_key(99, 1);
    atomic_init(&w->own.c.synced, true);
    w->p->cluster = &w->own.c;
    w->p->self.n = 1;
    CHECK(wp_addr_parse_ip("192.0.2.53", &w->p->self.addr[0]) == 0);
    asker_init(&w->asker, ".");
    asker_add(&w->asker, &wp_plugin_kubernetes, w->p);
    asker_add(&w->asker, &answer_behind_plugin, NULL);
    answer_behind = &w->asked_behind;
}

static inline void answer_close(struct answer_world *w)
{
    asker_done(&w->asker);
    w->p->cluster = NULL;
    conf_unload(&w->conf);
    kube_close(&w->kube);
}

static inline const char *answer_ask(struct answer_world *w, const char *question)
{
    return ask(&w->asker, question);
}

static inline bool answer_is_current(const struct answer_world *w)
{
    return asker_is_current(&w->asker);
}

static inline int answer_ede(const struct answer_world *w)
{
    return asker_ede(&w->asker);
}
