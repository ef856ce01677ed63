/* Characters inside JSON texts. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Octets of the UTF-8 sequence at p, 0 if it is none (RFC 3629 s4). left > 0. */
size_t wp_utf8_len(const uint8_t *p, size_t left);
/* The character as UTF-8, up to 4 octets; returns how many. Up to 0x10ffff, no surrogate. */
size_t wp_utf8_put(uint32_t c, uint8_t *out);
/* The code unit of a JSON escape "\uXXXX" at p, or -1. */
int wp_utf8_escaped_unit(const char *p, size_t left);
