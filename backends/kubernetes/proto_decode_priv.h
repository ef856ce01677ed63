/* What the readers of the kinds share. */
#pragma once
#include "backends/kubernetes/proto_decode.h"
#include "backends/kubernetes/proto_pull.h"
#include "backends/kubernetes/rules.h"

struct wp_kube_proto_decoder {
    const struct wp_kube_decode_config *config;
    struct wp_kube_object *object;
    struct wp_arena *arena;
    int error;                /* 0, WP_EMALFORMED, -ENOMEM: the first one */
    const char *field, *what; /* of it */
    /* --- lists that are complete only at the end: a message may come in several parts --- */
    struct wp_kube_list labels, ips, ports, endpoints, externals, ingresses;
    struct wp_kube_text cluster_ip;
    bool external_name;
};

/* The value of the field has the wrong type, or does not do. */
void wp_kube_proto_refuse(struct wp_kube_proto_decoder *d, const char *field, const char *what);
void wp_kube_proto_fault(struct wp_kube_proto_decoder *d, struct wp_kube_fault f);
/* The next field of the message; false at its end and after any error. */
bool wp_kube_proto_next(struct wp_kube_proto_decoder *d, struct wp_proto *p,
                        struct wp_proto_field *f);
/* The field's message, empty if it is none. name: what messages call it. */
struct wp_proto wp_kube_proto_message(struct wp_kube_proto_decoder *d,
                                      const struct wp_proto_field *f, const char *name);
/* A string that is kept: at most `max` octets. Valid UTF-8: octets that are none become U+FFFD. */
struct wp_kube_text wp_kube_proto_text(struct wp_kube_proto_decoder *d,
                                       const struct wp_proto_field *f, const char *name,
                                       size_t max);
/* One string of a list, unless it is empty. */
void wp_kube_proto_add_text(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f,
                            const char *name, struct wp_kube_list *l);
/* Room for one more, zeroed; NULL (and the error): memory. */
void *wp_kube_proto_grow(struct wp_kube_proto_decoder *d, struct wp_kube_list *l);

/* A field of the object beside metadata. */
void wp_kube_proto_service(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f);
void wp_kube_proto_slice(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f);
void wp_kube_proto_pod(struct wp_kube_proto_decoder *d, const struct wp_proto_field *f);
/* At the end. */
void wp_kube_proto_service_end(struct wp_kube_proto_decoder *d);
