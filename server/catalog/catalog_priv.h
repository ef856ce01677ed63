#pragma once
#include "server/catalog/table_priv.h"
#include "waypost/plugin/catalog.h"

/* Flags that the catalog keeps itself. */
#define WP_ENTRY_KEPT (WP_ENTRY_WILDCARD | WP_ENTRY_EMPTY)

struct wp_catalog {
    struct wp_table *_Atomic table; /* what readers see */
    uint64_t source;
    uint64_t apex_hash;
    enum wp_catalog_mode mode;
    uint8_t apex_len, apex_labels;
    uint8_t apex[WP_NAME_MAX];
    struct wp_arena arena; /* WHOLE: the entries */
    _Atomic size_t octets; /* of entries (LIVE), with what the heap adds; and of the table */
    _Atomic size_t names;
};

/* Octets of the entry that the maker describes, and writing it there. */
size_t wp_entry_octets(const struct wp_entry_maker *m);
void wp_entry_lay_out(struct wp_entry *e, const struct wp_entry_maker *m);
