#include "waypost/dns/rr.h"

#include <errno.h>
#include <string.h>

#include "proto/dns/rdata_priv.h"

struct parser {
    struct wp_tokens tokens;
    const struct wp_name *origin; /* never NULL */
    struct wp_arena *arena;
    struct wp_wr wr;
};

/* Everything to the end of the line as one run of octets; at least one, or MAYBE none. */
static int read_rest(struct parser *p, enum wp_field f)
{
    bool base64 = f == WP_FIELD_BASE64 || f == WP_FIELD_BASE64_MAYBE;
    struct wp_bits bits = {0};
    size_t start = p->wr.len;
    struct wp_token t;

    while (wp_token_next(&p->tokens, &t)) {
        int r = base64 ? wp_read_base64(&bits, &t, &p->wr) : wp_read_hex(&bits, &t, &p->wr);
        if (r < 0)
            return r;
    }
    if (p->wr.len == start && f != WP_FIELD_BASE64_MAYBE)
        return WP_EMALFORMED;
    return base64 ? wp_read_base64_done(&bits) : wp_read_hex_done(&bits);
}

/* A text longer than a character-string becomes several (as miekg/dns does it for TXT). */
static int read_long_string(const struct wp_token *t, struct wp_wr *wr)
{
    uint8_t s[WP_RDATA_MAX];
    int n = wp_token_octets(t, s, sizeof(s));
    size_t left, part;

    if (n < 0)
        return n;
    left = (size_t)n;
    do {
        part = left < 255 ? left : 255;
        wp_wr_u8(wr, (unsigned)part);
        wp_wr_bytes(wr, s + ((size_t)n - left), part);
        left -= part;
    } while (left > 0);
    return 0;
}

static int read_strings(struct parser *p)
{
    size_t start = p->wr.len;
    struct wp_token t;

    while (wp_token_next(&p->tokens, &t)) {
        int r = read_long_string(&t, &p->wr);
        if (r < 0)
            return r;
    }
    return p->wr.len > start ? 0 : WP_EMALFORMED;
}

static int read_types(struct parser *p)
{
    uint8_t map[256][32] = {{0}};
    struct wp_token t;

    while (wp_token_next(&p->tokens, &t)) {
        uint16_t type;
        if (wp_token_type(&t, &type) < 0)
            return WP_EMALFORMED;
        map[type >> 8][(type & 0xff) / 8] |= (uint8_t)(0x80 >> type % 8);
    }
    for (unsigned w = 0; w < 256; w++) {
        unsigned n = 32;

        while (n > 0 && map[w][n - 1] == 0)
            n--;
        if (n == 0)
            continue;
        wp_wr_u8(&p->wr, w);
        wp_wr_u8(&p->wr, n);
        wp_wr_bytes(&p->wr, map[w], n);
    }
    return 0;
}

static int read_known(struct parser *p, const char *shape)
{
    for (; *shape != '\0'; shape++) {
        struct wp_token t;
        int r;

        switch (*shape) {
        case WP_FIELD_STRINGS:
            r = read_strings(p);
            break;
        case WP_FIELD_BASE64:
        case WP_FIELD_BASE64_MAYBE:
        case WP_FIELD_HEX:
        case WP_FIELD_HEX_UPPER:
            r = read_rest(p, (enum wp_field)shape[0]);
            break;
        case WP_FIELD_TYPES:
            r = read_types(p);
            break;
        case WP_FIELD_PARAMS:
            r = wp_svcb_parse(&p->tokens, p->arena, &p->wr);
            break;
        default:
            r = wp_token_next(&p->tokens, &t)
                    ? wp_field_read((enum wp_field)shape[0], &t, p->origin, &p->wr)
                    : WP_EMALFORMED;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* "\# LEN HEX" (RFC 3597 s5): false when the text does not begin so. */
static bool is_generic(struct parser *p)
{
    struct wp_tokens ahead = p->tokens;
    struct wp_token t;

    if (!wp_token_next(&ahead, &t) || t.quoted || t.len != 2 || memcmp(t.p, "\\#", 2) != 0)
        return false;
    p->tokens = ahead;
    return true;
}

static int read_generic(struct parser *p)
{
    struct wp_token t;
    uint32_t len;

    if (!wp_token_next(&p->tokens, &t) || wp_token_uint(&t, WP_RDATA_MAX, &len) < 0)
        return WP_EMALFORMED;
    if (len > 0 && read_rest(p, WP_FIELD_HEX) < 0)
        return WP_EMALFORMED;
    return p->wr.len == len ? 0 : WP_EMALFORMED;
}

static int parse_rare(struct parser *p, uint16_t type)
{
    const char *text = p->tokens.p;

    p->tokens.p = ""; /* ldns sees to the end of the line itself */
    return wp_ldns_knows(type) ? wp_ldns_parse(type, text, p->origin, &p->wr) : WP_EUNSUPPORTED;
}

int wp_rdata_parse(uint16_t type, const char *text, const struct wp_name *origin,
                   struct wp_arena *a, const uint8_t **ret_rdata, size_t *ret_len)
{
    static const struct wp_name root = {.len = 1};
    const char *shape = wp_rdata_shape(type);
    uint8_t buf[WP_RDATA_MAX];
    struct parser p = {
        .tokens.p = text,
        .origin = origin != NULL ? origin : &root,
        .arena = a,
        .wr = wp_wr_to(buf, sizeof(buf)),
    };
    struct wp_token rest;
    const uint8_t *rdata;
    int r;

    if (is_generic(&p))
        r = read_generic(&p);
    else if (shape != NULL)
        r = read_known(&p, shape);
    else
        r = parse_rare(&p, type);
    if (r < 0)
        return r;
    /* a second look at the whole: limits that only the wire form has, and \# of known types */
    if (wp_token_next(&p.tokens, &rest) || p.tokens.bad || p.wr.bad ||
        wp_rdata_check(type, buf, p.wr.len) < 0)
        return WP_EMALFORMED;
    rdata = wp_arena_dup(a, buf, p.wr.len);
    if (rdata == NULL)
        return -ENOMEM;
    *ret_rdata = rdata;
    *ret_len = p.wr.len;
    return 0;
}
