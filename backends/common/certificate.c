#include "backends/common/certificate.h"

#include <assert.h>

#include "waypost/tls/tls.h"

bool wp_certificate_wildcard(const char *path, char name[WP_CERTIFICATE_NAME_MAX])
{
    static_assert((int)WP_CERTIFICATE_NAME_MAX == (int)WP_TLS_NAME_MAX, "one text, two names");
    return wp_tls_file_wildcard(path, name);
}
