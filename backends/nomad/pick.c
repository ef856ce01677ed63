/* Which instances count: those with the tag, those that are well, those of the family. */
#include <errno.h>
#include <string.h>

#include "backends/nomad/answer.h"
#include "backends/nomad/once.h"

static bool is_relevant(const struct nomad_answer *a, const struct wp_nomad_instance *i)
{
    uint16_t type = a->q->msg.qtype;

    if (i->family == WP_NOMAD_HOST)
        return a->p->hosts != NOMAD_HOSTS_SKIP;
    return type == WP_TYPE_SRV ||
           i->family == (type == WP_TYPE_A ? WP_NOMAD_IPV4 : WP_NOMAD_IPV6);
}

static bool is_wanted(const struct nomad_answer *a, const struct wp_nomad_instance *i)
{
    return is_relevant(a, i) &&
           (a->tag == NULL ||
            wp_nomad_instance_has_tag(a->service, i, (const char *)a->tag + 1, *a->tag));
}

/* Those that are well, or those that are not. */
static void collect(struct nomad_answer *a, bool unwell)
{
    const struct wp_nomad_service *s = a->service;

    for (uint32_t k = 0; k < s->n && !a->broken; k++) {
        const struct wp_nomad_instance *i = &s->instances[k];
        if (i->unhealthy != unwell || !is_wanted(a, i))
            continue;
        if (i->family == WP_NOMAD_HOST && a->p->hosts == NOMAD_HOSTS_FAIL) {
            nomad_tell_host(a, i);
            a->broken = true;
            continue;
        }
        a->has_hosts |= i->family == WP_NOMAD_HOST;
        a->pick[a->n_picks++] = i;
    }
}

/* One record for each address; what SRV says once is a matter of its own (srv.c). */
static int drop_duplicates(struct nomad_answer *a)
{
    struct nomad_once once;
    uint32_t kept = 0;

    if (!nomad_once_init(&once, a->q->arena, a->service, NOMAD_RECORD_ADDRESS, a->n_picks))
        return -ENOMEM;
    for (uint32_t k = 0; k < a->n_picks; k++)
        if (nomad_once_add(&once, a->pick[k]))
            a->pick[kept++] = a->pick[k];
    a->n_picks = kept;
    return 0;
}

int nomad_pick(struct nomad_answer *a)
{
    a->n_picks = 0;
    a->pick = wp_arena_alloc(a->q->arena, a->service->n * sizeof(*a->pick));
    if (a->pick == NULL)
        return -ENOMEM;
    collect(a, false);
    if (a->n_picks == 0 && !a->broken && a->service->n_unhealthy > 0) {
        collect(a, true);
        a->all_unwell = a->n_picks > 0 || a->broken;
    }
    return a->p->drop_duplicates && a->q->msg.qtype != WP_TYPE_SRV ? drop_duplicates(a) : 0;
}
