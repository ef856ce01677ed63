/* Small helpers of the catalog's tests: names from text, an entry with one A record. */
#pragma once
#include "check.h"
#include "waypost/base/grace.h"
#include "waypost/dns/name.h"
#include "waypost/plugin/catalog.h"

static inline struct wp_qname qname(const char *text)
{
    struct wp_name n;
    struct wp_qname q;

    CHECK_AT(text, wp_name_parse(text, &n) == 0);
    CHECK_AT(text, wp_qname_set(&q, n.wire, n.len) == n.len);
    return q;
}

/* An entry of one A record whose last octet is `last`; the caller ends the maker. */
static inline int make(struct wp_entry_maker *m, const char *text, uint8_t last, uint16_t flags)
{
    const uint8_t body[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, last};
    const uint16_t count[WP_SECTIONS] = {1};
    struct wp_name n;

    CHECK_AT(text, wp_name_parse(text, &n) == 0);
    wp_entry_maker_init(m);
    wp_entry_maker_start(m, n.wire, flags);
    return wp_entry_maker_set(m, WP_TYPE_A, 0, count, body, sizeof(body));
}

static inline int put_flags(struct wp_catalog *c, const char *text, uint8_t last, uint16_t flags)
{
    struct wp_entry_maker m;
    int r = make(&m, text, last, flags);

    if (r == 0)
        r = wp_catalog_put(c, &m);
    wp_entry_maker_done(&m);
    return r;
}

static inline int put(struct wp_catalog *c, const char *text, uint8_t last)
{
    return put_flags(c, text, last, 0);
}

static inline int del(struct wp_catalog *c, const char *text)
{
    struct wp_name n;

    CHECK_AT(text, wp_name_parse(text, &n) == 0);
    return wp_catalog_del(c, n.wire);
}

static inline const struct wp_entry *find(const struct wp_catalog *c, const char *text)
{
    struct wp_qname q = qname(text);

    return wp_catalog_find(c, q.wire, q.len, q.suffix[0]);
}

/* The last octet of the entry's A record. */
static inline int last_octet(const struct wp_entry *e)
{
    const struct wp_set *s = e == NULL ? NULL : wp_entry_set(e, WP_TYPE_A);

    return s == NULL ? -1 : wp_entry_body(e, s)[s->len - 1];
}

static inline struct wp_catalog *catalog(const char *apex, enum wp_catalog_mode mode)
{
    struct wp_catalog *c = NULL;
    struct wp_qname q = qname(apex);

    CHECK(wp_catalog_new(q.wire, 7, mode, &c) == 0);
    return c;
}

static inline bool is_name(const struct wp_entry *e, const char *text)
{
    struct wp_qname q;

    if (e == NULL || text == NULL)
        return e == NULL && text == NULL;
    q = qname(text);
    return e->name_len == q.len && memcmp(wp_entry_name(e), q.wire, q.len) == 0;
}
