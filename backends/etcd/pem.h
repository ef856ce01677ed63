/* The contents of TLS files. */
#pragma once
#include "waypost/base/err.h"

struct wp_etcd_pem {
    char *ca, *cert, *key; /* cert and key together or not at all */
};
/* ca NULL: the system's roots. 0, -ENOMEM, or WP_ETLS with why. */
int wp_etcd_pem_read(const char *ca, const char *cert, const char *key, struct wp_etcd_pem *ret,
                     char why[256]) WP_MUSTCHECK;
void wp_etcd_pem_done(struct wp_etcd_pem *p);
