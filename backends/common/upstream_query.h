/* The message that is sent to an upstream for a query. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

struct wp_query;

/* Octets that the message may need at most. */
size_t wp_upstream_query_room(const struct wp_query *q);
/* Written anew from what was understood, never patched: opcode, RD, AD and CD, the question
 * as the chain sees it, records other than OPT (a transfer's SOA, TSIG), and the OPT without the
 * options that concern one hop only (RFC 7828, RFC 7830). id is 0.
 * Octets written; WP_EMALFORMED: a record cannot be read; WP_ESPACE; -ENOMEM. */
int wp_upstream_query_write(struct wp_query *q, uint8_t *buf, size_t cap) WP_MUSTCHECK;
/* The same options out of a reply that was taken over. */
void wp_upstream_reply_clean(struct wp_query *q);
