/* JSON of Nomad's API to what the mirror needs, object by object, by the pull reader of
 * backends/common/json_pull.h: no tree, nothing kept. Unknown fields are passed over; `null` for a list
 * is the empty list. Texts point into the input or into scratch memory of the call: valid during the callback. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_nomad_text {
    const char *at;
    size_t len;
};

/* One registration. */
struct wp_nomad_registration {
    struct wp_nomad_text id, name, namespace, address, alloc_id, datacenter;
    uint16_t port;
    uint64_t create_index, modify_index;
    const struct wp_nomad_text *tags;
    size_t n_tags;
};
enum { WP_NOMAD_TAGS_MAX = 256 }; /* of one registration; the rest is passed over */

enum { WP_NOMAD_TEXT_MAX = 4096 }; /* octets of a text that is told, tags apart; longer ones are errors */

/* Errors of all of these: WP_EMALFORMED with why ("service web: Port: not a number at octet 17"), -ENOMEM, or
 * what the callback returned if that is not 0. What is wrong in one registration is wrong in the response: nothing
 * of a response counts unless it is good as a whole. Of members with the same name the last one counts. */
typedef int wp_nomad_registration_fn(void *arg, const struct wp_nomad_registration *r);
int wp_nomad_decode_service(const char *text, size_t len, wp_nomad_registration_fn *fn, void *arg,
                            char why[256]) WP_MUSTCHECK;

/* /v1/services: every pair that a question can name, in the order of the list; none is told twice unless
 * the list has it twice. `ns`: each namespace, before its names; may be NULL. */
typedef int wp_nomad_listed_fn(void *arg, struct wp_nomad_text namespace, struct wp_nomad_text name);
int wp_nomad_decode_list(const char *text, size_t len, wp_nomad_listed_fn *fn,
                         void (*ns)(void *arg, struct wp_nomad_text namespace), void *arg,
                         char why[256]) WP_MUSTCHECK;

/* /v1/namespaces */
int wp_nomad_decode_namespaces(const char *text, size_t len,
                               int (*fn)(void *arg, struct wp_nomad_text name), void *arg,
                               char why[256]) WP_MUSTCHECK;

/* One line of /v1/event/stream. A heartbeat has no events: fn is not called; nor is it for what says nothing
 * of a service. *ret_index: of the line, 0 without one. */
struct wp_nomad_event {
    uint64_t index;
    bool removed; /* any type but ServiceRegistration */
    struct wp_nomad_text namespace, name;
};
int wp_nomad_decode_event(const char *line, size_t len,
                          int (*fn)(void *arg, const struct wp_nomad_event *e), void *arg,
                          uint64_t *ret_index, char why[256]) WP_MUSTCHECK;

/* /v1/client/allocation/ID/checks: does any check of the service fail? Checks of mode "healthiness" and
 * "readiness" both count; "pending" does not. */
int wp_nomad_decode_checks(const char *text, size_t len,
                           int (*fn)(void *arg, struct wp_nomad_text service, bool ok), void *arg,
                           char why[256]) WP_MUSTCHECK;
