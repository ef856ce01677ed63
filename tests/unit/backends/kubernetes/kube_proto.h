/* Writes protobuf, and objects that are JSON and protobuf at once. */
#pragma once
#include "check.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct pb {
    uint8_t at[1 << 17];
    size_t len;
    size_t open[16]; /* where what is inside begins */
    unsigned depth;
};

static inline void pb_octets(struct pb *p, const void *at, size_t len)
{
    CHECK(len <= sizeof(p->at) - p->len);
    if (len > 0)
        memcpy(p->at + p->len, at, len);
    p->len += len;
}

static inline void pb_varint(struct pb *p, uint64_t v)
{
    uint8_t octets[10];
    size_t n = 0;

    for (; v > 0x7f; v >>= 7)
        octets[n++] = (uint8_t)(v | 0x80);
    octets[n++] = (uint8_t)v;
    pb_octets(p, octets, n);
}

static inline void pb_number(struct pb *p, uint32_t field, uint64_t v)
{
    pb_varint(p, (uint64_t)field << 3);
    pb_varint(p, v);
}

static inline void pb_bytes(struct pb *p, uint32_t field, const void *at, size_t len)
{
    pb_varint(p, (uint64_t)field << 3 | 2);
    pb_varint(p, len);
    pb_octets(p, at, len);
}

static inline void pb_text(struct pb *p, uint32_t field, const char *text)
{
    pb_bytes(p, field, text, strlen(text));
}

static inline void pb_begin(struct pb *p, uint32_t field)
{
    pb_varint(p, (uint64_t)field << 3 | 2);
    CHECK(p->depth < COUNT(p->open));
    p->open[p->depth++] = p->len;
}

/* The length is put in front of what has been written since. */
static inline void pb_end(struct pb *p)
{
    struct pb *inside = malloc(sizeof(*inside));
    size_t from = p->open[--p->depth];

    CHECK(inside != NULL);
    inside->len = 0;
    pb_octets(inside, p->at + from, p->len - from);
    p->len = from;
    pb_varint(p, inside->len);
    pb_octets(p, inside->at, inside->len);
    free(inside);
}

/* --- both ------------------------------------------------------------------------------------- */

/* One object in both forms. Names are JSON's, numbers protobuf's. */
struct both {
    struct pb pb;
    char json[1 << 17];
    size_t len;
    bool comma;
};

static inline void both_json(struct both *b, const char *text)
{
    size_t n = strlen(text);

    CHECK(n < sizeof(b->json) - b->len);
    memcpy(b->json + b->len, text, n + 1);
    b->len += n;
}

/* Up to where the value begins; name NULL: of a list. */
static inline void both_key(struct both *b, const char *name)
{
    if (b->comma)
        both_json(b, ",");
    b->comma = true;
    if (name == NULL)
        return;
    both_json(b, "\"");
    both_json(b, name);
    both_json(b, "\":");
}

static inline void both_open(struct both *b, const char *name, uint32_t field)
{
    both_key(b, name);
    both_json(b, "{");
    b->comma = false;
    if (field > 0)
        pb_begin(&b->pb, field);
}

static inline void both_close(struct both *b, bool message)
{
    both_json(b, "}");
    b->comma = true;
    if (message)
        pb_end(&b->pb);
}

static inline void both_list(struct both *b, const char *name)
{
    both_key(b, name);
    both_json(b, "[");
    b->comma = false;
}

static inline void both_list_end(struct both *b)
{
    both_json(b, "]");
    b->comma = true;
}

/* The text has nothing in it that JSON would write otherwise. */
static inline void both_text(struct both *b, const char *name, uint32_t field, const char *text)
{
    both_key(b, name);
    both_json(b, "\"");
    both_json(b, text);
    both_json(b, "\"");
    pb_text(&b->pb, field, text);
}

static inline void both_number(struct both *b, const char *name, uint32_t field, int64_t v)
{
    char text[32];

    snprintf(text, sizeof(text), "%lld", (long long)v);
    both_key(b, name);
    both_json(b, text);
    pb_number(&b->pb, field, (uint64_t)v);
}

static inline void both_bool(struct both *b, const char *name, uint32_t field, bool v)
{
    both_key(b, name);
    both_json(b, v ? "true" : "false");
    pb_number(&b->pb, field, v);
}

/* An entry of a map. */
static inline void both_pair(struct both *b, uint32_t field, const char *key, const char *value)
{
    both_key(b, key);
    both_json(b, "\"");
    both_json(b, value);
    both_json(b, "\"");
    pb_begin(&b->pb, field);
    pb_text(&b->pb, 1, key);
    pb_text(&b->pb, 2, value);
    pb_end(&b->pb);
}
