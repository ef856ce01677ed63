/* JSON as Go's encoding/json reads it, because what backends read was written for CoreDNS: octets
 * that are no UTF-8 and lone surrogates become U+FFFD, \u0000 is a character, numbers are looked
 * at only where they are used, of equal names none is lost, and names are matched as Unicode
 * folds case. Nothing is copied or allocated: a value is a piece of the text. For a tree of values
 * see json.h. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"

enum { WP_JSON_DEPTH_MAX = 10000 };

enum wp_json_kind {
    WP_JSON_NULL,
    WP_JSON_FALSE,
    WP_JSON_TRUE,
    WP_JSON_NUMBER,
    WP_JSON_STRING,
    WP_JSON_ARRAY,
    WP_JSON_OBJECT,
};
struct wp_json {
    const char *text; /* strings with their quotes */
    size_t len;
    enum wp_json_kind kind;
};
struct wp_json_flaw {
    size_t offset; /* octet of the text where it went wrong; its length when it is too short */
    const char *text;
};

/* The one value of a text, with nothing but white space around it: all of it is looked at, what is
 * below needs no more checks. WP_EMALFORMED with *ret_error. */
int wp_json_parse(const char *text, size_t len, struct wp_json *ret,
                  struct wp_json_flaw *ret_error) WP_MUSTCHECK;

/* Members of an object in their order: start with *at 0. */
bool wp_json_member(const struct wp_json *object, size_t *at, struct wp_json *ret_name,
                    struct wp_json *ret_value);
/* Octets of a string, at most three for each octet of its text; returns how many. */
enum { WP_JSON_EXPANSION = 3 };
size_t wp_json_string(const struct wp_json *string, char *out);
/* Is the string this ASCII name, in small letters, whatever the case? */
bool wp_json_is(const struct wp_json *string, const char *name);
/* An integer without fraction and exponent; false when it is none or needs more than 64 bits. */
bool wp_json_int(const struct wp_json *number, int64_t *ret);
