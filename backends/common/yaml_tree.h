/* A YAML document as a tree (JSON is a part of YAML), bounded in depth and size. libyaml makes a
 * tree in which an alias is the node itself, so what is small stays small; whoever visits named
 * members only pays neither for depth nor for references to references. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>
#include "waypost/base/err.h"

struct wp_arena;

enum { WP_YAML_WHY = 512 };

struct wp_yaml {
    const char *before; /* what every error begins with, "" or up to the blank behind a colon */
    char *why;          /* WP_YAML_WHY octets: the error */
    size_t line;        /* of the text in what it was taken from: added to the lines in errors */
    struct wp_arena *arena; /* of texts */
    /* --- set by wp_yaml_open; text is used until it returns --- */
    const char *text;
    size_t len;
    yaml_document_t doc;
};

/* Set before, why, line and arena first. 0, WP_ECONFIG or -ENOMEM; on failure there is nothing to
 * close. */
int wp_yaml_open(struct wp_yaml *y, const char *text, size_t len) WP_MUSTCHECK;
void wp_yaml_close(struct wp_yaml *y);

/* NULL: the text is empty. */
const yaml_node_t *wp_yaml_root(struct wp_yaml *y);
const yaml_node_t *wp_yaml_node(struct wp_yaml *y, int id);
/* "BEFORE: line N: word: what" in why; word may be "". Returns WP_ECONFIG. */
int wp_yaml_refuse(struct wp_yaml *y, const yaml_node_t *at, const char *word, const char *what);
/* NULL: no scalar. The text of one that is; NULs in it are not seen. */
const char *wp_yaml_scalar(const yaml_node_t *n);
/* Of a null, and of nothing. */
bool wp_yaml_is_null(const yaml_node_t *n);
/* *ret: the value of a mapping's member, the last of that name; NULL: none, or null. map may be
 * NULL. 0 or WP_ECONFIG. */
int wp_yaml_member(struct wp_yaml *y, const yaml_node_t *map, const char *name,
                   const yaml_node_t **ret) WP_MUSTCHECK;
/* *ret: a copy in the arena; NULL when there is none or it is empty. 0, WP_ECONFIG or -ENOMEM. */
int wp_yaml_text(struct wp_yaml *y, const yaml_node_t *map, const char *name,
                 const char **ret) WP_MUSTCHECK;
