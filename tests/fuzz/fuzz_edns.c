/* The OPT record. Input: one record, as in a message. Properties: what is read is written back
 * octet for octet; options are found where a slow twin finds them, and nowhere else. */
#include "fuzz.h"

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/edns.h"
#include "waypost/dns/rr.h"

/* All options in a row; the first with the code, or NULL. -1 in *ret_n when they do not fill
 * their space exactly. */
static const uint8_t *slow_find(const uint8_t *p, size_t len, uint16_t code, int *ret_n)
{
    const uint8_t *found = NULL;
    size_t pos = 0;

    *ret_n = 0;
    while (pos + 4 <= len && pos + 4 + wp_be16(p + pos + 2) <= len) {
        if (wp_be16(p + pos) == code && found == NULL)
            found = p + pos + 4;
        pos += 4 + (size_t)wp_be16(p + pos + 2);
        ++*ret_n;
    }
    if (pos != len)
        *ret_n = -1;
    return found;
}

static void check_options(const uint8_t *p, size_t len)
{
    struct wp_edns e = {.options = p, .options_len = (uint16_t)len};
    const uint16_t codes[] = {0,           WP_EDNS_NSID, WP_EDNS_COOKIE,
                              WP_EDNS_EDE, 65535,        len >= 2 ? wp_be16(p) : (uint16_t)0};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        uint16_t n = 0;
        int count;
        const uint8_t *slow = slow_find(p, len, codes[i], &count);
        const uint8_t *found = wp_edns_option_find(&e, codes[i], &n);

        CHECK((wp_edns_options_check(p, len) == 0) == (count >= 0));
        CHECK(found == slow);
        CHECK(found == NULL || found + n <= p + len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_rd rd = wp_rd_from(data, size);
    uint8_t *back;
    struct wp_edns e;
    struct wp_rr_at at;
    struct wp_wr wr;

    if (size <= UINT16_MAX)
        check_options(data, size);
    if (wp_rr_next(&rd, &at) < 0 || at.type != WP_TYPE_OPT || wp_edns_read(data, &at, &e) < 0)
        return 0;
    CHECK(e.present && e.udp_size == at.cls && e.options_len == at.rdlen);
    back = malloc(at.end);
    CHECK(back != NULL);
    wr = wp_wr_to(back, at.end);
    wp_edns_write(&wr, &e);
    CHECK(!wr.bad && wr.len == at.end && memcmp(back, data, at.end) == 0);
    free(back);
    return 0;
}
