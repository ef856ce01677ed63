#include <string.h>
#include "backends/hosts/hosts_priv.h"

static const uint8_t arpa4[] = "\7in-addr\4arpa", arpa6[] = "\3ip6\4arpa";

static bool is_below(const struct wp_qname *q, unsigned labels, const uint8_t *arpa, size_t len)
{
    return q->n_labels == labels + 2 && (size_t)(q->len - q->at[labels]) == len &&
           memcmp(q->wire + q->at[labels], arpa, len) == 0;
}

/* An octet in decimal without leading zeros. */
static bool read_octet(const uint8_t *label, uint8_t *ret)
{
    unsigned n = 0;

    if (label[0] > 3 || (label[0] > 1 && label[1] == '0'))
        return false;
    for (unsigned i = 1; i <= label[0]; i++) {
        if (label[i] < '0' || label[i] > '9')
            return false;
        n = n * 10 + label[i] - '0';
    }
    *ret = (uint8_t)n;
    return n <= 255;
}

static bool read_nibble(const uint8_t *label, uint8_t *ret)
{
    if (label[0] != 1)
        return false;
    if (label[1] >= '0' && label[1] <= '9')
        *ret = (uint8_t)(label[1] - '0');
    else if (label[1] >= 'a' && label[1] <= 'f')
        *ret = (uint8_t)(label[1] - 'a' + 10);
    else
        return false;
    return true;
}

bool hosts_reverse_address(const struct wp_qname *q, struct wp_addr *ret)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    *ret = (struct wp_addr){0};
    if (is_below(q, 4, arpa4, sizeof(arpa4))) {
        ret->family = 4;
        for (unsigned i = 0; i < 4; i++) {
            if (!read_octet(q->wire + q->at[i], &ret->ip[3 - i]))
                return false;
        }
        return true;
    }
    if (!is_below(q, 32, arpa6, sizeof(arpa6)))
        return false;
    ret->family = 6;
    for (unsigned i = 0; i < 32; i++) {
        uint8_t n;

        if (!read_nibble(q->wire + q->at[i], &n))
            return false;
        ret->ip[15 - i / 2] |= (uint8_t)(i % 2 == 0 ? n : n << 4);
    }
    if (memcmp(ret->ip, mapped, sizeof(mapped)) == 0) {
        ret->family = 4;
        memmove(ret->ip, ret->ip + 12, 4);
        memset(ret->ip + 4, 0, 12);
    }
    return true;
}
