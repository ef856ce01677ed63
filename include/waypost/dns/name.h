/* Domain names in wire form: uncompressed labels, closing root label included, at most 255
 * octets and 63 per label (RFC 1035 s2.3.4, s3.1). Comparing ignores ASCII case (RFC 4343 s3). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "waypost/base/err.h"
#include "waypost/base/hash.h"

struct wp_addr;
struct wp_rd;
struct wp_wr;

enum { WP_NAME_MAX = 255, WP_LABEL_MAX = 63, WP_LABELS_MAX = 127, WP_NAME_TEXT_MAX = 1025 };

/* A plain value: copied with =, nothing to free. */
struct wp_name {
    uint8_t len; /* octets in use, 1..255; 1 is the root */
    uint8_t wire[WP_NAME_MAX];
};

/* A name prepared for look-ups: lower case, with the position of each label and the hash of
 * each suffix, so that a longest-match walk costs one probe for each label and no pass over
 * the octets. suffix[n_labels] is the hash of the root; suffix[i] covers labels i.. to the end.
 * The hash of a name does not depend on where it stands: catalogs store suffix[0]. */
struct wp_qname {
    uint8_t len, n_labels;           /* n_labels without the root */
    uint8_t wire[WP_NAME_MAX];       /* lower case */
    uint8_t at[WP_LABELS_MAX + 1];   /* at[i]: offset of label i; at[n_labels]: of the root */
    uint64_t suffix[WP_LABELS_MAX + 1];
};

/* Prepare from uncompressed wire octets (as in a question). One pass for case and label
 * hashes, one backwards over the labels.
 * @return octets used (1..255), or WP_EMALFORMED (ends early, label type, too long) */
int wp_qname_set(struct wp_qname *q, const uint8_t *wire, size_t len) WP_MUSTCHECK;
void wp_qname_root(struct wp_qname *q);
/* The hash that wp_qname_set gives to suffix[0]; name must be valid. */
uint64_t wp_name_hash(const uint8_t *wire);
/* The hash of label + name from the hash of name: for wildcard probes. */
uint64_t wp_name_hash_label(const uint8_t *label, size_t len, uint64_t parent);
uint64_t wp_name_hash_root(void);

/* Read the name at the reader's position, following compression pointers. A pointer must lead
 * before the start of the run of labels that it ends: that alone makes loops impossible.
 * @return 0, or WP_EMALFORMED; the reader moves past the name on success only */
int wp_name_read(struct wp_rd *rd, struct wp_name *ret) WP_MUSTCHECK;
/* Move past a name without following pointers; WP_EMALFORMED as above except loops. */
int wp_name_skip(struct wp_rd *rd) WP_MUSTCHECK;
/* Length of a valid uncompressed name, or WP_EMALFORMED if it does not end within len. */
int wp_name_len(const uint8_t *wire, size_t len) WP_MUSTCHECK;

/* Octets of a name that is known to be valid; never more than WP_NAME_MAX. */
static inline size_t wp_name_size(const uint8_t *wire)
{
    size_t n = 0;

    while (n < WP_NAME_MAX - 1u && wire[n] != 0)
        n += wire[n] + 1u;
    return n < WP_NAME_MAX ? n + 1 : WP_NAME_MAX;
}

/* Presentation form with \X and \DDD escapes (RFC 1035 s5.1). A name without final dot is taken
 * as absolute. "" is WP_EMALFORMED, "." the root. */
int wp_name_parse(const char *text, struct wp_name *ret) WP_MUSTCHECK;
/* Relative names get origin appended (NULL: as wp_name_parse). */
int wp_name_parse_origin(const char *text, const struct wp_name *origin,
                         struct wp_name *ret) WP_MUSTCHECK;
/* Escaped as Go's miekg/dns does; with final dot; returns buf. */
char *wp_name_text(const uint8_t *wire, char buf[WP_NAME_TEXT_MAX]);

/* The name of an address under in-addr.arpa. or ip6.arpa. (RFC 1035 s3.5, RFC 3596 s2.5). */
void wp_name_reverse(const struct wp_addr *a, struct wp_name *ret);

void wp_name_lower(uint8_t *wire, size_t len);
bool wp_name_equal(const uint8_t *a, const uint8_t *b);        /* any case */
bool wp_name_within(const uint8_t *name, const uint8_t *apex); /* equal or below */
int wp_name_labels(const uint8_t *wire);                       /* without the root */
/* Drop n labels on the left: a pointer into wire; the root when there are fewer. */
const uint8_t *wp_name_parent(const uint8_t *wire, int n);
/* RFC 4034 s6.1 canonical order: <0, 0, >0. */
int wp_name_compare(const uint8_t *a, const uint8_t *b);
/* prefix labels (without root) + suffix name; WP_EMALFORMED when longer than 255. */
int wp_name_join(const uint8_t *labels, size_t len, const uint8_t *suffix,
                 struct wp_name *ret) WP_MUSTCHECK;

static inline bool wp_qname_is(const struct wp_qname *q, const uint8_t *lower, size_t len)
{
    return q->len == len && __builtin_memcmp(q->wire, lower, len) == 0;
}
