/* SvcParams alone: fuzz_rdata seldom gets through the target name. Properties as there. */
#include "fuzz.h"

#include "proto/dns/rdata_priv.h"
#include "waypost/base/arena.h"
#include "waypost/base/rd.h"

enum { TEXT_MAX = 1 << 20 };

static bool has_key(const uint8_t *params, size_t len, unsigned key)
{
    for (size_t pos = 0; pos < len; pos += 4 + (size_t)wp_be16(params + pos + 2)) {
        if (wp_be16(params + pos) == key)
            return true;
    }
    return false;
}

/* Checked params -> text -> the same params. */
static void check_round(const uint8_t *params, size_t len, struct wp_arena *a)
{
    static char text[TEXT_MAX];
    static uint8_t back[WP_RDATA_MAX];
    struct wp_wr out = wp_wr_to(text, sizeof(text)), wr = wp_wr_to(back, sizeof(back));
    struct wp_tokens tokens = {.p = text};
    int r;

    wp_svcb_text(&out, params, len);
    wp_put_char(&out, '\0');
    CHECK(!out.bad);
    r = wp_svcb_parse(&tokens, a, &wr);
    if (has_key(params, len, 2) && !has_key(params, len, 1)) {
        CHECK(r == WP_EMALFORMED); /* no-default-alpn without alpn */
        return;
    }
    CHECK(r == 0 && !tokens.bad && !wr.bad);
    CHECK(wr.len == len && memcmp(back, params, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t params[WP_RDATA_MAX];
    struct wp_wr wr = wp_wr_to(params, sizeof(params));
    struct wp_tokens tokens = {0};
    struct wp_arena arena;

    wp_arena_init(&arena, 8 << 20);
    if (size <= WP_RDATA_MAX && wp_svcb_check(data, size) >= 0)
        check_round(data, size, &arena);
    tokens.p = wp_arena_strndup(&arena, (const char *)data, size);
    CHECK(tokens.p != NULL);
    if (wp_svcb_parse(&tokens, &arena, &wr) == 0 && !tokens.bad && !wr.bad) {
        CHECK(wp_svcb_check(params, wr.len) == (int)wr.len);
        check_round(params, wr.len, &arena);
    }
    wp_arena_done(&arena);
    return 0;
}
