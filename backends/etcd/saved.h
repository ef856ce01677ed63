/* One key as it is saved: the record without its place in the tree, its lease as a moment of the
 * world's clock. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "backends/etcd/record.h"
#include "waypost/base/err.h"

/* A lease as it is saved. */
struct wp_etcd_saved_lease {
    int64_t id;     /* 0: the key has none */
    int64_t end_ms; /* Unix time; 0: not known */
};

/* Octets that the record takes, and the record: `to` has room for them. */
size_t wp_etcd_saved_size(const struct wp_etcd_rec *r);
void wp_etcd_saved_write(const struct wp_etcd_rec *r, const struct wp_etcd_saved_lease *lease,
                         uint8_t *to);

/* What a saved record says; strings point into it. */
struct wp_etcd_saved {
    struct wp_etcd_value value;
    struct wp_etcd_saved_lease lease;
    const char *key;
    size_t key_len;
};
/* WP_EMALFORMED: no record that could have been saved. */
int wp_etcd_saved_read(const uint8_t *rec, size_t len, struct wp_etcd_saved *ret) WP_MUSTCHECK;
