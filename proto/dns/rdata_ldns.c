/* Text of the types that nobody asks a gateway for every day (LOC, APL, IPSECKEY, CERT, ...): by
 * ldns, on cold paths only. The one place of proto/dns that allocates from the heap. */
#include <errno.h>
#include <ldns/ldns.h>
#include <string.h>

#include "proto/dns/rdata_priv.h"
#include "waypost/dns/types.h"

bool wp_ldns_knows(uint16_t type)
{
    if (type == WP_TYPE_OPT || (type >= WP_TYPE_TKEY && type <= WP_TYPE_ANY))
        return false; /* never data of a zone */
    return ldns_rr_descript(type)->_type == type;
}

static int to_text(const ldns_rr *rr, struct wp_wr *out)
{
    ldns_buffer *buf = ldns_buffer_new(1024);
    int r = buf != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < ldns_rr_rd_count(rr); i++) {
        if (i > 0)
            ldns_buffer_printf(buf, " ");
        if (ldns_rdf2buffer_str(buf, ldns_rr_rdf(rr, i)) != LDNS_STATUS_OK)
            r = WP_EMALFORMED;
    }
    if (r == 0) {
        size_t n = ldns_buffer_position(buf);

        while (n > 0 && *ldns_buffer_at(buf, n - 1) == ' ')
            n--; /* lists of ldns end in a blank */
        wp_wr_bytes(out, ldns_buffer_begin(buf), n);
    }
    ldns_buffer_free(buf);
    return r;
}

int wp_ldns_text(uint16_t type, const uint8_t *rdata, size_t rdlen, struct wp_wr *out)
{
    uint8_t *wire = malloc(11 + rdlen);
    ldns_rr *rr = NULL;
    size_t pos = 0;
    int r;

    if (wire == NULL)
        return -ENOMEM;
    memset(wire, 0, 11);
    wp_put16(wire + 1, type);
    wp_put16(wire + 3, WP_CLASS_IN);
    wp_put16(wire + 9, (unsigned)rdlen);
    memcpy(wire + 11, rdata, rdlen);
    if (ldns_wire2rr(&rr, wire, 11 + rdlen, &pos, LDNS_SECTION_ANSWER) == LDNS_STATUS_OK)
        r = to_text(rr, out);
    else
        r = WP_EMALFORMED;
    ldns_rr_free(rr);
    free(wire);
    return r;
}

static int to_wire(const ldns_rr *rr, struct wp_wr *wr)
{
    ldns_buffer *buf = ldns_buffer_new(1024);
    int r;

    if (buf == NULL)
        return -ENOMEM;
    r = ldns_rr_rdata2buffer_wire(buf, rr) == LDNS_STATUS_OK ? 0 : WP_EMALFORMED;
    if (r == 0)
        wp_wr_bytes(wr, ldns_buffer_begin(buf), ldns_buffer_position(buf));
    ldns_buffer_free(buf);
    return r;
}

int wp_ldns_parse(uint16_t type, const char *text, const struct wp_name *origin, struct wp_wr *wr)
{
    ldns_rdf *apex = ldns_dname_new_frm_data(origin->len, origin->wire);
    size_t cap = strlen(text) + 32;
    char *line = malloc(cap), buf[16];
    ldns_rr *rr = NULL;
    int r = -ENOMEM;

    if (apex == NULL || line == NULL)
        goto out;
    snprintf(line, cap, ". 0 IN %s %s", wp_type_text(type, buf), text);
    r = ldns_rr_new_frm_str(&rr, line, 0, apex, NULL) == LDNS_STATUS_OK ? to_wire(rr, wr)
                                                                        : WP_EMALFORMED;
out:
    ldns_rr_free(rr);
    ldns_rdf_deep_free(apex);
    free(line);
    return r;
}
