/* Several clusters in one server block: each line of the directive is a whole `kubernetes` of its
 * own, asked in the order of the file. */
#pragma once
#include "backends/kubernetes/kubernetes.h"

struct kubernetai_stanza {
    struct kubernetes k;
    bool merge; /* its answers are joined with those of others */
    struct kubernetai_stanza *next;
};

struct kubernetai {
    struct kubernetai_stanza *first, *last;
};

/* Say of a denial that a cluster which might know better has not been reached yet. */
int kubernetai_tell_unknown(struct wp_query *q);

/* --- merge.c --- */
/* May answers of this type be joined? Of others (SOA, CNAME) one is enough. */
bool kubernetai_joins(uint16_t qtype);
/* Ask the stanza, and those behind it that are its like: with `merge`, for the same zone. As
 * serve(). */
int kubernetai_join(struct kubernetai_stanza *first, struct wp_query *q,
                    const struct kubernetes_zone *zone);
