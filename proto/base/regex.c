#define PCRE2_CODE_UNIT_WIDTH 8
#include "waypost/base/regex.h"

#include <pcre2.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wp_regex {
    pcre2_code *code;
    unsigned groups;
};

/* One match area for each thread, made at the thread's first match and freed with it: matching
 * allocates nothing. */
struct area {
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static pthread_key_t area_key;
static pthread_once_t area_once = PTHREAD_ONCE_INIT;

static void area_free(void *arg)
{
    struct area *a = arg;

    pcre2_match_data_free(a->data);
    pcre2_match_context_free(a->context);
    free(a);
}

static void area_key_make(void)
{
    if (pthread_key_create(&area_key, area_free) != 0)
        abort();
}

static struct area *area_get(void)
{
    struct area *a;

    pthread_once(&area_once, area_key_make);
    a = pthread_getspecific(area_key);
    if (a != NULL)
        return a;
    a = calloc(1, sizeof(*a));
    if (a == NULL)
        return NULL;
    a->data = pcre2_match_data_create(WP_REGEX_GROUPS_MAX + 1, NULL);
    a->context = pcre2_match_context_create(NULL);
    if (a->data == NULL || a->context == NULL || pthread_setspecific(area_key, a) != 0) {
        area_free(a);
        return NULL;
    }
    pcre2_set_match_limit(a->context, WP_REGEX_STEPS);
    pcre2_set_depth_limit(a->context, 1000);
    pcre2_set_heap_limit(a->context, 1024); /* KiB */
    return a;
}

/* What PCRE2 would take and RE2 does not: the text of the first such construct, or NULL. */
static const char *foreign(const char *p)
{
    bool in_class = false;

    for (; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            p++;
            if (!in_class && (*p >= '1' && *p <= '9'))
                return "back-references";
            if (!in_class && (*p == 'k' || *p == 'g' || *p == 'K' || *p == 'G' || *p == 'R' || *p == 'X'))
                return "escape sequences that RE2 has not";
        } else if (in_class) {
            in_class = *p != ']';
        } else if (*p == '[') {
            in_class = true;
            if (p[1] == '^')
                p++;
            if (p[1] == ']')
                p++;
        } else if (*p == '(' && p[1] == '*') {
            return "verbs";
        } else if (*p == '(' && p[1] == '?') {
            if (p[2] == '=' || p[2] == '!' || (p[2] == '<' && (p[3] == '=' || p[3] == '!')))
                return "look-around";
            if (p[2] == '>' || p[2] == '|' || p[2] == '(' || p[2] == 'R' || p[2] == '#' || p[2] == '&' ||
                (p[2] >= '0' && p[2] <= '9') || (p[2] == 'P' && (p[3] == '>' || p[3] == '=')))
                return "groups that RE2 has not";
        } else if ((*p == '*' || *p == '+' || *p == '?' || *p == '}') && p[1] == '+') {
            return "possessive quantifiers";
        }
    }
    return NULL;
}

int wp_regex_new(const char *pattern, char errbuf[160], struct wp_regex **ret)
{
    const char *bad = foreign(pattern);
    struct wp_regex *re;
    PCRE2_SIZE at = 0;
    uint32_t groups = 0;
    int code = 0;

    if (strlen(pattern) > WP_REGEX_PATTERN_MAX) {
        snprintf(errbuf, 160, "regex pattern too long: %zu > %d", strlen(pattern), WP_REGEX_PATTERN_MAX);
        return WP_ELIMIT;
    }
    if (bad != NULL) {
        snprintf(errbuf, 160, "%s are not supported", bad);
        return WP_EMALFORMED;
    }
    re = calloc(1, sizeof(*re));
    if (re == NULL)
        return -ENOMEM;
    re->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                             PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    if (re->code == NULL) {
        char text[100];

        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
        snprintf(errbuf, 160, "%s at character %zu", text, (size_t)at + 1);
        free(re);
        return WP_EMALFORMED;
    }
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    re->groups = groups;
    *ret = re;
    return 0;
}

void wp_regex_free(struct wp_regex *re)
{
    if (re == NULL)
        return;
    pcre2_code_free(re->code);
    free(re);
}

unsigned wp_regex_groups(const struct wp_regex *re)
{
    return re->groups;
}

int wp_regex_group(const struct wp_regex *re, const char *name)
{
    int n = pcre2_substring_number_from_name(re->code, (PCRE2_SPTR)name);

    return n > 0 ? n : -1;
}

bool wp_regex_match(const struct wp_regex *re, const char *subject, size_t len,
                    struct wp_regex_span *spans, unsigned n)
{
    struct area *a = area_get();
    const PCRE2_SIZE *v;
    int r;

    if (a == NULL)
        return false;
    r = pcre2_match(re->code, (PCRE2_SPTR)subject, len, 0, 0, a->data, a->context);
    if (r < 0)
        return false;
    v = pcre2_get_ovector_pointer(a->data);
    for (unsigned i = 0; spans != NULL && i < n; i++) {
        bool set = i < (unsigned)(r == 0 ? WP_REGEX_GROUPS_MAX + 1 : r) && v[2 * i] != PCRE2_UNSET;

        spans[i].start = set ? (int)v[2 * i] : -1;
        spans[i].end = set ? (int)v[2 * i + 1] : -1;
    }
    return true;
}
