/* Whom a client's certificate names. */
#pragma once
#include <stdbool.h>

/* One block of memory with its texts; freed as one. */
struct wp_peer {
    const char *name;   /* common name of the subject, or NULL */
    const char *san;    /* "DNS:a.example,URI:spiffe://b/c,email:d@e.example", or NULL */
    const char *issuer; /* RFC 4514 text, "" if it has none */
    const char *key;    /* SHA-256 of the public key as SubjectPublicKeyInfo, hexadecimal */
    bool verified;      /* the certificate chained to the listener's CA */
};
