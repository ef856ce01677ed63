/* What the agent says of its services. */
#include <stdlib.h>
#include <string.h>

#include "backends/common/json.h"
#include "backends/etcd/command/agent.h"
#include "waypost/base/text.h"

static void put_text(json_t *o, const char *name, const char *text)
{
    json_object_set_new(o, name, json_string(text));
}

static void put_number(json_t *o, const char *name, int64_t n)
{
    if (n != 0)
        json_object_set_new(o, name, json_integer(n));
}

static void put_duration(json_t *o, const char *name, int64_t ns)
{
    char text[32];

    wp_duration_text(ns, text);
    put_text(o, name, text);
}

static json_t *record_of(const struct agent_service *s)
{
    const struct etcd_record *r = &s->body.record;
    json_t *o = json_object(), *tags = json_array();

    put_text(o, "id", s->id);
    put_text(o, "name", s->name_text);
    put_text(o, "address", r->address);
    json_object_set_new(o, "port", json_integer(r->port));
    put_number(o, "priority", r->priority);
    put_number(o, "weight", r->weight);
    put_number(o, "record_ttl", r->ttl_s);
    if (r->text != NULL)
        put_text(o, "text", r->text);
    for (unsigned i = 0; i < r->tags.n; i++)
        json_array_append_new(tags, json_string(r->tags.word[i]));
    if (r->tags.n > 0)
        json_object_set(o, "tags", tags);
    json_decref(tags);
    json_object_set_new(o, "ttl", json_integer(s->body.lease_s));
    return o;
}

static json_t *health_of(struct agent_service *s, bool *ret_well)
{
    json_t *o = json_object();

    pthread_mutex_lock(&s->agent->lock);
    *ret_well = s->is_well;
    put_text(o, "check", s->body.check);
    put_text(o, "state", !s->is_judged ? "unknown" : s->is_well ? "passing" : "failing");
    if (s->why[0] != '\0')
        put_text(o, "reason", s->why);
    pthread_mutex_unlock(&s->agent->lock);
    put_duration(o, "interval", s->body.check_interval_ns);
    return o;
}

static json_t *service(struct agent_service *s)
{
    json_t *o = record_of(s);
    struct etcd_fleet_look look;
    bool well = true, here = s->is_here; /* only the loop changes it */
    char lease[32];

    etcd_fleet_look(s->item, &look);
    if (s->body.check != NULL)
        json_object_set_new(o, "health", health_of(s, &well));
    if (s->body.check_in_ns > 0) {
        put_duration(o, "check_in", s->body.check_in_ns);
        json_object_set_new(o, "checked_in", json_boolean(here));
    }
    put_text(o, "state", !well || !here ? "withdrawn" : look.standing ? "registered" : "pending");
    if (look.standing) {
        put_text(o, "key", s->pairs[0].key);
        snprintf(lease, sizeof(lease), "%llx", (unsigned long long)look.lease);
        put_text(o, "lease", lease);
    }
    if (look.why[0] != '\0')
        put_text(o, "error", look.why);
    json_object_set_new(o, "changed", json_integer(s->changed_unix));
    return o;
}

/* Takes o; one line. */
static char *dump(json_t *o, size_t *ret_len)
{
    char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL, *line = NULL;

    json_decref(o);
    if (text != NULL) {
        *ret_len = strlen(text) + 1;
        line = realloc(text, *ret_len + 1);
        if (line == NULL)
            free(text);
        else
            strcpy(line + *ret_len - 1, "\n");
    }
    return line;
}

char *agent_show(struct agent_service *s, size_t *ret_len)
{
    return dump(service(s), ret_len);
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct agent_service *const *)a)->id, (*(struct agent_service *const *)b)->id);
}

char *agent_show_all(struct agent *g, size_t *ret_len)
{
    struct agent_service **all = calloc(g->n_services + 1u, sizeof(struct agent_service *));
    json_t *o = json_object(), *list = json_array();
    unsigned n = 0;

    for (unsigned i = 0; all != NULL && i < AGENT_BUCKETS; i++) {
        for (struct agent_service *s = g->bucket[i]; s != NULL; s = s->next)
            all[n++] = s;
    }
    if (all != NULL)
        qsort(all, n, sizeof(*all), by_id);
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(list, service(all[i]));
    json_object_set_new(o, "services", list);
    if (all == NULL) {
        json_decref(o);
        return NULL;
    }
    free(all);
    return dump(o, ret_len);
}

char *agent_show_error(const char *why, size_t *ret_len)
{
    json_t *o = json_object();

    put_text(o, "error", why);
    return dump(o, ret_len);
}
