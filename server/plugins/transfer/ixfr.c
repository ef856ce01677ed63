/* What an IXFR question says about the client's version (RFC 1995 s3). */
#include "server/plugins/transfer/transfer.h"

#include "waypost/base/rd.h"
#include "waypost/dns/rr.h"

int transfer_ixfr_serial(const uint8_t *wire, size_t len, size_t question_len, struct wp_arena *a,
                         uint32_t *ret)
{
    struct wp_rd rd = wp_rd_from(wire, len);
    struct wp_rr rr;
    int mname, rname;

    if (len < WP_HEADER_LEN + question_len || wp_be16(wire + 6) != 0 || wp_be16(wire + 8) != 1)
        return WP_EMALFORMED;
    rd.pos = WP_HEADER_LEN + question_len;
    if (wp_rr_read(&rd, a, &rr) < 0 || rr.type != WP_TYPE_SOA || rr.rdlen < 2 + 20)
        return WP_EMALFORMED;
    mname = wp_name_len(rr.rdata, rr.rdlen);
    if (mname < 0)
        return WP_EMALFORMED;
    rname = wp_name_len(rr.rdata + mname, rr.rdlen - (size_t)mname);
    if (rname < 0 || rr.rdlen - (size_t)mname - (size_t)rname < 20)
        return WP_EMALFORMED;
    *ret = wp_be32(rr.rdata + mname + rname);
    return 0;
}
