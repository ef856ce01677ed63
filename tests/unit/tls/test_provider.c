/* Which TLS library: names, the default, and what a module must be. */
#include <string.h>

#include "check.h"
#include "tls/provider.h"
#include "tls/tls_priv.h"

static void test_names(void)
{
    char why[WP_TLS_ERR_MAX] = "";

    assert_int_equal(wp_tls_provider_check("openssl", why), 0);
    assert_ptr_equal(wp_tls_provider_find("openssl", why), &wp_tls_openssl);
    assert_ptr_equal(wp_tls_provider_find(NULL, why), &wp_tls_openssl);
    assert_int_equal(wp_tls_provider_check("", why), WP_ETLS);
    assert_int_equal(wp_tls_provider_check("OpenSSL", why), WP_ETLS);
    assert_string_equal(why, "unknown TLS provider 'OpenSSL': openssl and wolfssl are known");
}

static void test_default(void)
{
    struct wp_tls_client_config c = {.insecure = true}, unknown = {.provider = "nss"};
    char why[WP_TLS_ERR_MAX] = "";
    struct wp_tls_ctx *ctx = NULL;

    assert_int_equal(wp_tls_provider_use("nss", why), WP_ETLS);
    assert_ptr_equal(wp_tls_provider_find(NULL, why), &wp_tls_openssl);
    assert_int_equal(wp_tls_provider_use("openssl", why), 0);
    assert_int_equal(wp_tls_client_new(&unknown, why, &ctx), WP_ETLS);
    assert_null(ctx);
    assert_non_null(strstr(why, "unknown TLS provider 'nss'"));
    assert_int_equal(wp_tls_client_new(&c, why, &ctx), 0);
    assert_ptr_equal(ctx->policy.provider, &wp_tls_openssl);
    wp_tls_ctx_unref(ctx);
}

static void test_text(void)
{
    char text[WP_TLS_ERR_MAX];

    wp_tls_providers(text);
    assert_int_equal(strncmp(text, "openssl 3.", 10), 0);
    /* whose module is here is named with its licence, and nobody else */
    assert_true((strstr(text, "wolfssl") == NULL) == (strstr(text, "GPLv3") == NULL));
}

RUN_TESTS(TEST(test_names), TEST(test_default), TEST(test_text))
