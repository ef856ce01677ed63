#include <stdio.h>
#include <string.h>

#include "waypost/base/addr.h"
#include "waypost/dns/name.h"

void wp_name_reverse(const struct wp_addr *a, struct wp_name *ret)
{
    static const uint8_t arpa4[] = "\7in-addr\4arpa", arpa6[] = "\3ip6\4arpa";
    static const char hex[] = "0123456789abcdef";
    uint8_t *to = ret->wire;

    if (a->family == 4) {
        for (int i = 3; i >= 0; i--) {
            int n = snprintf((char *)to + 1, 4, "%u", a->ip[i]);
            to[0] = (uint8_t)n;
            to += 1 + n;
        }
        memcpy(to, arpa4, sizeof(arpa4));
        ret->len = (uint8_t)(to + sizeof(arpa4) - ret->wire);
        return;
    }
    for (int i = 15; i >= 0; i--) {
        *to++ = 1;
        *to++ = (uint8_t)hex[a->ip[i] & 15];
        *to++ = 1;
        *to++ = (uint8_t)hex[a->ip[i] >> 4];
    }
    memcpy(to, arpa6, sizeof(arpa6));
    ret->len = (uint8_t)(to + sizeof(arpa6) - ret->wire);
}
