#include "check.h"

#include "server/listeners/http_priv.h"

static const struct {
    int64_t unix_s;
    const char *text;
} cases[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
    {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110 s5.6.7 */
    {951827696, "Tue, 29 Feb 2000 12:34:56 GMT"},
    {1795258799, "Sat, 21 Nov 2026 10:59:59 GMT"},
    {4294967296, "Sun, 07 Feb 2106 06:28:16 GMT"},
    {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
};

static void test_date(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[WP_HTTP_DATE + 1];

        wp_http_date_text(cases[i].unix_s, text);
        CHECK_AT(cases[i].text, strcmp(text, cases[i].text) == 0);
    }
}

RUN_TESTS(TEST(test_date))
