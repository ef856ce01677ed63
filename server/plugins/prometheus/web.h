/* The web configuration file of the Prometheus exporters: TLS, headers, basic authentication. */
#pragma once
#include <stdbool.h>
#include "waypost/base/err.h"

struct web;
struct wp_tls_ctx;

enum { WEB_WHY_MAX = 320 };
/* Reads the file and what it names. why: the reason, in words. 0 or a negative error. */
int wp_web_new(const char *path, char why[WEB_WHY_MAX], struct web **ret) WP_MUSTCHECK;
void wp_web_free(struct web *w);
struct wp_tls_ctx *wp_web_tls(const struct web *w); /* NULL: cleartext */
const char *wp_web_headers(const struct web *w);    /* lines closed by \r\n, or NULL */
/* Is the Authorization header one of the users'? True when there are no users. Admin loop. */
bool wp_web_allows(struct web *w, const char *authorization);
