#include "waypost/dns/edns.h"

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/dns/rr.h"

int wp_edns_options_check(const uint8_t *options, size_t len)
{
    while (len > 0) {
        size_t n;

        if (len < 4)
            return WP_EMALFORMED;
        n = 4 + (size_t)wp_be16(options + 2);
        if (n > len)
            return WP_EMALFORMED;
        options += n;
        len -= n;
    }
    return 0;
}

const uint8_t *wp_edns_option_find(const struct wp_edns *e, uint16_t code, uint16_t *ret_len)
{
    const uint8_t *p = e->options;
    size_t left = e->options_len;

    while (left >= 4) {
        size_t n = wp_be16(p + 2);

        if (n > left - 4)
            return NULL;
        if (wp_be16(p) == code) {
            *ret_len = (uint16_t)n;
            return p + 4;
        }
        p += 4 + n;
        left -= 4 + n;
    }
    return NULL;
}

int wp_edns_read(const uint8_t *msg, const struct wp_rr_at *at, struct wp_edns *ret)
{
    if (msg[at->pos] != 0 || wp_edns_options_check(msg + at->rdata_pos, at->rdlen) < 0)
        return WP_EMALFORMED;
    *ret = (struct wp_edns){
        .present = true,
        .dnssec_ok = at->ttl & 0x8000,
        .version = (uint8_t)(at->ttl >> 16),
        .rcode_high = (uint8_t)(at->ttl >> 24),
        .udp_size = at->cls,
        .flags = at->ttl & 0x7fff,
        .options = msg + at->rdata_pos,
        .options_len = at->rdlen,
    };
    return 0;
}

void wp_edns_write(struct wp_wr *wr, const struct wp_edns *e)
{
    wp_wr_u8(wr, 0);
    wp_wr_u16(wr, WP_TYPE_OPT);
    wp_wr_u16(wr, e->udp_size);
    wp_wr_u8(wr, e->rcode_high);
    wp_wr_u8(wr, e->version);
    wp_wr_u16(wr, (e->dnssec_ok ? 0x8000u : 0) | e->flags);
    wp_wr_u16(wr, e->options_len);
    wp_wr_bytes(wr, e->options, e->options_len);
}
