/* rewrite: rules change the question on its way in and the records on their way out. Rules work
 * on names in presentation form, lower case, as their patterns do. */
#pragma once
#include "waypost/base/regex.h"
#include "waypost/plugin/plugin.h"

enum { RW_TEXT_MAX = 2 * WP_NAME_TEXT_MAX };

enum rw_kind { RW_NAME, RW_TYPE, RW_CLASS, RW_TTL, RW_CNAME, RW_RCODE, RW_EDNS };
enum rw_mode { RW_EXACT, RW_PREFIX, RW_SUFFIX, RW_SUBSTRING, RW_REGEX };
enum rw_edns { RW_LOCAL, RW_LOCAL_VARIABLE, RW_NSID, RW_SUBNET };
enum rw_action { RW_APPEND, RW_REPLACE, RW_SET, RW_UNSET };

/* How text is found. */
struct rw_match {
    enum rw_mode mode;
    const char *from;
    struct wp_regex *re;
};

/* `answer name|value FROM TO`: applied to every record. */
struct rw_answer {
    struct rw_answer *next;
    bool value; /* names in rdata; else owner names */
    struct wp_regex *re;
    const char *to;
};

struct rw_rule {
    struct rw_rule *next;
    enum rw_kind kind;
    bool stop;
    struct rw_match match;
    const char *to;         /* NAME, CNAME */
    bool metadata;          /* TO holds {provider/label} */
    bool automatic;         /* answers get the old name back */
    struct rw_answer *answers;
    uint16_t from16, to16;  /* TYPE, CLASS, RCODE */
    uint32_t ttl_min, ttl_max;
    enum rw_edns edns;
    enum rw_action action;
    uint16_t code;
    const uint8_t *data;    /* literal of a local option */
    size_t data_len;
    const char *variable;
    uint8_t bits4, bits6;
    bool revert;
};

/* What a rule that applied leaves for the reply. */
enum rw_out { RW_OUT_REMAP, RW_OUT_SUFFIX, RW_OUT_ANSWER, RW_OUT_TTL, RW_OUT_RCODE };
struct rw_response {
    struct rw_response *next; /* newest first: they are applied in reverse */
    enum rw_out what;
    const char *from, *to;    /* text */
    const struct rw_answer *answer;
    const struct rw_rule *rule;
};

struct rewrite {
    struct rw_rule *rules, **last;
    bool has_cname, has_local;
};

/* One question's way through. */
struct rw_state {
    struct rewrite *p;
    const uint8_t *name; /* the original question, spelled */
    uint16_t type, cls;
    struct rw_response *responses;
    struct wp_edns edns; /* the original OPT */
    bool renamed, edns_changed, revert;
    const struct rw_rule *stopped; /* the rule after which no other was reached, or NULL */
    struct wp_view view; /* the reply while a target is looked up */
    size_t at;
};

/* parse.c */
int rw_parse(struct rewrite *p, struct wp_setup *s, const struct wp_line *l);
void rw_rules_free(struct rw_rule *r);
/* match.c: text of at most RW_TEXT_MAX into out; false: no match, or too long. */
bool rw_match_has(const struct rw_match *m, const char *text);
bool rw_match_replace(const struct rw_rule *r, struct wp_query *q, const char *text, char *out);
bool rw_expand(const char *to, const char *text, const struct wp_regex_span *spans, unsigned n,
               char *out);
/* edns.c: change the OPT that the next plugins see. True: applied. */
bool rw_edns_apply(const struct rw_rule *r, struct wp_query *q);
/* response.c: the records of the view. */
int rw_respond(const struct rw_state *st, struct wp_query *q, struct wp_view *v);
/* cname.c: from record `at` on; DONE, WAIT or negative. */
int rw_cname(struct rw_state *st, struct wp_query *q);
