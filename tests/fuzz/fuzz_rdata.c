/* Rdata. Input: two octets of type, then octets that are read as rdata and as text. Properties:
 * rdata that passes the check has a text, and that text makes the same rdata; text that is read
 * makes rdata that passes the check and whose text makes the same rdata. */
#include "fuzz.h"

#include "proto/dns/rdata_priv.h"
#include "waypost/base/arena.h"
#include "waypost/dns/rr.h"

enum { TEXT_MAX = 1 << 20, ARENA_MAX = 8 << 20 };

static char text[TEXT_MAX];

/* Forms that text cannot say or refuses: bit maps that end in zeros, no-default-alpn alone. */
static bool is_odd(const char *shape)
{
    return strpbrk(shape, "WP") != NULL;
}

static void check_again(uint16_t type, const uint8_t *rdata, size_t len, struct wp_arena *a,
                        bool exact)
{
    const char *shape = wp_rdata_shape(type);
    const uint8_t *again;
    size_t again_len;
    int at = wp_rdata_name_at(type, rdata, len);

    CHECK(wp_rdata_check(type, rdata, len) == 0);
    CHECK(at < 0 || wp_name_len(rdata + at, len - (size_t)at) > 0);
    CHECK(wp_rdata_text(type, rdata, len, text, sizeof(text)) == 0);
    if (wp_rdata_parse(type, text, NULL, a, &again, &again_len) < 0) {
        CHECK(!exact && is_odd(shape));
        return;
    }
    if (exact || !is_odd(shape))
        CHECK(again_len == len && memcmp(again, rdata, len) == 0);
}

static void check_wire(uint16_t type, const uint8_t *data, size_t size, struct wp_arena *a)
{
    uint8_t *lower = wp_arena_dup(a, data, size);

    CHECK(lower != NULL);
    wp_rdata_lower(type, lower, size);
    if (wp_rdata_shape(type) == NULL) {
        CHECK(wp_rdata_check(type, data, size) == 0 || size > WP_RDATA_MAX);
        (void)!wp_rdata_text(type, data, size, text, sizeof(text)); /* ldns may refuse it */
    } else if (wp_rdata_check(type, data, size) == 0) {
        check_again(type, data, size, a, false);
        CHECK(wp_rdata_check(type, lower, size) == 0);
    } else {
        CHECK(wp_rdata_text(type, data, size, text, sizeof(text)) == WP_EMALFORMED);
    }
}

static void check_text(uint16_t type, const uint8_t *data, size_t size, struct wp_arena *a)
{
    char *line = wp_arena_strndup(a, (const char *)data, size);
    const uint8_t *rdata;
    size_t len;

    CHECK(line != NULL);
    if (wp_rdata_parse(type, line, NULL, a, &rdata, &len) < 0)
        return;
    if (wp_rdata_shape(type) != NULL)
        check_again(type, rdata, len, a, strstr(line, "\\#") == NULL);
    else
        (void)!wp_rdata_text(type, rdata, len, text, sizeof(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_arena arena;
    uint16_t type;

    if (size < 2)
        return 0;
    type = wp_be16(data);
    wp_arena_init(&arena, ARENA_MAX);
    check_wire(type, data + 2, size - 2, &arena);
    check_text(type, data + 2, size - 2, &arena);
    wp_arena_done(&arena);
    return 0;
}
