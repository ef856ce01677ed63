/* autopath: asks the names that the client's resolver would ask one after the other, and answers
 * the first question with what it finds. */
#pragma once
#include <stdatomic.h>
#include "waypost/base/grace.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/metric.h"
#include "waypost/plugin/plugin.h"

/* One more is what Kubernetes adds to a pod's resolv.conf at most; a question asks for each. */
enum { AUTOPATH_NAMES_MAX = 32, AUTOPATH_METERS = 16, AUTOPATH_WHY = 256 };

/* Names in lower case, one behind the other, the root at the end. Immutable. */
struct autopath_list {
    struct wp_grace_item grace;
    size_t len;       /* octets with the root */
    unsigned left_out; /* words that are no names, or too many */
    uint8_t names[];
};

/* The counter of one listener, as one worker remembers it. */
struct autopath_meter {
    const char *server;
    struct wp_series *series;
};

struct autopath {
    struct wp_zones zones;
    const char *by;    /* @NAME, or NULL */
    const char *file;  /* the resolv.conf that is the last word, or NULL */
    const char *own;   /* the server's own: what comes after the names of `by` */
    bool own_is_given; /* by the option */

    const struct wp_plugin *source; /* `by`, when it is in this block */
    void *source_self;
    const char *path; /* whichever of the files is used; NULL: none */
    _Atomic(struct autopath_list *) list; /* what it says; NULL: nothing */
    struct wp_env *env;
    struct wp_timer timer;
    struct autopath_meter (*meters)[AUTOPATH_METERS]; /* of each worker */
};

/* --- list.c: what a resolv.conf(5) says of the search list; the last line wins --- */
/* The text is spoilt. 0 or -ENOMEM; *ret is freed with free(). */
int autopath_list_parse(char *text, struct autopath_list **ret) WP_MUSTCHECK;
/* 0, -ENOMEM, or another negative error with why. */
int autopath_list_read(const char *path, struct autopath_list **ret,
                       char why[AUTOPATH_WHY]) WP_MUSTCHECK;
bool autopath_list_equal(const struct autopath_list *a, const struct autopath_list *b);
/* Read a->path again every second. On main; `unwatch` also when it was not watched. */
void autopath_watch(struct autopath *a);
void autopath_unwatch(struct autopath *a);

/* --- alias.c --- */
/* The reply that stands is for another name: make it one to the question (its octets live as long as
 * the query), with an alias from one name to the other where there are answers. */
int autopath_alias(struct wp_query *q, const uint8_t *question, uint16_t len) WP_MUSTCHECK;
/* Its two ways. The short one says 1: done, or 0: not one of the replies that it can do, nothing has
 * changed. */
int autopath_move_records(struct wp_query *q, const uint8_t *question, uint16_t len) WP_MUSTCHECK;
int autopath_write_anew(struct wp_query *q, const uint8_t *question, uint16_t len) WP_MUSTCHECK;
