/* What a backend may know of a certificate on disk. */
#pragma once
#include <stdbool.h>

enum { WP_CERTIFICATE_NAME_MAX = 256 };

/* Whether it is for a name with a wildcard; the first such name. The file is read; when it cannot
 * be, false. */
bool wp_certificate_wildcard(const char *path, char name[WP_CERTIFICATE_NAME_MAX]);
