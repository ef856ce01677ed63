/* The head of an HTTP/1.1 request: request line and fields (RFC 9112), over libhttp-parser. What
 * that library lets pass but two parsers could read differently is refused here: lines that end
 * without CR, folded lines, odd octets in names, repeated or mixed framing fields. */
#pragma once
#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum {
    WP_HEAD_TARGET_MAX = 88064, /* longest `dns` value with path and other parameters */
    WP_HEAD_BLANK_MAX = 2,      /* empty lines before a request (RFC 9112 s2.2) */
    WP_HEAD_NAME_MAX = 24,      /* of a field that we look at */
    WP_HEAD_VALUE_MAX = 128,
};

struct wp_head {
    /* What was read. Valid when wp_head_read said done. */
    uint8_t method; /* http_parser's */
    uint8_t minor;  /* HTTP/1.minor */
    bool keep_alive;
    bool chunked;
    bool has_length;
    bool expect_continue;
    bool has_type;
    uint64_t length;
    uint8_t *target; /* from malloc; origin form, absolute form is cut down to it */
    uint32_t target_len, target_cap;
    char type[WP_HEAD_VALUE_MAX]; /* content-type; cut when longer */
    uint8_t type_len;

    /* Where the reader stands. */
    http_parser parser;
    uint32_t fields_max, octets;
    uint8_t n_blank, n_host;
    uint16_t status; /* of the refusal, 0: none */
    bool cr, empty, begun, complete, in_value, has_coding;
    char name[WP_HEAD_NAME_MAX], value[WP_HEAD_VALUE_MAX];
    uint8_t name_len, value_len;
};

/* For the next request: forgets what was read, keeps the target's memory. */
void wp_head_reset(struct wp_head *h, uint32_t fields_max);
void wp_head_done(struct wp_head *h);
/* Take octets up to the end of the head. *ret_done: the head is complete.
 * @return octets consumed; WP_EMALFORMED: h->status is what to answer, then close */
int wp_head_read(struct wp_head *h, const uint8_t *data, size_t len, bool *ret_done) WP_MUSTCHECK;
/* No octet of a request has come yet (blank lines apart). */
static inline bool wp_head_is_empty(const struct wp_head *h)
{
    return !h->begun;
}
