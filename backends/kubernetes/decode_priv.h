/* What the readers of the kinds share. */
#pragma once
#include "backends/common/json_pull.h"
#include "backends/kubernetes/rules.h"

struct wp_kube_decoder {
    struct wp_json_pull json;
    const struct wp_kube_decode_config *config;
    struct wp_kube_object *object;
};

/* Is it this member? Then `field` is what messages call it. */
bool wp_kube_member_is(struct wp_kube_decoder *d, struct wp_json_slice key, const char *name,
                       const char *field);
/* A string that is kept: at most `max` octets. */
struct wp_kube_text wp_kube_read_text(struct wp_kube_decoder *d, size_t max);
/* Room for one more, zeroed; NULL (and the reader's error): memory. */
void *wp_kube_list_add(struct wp_kube_decoder *d, struct wp_kube_list *l);
/* A list of strings, the empty ones left out; appended to l. */
void wp_kube_read_texts(struct wp_kube_decoder *d, struct wp_kube_list *l);
/* `ports` of any kind; `absent`: number of a port that has none. */
void wp_kube_read_ports(struct wp_kube_decoder *d, int32_t absent);
/* Takes the fault over, if there is one. */
void wp_kube_fault(struct wp_kube_decoder *d, struct wp_kube_fault f);

/* The members of the object beside metadata: true when it was read. */
bool wp_kube_read_service(struct wp_kube_decoder *d, struct wp_json_slice key);
bool wp_kube_read_slice(struct wp_kube_decoder *d, struct wp_json_slice key);
bool wp_kube_read_pod(struct wp_kube_decoder *d, struct wp_json_slice key);
bool wp_kube_read_import(struct wp_kube_decoder *d, struct wp_json_slice key);
