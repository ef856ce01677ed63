/* The directive over a store of a test's own, in a chain before one that answers everything. */
#pragma once
#include "asker.h"
#include "backends/nomad/answer.h"
#include "backends/nomad/build.h"
#include "backends/nomad/source_priv.h"
#include "server/config/conf_load.h"

extern const struct wp_plugin wp_plugin_nomad;

struct nomad_world {
    struct loaded conf;
    struct wp_nomad_source_own own;
    struct nomad *p;
    struct wp_nomad_build build;
    const char *unwell; /* tag of instances whose checks fail, or NULL */
    struct asker asker;
};

static unsigned nomad_behind; /* questions that went past the directive */

/* Names that are no service: 203.0.113.53; "broken.test": SERVFAIL. */
static inline int nomad_behind_serve(void *self, struct wp_query *q)
{
    static const uint8_t ip[] = {203, 0, 113, 53};

    (void)self;
    nomad_behind++;
    if (q->msg.qname.wire[0] == 6 && memcmp(q->msg.qname.wire + 1, "broken", 6) == 0)
        return wp_query_fail(q, WP_RCODE_SERVFAIL, 0, NULL);
    if (wp_reply_begin(q, WP_RCODE_NOERROR, 0) < 0)
        return WP_ESPACE;
    if (q->msg.qtype == WP_TYPE_A && wp_reply_rr(q, WP_ANSWER, NULL, WP_TYPE_A, 20, ip, 4) < 0)
        return WP_ESPACE;
    return WP_STEP_DONE;
}
static const struct wp_plugin nomad_behind_plugin = {.name = "behind", .serve = nomad_behind_serve};

static inline bool nomad_world_unwell(void *arg, const struct wp_nomad_registration *r)
{
    const struct nomad_world *w = arg;

    return w->unwell != NULL && r->n_tags > 0 && r->tags[0].len == strlen(w->unwell) &&
           memcmp(r->tags[0].at, w->unwell, r->tags[0].len) == 0;
}

static inline void nomad_world_put(struct nomad_world *w, const char *name, const char *namespace)
{
    size_t len = strlen(name), ns_len = strlen(namespace);
    struct wp_nomad_service *v = wp_nomad_build_end(
        &w->build, wp_nomad_hash(name, len, namespace, ns_len), name, len, namespace, ns_len);

    CHECK(v != NULL);
    v->covered = len == 0 ? WP_NOMAD_COVERED : WP_NOMAD_UNCOVERED;
    CHECK(wp_nomad_store_put(w->own.s.store, v) == 0);
}

/* instances: "ADDRESS:PORT TAG TAG, ADDRESS:PORT" (the address may have colons). */
static inline void nomad_world_service(struct nomad_world *w, const char *name,
                                       const char *namespace, const char *instances)
{
    char copy[4096], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", instances);
    wp_nomad_build_begin(&w->build);
    for (char *one = strtok_r(copy, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
        struct wp_nomad_text tags[8];
        struct wp_nomad_registration r = {.id = {"id", 2}, .tags = tags};
        char *words = NULL, *address = strtok_r(one, " ", &words), *word, *port;

        port = strrchr(address, ':');
        *port++ = '\0';
        r.address = (struct wp_nomad_text){address, strlen(address)};
        r.port = (uint16_t)atoi(port);
        while ((word = strtok_r(NULL, " ", &words)) != NULL)
            tags[r.n_tags++] = (struct wp_nomad_text){word, strlen(word)};
        CHECK_AT(instances, wp_nomad_build_add(&w->build, &r) == 0);
    }
    nomad_world_put(w, name, namespace);
}

static inline void nomad_world_services(struct nomad_world *w)
{
    static const char *const rows[][3] = {
        {"", "default", ""}, /* namespaces of which everything is known */
        {"", "ops", ""},
        {"", "missing-ns", ""},
        {"", "y", ""},
        {"", "service", ""},
        {"web", "default", "10.1.0.1:8001,10.1.0.2:8002"},
        {"solo", "default", "10.1.0.3:9000"},
        {"six", "default", "2001:db8::6:7000"},
        {"dual", "default", "10.1.0.4:1,2001:db8::4:2"},
        {"same", "default", "10.1.0.5:1,10.1.0.5:2"},
        {"mapped", "default", "::ffff:10.1.0.6:3"},
        {"host", "default", "10.1.0.7:1,db.corp.example:2"},
        {"tagged", "default", "10.1.0.8:1 blue,10.1.0.9:2 Green other"},
        {"zero", "default", "10.1.0.10:0"},
        {"web", "ops", "10.2.0.1:8001"},
        {"redis", "default", "192.168.29.76:25395,192.168.29.76:20888,192.168.29.76:26292"},
        {"a", "service", "10.4.0.1:1"},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        nomad_world_service(w, rows[i][0], rows[i][1], rows[i][2]);
}

/* zone: the block's. line: "nomad { OPTIONS }". */
static inline void nomad_world_open(struct nomad_world *w, const char *zone, const char *line)
{
    char text[2000];

    memset(w, 0, sizeof(*w));
    snprintf(text, sizeof(text), "%s:53 {\n%s\n}\n", zone, line);
    conf_load(&w->conf, text);
    if (w->conf.r < 0)
        print_error("%s\n", conf_load_error(&w->conf, 0));
    CHECK_AT(line, w->conf.r == 0);
    w->p = wp_block_plugin(&w->conf.blocks[0], "nomad");
    CHECK(w->p != NULL);
    w->build.tags = w->p->wants.tags;
    w->build.weights = w->p->wants.weights;
    w->build.is_unhealthy = nomad_world_unwell;
    w->build.arg = w;
    w->own.s.own = &w->own;
    w->own.state_key = wp_change_key(98, 1);
    CHECK(wp_nomad_store_new(98, &w->own.s.store) == 0);
    atomic_init(&w->own.s.reached, true);
    w->p->source = &w->own.s;
    nomad_world_services(w);
    asker_init(&w->asker, ".");
    asker_add(&w->asker, &wp_plugin_nomad, w->p);
    asker_add(&w->asker, &nomad_behind_plugin, NULL);
    nomad_behind = 0;
}

static inline void nomad_world_close(struct nomad_world *w)
{
    asker_done(&w->asker);
    w->p->source = NULL;
    conf_unload(&w->conf);
    wp_nomad_build_done(&w->build);
    wp_nomad_store_free(w->own.s.store);
    wp_nomad_store_reap();
}
