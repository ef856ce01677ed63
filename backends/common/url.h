/* Pieces of the URLs of APIs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct wp_arena;

/* A name or an address, in brackets if it is IPv6, and a port of 1 to 65535 if there is a colon. */
bool wp_url_is_host(const char *s, size_t len);
/* The value of Authorization (RFC 7617); NULL: no memory. */
char *wp_basic_auth(struct wp_arena *arena, const char *user, const char *password);
/* The same of "user:password" as it stands in a URL, percent-encoded: it becomes a header, so that no text
 * names it. */
char *wp_url_auth(struct wp_arena *arena, const char *user, size_t len);
