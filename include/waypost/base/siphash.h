/* SipHash-2-4: a keyed hash of short inputs that nobody can forge without the key (Aumasson and
 * Bernstein, 2012). For DNS cookies (RFC 9018); hash tables have waypost/base/hash.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { WP_SIPHASH_KEY = 16 };

uint64_t wp_siphash(const uint8_t key[WP_SIPHASH_KEY], const void *octets, size_t len);
