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
};

/* One value with nothing but white space around it. Caller drops it with json_decref.
 * WP_EMALFORMED with *ret_error, -ENOMEM. */
int wp_json_load(const char *text, size_t len, json_t **ret,
                 struct wp_json_error *ret_error) WP_MUSTCHECK;
