#include "tls/hello.h"

#include <string.h>

#include "tls/tls_priv.h"
#include "waypost/base/rd.h"

enum {
    RECORD_HANDSHAKE = 22,
    CLIENT_HELLO = 1,
    EXT_SERVER_NAME = 0,
    EXT_SUPPORTED_GROUPS = 10,
    EXT_SIGNATURE_ALGORITHMS = 13,
    EXT_SESSION_TICKET = 35,
    EXT_PRE_SHARED_KEY = 41,
    EXT_SUPPORTED_VERSIONS = 43,
    HOST_NAME = 0,
};

/* A part of rd with its length in front; it is over when rd is bad. */
static struct wp_rd part(struct wp_rd *rd, size_t len)
{
    const uint8_t *p = wp_rd_bytes(rd, len);

    return p != NULL ? wp_rd_from(p, len) : (struct wp_rd){.bad = true};
}

/* The message out of its records (RFC 8446 s5.1): 1, or as wp_tls_hello_read. */
static int join(const void *records, size_t len, uint8_t to[WP_TLS_HELLO_MAX], size_t *ret_len)
{
    struct wp_rd rd = wp_rd_from(records, len);
    size_t have = 0, want = 4;

    while (have < want) {
        uint8_t type = wp_rd_u8(&rd);
        uint16_t n;
        const uint8_t *p;

        wp_rd_skip(&rd, 2); /* the version says nothing here */
        n = wp_rd_u16(&rd);
        if (type != RECORD_HANDSHAKE && !(rd.bad && type == 0)) /* 0: not there yet */
            return WP_EMALFORMED;
        if (!rd.bad && (n == 0 || n > WP_TLS_HELLO_MAX - have))
            return WP_EMALFORMED;
        p = wp_rd_bytes(&rd, n);
        if (rd.bad)
            return 0;
        memcpy(to + have, p, n);
        have += n;
        if (to[0] != CLIENT_HELLO)
            return WP_EMALFORMED;
        if (have >= 4)
            want = 4 + ((size_t)to[1] << 16 | (size_t)to[2] << 8 | to[3]);
        if (want > WP_TLS_HELLO_MAX)
            return WP_EMALFORMED;
    }
    *ret_len = want;
    return 1;
}

/* RFC 6066 s3: a list, in which only host names are defined. */
static void read_sni(struct wp_rd ext, struct wp_tls_hello *h)
{
    struct wp_rd list = part(&ext, wp_rd_u16(&ext));

    while (!list.bad && wp_rd_left(&list) > 0) {
        uint8_t type = wp_rd_u8(&list);
        uint16_t n = wp_rd_u16(&list);
        const uint8_t *name = wp_rd_bytes(&list, n);

        if (name == NULL || type != HOST_NAME)
            continue;
        if (n <= WP_TLS_SNI_MAX) {
            memcpy(h->sni, name, n);
            h->sni_len = n;
        }
        return;
    }
}

/* What a list of 16-bit numbers has, by a table of them: a bit set each. */
struct number {
    uint16_t number;
    unsigned bits;
};

static unsigned read_list(struct wp_rd list, const struct number *table, size_t n)
{
    unsigned found = 0;

    while (!list.bad && wp_rd_left(&list) >= 2) {
        uint16_t number = wp_rd_u16(&list);

        for (size_t i = 0; i < n; i++)
            found |= table[i].number == number ? table[i].bits : 0;
    }
    return found;
}

/* Which kind of key makes such a signature (RFC 8446 s4.2.3; before TLS 1.3 the curve is another
 * matter). SHA-1 is none of ours. */
static const struct number algorithms[] = {
    {0x0401, WP_TLS_SIGNS_RSA},     {0x0501, WP_TLS_SIGNS_RSA},  {0x0601, WP_TLS_SIGNS_RSA},
    {0x0804, WP_TLS_SIGNS_RSA},     {0x0805, WP_TLS_SIGNS_RSA},  {0x0806, WP_TLS_SIGNS_RSA},
    {0x0403, WP_TLS_SIGNS_P256},    {0x0503, WP_TLS_SIGNS_P384}, {0x0603, WP_TLS_SIGNS_P521},
    {0x0807, WP_TLS_SIGNS_ED25519},
};
/* Before TLS 1.3: whose key the suites want, and which curves it may have (RFC 8422 s5.1). */
static const struct number suites[] = {
    {0xc02f, WP_TLS_SIGNS_RSA},
    {0xc030, WP_TLS_SIGNS_RSA},
    {0xcca8, WP_TLS_SIGNS_RSA},
    {0xc02b, WP_TLS_SIGNS_ECDSA | WP_TLS_SIGNS_ED25519},
    {0xc02c, WP_TLS_SIGNS_ECDSA | WP_TLS_SIGNS_ED25519},
    {0xcca9, WP_TLS_SIGNS_ECDSA | WP_TLS_SIGNS_ED25519},
};
static const struct number curves[] = {
    {23, WP_TLS_SIGNS_P256}, {24, WP_TLS_SIGNS_P384}, {25, WP_TLS_SIGNS_P521}};
static const struct number version_13[] = {{0x0304, 1}};

/* What is needed to say which certificate fits; lists as they came. And the tickets. */
struct offer {
    struct wp_rd suites, algorithms, groups, versions;
    struct wp_rd ticket, identities;
};

static unsigned verifies(const struct offer *o)
{
    unsigned by_algorithm = ~0u;

    if (!o->algorithms.bad)
        by_algorithm = read_list(o->algorithms, algorithms, WP_COUNT(algorithms));
    if (!o->versions.bad && read_list(o->versions, version_13, WP_COUNT(version_13)) != 0)
        return by_algorithm;
    if ((by_algorithm & WP_TLS_SIGNS_ECDSA) != 0)
        by_algorithm |= WP_TLS_SIGNS_ECDSA;
    if (!o->groups.bad)
        by_algorithm &=
            ~(unsigned)WP_TLS_SIGNS_ECDSA | read_list(o->groups, curves, WP_COUNT(curves));
    return by_algorithm & read_list(o->suites, suites, WP_COUNT(suites));
}

static void read_extension(uint16_t type, struct wp_rd ext, struct wp_tls_hello *h, struct offer *o)
{
    switch (type) {
    case EXT_SERVER_NAME:
        read_sni(ext, h);
        break;
    case EXT_SUPPORTED_GROUPS:
        o->groups = part(&ext, wp_rd_u16(&ext));
        break;
    case EXT_SIGNATURE_ALGORITHMS:
        o->algorithms = part(&ext, wp_rd_u16(&ext));
        break;
    case EXT_SESSION_TICKET:
        o->ticket = ext;
        break;
    case EXT_PRE_SHARED_KEY:
        o->identities = part(&ext, wp_rd_u16(&ext));
        break;
    case EXT_SUPPORTED_VERSIONS:
        o->versions = part(&ext, wp_rd_u8(&ext));
        break;
    default:
        break;
    }
}

static bool is_strange(struct wp_rd *rd, size_t len, wp_tls_ticket_known_fn *known, const void *arg)
{
    const uint8_t *ticket = wp_rd_bytes(rd, len);

    return ticket != NULL && !known(arg, ticket, len);
}

/* An empty ticket of TLS 1.2 asks for one (RFC 5077 s3.2); those of TLS 1.3 are a list, each with
 * its age behind it (RFC 8446 s4.2.11). */
static void read_tickets(const struct offer *o, wp_tls_ticket_known_fn *known, const void *arg,
                         struct wp_tls_hello *h)
{
    struct wp_rd one = o->ticket, list = o->identities;

    h->strange_12 =
        !one.bad && wp_rd_left(&one) > 0 && is_strange(&one, wp_rd_left(&one), known, arg);
    while (!list.bad && wp_rd_left(&list) > 0) {
        if (is_strange(&list, wp_rd_u16(&list), known, arg))
            h->strange_13 = true;
        wp_rd_skip(&list, 4);
    }
}

static int read_message(struct wp_rd rd, struct wp_tls_hello *h, struct offer *ret_offer)
{
    static const struct wp_rd none = {.bad = true};
    struct offer o = {
        .algorithms = none, .groups = none, .versions = none, .ticket = none, .identities = none};
    struct wp_rd exts;

    wp_rd_skip(&rd, 4 + 2 + 32); /* header, version, random */
    wp_rd_skip(&rd, wp_rd_u8(&rd));
    o.suites = part(&rd, wp_rd_u16(&rd));
    wp_rd_skip(&rd, wp_rd_u8(&rd));
    exts = rd;
    if (rd.bad || wp_rd_left(&rd) > 0) /* TLS 1.2 may have none */
        exts = part(&rd, wp_rd_u16(&rd));
    while (!exts.bad && wp_rd_left(&exts) > 0) {
        uint16_t type = wp_rd_u16(&exts);
        struct wp_rd ext = part(&exts, wp_rd_u16(&exts));

        if (ext.bad)
            return WP_EMALFORMED;
        read_extension(type, ext, h, &o);
    }
    if (exts.bad)
        return WP_EMALFORMED;
    h->verifies = verifies(&o);
    *ret_offer = o;
    return 1;
}

int wp_tls_hello_read(const void *records, size_t len, wp_tls_ticket_known_fn *known,
                      const void *arg, struct wp_tls_hello *ret)
{
    struct wp_tls_hello h = {0};
    struct offer o;
    uint8_t message[WP_TLS_HELLO_MAX];
    size_t message_len;
    int r = join(records, len, message, &message_len);

    if (r > 0)
        r = read_message(wp_rd_from(message, message_len), &h, &o);
    if (r > 0) {
        read_tickets(&o, known, arg, &h);
        *ret = h;
    }
    return r;
}
