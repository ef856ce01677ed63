#include "backends/kubernetes/split.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What of the root's members the next octet belongs to. */
enum place {
    BEFORE,  /* the root */
    KEY,     /* a member's name is to come, or the root's end */
    COLON,   /* its name has come */
    VALUE,   /* its value is to come */
    NEXT,    /* a comma is to come, or the root's end */
    INSIDE,  /* a value of more than one octet that is of no interest */
    ELEMENT, /* an item is to come, or its list's end if it is the first */
    ITEM,    /* an item is coming */
    MORE,    /* a comma between items is to come, or their list's end */
    AFTER,   /* the root: white space */
};

struct text {
    char *buf;
    size_t len, cap;
};

struct wp_kube_split {
    enum wp_kube_split_kind kind;
    const struct wp_kube_split_ops *ops;
    void *arg;
    size_t item_max, outside_max;
    int err; /* stays */
    enum place place;
    /* --- the value that is being walked through --- */
    unsigned depth; /* brackets open in it */
    bool in_string, escaped;
    /* --- the root's members --- */
    struct text outside;
    size_t key_at, value_at; /* in outside: of the name, of the value after it */
    bool named_item, named_type, has_type;
    bool first;               /* of its kind: what closes may come */
    bool word;                /* a value without quotes and brackets may still go on */
    size_t type_at, type_len; /* in outside */
    /* --- the item --- */
    const char *item; /* in the piece; NULL: none, or in held */
    size_t item_len;  /* of all of it that has come */
    struct text held;
};

/* --- texts --------------------------------------------------------------------------------- */

static int text_add(struct text *t, const char *data, size_t len)
{
    if (len > t->cap - t->len) {
        size_t cap = t->cap > 0 ? t->cap : 512;
        char *buf;
        while (cap - t->len < len)
            cap *= 2;
        buf = realloc(t->buf, cap);
        if (buf == NULL)
            return -ENOMEM;
        t->buf = buf;
        t->cap = cap;
    }
    memcpy(t->buf + t->len, data, len);
    t->len += len;
    return 0;
}

static void text_done(struct text *t)
{
    free(t->buf);
    *t = (struct text){0};
}

static int outside_add(struct wp_kube_split *s, const char *data, size_t len)
{
    return len > s->outside_max - s->outside.len ? WP_ELIMIT : text_add(&s->outside, data, len);
}

/* --- values -------------------------------------------------------------------------------- */

static uint64_t load8(const char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* Non-zero if one of the eight octets is c. */
static uint64_t has_octet(uint64_t v, uint8_t c)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;

    v ^= ones * c;
    return (v - ones) & ~v & highs;
}

/* Behind the string's closing quote, or at the end; p is inside of the string. */
static const char *pass_string(struct wp_kube_split *s, const char *p, const char *end)
{
    if (s->escaped && p < end) {
        s->escaped = false;
        p++;
    }
    for (;;) {
        while (end - p >= 8 && (has_octet(load8(p), '"') | has_octet(load8(p), '\\')) == 0)
            p += 8;
        while (p < end && *p != '"' && *p != '\\')
            p++;
        if (p == end)
            return p;
        if (*p == '"') {
            s->in_string = false;
            return p + 1;
        }
        if (end - p == 1) {
            s->escaped = true;
            return end;
        }
        p += 2;
    }
}

enum { OTHER, QUOTE, OPEN, CLOSE };
static const uint8_t octets[256] = {
    ['"'] = QUOTE, ['{'] = OPEN, ['['] = OPEN, ['}'] = CLOSE, [']'] = CLOSE};

/* Behind the octet that closes the value, or at the end. p is at its first octet or further in;
 * depth 0 afterwards: it is closed. NULL: too deep. */
static const char *pass_value(struct wp_kube_split *s, const char *p, const char *end)
{
    while (p < end) {
        if (s->in_string) {
            p = pass_string(s, p, end);
            if (s->depth == 0 && !s->in_string)
                return p;
            continue;
        }
        while (p < end && octets[(uint8_t)*p] == OTHER)
            p++;
        if (p == end)
            break;
        switch (octets[(uint8_t)*p++]) {
        case QUOTE:
            s->in_string = true;
            break;
        case OPEN:
            if (++s->depth >= WP_KUBE_DEPTH_MAX)
                return NULL;
            break;
        default:
            if (--s->depth == 0)
                return p;
        }
    }
    return end;
}

/* --- items --------------------------------------------------------------------------------- */

static const char *type_of(struct wp_kube_split *s)
{
    if (!s->has_type)
        return "";
    s->outside.buf[s->type_at + s->type_len] =
        '\0'; /* its closing quote, and nobody reads it again */
    return s->outside.buf + s->type_at;
}

/* What has come of the item; it goes on if the piece ends before it does. */
static int item_add(struct wp_kube_split *s, const char *data, size_t len)
{
    size_t most = s->item_len + len > s->item_max ? WP_KUBE_HEAD : s->item_max;
    size_t room = most > s->held.len ? most - s->held.len : 0;

    s->item_len += len;
    return text_add(&s->held, data, len < room ? len : room);
}

static int item_tell(struct wp_kube_split *s)
{
    const char *text = s->item != NULL ? s->item : s->held.buf;
    size_t head = s->item != NULL ? s->item_len : s->held.len;
    int r;

    if (s->item_len > s->item_max)
        r = s->ops->skipped(s->arg, type_of(s), text, head < WP_KUBE_HEAD ? head : WP_KUBE_HEAD,
                            s->item_len);
    else
        r = s->ops->item(s->arg, type_of(s), s->item_len > 0 ? text : "", s->item_len);
    s->item = NULL;
    s->item_len = 0;
    s->held.len = 0;
    if (s->held.cap > WP_KUBE_OUTSIDE_MAX)
        text_done(&s->held);
    return r < 0 ? r : 0;
}

/* --- the root ------------------------------------------------------------------------------ */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool key_is(const struct wp_kube_split *s, const char *name)
{
    size_t len = strlen(name);

    return s->outside.len - s->key_at == len + 2 &&
           memcmp(s->outside.buf + s->key_at + 1, name, len) == 0;
}

static void start_value(struct wp_kube_split *s, enum place place, unsigned depth, bool in_string)
{
    s->place = place;
    s->depth = depth;
    s->in_string = in_string;
    s->escaped = false;
}

/* The end of a member's value that stands outside: is it the type? */
static void end_value(struct wp_kube_split *s)
{
    const char *at = s->outside.buf + s->value_at;
    size_t len = s->outside.len - s->value_at;

    s->place = NEXT;
    s->word = false;
    if (!s->named_type || s->kind != WP_KUBE_WATCH || len < 2 || at[0] != '"')
        return;
    s->has_type = true;
    s->type_at = s->value_at + 1;
    s->type_len = len - 2;
}

static int end_root(struct wp_kube_split *s)
{
    int r = 0;

    s->place = AFTER;
    if (s->kind == WP_KUBE_WATCH) {
        r = item_tell(s);
        s->outside.len = 0;
        s->has_type = false;
        s->place = BEFORE;
    }
    return r;
}

/* The first octet of a member's value. */
static int begin_value(struct wp_kube_split *s, char c)
{
    s->value_at = s->outside.len - 1;
    if (s->named_item && c == '[' && s->kind == WP_KUBE_LIST) {
        s->place = ELEMENT;
        s->first = true;
        return 0;
    }
    if (octets[(uint8_t)c] == CLOSE || c == ',' || c == ':')
        return WP_EMALFORMED;
    if (octets[(uint8_t)c] == OTHER) {
        s->place = NEXT;
        s->word = true;
    } else {
        start_value(s, INSIDE, octets[(uint8_t)c] == OPEN, c == '"');
    }
    return 0;
}

/* One octet of the root itself; it has been added to outside. */
static int root_octet(struct wp_kube_split *s, char c)
{
    switch (s->place) {
    case BEFORE:
        if (c != '{')
            return WP_EMALFORMED;
        s->place = KEY;
        s->first = true;
        return 0;
    case KEY:
        if (c == '}' && s->first)
            return end_root(s);
        if (c != '"')
            return WP_EMALFORMED;
        s->key_at = s->outside.len - 1;
        s->named_item = s->named_type = s->first = false;
        start_value(s, INSIDE, 0, true);
        s->value_at = SIZE_MAX; /* a name */
        return 0;
    case COLON:
        s->place = VALUE;
        return c == ':' ? 0 : WP_EMALFORMED;
    case VALUE:
        return begin_value(s, c);
    case NEXT:
        if (c == '}')
            return end_root(s);
        if (c != ',')
            return s->word && octets[(uint8_t)c] == OTHER ? 0 : WP_EMALFORMED;
        s->place = KEY;
        s->first = false;
        return 0;
    default:
        return WP_EMALFORMED; /* AFTER */
    }
}

/* A name, or a value that is of no interest: up to its end. */
static int pass_inside(struct wp_kube_split *s, const char **p, const char *end)
{
    const char *to = pass_value(s, *p, end);
    int r = to == NULL ? WP_ELIMIT : outside_add(s, *p, (size_t)(to - *p));

    if (r < 0)
        return r;
    *p = to;
    if (s->depth > 0 || s->in_string)
        return 0;
    if (s->value_at != SIZE_MAX) {
        end_value(s);
        return 0;
    }
    s->named_item = key_is(s, s->kind == WP_KUBE_LIST ? "items" : "object");
    s->named_type = key_is(s, "type");
    s->place = COLON;
    return 0;
}

/* The octets between items, which are in no text. */
static int between_items(struct wp_kube_split *s, const char **p)
{
    char c = **p;

    if (s->place == MORE && c == ',') {
        s->place = ELEMENT;
        s->first = false;
    } else if (c == ']' && (s->place == MORE || s->first)) {
        int r = outside_add(s, "]", 1);
        s->place = NEXT;
        s->word = false;
        ++*p;
        return r;
    } else if (s->place == ELEMENT && c == '{') {
        start_value(s, ITEM, 0, false);
        s->item = *p;
        return 0; /* it is the item's first */
    } else if (!is_space(c)) {
        return WP_EMALFORMED;
    }
    ++*p;
    return 0;
}

static int pass_item(struct wp_kube_split *s, const char **p, const char *end)
{
    const char *to = pass_value(s, *p, end);
    size_t len;
    int r = 0;

    if (to == NULL)
        return WP_ELIMIT;
    len = (size_t)(to - *p);
    if (s->item != NULL)
        s->item_len += len; /* it began in this piece */
    else
        r = item_add(s, *p, len);
    *p = to;
    if (r < 0 || s->depth > 0 || s->in_string)
        return r;
    if (s->kind == WP_KUBE_WATCH) {
        s->place = NEXT; /* it is told when its event is complete: its type may still come */
        s->word = false;
        return outside_add(s, "{}", 2);
    }
    s->place = MORE;
    return item_tell(s);
}

static int step(struct wp_kube_split *s, const char **p, const char *end)
{
    char c = **p;
    int r;

    if (s->place == INSIDE)
        return pass_inside(s, p, end);
    if (s->place == ITEM)
        return pass_item(s, p, end);
    if (s->place == ELEMENT || s->place == MORE)
        return between_items(s, p);
    if (is_space(c) && (s->place == BEFORE || s->place == AFTER)) {
        ++*p;
        return 0;
    }
    if (s->place == VALUE && s->named_item && s->kind == WP_KUBE_WATCH && c == '{' &&
        s->item_len == 0) {
        start_value(s, ITEM, 0, false);
        s->item = *p;
        return 0;
    }
    ++*p;
    r = outside_add(s, &c, 1);
    if (!is_space(c))
        return r < 0 ? r : root_octet(s, c);
    s->word = false;
    return r;
}

int wp_kube_split_feed(struct wp_kube_split *s, const char *data, size_t len)
{
    const char *p = data, *end = data + len;

    while (s->err == 0 && p < end)
        s->err = step(s, &p, end);
    if (s->err == 0 && s->item != NULL) { /* the piece goes, the item stays */
        size_t had = s->item_len;
        const char *item = s->item;
        s->item = NULL;
        s->item_len = 0;
        s->err = item_add(s, item, had);
    }
    return s->err;
}

int wp_kube_split_end(struct wp_kube_split *s, const char **ret, size_t *ret_len)
{
    if (s->err == 0 && s->place != (s->kind == WP_KUBE_LIST ? AFTER : BEFORE))
        s->err = WP_ECLOSED;
    if (s->err < 0)
        return s->err;
    if (ret != NULL && text_add(&s->outside, "", 1) < 0)
        return -ENOMEM;
    if (ret != NULL) {
        s->outside.len--;
        *ret = s->outside.buf;
        *ret_len = s->outside.len;
    }
    return 0;
}

struct wp_kube_split *wp_kube_split_new(enum wp_kube_split_kind kind,
                                        const struct wp_kube_split_ops *ops, void *arg)
{
    struct wp_kube_split *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->kind = kind;
    s->ops = ops;
    s->arg = arg;
    s->item_max = WP_KUBE_ITEM_MAX;
    s->outside_max = WP_KUBE_OUTSIDE_MAX;
    return s;
}

void wp_kube_split_limit(struct wp_kube_split *s, size_t item_max, size_t outside_max)
{
    s->item_max = item_max;
    s->outside_max = outside_max;
}

void wp_kube_split_free(struct wp_kube_split *s)
{
    if (s == NULL)
        return;
    text_done(&s->outside);
    text_done(&s->held);
    free(s);
}
