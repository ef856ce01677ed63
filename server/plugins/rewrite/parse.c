/* From the words of a rule to the rule. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "server/plugins/rewrite/rewrite.h"
#include "waypost/base/text.h"
#include "waypost/plugin/block.h"

struct words {
    const char **word;
    unsigned n;
};

static const char *lower(struct wp_setup *s, const char *word, bool dot)
{
    size_t n = strlen(word);
    char *out = wp_arena_alloc(s->arena, n + 2);

    if (out == NULL)
        return NULL;
    memcpy(out, word, n + 1);
    wp_name_lower((uint8_t *)out, n);
    if (dot && (n == 0 || out[n - 1] != '.'))
        memcpy(out + n, ".", 2);
    return out;
}

static int compile(struct wp_setup *s, const struct wp_line *l, const char *pattern, struct wp_regex **ret)
{
    char why[160];

    if (wp_regex_new(pattern, why, ret) < 0)
        return wp_setup_error(s, l, "invalid regex pattern in a rewrite rule: %s: %s", pattern, why);
    return 0;
}

static bool mode_word(const char *w, enum rw_mode *ret)
{
    static const char *const names[] = {"exact", "prefix", "suffix", "substring", "regex"};

    for (unsigned i = 0; i < WP_COUNT(names); i++) {
        if (strcasecmp(w, names[i]) == 0) {
            *ret = (enum rw_mode)i;
            return true;
        }
    }
    return false;
}

/* FROM of a rule that looks at names: a final dot in every mode but regex. */
static int set_from(struct wp_setup *s, const struct wp_line *l, struct rw_match *m, const char *word,
                    bool dot)
{
    if (m->mode == RW_REGEX)
        return compile(s, l, word, &m->re);
    m->from = lower(s, word, dot);
    return m->from == NULL ? -ENOMEM : 0;
}

/* Largest {N} in a replacement, or -1. */
static int max_group(const char *to)
{
    int max = -1;

    for (const char *p = to; (p = strchr(p, '{')) != NULL; p++) {
        char *end;
        long n;

        if (!isdigit((unsigned char)p[1]))
            continue;
        n = strtol(p + 1, &end, 10);
        if (*end == '}' && n > max)
            max = n > 1000 ? 1000 : (int)n;
    }
    return max;
}

static int check_groups(struct wp_setup *s, const struct wp_line *l, const struct wp_regex *re,
                        const char *pattern, const char *to)
{
    int used = max_group(to);

    if (used > (int)wp_regex_groups(re))
        return wp_setup_error(s, l, "the regex pattern (%s) has less capture groups than the highest used in the replacement (%s)",
                              pattern, to);
    return 0;
}

/* Braces of a replacement with `metadata`. */
static int check_metadata(struct wp_setup *s, const struct wp_line *l, const struct wp_regex *re,
                          const char *to)
{
    for (const char *p = to; *p != '\0'; p++) {
        const char *close;
        char label[256];
        size_t n;

        if (*p == '}')
            return wp_setup_error(s, l, "unmatched closing brace in metadata name replacement");
        if (*p != '{')
            continue;
        close = strchr(p, '}');
        if (close == NULL)
            return wp_setup_error(s, l, "unclosed placeholder in metadata name replacement");
        n = (size_t)(close - p - 1);
        if (n == 0 || n >= sizeof(label))
            return wp_setup_error(s, l, "invalid metadata label \"\" in name replacement");
        memcpy(label, p + 1, n);
        label[n] = '\0';
        p = close;
        if (strspn(label, "0123456789") == n) {
            if (atoi(label) > (int)wp_regex_groups(re))
                return wp_setup_error(s, l, "capture group %s does not exist in name matching pattern", label);
            continue;
        }
        if (strchr(label, '/') == NULL || label[0] == '/' || label[n - 1] == '/')
            return wp_setup_error(s, l, "invalid metadata label \"%s\" in name replacement", label);
    }
    return 0;
}

static int add_answer(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, bool value,
                      const char *from, const char *to)
{
    struct rw_answer *a = wp_arena_zalloc(s->arena, sizeof(*a)), **last = &r->answers;
    int e;

    if (a == NULL)
        return -ENOMEM;
    a->value = value;
    a->to = lower(s, to, true);
    if (a->to == NULL)
        return -ENOMEM;
    while (*last != NULL)
        last = &(*last)->next;
    *last = a; /* in the list before it can fail: the rule frees it */
    e = compile(s, l, from, &a->re);
    return e < 0 ? e : check_groups(s, l, a->re, from, a->to);
}

/* [answer] auto | name FROM TO | value FROM TO, from word `at` on. */
static int parse_answers(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r,
                         const struct words *w, unsigned at)
{
    bool names = false, chosen = false;
    unsigned first = at;

    while (at < w->n) {
        bool value;
        int e;

        if (strcasecmp(w->word[at], "answer") == 0) {
            at++;
        } else if (at == first) {
            return wp_setup_error(s, l, "exceeded the number of arguments for a non-regex rule argument or missing word 'answer': '%s'",
                                  w->word[at]);
        }
        if (at < w->n && strcasecmp(w->word[at], "auto") == 0) {
            if (names)
                return wp_setup_error(s, l, "answer auto and answer name exclude each other");
            r->automatic = chosen = true;
            at++;
            continue;
        }
        if (at + 2 >= w->n)
            return wp_setup_error(s, l, "answer rewrites must be 'auto', or 'name' or 'value' with two arguments");
        value = strcasecmp(w->word[at], "value") == 0;
        if (!value && strcasecmp(w->word[at], "name") != 0)
            return wp_setup_error(s, l, "invalid answer rewrite type '%s'", w->word[at]);
        if (!value && chosen)
            return wp_setup_error(s, l, "answer auto and answer name exclude each other");
        names |= !value;
        e = add_answer(s, l, r, value, w->word[at + 1], w->word[at + 2]);
        if (e < 0)
            return e;
        at += 3;
    }
    return 0;
}

static int parse_name(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, const struct words *w)
{
    unsigned at = 0;
    int e;

    r->match.mode = RW_EXACT;
    if (w->n < 2)
        return wp_setup_error(s, l, "too few arguments for a name rule");
    if (w->n > 2 && mode_word(w->word[0], &r->match.mode))
        at = 1;
    else if (w->n > 2 && strcasecmp(w->word[2], "answer") != 0)
        return wp_setup_error(s, l, "name rule supports only exact, prefix, suffix, substring, and regex name matching, received: %s",
                              w->word[0]);
    if (at + 1 >= w->n)
        return wp_setup_error(s, l, "too few arguments for a name rule");
    e = set_from(s, l, &r->match, w->word[at], true);
    r->to = lower(s, w->word[at + 1], true);
    if (e < 0 || r->to == NULL)
        return e < 0 ? e : -ENOMEM;
    r->automatic = r->match.mode == RW_EXACT;
    at += 2;
    if (at < w->n && strcasecmp(w->word[at], "metadata") == 0) {
        if (r->match.mode != RW_REGEX)
            return wp_setup_error(s, l, "metadata is only supported for regex name rules");
        r->metadata = true;
        /* labels are case-sensitive: only the domain name around them is folded, when used */
        r->to = wp_arena_printf(s->arena, "%s%s", w->word[at - 1],
                                w->word[at - 1][0] != '\0' && w->word[at - 1][strlen(w->word[at - 1]) - 1] == '.' ? "" : ".");
        if (r->to == NULL)
            return -ENOMEM;
        at++;
        e = check_metadata(s, l, r->match.re, r->to);
    } else if (r->match.mode == RW_REGEX) {
        e = check_groups(s, l, r->match.re, w->word[at - 2], r->to);
    }
    return e < 0 ? e : parse_answers(s, l, r, w, at);
}

static int parse_number(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, const struct words *w)
{
    bool type = r->kind == RW_TYPE;

    if (w->n != 2)
        return wp_setup_error(s, l, "%s rules must have exactly two arguments", type ? "type" : "class");
    for (unsigned i = 0; i < 2; i++) {
        uint16_t *to = i == 0 ? &r->from16 : &r->to16;

        if ((type ? wp_type_parse(w->word[i], to) : wp_class_parse(w->word[i], to)) < 0)
            return wp_setup_error(s, l, "invalid %s %s", type ? "type" : "class", w->word[i]);
    }
    return 0;
}

static bool ttl_number(const char *word, size_t n, uint32_t deflt, uint32_t *ret)
{
    char digits[12];
    int64_t v;

    if (n == 0) {
        *ret = deflt;
        return true;
    }
    if (n >= sizeof(digits))
        return false;
    memcpy(digits, word, n);
    digits[n] = '\0';
    if (wp_int_parse(digits, 0, INT32_MAX, &v) < 0)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static int parse_ttl(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, const struct words *w)
{
    unsigned at = 0;
    const char *ttl, *dash;
    bool ok;
    int e;

    if (w->n < 2)
        return wp_setup_error(s, l, "too few (%u) arguments for a ttl rule", w->n);
    if (w->n > 3)
        return wp_setup_error(s, l, "many few (%u) arguments for a ttl rule", w->n);
    if (w->n == 3 && !mode_word(w->word[at++], &r->match.mode))
        return wp_setup_error(s, l, "ttl rule supports only exact, prefix, suffix, substring, and regex name matching");
    e = set_from(s, l, &r->match, w->word[at], true);
    if (e < 0)
        return e;
    ttl = w->word[at + 1];
    dash = strchr(ttl, '-');
    if (dash == NULL) {
        ok = ttl[0] != '\0' && ttl_number(ttl, strlen(ttl), 0, &r->ttl_min);
        r->ttl_max = r->ttl_min;
    } else {
        ok = strlen(ttl) > 1 && ttl_number(ttl, (size_t)(dash - ttl), 0, &r->ttl_min) &&
             ttl_number(dash + 1, strlen(dash + 1), INT32_MAX, &r->ttl_max);
    }
    if (!ok || r->ttl_min > r->ttl_max)
        return wp_setup_error(s, l, "invalid TTL \"%s\" for a ttl rule", ttl);
    return 0;
}

static int parse_cname(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, const struct words *w)
{
    unsigned at = 0;
    const char *from;
    int e;

    if (w->n < 2 || w->n > 3)
        return wp_setup_error(s, l, "too %s arguments for a cname rule", w->n < 2 ? "few" : "many");
    if (w->n == 3 && !mode_word(w->word[at++], &r->match.mode))
        return wp_setup_error(s, l, "unknown cname rewrite type: %s", w->word[0]);
    from = lower(s, w->word[at], false); /* also a pattern, as the reference does */
    r->to = lower(s, w->word[at + 1], r->match.mode == RW_EXACT);
    if (from == NULL || r->to == NULL)
        return -ENOMEM;
    e = set_from(s, l, &r->match, from, r->match.mode == RW_EXACT);
    return e;
}

static int parse_rcode_word(const char *word, uint16_t *ret)
{
    int64_t n;

    if (wp_int_parse(word, 0, 23, &n) == 0) {
        *ret = (uint16_t)n;
        return 0;
    }
    return wp_rcode_parse(word, ret);
}

static int parse_rcode(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, const struct words *w)
{
    unsigned at = 0;
    int e;

    if (w->n < 3 || w->n > 4)
        return wp_setup_error(s, l, "too %s (%u) arguments for a rcode rule", w->n < 3 ? "few" : "many", w->n);
    if (w->n == 4 && !mode_word(w->word[at++], &r->match.mode))
        return wp_setup_error(s, l, "rcode rule supports only exact, prefix, suffix, substring, and regex name matching");
    e = set_from(s, l, &r->match, w->word[at], true);
    if (e < 0)
        return e;
    if (parse_rcode_word(w->word[at + 1], &r->from16) < 0)
        return wp_setup_error(s, l, "invalid RCODE '%s' for a rcode rule", w->word[at + 1]);
    if (parse_rcode_word(w->word[at + 2], &r->to16) < 0)
        return wp_setup_error(s, l, "invalid RCODE '%s' for a rcode rule", w->word[at + 2]);
    return 0;
}

static int unhex(struct wp_setup *s, const char *hex, const uint8_t **ret, size_t *ret_len)
{
    size_t n = strlen(hex);
    uint8_t *out = wp_arena_alloc(s->arena, n / 2 + 1);

    if (out == NULL)
        return -ENOMEM;
    if (n % 2 != 0 || strspn(hex, "0123456789abcdefABCDEF") != n)
        return WP_EMALFORMED;
    for (size_t i = 0; i < n / 2; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    *ret = out;
    *ret_len = n / 2;
    return 0;
}

static int parse_local(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, struct words *w)
{
    static const char *const variables[] = {"{qname}", "{qtype}", "{client_ip}", "{client_port}",
                                            "{protocol}", "{server_ip}", "{server_port}"};
    const char *data;
    char *end;
    unsigned long code;

    if (w->n < 1 || (w->n < 2 && r->action != RW_UNSET) || w->n > 2)
        return wp_setup_error(s, l, "EDNS0 local rules require exactly %s args", r->action == RW_UNSET ? "two" : "three");
    code = strtoul(w->word[0], &end, 0);
    if (*end != '\0' || end == w->word[0] || code > UINT16_MAX)
        return wp_setup_error(s, l, "strconv.ParseUint: parsing \"%s\": invalid syntax", w->word[0]);
    r->code = (uint16_t)code;
    r->edns = RW_LOCAL;
    if (r->action == RW_UNSET)
        return 0;
    data = w->word[1];
    if (data[0] == '{') {
        size_t n = strlen(data);
        bool known = n > 3 && data[n - 1] == '}' && strchr(data, '/') != NULL;

        for (unsigned i = 0; i < WP_COUNT(variables); i++)
            known |= strcmp(data, variables[i]) == 0;
        if (!known)
            return wp_setup_error(s, l, "unsupported variable name \"%s\"", data);
        r->edns = RW_LOCAL_VARIABLE;
        r->variable = data;
        return 0;
    }
    if (strncmp(data, "0x", 2) == 0) {
        int e = unhex(s, data + 2, &r->data, &r->data_len);

        return e == WP_EMALFORMED ? wp_setup_error(s, l, "encoding/hex: invalid hex \"%s\"", data) : e;
    }
    r->data = (const uint8_t *)data;
    r->data_len = strlen(data);
    return 0;
}

static int parse_edns(struct wp_setup *s, const struct wp_line *l, struct rw_rule *r, struct words *w)
{
    static const char *const actions[] = {"append", "replace", "set", "unset"};
    const char *kind = w->n > 0 ? w->word[0] : "";
    int64_t bits4, bits6;
    bool known = false;

    if (w->n < 2)
        return wp_setup_error(s, l, "too few arguments for an EDNS0 rule");
    for (unsigned i = 0; i < WP_COUNT(actions); i++) {
        if (strcasecmp(w->word[1], actions[i]) == 0) {
            r->action = (enum rw_action)i;
            known = true;
        }
    }
    if (!known)
        return wp_setup_error(s, l, "invalid action: %s", w->word[1]);
    if (w->n > 2 && strcasecmp(w->word[w->n - 1], "revert") == 0) {
        r->revert = true;
        w->n--;
    }
    w->word += 2;
    w->n -= 2;
    if (strcasecmp(kind, "local") == 0)
        return parse_local(s, l, r, w);
    if (strcasecmp(kind, "nsid") == 0) {
        r->edns = RW_NSID;
        r->code = WP_EDNS_NSID;
        r->data = (const uint8_t *)"";
        return w->n == 0 ? 0 : wp_setup_error(s, l, "EDNS0 NSID rules do not accept args");
    }
    if (strcasecmp(kind, "subnet") != 0)
        return wp_setup_error(s, l, "invalid rule type \"%s\"", kind);
    r->edns = RW_SUBNET;
    r->code = WP_EDNS_ECS;
    if (r->action == RW_UNSET)
        return w->n == 0 ? 0 : wp_setup_error(s, l, "EDNS0 subnet unset action requires exactly two args");
    if (w->n != 2)
        return wp_setup_error(s, l, "EDNS0 subnet rules require exactly three args");
    if (wp_int_parse(w->word[0], 0, 32, &bits4) < 0)
        return wp_setup_error(s, l, "invalid IPv4 bit mask length %s", w->word[0]);
    if (wp_int_parse(w->word[1], 0, 128, &bits6) < 0)
        return wp_setup_error(s, l, "invalid IPv6 bit mask length %s", w->word[1]);
    r->bits4 = (uint8_t)bits4;
    r->bits6 = (uint8_t)bits6;
    return 0;
}

/* All words of the rule: of the line, or of its block when the line has fewer than two. */
static int collect(struct wp_setup *s, const struct wp_line *l, struct words *ret)
{
    unsigned n = l->n_words - 1;

    for (unsigned i = 0; i < l->n_options; i++)
        n += l->options[i].n_words;
    ret->word = wp_arena_array(s->arena, n + 1, sizeof(*ret->word));
    if (ret->word == NULL)
        return -ENOMEM;
    ret->n = 0;
    for (unsigned i = 1; i < l->n_words; i++)
        ret->word[ret->n++] = l->words[i];
    if (l->has_block && l->n_words > 2)
        return wp_setup_arg_error(s, l);
    for (unsigned i = 0; i < l->n_options; i++) {
        for (unsigned k = 0; k < l->options[i].n_words; k++)
            ret->word[ret->n++] = l->options[i].words[k];
    }
    return 0;
}

int rw_parse(struct rewrite *p, struct wp_setup *s, const struct wp_line *l)
{
    static const struct {
        const char *word;
        enum rw_kind kind;
    } kinds[] = {{"name", RW_NAME}, {"type", RW_TYPE}, {"class", RW_CLASS}, {"ttl", RW_TTL},
                 {"cname", RW_CNAME}, {"rcode", RW_RCODE}, {"edns0", RW_EDNS}};
    struct rw_rule *r = wp_arena_zalloc(s->arena, sizeof(*r));
    struct words w;
    const char *kind;
    bool known = false;
    int e = collect(s, l, &w);

    if (e < 0 || r == NULL)
        return e < 0 ? e : -ENOMEM;
    if (w.n == 0)
        return wp_setup_error(s, l, "no rule type specified for rewrite");
    r->stop = true;
    if (strcasecmp(w.word[0], "continue") == 0 || strcasecmp(w.word[0], "stop") == 0) {
        r->stop = strcasecmp(w.word[0], "stop") == 0;
        if (w.n < 2)
            return wp_setup_error(s, l, "%s rule must begin with a rule type", r->stop ? "stop" : "continue");
        w.word++;
        w.n--;
    }
    kind = w.word[0];
    for (unsigned i = 0; i < WP_COUNT(kinds); i++) {
        if (strcasecmp(kind, kinds[i].word) == 0) {
            r->kind = kinds[i].kind;
            known = true;
        }
    }
    if (strcasecmp(kind, "answer") == 0)
        return wp_setup_error(s, l, "response rewrites must begin with a name rule");
    if (!known)
        return wp_setup_error(s, l, "invalid rule type \"%s\"", kind);
    w.word++;
    w.n--;
    *p->last = r; /* listed first, so that a half-made rule is freed with the others */
    p->last = &r->next;
    p->has_cname |= r->kind == RW_CNAME;
    switch (r->kind) {
    case RW_NAME:
        return parse_name(s, l, r, &w);
    case RW_TYPE:
    case RW_CLASS:
        return parse_number(s, l, r, &w);
    case RW_TTL:
        return parse_ttl(s, l, r, &w);
    case RW_CNAME:
        return parse_cname(s, l, r, &w);
    case RW_RCODE:
        return parse_rcode(s, l, r, &w);
    case RW_EDNS:
        e = parse_edns(s, l, r, &w);
        p->has_local |= r->edns <= RW_LOCAL_VARIABLE;
        return e;
    }
    return 0;
}

void rw_rules_free(struct rw_rule *r)
{
    for (; r != NULL; r = r->next) {
        wp_regex_free(r->match.re);
        for (struct rw_answer *a = r->answers; a != NULL; a = a->next)
            wp_regex_free(a->re);
    }
}
