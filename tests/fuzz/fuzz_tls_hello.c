/* A client's first TLS message. Input: its records. Properties: what is read does not depend on how
 * the message is cut into records, and every shorter input is either still open or wrong from there
 * on. */
#include "fuzz.h"

#include <stdbool.h>
#include "tls/hello.h"

static bool is_known(const void *arg, const uint8_t *ticket, size_t len)
{
    (void)arg;
    return len > 0 && (ticket[0] ^ ticket[len - 1]) != 0;
}

static bool same(const struct wp_tls_hello *a, const struct wp_tls_hello *b)
{
    return a->sni_len == b->sni_len && a->verifies == b->verifies &&
           a->strange_12 == b->strange_12 && a->strange_13 == b->strange_13 &&
           memcmp(a->sni, b->sni, a->sni_len) == 0;
}

/* The message of the input again, in records of one octet. */
static size_t in_pieces(const uint8_t *data, size_t size, uint8_t *to)
{
    size_t at = 0, n = 0;

    while (size - at >= 5) {
        size_t len = (size_t)data[at + 3] << 8 | data[at + 4];

        at += 5;
        for (size_t i = 0; i < len && at + i < size; i++) {
            const uint8_t record[] = {22, 3, 1, 0, 1, data[at + i]};

            memcpy(to + n, record, sizeof(record));
            n += sizeof(record);
        }
        if (len > size - at)
            break;
        at += len;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_tls_hello h, again;
    uint8_t *pieces;
    int r = wp_tls_hello_read(data, size, is_known, NULL, &h);

    if (r <= 0)
        return 0;
    CHECK(h.sni_len <= sizeof(h.sni));
    pieces = malloc(6 * size);
    if (pieces == NULL)
        return 0;
    CHECK(wp_tls_hello_read(pieces, in_pieces(data, size, pieces), is_known, NULL, &again) == 1);
    CHECK(same(&h, &again));
    free(pieces);
    CHECK(wp_tls_hello_read(data, size - 1, is_known, NULL, &again) >= 0);
    return 0;
}
