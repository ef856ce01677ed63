/* The reply as dig prints it, and the texts that JSON has too. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backends/forward/command/query.h"
#include "waypost/base/rd.h"
#include "waypost/base/text.h"

/* --- texts ---------------------------------------------------------------------------------- */

const char *query_transport_name(const struct query *q)
{
    static const char *const names[] = {[QUERY_UDP] = "UDP",
                                        [QUERY_TCP] = "TCP",
                                        [QUERY_DOT] = "TLS",
                                        [QUERY_DOH] = "HTTPS",
                                        [QUERY_GRPC] = "gRPC"};

    if (q->wire != NULL)
        return names[q->came_over];
    return names[q->transport];
}

const char *query_rcode_text(unsigned rcode, char buf[16])
{
    return rcode == WP_RCODE_BADVERS ? "BADVERS" : wp_rcode_text((uint16_t)rcode, buf);
}

static char *hex_text(struct wp_arena *a, const uint8_t *data, size_t len, const char *between)
{
    char *text = wp_arena_alloc(a, len * (2 + strlen(between)) + 1);
    size_t n = 0;

    for (size_t i = 0; text != NULL && i < len; i++)
        n += (size_t)sprintf(text + n, "%s%02x", i > 0 ? between : "", data[i]);
    if (text != NULL)
        text[n] = '\0';
    return text;
}

const char *query_rdata_text(const struct query *q, unsigned i)
{
    const struct wp_rr *rr = &q->reply.rr[i];
    size_t cap = 8u * rr->rdlen + 1024; /* an octet becomes \DDD in quotes at most */
    char *text = wp_arena_alloc(q->arena, cap);

    if (text == NULL)
        return NULL;
    if (!q->reply.spoilt[i] && wp_rdata_text(rr->type, rr->rdata, rr->rdlen, text, cap) == 0)
        return text;
    text = hex_text(q->arena, rr->rdata, rr->rdlen, "");
    return text == NULL ? NULL : wp_arena_printf(q->arena, "\\# %u %s", rr->rdlen, text);
}

/* --- options of EDNS ------------------------------------------------------------------------ */

static const struct {
    uint16_t code;
    const char *name;
} options[] = {
    {WP_EDNS_NSID, "NSID"},     {WP_EDNS_ECS, "CLIENT-SUBNET"},       {WP_EDNS_EXPIRE, "EXPIRE"},
    {WP_EDNS_COOKIE, "COOKIE"}, {WP_EDNS_KEEPALIVE, "TCP-KEEPALIVE"}, {WP_EDNS_PADDING, "PAD"},
    {WP_EDNS_EDE, "EDE"},
};
/* RFC 8914 s5.2 and the registry. */
static const char *const ede[] = {
    "Other",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized",
    "Invalid Query Type",
};

const char *query_option_name(uint16_t code)
{
    for (size_t i = 0; i < WP_COUNT(options); i++) {
        if (options[i].code == code)
            return options[i].name;
    }
    return NULL;
}

/* What a terminal may see. */
static char *clean_text(struct wp_arena *a, const uint8_t *data, size_t len)
{
    char *text = wp_arena_alloc(a, len + 1);

    for (size_t i = 0; text != NULL && i < len; i++)
        text[i] = data[i] < ' ' || data[i] >= 0x7f ? '.' : (char)data[i];
    if (text != NULL)
        text[len] = '\0';
    return text;
}

static const char *ecs_text(const struct query *q, const uint8_t *data, size_t len)
{
    struct wp_addr a = {.family = data[1] == 1 ? 4 : 6};
    char text[WP_ADDR_TEXT_MAX];

    if (data[0] != 0 || (data[1] != 1 && data[1] != 2) || len > 4u + (data[1] == 1 ? 4 : 16))
        return "";
    memcpy(a.ip, data + 4, len - 4);
    return wp_arena_printf(q->arena, "%s/%u/%u", wp_addr_ip_text(&a, text), data[2], data[3]);
}

const char *query_option_text(const struct query *q, uint16_t code, const uint8_t *data, size_t len)
{
    if (code == WP_EDNS_EDE && len >= 2) {
        unsigned n = wp_be16(data);
        return wp_arena_printf(q->arena, "%u (%s)%s%s", n,
                               n < WP_COUNT(ede) ? ede[n] : "Unassigned", len > 2 ? ": " : "",
                               clean_text(q->arena, data + 2, len - 2));
    }
    if (code == WP_EDNS_ECS && len >= 4)
        return ecs_text(q, data, len);
    if (code == WP_EDNS_NSID)
        return wp_arena_printf(q->arena, "%s (\"%s\")", hex_text(q->arena, data, len, " "),
                               clean_text(q->arena, data, len));
    if (code == WP_EDNS_KEEPALIVE && len == 2)
        return wp_arena_printf(q->arena, "%.1f secs", wp_be16(data) / 10.0);
    if (code == WP_EDNS_EXPIRE && len == 4)
        return wp_arena_printf(q->arena, "%u", wp_be32(data));
    if (code == WP_EDNS_PADDING)
        return wp_arena_printf(q->arena, "(%zu bytes)", len);
    if (code == WP_EDNS_COOKIE && len > 8)
        return wp_arena_printf(q->arena, "%s (%s)", hex_text(q->arena, data, len, ""),
                               memcmp(data, q->cookie, 8) == 0 ? "good" : "bad");
    return hex_text(q->arena, data, len, "");
}

static void print_option(void *arg, const struct query *q, uint16_t code, const uint8_t *data,
                         size_t len)
{
    const char *name = query_option_name(code);

    (void)arg;
    if (name != NULL)
        printf("; %s: ", name);
    else
        printf("; OPT=%u: ", code);
    puts(query_option_text(q, code, data, len));
}

/* --- the whole of it ------------------------------------------------------------------------ */

static void print_header(const struct query_reply *r)
{
    static const struct {
        uint16_t bit;
        const char *name;
    } flags[] = {
        {WP_FLAG_QR, "qr"}, {WP_FLAG_AA, "aa"}, {WP_FLAG_TC, "tc"}, {WP_FLAG_RD, "rd"},
        {WP_FLAG_RA, "ra"}, {WP_FLAG_AD, "ad"}, {WP_FLAG_CD, "cd"},
    };
    static const char *const opcodes[] = {"QUERY",  "IQUERY", "STATUS", "RESERVED3",
                                          "NOTIFY", "UPDATE", "DSO"};
    unsigned opcode = (r->flags & WP_FLAG_OPCODE) >> 11;
    char buf[16];

    printf(";; ->>HEADER<<- opcode: %s, status: %s, id: %u\n;; flags:",
           opcode < WP_COUNT(opcodes) ? opcodes[opcode] : "RESERVED",
           query_rcode_text(r->rcode, buf), r->id);
    for (size_t i = 0; i < WP_COUNT(flags); i++) {
        if (r->flags & flags[i].bit)
            printf(" %s", flags[i].name);
    }
    printf("; QUERY: %u, ANSWER: %u, AUTHORITY: %u, ADDITIONAL: %u\n", r->counts[0], r->counts[1],
           r->counts[2], r->counts[3]);
}

static void print_edns(const struct query *q)
{
    const struct wp_edns *e = &q->reply.edns;

    if (!e->present)
        return;
    printf("\n;; OPT PSEUDOSECTION:\n; EDNS: version: %u, flags:%s; udp: %u\n", e->version,
           e->dnssec_ok ? " do" : "", e->udp_size);
    query_each_option(q, print_option, NULL);
}

/* Tabs as dig sets them: the columns of 24, 32 and 40. */
static void print_owner(const char *text, const char *first)
{
    int n = printf("%s%s", first, text);

    putchar('\t');
    for (n = n / 8 * 8 + 8; n < 24; n += 8)
        putchar('\t');
}

static void print_section(const struct query *q, unsigned section, const char *title)
{
    const struct query_reply *r = &q->reply;
    char name[WP_NAME_TEXT_MAX], type[16], cls[16];
    bool first = true;

    for (unsigned i = 0; i < r->n; i++) {
        const struct wp_rr *rr = &r->rr[i];
        const char *rdata;

        if (rr->section != section)
            continue;
        if (first)
            printf("\n;; %s SECTION:\n", title);
        first = false;
        rdata = query_rdata_text(q, i);
        print_owner(wp_name_text(rr->owner, name), "");
        printf("%u\t%s\t%s\t%s\n", rr->ttl, wp_class_text(rr->cls, cls),
               wp_type_text(rr->type, type), rdata != NULL ? rdata : "");
    }
}

static void print_footer(const struct query *q)
{
    char ip[WP_ADDR_TEXT_MAX], when[64];
    time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    strftime(when, sizeof(when), "%a %b %d %H:%M:%S %Z %Y", &tm);
    printf("\n;; Query time: %llu msec\n;; SERVER: %s#%u(%s) (%s)\n;; WHEN: %s\n"
           ";; MSG SIZE  rcvd: %zu\n",
           (unsigned long long)(q->took_ns / 1000000), wp_addr_ip_text(&q->from, ip), q->from.port,
           q->host, query_transport_name(q), when, q->wire_len);
}

static void print_short(const struct query *q)
{
    for (unsigned i = 0; i < q->reply.n; i++) {
        const char *text = q->reply.rr[i].section == WP_ANSWER ? query_rdata_text(q, i) : NULL;
        if (text != NULL)
            puts(text);
    }
}

void query_print(const struct query *q)
{
    const struct query_reply *r = &q->reply;
    char name[WP_NAME_TEXT_MAX], type[16], cls[16];

    if (q->o->brief) {
        print_short(q);
        return;
    }
    print_header(r);
    print_edns(q);
    if (r->has_question) {
        puts(r->edns.present ? ";; QUESTION SECTION:" : "\n;; QUESTION SECTION:");
        print_owner(wp_name_text(r->qname.wire, name), ";");
        printf("\t%s\t%s\n", wp_class_text(r->qclass, cls), wp_type_text(r->qtype, type));
    }
    print_section(q, WP_ANSWER, "ANSWER");
    print_section(q, WP_AUTHORITY, "AUTHORITY");
    print_section(q, WP_ADDITIONAL, "ADDITIONAL");
    if (r->cut)
        puts("\n;; WARNING: the message ends before its last record");
    print_footer(q);
}
