/* The services of an agent: found, put, replaced, removed; whether each shall be there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/command/agent.h"
#include "waypost/base/hash.h"

static const char who[] = "register";

/* --- the table ------------------------------------------------------------------------------ */

static struct agent_service **bucket_of(struct agent *g, const char *id, size_t len)
{
    return &g->bucket[wp_hash_bytes(id, len) % AGENT_BUCKETS];
}

struct agent_service *agent_find(struct agent *g, const char *id, size_t len)
{
    struct agent_service *s = *bucket_of(g, id, len);

    while (s != NULL && (strlen(s->id) != len || memcmp(s->id, id, len) != 0))
        s = s->next;
    return s;
}

static void link_service(struct agent_service *s)
{
    struct agent_service **at = bucket_of(s->agent, s->id, strlen(s->id));

    s->next = *at;
    *at = s;
    s->agent->n_services++;
}

static void unlink_service(struct agent_service *s)
{
    struct agent_service **at = bucket_of(s->agent, s->id, strlen(s->id));

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    s->agent->n_services--;
}

/* --- shall it be there? --------------------------------------------------------------------- */

/* By the lock. */
static bool is_wanted(const struct agent_service *s)
{
    return s->is_well && s->is_here;
}

static void decide(struct agent_service *s)
{
    etcd_fleet_want(s->item, is_wanted(s));
}

static void on_health(void *arg, bool is_well, const char *why)
{
    struct agent_service *s = arg;
    const struct etcd_teller t = {.name = s->name_text, .json = s->agent->access->json};

    if (is_well)
        etcd_tell(&t, "well", "%s: the check succeeds", s->id);
    else
        etcd_tell(&t, "unwell", "%s: the check fails: %s", s->id, why);
    pthread_mutex_lock(&s->agent->lock);
    s->is_well = is_well;
    s->is_judged = true;
    snprintf(s->why, sizeof(s->why), "%s", why);
    decide(s);
    pthread_mutex_unlock(&s->agent->lock);
}

static void set_here(struct agent_service *s, bool is_here)
{
    const struct etcd_teller t = {.name = s->name_text, .json = s->agent->access->json};
    bool changed;

    pthread_mutex_lock(&s->agent->lock);
    changed = s->is_here != is_here;
    s->is_here = is_here;
    decide(s);
    pthread_mutex_unlock(&s->agent->lock);
    if (changed)
        etcd_tell(&t, is_here ? "here" : "missing", "%s: %s", s->id,
                  is_here ? "it has checked in" : "it has not checked in");
}

static void on_late(struct wp_timer *t)
{
    set_here((struct agent_service *)((char *)t - offsetof(struct agent_service, check_in)), false);
}

static void wait_for_check_in(struct agent_service *s)
{
    s->check_in.fn = on_late;
    wp_timer_set(s->agent->loop, &s->check_in,
                 wp_loop_now(s->agent->loop) + (uint64_t)s->body.check_in_ns);
}

bool agent_check_in(struct agent_service *s, bool is_well)
{
    if (s->body.check_in_ns == 0)
        return false;
    if (is_well)
        wait_for_check_in(s);
    else
        wp_timer_cancel(&s->check_in);
    set_here(s, is_well);
    return true;
}

/* --- making one ----------------------------------------------------------------------------- */

static void service_free(struct agent_service *s)
{
    if (s == NULL)
        return;
    wp_timer_cancel(&s->check_in);
    wp_arena_done(&s->arena);
    free(s->id);
    free(s);
}

/* The name, the record and its keys. */
static int read_record(struct agent_service *s)
{
    struct agent *g = s->agent;
    struct etcd_access access = *g->access;
    struct etcd_place place = g->place;

    place.arena = &s->arena;
    if (s->body.zone != NULL)
        access.zone = s->body.zone;
    if (etcd_access_name(&access, who, s->body.name, &s->name) < 0 ||
        etcd_record_name_check(&s->name, who) < 0 || etcd_record_check(&s->body.record, who) < 0)
        return WP_ECONFIG;
    wp_name_text(s->name.wire, s->name_text);
    if (s->body.lease_s == 0)
        s->body.lease_s = g->ttl_s;
    return etcd_record_pairs(&s->body.record, &place, &s->name, &s->pairs, &s->n_pairs);
}

/* "web-192-0-2-1-80-1a2b3c4d": the label of its key that no other one has. */
static int make_id(struct agent_service *s, const char *id)
{
    if (id == NULL)
        id = s->body.id;
    if (id == NULL)
        id = strrchr(s->pairs[0].key, '/') + 1;
    s->id = strdup(id);
    return s->id == NULL ? -ENOMEM : 0;
}

/* A check that has not been started yet; anybody who may talk to the agent may name one, so it runs
 * no commands. */
static int read_check(struct agent_service *s, struct etcd_health_config *c)
{
    const struct agent_body *b = &s->body;
    const struct wp_client_tls t = {.ca = s->agent->check_cacert};
    const char *why;
    char text[256];
    int r;

    *c = (struct etcd_health_config){.interval_ns = b->check_interval_ns,
                                     .timeout_ns = b->check_timeout_ns,
                                     .fails = b->check_fails,
                                     .tls_name = b->check_tls_name};
    r = etcd_health_parse(b->check, b->record.address, b->record.port, &s->arena, c, &why);
    if (r == WP_EMALFORMED)
        return etcd_say(who, "health.check %s: %s", b->check, why);
    if (r == 0 && c->kind == ETCD_HEALTH_EXEC)
        return etcd_say(who, "health.check %s: commands are not run for others", b->check);
    if (r == 0 && !c->https && (b->check_tls_name != NULL || b->check_insecure))
        return etcd_say(who, "health.tls_name and health.insecure are for https");
    if (r == 0 && c->https && wp_client_tls_open(&t, NULL, b->check_insecure, text, &c->tls) < 0)
        return etcd_say(who, "health.check %s: %s", b->check, text);
    return r;
}

/* Its record at etcd: a new one, or the old service's with other keys. */
static int take_item(struct agent_service *s, struct agent_service *old)
{
    const struct etcd_fleet_record r = {s->name_text, s->pairs, s->n_pairs, s->body.lease_s};
    int e;

    if (old == NULL)
        return etcd_fleet_add(s->agent->fleet, &r, is_wanted(s), &s->item);
    e = etcd_fleet_replace(old->item, &r);
    if (e == 0) {
        s->item = old->item;
        old->item = NULL;
    }
    return e;
}

static void leave_check(struct agent_service *s)
{
    s->agent->n_checks -= s->health != NULL;
    etcd_health_abandon(s->health);
    s->health = NULL;
}

/* From here on it is there. */
static int begin(struct agent_service *s, struct agent_service *old,
                 const struct etcd_health_config *c)
{
    struct agent *g = s->agent;
    int e;

    /* a check that is replaced goes on from what the one before it has said */
    s->is_well = s->body.check == NULL || (old != NULL && old->is_well && old->body.check != NULL);
    s->is_here = true;
    e = take_item(s, old);
    if (e < 0)
        return e;
    if (old != NULL)
        unlink_service(old);
    link_service(s);
    etcd_fleet_want(s->item, is_wanted(s));
    if (s->body.check_in_ns > 0)
        wait_for_check_in(s);
    if (s->body.check == NULL)
        return 0;
    e = etcd_health_start(c, on_health, s, &s->health);
    g->n_checks += e == 0;
    return e;
}

static int read_service(struct agent_service *s, const char *id, const char *text, size_t len,
                        struct etcd_health_config *check, char why[ETCD_SAID])
{
    int r = agent_body_read(text, len, &s->arena, &s->body, why);

    s->told = r == 0 ? wp_arena_dup(&s->arena, text, len) : NULL;
    s->told_len = len;
    if (r == 0)
        r = s->told == NULL ? -ENOMEM : read_record(s);
    if (r == 0 && id != NULL && s->body.id != NULL && strcmp(id, s->body.id) != 0)
        r = etcd_say(who, "id: %s is asked for", id);
    if (r == 0)
        r = make_id(s, id);
    if (r == 0 && s->body.check != NULL)
        r = read_check(s, check);
    return r;
}

static int status_of(int r, char why[ETCD_SAID])
{
    if (r == WP_ECONFIG || r == WP_EMALFORMED)
        return 400;
    snprintf(why, ETCD_SAID, "%s", wp_strerror(r));
    return 503;
}

static int is_too_much(struct agent *g, const struct agent_service *s,
                       const struct agent_service *old, char why[ETCD_SAID])
{
    bool checked = old != NULL && old->health != NULL;

    if (old == NULL && g->n_services >= AGENT_SERVICES_MAX) {
        snprintf(why, ETCD_SAID, "%d services are registered already", AGENT_SERVICES_MAX);
        return 503;
    }
    if (s->body.check != NULL && !checked && g->n_checks >= AGENT_CHECKS_MAX) {
        snprintf(why, ETCD_SAID, "%d services with a check are registered already",
                 AGENT_CHECKS_MAX);
        return 503;
    }
    return 0;
}

/* An HTTP status; 0: it is there already, word by word. */
static int put(struct agent_service *s, bool may_replace, struct etcd_health_config *check,
               char why[ETCD_SAID])
{
    struct agent *g = s->agent;
    struct agent_service *old = agent_find(g, s->id, strlen(s->id));
    int r = is_too_much(g, s, old, why);

    if (r != 0)
        return r;
    if (old != NULL && !may_replace) {
        snprintf(why, ETCD_SAID, "%s is registered already", s->id);
        return 409;
    }
    if (old != NULL && s->told_len == old->told_len &&
        memcmp(s->told, old->told, s->told_len) == 0) {
        (void)agent_check_in(old, true); /* of those that need not it is none */
        return 0;
    }
    if (old != NULL)
        leave_check(old);
    s->changed_unix = wp_loop_unix_time(g->loop);
    r = begin(s, old, check);
    if (r < 0 && s->item == NULL) /* the old one stays, without its check: memory is short */
        return status_of(r, why);
    if (old != NULL)
        service_free(old);
    if (r < 0) {
        s->is_judged = true;
        snprintf(s->why, sizeof(s->why), "no check runs: %s", wp_strerror(r));
    }
    if (s->health != NULL)
        check->tls = NULL; /* its own from now on */
    return old != NULL ? 200 : 201;
}

int agent_put(struct agent *g, const char *id, const char *text, size_t len, bool may_replace,
              struct agent_service **ret, char why[ETCD_SAID])
{
    struct agent_service *s = calloc(1, sizeof(*s));
    struct etcd_health_config check = {0};
    int r = s == NULL ? -ENOMEM : 0, status;

    if (r == 0) {
        s->agent = g;
        wp_arena_init(&s->arena, AGENT_ROOM);
        etcd_say_to(why);
        r = read_service(s, id, text, len, &check, why);
        etcd_say_to(NULL);
    }
    status = r < 0 ? status_of(r, why) : put(s, may_replace, &check, why);
    wp_client_tls_free(check.tls);
    if (status == 200 || status == 201) {
        *ret = s;
        return status;
    }
    if (status == 0) {
        *ret = agent_find(g, s->id, strlen(s->id));
        status = 200;
    }
    service_free(s);
    return status;
}

void agent_remove(struct agent_service *s)
{
    leave_check(s);
    etcd_fleet_remove(s->item);
    unlink_service(s);
    service_free(s);
}

void agent_forget_all(struct agent *g)
{
    for (unsigned i = 0; i < AGENT_BUCKETS; i++) {
        while (g->bucket[i] != NULL) {
            struct agent_service *s = g->bucket[i];
            leave_check(s);
            unlink_service(s);
            service_free(s);
        }
    }
}
