/* JSON as Go's encoding/json reads it, because what backends read was written for CoreDNS:
 * octets that are no UTF-8 and lone surrogates become U+FFFD, \u0000 is a character, a number that
 * no type can hold only hurts where it is used. Depth is bounded by jansson (2048). */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/err.h"

struct wp_json_error {
    size_t offset; /* octet of the text as given where it went wrong */
    char text[120];
    bool twins; /* of a good text: some object has a name twice, the value is the last one's */
};

/* One value with nothing but white space around it. Caller drops it with json_decref.
 * WP_EMALFORMED with *ret_error, -ENOMEM. After success *ret_error tells of twins. */
int wp_json_load(const char *text, size_t len, json_t **ret,
                 struct wp_json_error *ret_error) WP_MUSTCHECK;

/* The members of an object in a text that has been loaded, one after the other, each of the twins: name
 * (with its quotes) and value as they stand there. *pos is 0 first. False: that was the last. */
struct wp_json_member {
    size_t name, name_len, value, value_len; /* octets of the text */
};
bool wp_json_next_member(const char *text, size_t len, size_t *pos, struct wp_json_member *ret);

/* Go matches field names without regard to ASCII case. */
bool wp_json_name_is(const char *name, const char *field);
/* Where the member's name stands in the text, to point a message at it; 0 if it is not found. */
size_t wp_json_member_offset(const char *text, size_t len, const char *name);
