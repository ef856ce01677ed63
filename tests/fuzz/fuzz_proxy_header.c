/* PROXY headers: an accepted header stands alone (what follows never changes it), every shorter
 * piece of it asks for more, and what it points at lies inside it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/listeners/proxy.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_proxy_header h, again;
    int r = wp_proxy_parse(data, size, &h);

    if (r <= 0) {
        CHECK(r == 0 || r == WP_ENOTFOUND || r == WP_EMALFORMED);
        CHECK(r != 0 || size < WP_PROXY_V2_MAX + 16);
        return 0;
    }
    CHECK((size_t)r <= size && (h.version == 1 ? r <= WP_PROXY_V1_MAX : r <= WP_PROXY_V2_MAX + 16));
    CHECK(wp_proxy_parse(data, (size_t)r, &again) == r);
    CHECK(h.local == again.local && wp_addr_equal(&h.client, &again.client) == true);
    CHECK(wp_proxy_parse(data, (size_t)r - 1, &again) == 0);
    if (h.tlv_len > 0)
        CHECK(h.tlv >= data && h.tlv + h.tlv_len == data + r);
    CHECK(h.local ? h.client.family == 0 : h.client.family == 4 || h.client.family == 6);
    return 0;
}
