#include "backends/kubernetes/proto_split.h"

#include <stdlib.h>
#include <string.h>
#include "backends/kubernetes/proto_pull.h"
#include "waypost/base/octets.h"
#include "waypost/base/rd.h"

enum { MAGIC_LEN = 4, FRAME_HEAD = 4, KIND_MAX = 63, VARINT_MAX = 10 };
static const char magic[MAGIC_LEN] = {'k', '8', 's', '\0'};

enum { UNKNOWN_TYPE = 1, UNKNOWN_RAW = 2, TYPE_KIND = 2, LIST_ITEMS = 2 };
enum { EVENT_TYPE = 1, EVENT_OBJECT = 2, EXTENSION_RAW = 1 };

/* What the next octet belongs to. */
enum place {
    START,    /* the magic octets, of a list's envelope */
    ENVELOPE, /* the tag and length of a field of it */
    INSIDE,   /* of a field of its raw */
    FRAME,    /* the length of a frame */
    VALUE,    /* of the field or frame that has begun */
};

enum what { TYPE_META, REST, ITEM, EVENT, NOTHING };

struct wp_kube_proto_split {
    enum wp_kube_split_kind kind;
    const struct wp_kube_split_ops *ops;
    void *arg;
    size_t item_max, outside_max;
    int err; /* stays */
    enum place place;
    enum what what;               /* VALUE: of what */
    bool has_raw;                 /* raw has begun */
    bool is_list;                 /* the envelope's kind says so */
    uint64_t raw_left;            /* of raw, behind the value that is being read */
    uint64_t value_len;           /* of the value */
    uint64_t left;                /* of it, to come */
    uint8_t head[2 * VARINT_MAX]; /* tag and length, a frame's length: as far as they have come */
    size_t n_head;
    char type_kind[KIND_MAX + 1];
    struct wp_octets held; /* the value, as far as it is kept */
    struct wp_octets rest; /* of raw, beside the items */
};

/* --- messages that are whole ------------------------------------------------------------------ */

/* The field `number` of the message; the last one counts, as in any protobuf. Absent: nothing. */
static struct wp_proto_field find(struct wp_proto *p, uint32_t number)
{
    struct wp_proto_field f, found = {.number = 0, .at = (const uint8_t *)""};

    while (wp_proto_next(p, &f)) {
        if (f.number != number)
            continue;
        p->bad |= f.wire != WP_PROTO_COUNTED;
        if (!p->bad)
            found = f;
    }
    return found;
}

/* What is inside a field of a message, that of a field of it, and so on. */
static struct wp_proto inside(struct wp_proto p, uint32_t number)
{
    struct wp_proto_field f = find(&p, number);
    struct wp_proto in = wp_proto_from(f.at, f.len);

    in.clipped = p.clipped;
    in.bad = p.bad;
    return in;
}

bool wp_kube_proto_is_wrapped(const char *msg, size_t len)
{
    return len >= MAGIC_LEN && memcmp(msg, magic, MAGIC_LEN) == 0;
}

/* Off with the envelope, of an object in an event. */
static struct wp_proto unwrap(struct wp_proto p)
{
    size_t have = (size_t)(p.end - p.at);

    if (have == 0 && !p.bad)
        return p; /* no object */
    if (p.bad || !wp_kube_proto_is_wrapped((const char *)p.at, have)) {
        p.bad = true;
        p.at = p.end;
        return p;
    }
    p.at += MAGIC_LEN;
    return inside(p, UNKNOWN_RAW);
}

int wp_kube_proto_unwrap(struct wp_proto *p, const char *kind)
{
    struct wp_proto in = unwrap(*p), type;
    struct wp_proto_field f;

    if (in.bad)
        return WP_EMALFORMED;
    p->at += MAGIC_LEN;
    type = inside(*p, UNKNOWN_TYPE);
    f = find(&type, TYPE_KIND);
    if (type.bad || f.len != strlen(kind) || memcmp(f.at, kind, f.len) != 0)
        return WP_EMALFORMED;
    *p = in;
    return 0;
}

static int tell_event(struct wp_kube_proto_split *s, const char *frame, size_t have)
{
    bool skipped = s->value_len > s->item_max;
    struct wp_proto p = wp_proto_from(frame, have), object;
    struct wp_proto_field type;
    char word[KIND_MAX + 1] = "";

    p.clipped = skipped;
    object = unwrap(inside(inside(p, EVENT_OBJECT), EXTENSION_RAW));
    type = find(&p, EVENT_TYPE);
    if ((object.bad || p.bad) && !skipped)
        return WP_EMALFORMED;
    memcpy(word, type.at, type.len < KIND_MAX ? type.len : KIND_MAX);
    if (skipped)
        return s->ops->skipped(s->arg, word, (const char *)object.at,
                               (size_t)(object.end - object.at), (size_t)s->value_len);
    return s->ops->item(s->arg, word, (const char *)object.at, (size_t)(object.end - object.at));
}

static int take_type(struct wp_kube_proto_split *s, const char *msg, size_t len)
{
    struct wp_proto p = wp_proto_from(msg, len);
    struct wp_proto_field f = find(&p, TYPE_KIND);
    static const char list[] = "List";
    const size_t tail = sizeof(list) - 1;
    size_t n;

    if (p.bad || f.len > KIND_MAX)
        return WP_EMALFORMED;
    memcpy(s->type_kind, f.at, f.len);
    s->type_kind[f.len] = '\0';
    n = strlen(s->type_kind);
    s->is_list = n >= tail && strcmp(s->type_kind + n - tail, list) == 0;
    return 0;
}

/* A value has ended: `have` octets of it were kept. */
static int end_value(struct wp_kube_proto_split *s, const char *data, size_t have)
{
    int r = 0;

    s->place = s->kind == WP_KUBE_WATCH ? FRAME : s->raw_left > 0 ? INSIDE : ENVELOPE;
    if (s->what == EVENT)
        r = tell_event(s, data, have);
    else if (s->what == TYPE_META)
        r = take_type(s, data, have);
    else if (s->what == ITEM && s->value_len > s->item_max)
        r = s->ops->skipped(s->arg, "", data, have, (size_t)s->value_len);
    else if (s->what == ITEM)
        r = s->ops->item(s->arg, "", data, have);
    else if (s->what == REST)
        r = wp_octets_append(&s->rest, data, have);
    wp_octets_clear(&s->held);
    return r < 0 ? r : 0;
}

/* --- as it comes ------------------------------------------------------------------------------ */

/* How much of a value is kept. */
static size_t wanted(const struct wp_kube_proto_split *s)
{
    if (s->what == NOTHING)
        return 0;
    if ((s->what == ITEM || s->what == EVENT) && s->value_len > s->item_max)
        return WP_KUBE_HEAD;
    return (size_t)s->value_len;
}

static int begin_value(struct wp_kube_proto_split *s, enum what what, uint64_t len)
{
    s->what = what;
    s->value_len = s->left = len;
    s->place = VALUE;
    if ((what == REST || what == TYPE_META) && len > s->outside_max - s->rest.len)
        return WP_ELIMIT;
    return len == 0 ? end_value(s, "", 0) : 0;
}

/* Some octets of a value. */
static int pass_value(struct wp_kube_proto_split *s, const char **p, const char *end)
{
    size_t len = (size_t)(end - *p), keep = wanted(s), room = keep - s->held.len;
    const char *data = *p;
    bool whole;
    int r;

    if (len >= s->left)
        len = (size_t)s->left;
    whole = len == s->value_len; /* all of it is in this piece */
    *p += len;
    s->left -= len;
    if (whole)
        return end_value(s, data, len < keep ? len : keep);
    r = wp_octets_append(&s->held, data, len < room ? len : room);
    if (r < 0 || s->left > 0)
        return r;
    return end_value(s, (const char *)wp_octets_view(&s->held), s->held.len);
}

/* --- heads of fields and frames --------------------------------------------------------------- */

/* Is what has come a whole one? 1; 0: more must come; WP_EMALFORMED. */
static int read_head(const struct wp_kube_proto_split *s, struct wp_proto_field *ret,
                     uint64_t *ret_len)
{
    struct wp_proto p = wp_proto_from(s->head, s->n_head);
    uint64_t tag = wp_proto_varint(&p);
    size_t n, fixed;

    if (p.bad)
        return s->n_head < VARINT_MAX ? 0 : WP_EMALFORMED;
    ret->number = (uint32_t)(tag >> 3);
    ret->wire = tag & 7;
    if (tag >> 32 != 0 || ret->number == 0)
        return WP_EMALFORMED;
    n = (size_t)(p.end - p.at);
    fixed = ret->wire == WP_PROTO_FIXED64 ? 8 : ret->wire == WP_PROTO_FIXED32 ? 4 : 0;
    if (fixed > 0)
        return n == fixed;
    if (ret->wire != WP_PROTO_COUNTED && ret->wire != WP_PROTO_VARINT)
        return WP_EMALFORMED;
    *ret_len = wp_proto_varint(&p);
    return !p.bad ? 1 : n < VARINT_MAX ? 0 : WP_EMALFORMED;
}

static int begin_field(struct wp_kube_proto_split *s, uint32_t number, uint64_t len)
{
    if (number == UNKNOWN_TYPE && !s->has_raw)
        return begin_value(s, TYPE_META, len);
    if (number != UNKNOWN_RAW)
        return begin_value(s, NOTHING, len);
    if (s->has_raw)
        return WP_EMALFORMED;
    s->has_raw = true;
    s->raw_left = len;
    s->place = len > 0 ? INSIDE : ENVELOPE;
    return 0;
}

/* Of raw: what is no item is kept as it stands. */
static int begin_inside(struct wp_kube_proto_split *s, const struct wp_proto_field *f, uint64_t len)
{
    bool counted = f->wire == WP_PROTO_COUNTED;
    int r;

    if (counted && len > s->raw_left)
        return WP_EMALFORMED;
    s->raw_left -= counted ? len : 0;
    if (s->is_list && f->number == LIST_ITEMS && counted)
        return begin_value(s, ITEM, len);
    if (s->n_head > s->outside_max - s->rest.len)
        return WP_ELIMIT;
    r = wp_octets_append(&s->rest, s->head, s->n_head);
    if (r < 0 || counted)
        return r < 0 ? r : begin_value(s, REST, len);
    s->place = s->raw_left > 0 ? INSIDE : ENVELOPE;
    return 0;
}

static int head_octet(struct wp_kube_proto_split *s, uint8_t c)
{
    struct wp_proto_field f;
    uint64_t len = 0;
    int r;

    s->head[s->n_head++] = c;
    if (s->place == INSIDE)
        s->raw_left--; /* it is not 0: else the place is another */
    r = read_head(s, &f, &len);
    if (r == 0 && s->place == INSIDE && s->raw_left == 0)
        return WP_EMALFORMED;
    if (r <= 0)
        return r;
    if (s->place == INSIDE)
        r = begin_inside(s, &f, len);
    else
        r = f.wire == WP_PROTO_COUNTED ? begin_field(s, f.number, len) : 0;
    s->n_head = 0;
    return r;
}

static int frame_octet(struct wp_kube_proto_split *s, uint8_t c)
{
    s->head[s->n_head++] = c;
    if (s->n_head < FRAME_HEAD)
        return 0;
    s->n_head = 0;
    return begin_value(s, EVENT, wp_be32(s->head));
}

static int magic_octet(struct wp_kube_proto_split *s, char c)
{
    if (c != magic[s->n_head++])
        return WP_EMALFORMED;
    if (s->n_head == MAGIC_LEN) {
        s->n_head = 0;
        s->place = ENVELOPE;
    }
    return 0;
}

/* --- the splitter ----------------------------------------------------------------------------- */

int wp_kube_proto_split_feed(struct wp_kube_proto_split *s, const char *data, size_t len)
{
    const char *p = data, *end = data + len;

    while (s->err == 0 && p < end) {
        if (s->place == VALUE)
            s->err = pass_value(s, &p, end);
        else if (s->place == FRAME)
            s->err = frame_octet(s, (uint8_t)*p++);
        else if (s->place == START)
            s->err = magic_octet(s, *p++);
        else
            s->err = head_octet(s, (uint8_t)*p++);
    }
    return s->err;
}

int wp_kube_proto_split_end(struct wp_kube_proto_split *s, struct wp_kube_proto_rest *ret)
{
    const uint8_t *rest = wp_octets_view(&s->rest);

    if (s->err == 0 && (s->n_head > 0 || s->place != (s->kind == WP_KUBE_LIST ? ENVELOPE : FRAME) ||
                        s->has_raw != (s->kind == WP_KUBE_LIST)))
        s->err = WP_ECLOSED;
    if (s->err == 0 && ret != NULL)
        *ret = (struct wp_kube_proto_rest){s->type_kind, rest != NULL ? (const char *)rest : "",
                                           s->rest.len};
    return s->err;
}

struct wp_kube_proto_split *wp_kube_proto_split_new(enum wp_kube_split_kind kind,
                                                    const struct wp_kube_split_ops *ops, void *arg)
{
    struct wp_kube_proto_split *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->kind = kind;
    s->ops = ops;
    s->arg = arg;
    s->place = kind == WP_KUBE_LIST ? START : FRAME;
    wp_kube_proto_split_limit(s, WP_KUBE_ITEM_MAX, WP_KUBE_OUTSIDE_MAX);
    return s;
}

void wp_kube_proto_split_limit(struct wp_kube_proto_split *s, size_t item_max, size_t outside_max)
{
    s->item_max = item_max;
    s->outside_max = outside_max;
}

void wp_kube_proto_split_free(struct wp_kube_proto_split *s)
{
    if (s == NULL)
        return;
    wp_octets_clear(&s->held);
    wp_octets_clear(&s->rest);
    free(s);
}
