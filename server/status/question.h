/* The query of GET /explain?name=www.example.org.&type=A&...: which question, and as if asked how.
 * Values stand as they are: what a name cannot say in a request (blank, "&", "#", "%", octets outside of
 * ASCII) is written \DDD, as in zone files; "%" is refused. Pure, bounded, allocates nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/addr.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/query.h"

enum { QUESTION_LISTENER_MAX = 300 };

struct question {
    struct wp_name name; /* taken as fully qualified */
    uint16_t type, cls;
    enum wp_transport transport;
    bool has_transport; /* else any listener will do */
    bool has_edns, dnssec_ok, checking_disabled;
    bool no_recursion;
    struct wp_addr client; /* as if from there; family 0: 127.0.0.1 */
    char listener[QUESTION_LISTENER_MAX]; /* its label; "": the first one */
    bool text; /* the answer, instead of JSON */
};
/* 0, or WP_EMALFORMED with the reason: one line, with its newline. */
int question_read(const char *query, struct question *ret, char why[128]) WP_MUSTCHECK;
/* "udp", "tcp", "dot", "doh", "grpc"; NULL: no listener of this build. */
const char *question_transport_text(enum wp_transport t);
