/* The reply as RFC 8427 writes it, with what the RFC has no member for beside the message. */
#include <stdio.h>

#include "backends/common/json.h"
#include "backends/forward/command/query.h"

static void put_text(json_t *o, const char *name, const char *text)
{
    json_object_set_new(o, name, json_string(text != NULL ? text : ""));
}

static void put_number(json_t *o, const char *name, long long n)
{
    json_object_set_new(o, name, json_integer(n));
}

static void put_bit(json_t *o, const char *name, unsigned flags, unsigned bit)
{
    put_number(o, name, (flags & bit) != 0);
}

static void put_hex(json_t *o, const char *name, const struct query *q, const uint8_t *data,
                    size_t len)
{
    static const char digit[] = "0123456789ABCDEF";
    char *text = wp_arena_alloc(q->arena, 2 * len + 1);

    for (size_t i = 0; text != NULL && i < len; i++) {
        text[2 * i] = digit[data[i] >> 4];
        text[2 * i + 1] = digit[data[i] & 15];
    }
    if (text != NULL)
        text[2 * len] = '\0';
    put_text(o, name, text);
}

static json_t *record(const struct query *q, unsigned i)
{
    const struct wp_rr *rr = &q->reply.rr[i];
    char name[WP_NAME_TEXT_MAX], type[16], cls[16], member[32];
    json_t *o = json_object();

    put_text(o, "NAME", wp_name_text(rr->owner, name));
    put_number(o, "TYPE", rr->type);
    put_text(o, "TYPEname", wp_type_text(rr->type, type));
    put_number(o, "CLASS", rr->cls);
    put_text(o, "CLASSname", wp_class_text(rr->cls, cls));
    put_number(o, "TTL", rr->ttl);
    put_number(o, "RDLENGTH", rr->rdlen);
    put_hex(o, "RDATAHEX", q, rr->rdata, rr->rdlen);
    if (!q->reply.spoilt[i]) {
        snprintf(member, sizeof(member), "rdata%s", wp_type_text(rr->type, type));
        put_text(o, member, query_rdata_text(q, i));
    }
    return o;
}

static json_t *section(const struct query *q, unsigned which)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < q->reply.n; i++) {
        if (q->reply.rr[i].section == which)
            json_array_append_new(list, record(q, i));
    }
    return list;
}

static void put_option(void *arg, const struct query *q, uint16_t code, const uint8_t *data,
                       size_t len)
{
    const char *name = query_option_name(code);
    json_t *o = json_object();

    put_number(o, "code", code);
    if (name != NULL)
        put_text(o, "name", name);
    put_hex(o, "dataHEX", q, data, len);
    put_text(o, "text", query_option_text(q, code, data, len));
    json_array_append_new(arg, o);
}

static json_t *edns(const struct query *q)
{
    const struct wp_edns *e = &q->reply.edns;
    json_t *o = json_object(), *options = json_array();

    put_number(o, "version", e->version);
    put_number(o, "DO", e->dnssec_ok);
    put_number(o, "udpSize", e->udp_size);
    query_each_option(q, put_option, options);
    json_object_set_new(o, "options", options);
    return o;
}

static json_t *message(const struct query *q)
{
    const struct query_reply *r = &q->reply;
    char name[WP_NAME_TEXT_MAX], buf[16];
    json_t *o = json_object();

    put_number(o, "ID", r->id);
    put_bit(o, "QR", r->flags, WP_FLAG_QR);
    put_number(o, "Opcode", (r->flags & WP_FLAG_OPCODE) >> 11);
    put_bit(o, "AA", r->flags, WP_FLAG_AA);
    put_bit(o, "TC", r->flags, WP_FLAG_TC);
    put_bit(o, "RD", r->flags, WP_FLAG_RD);
    put_bit(o, "RA", r->flags, WP_FLAG_RA);
    put_bit(o, "AD", r->flags, WP_FLAG_AD);
    put_bit(o, "CD", r->flags, WP_FLAG_CD);
    put_number(o, "RCODE", r->rcode);
    put_text(o, "RCODEname", query_rcode_text(r->rcode, buf));
    put_number(o, "QDCOUNT", r->counts[0]);
    put_number(o, "ANCOUNT", r->counts[1]);
    put_number(o, "NSCOUNT", r->counts[2]);
    put_number(o, "ARCOUNT", r->counts[3]);
    if (r->has_question) {
        put_text(o, "QNAME", wp_name_text(r->qname.wire, name));
        put_number(o, "QTYPE", r->qtype);
        put_text(o, "QTYPEname", wp_type_text(r->qtype, buf));
        put_number(o, "QCLASS", r->qclass);
        put_text(o, "QCLASSname", wp_class_text(r->qclass, buf));
    }
    json_object_set_new(o, "answerRRs", section(q, WP_ANSWER));
    json_object_set_new(o, "authorityRRs", section(q, WP_AUTHORITY));
    json_object_set_new(o, "additionalRRs", section(q, WP_ADDITIONAL));
    if (r->edns.present)
        json_object_set_new(o, "EDNS", edns(q));
    put_hex(o, "messageOctetsHEX", q, q->wire, q->wire_len);
    return o;
}

int query_print_json(const struct query *q)
{
    json_t *o = json_object();
    char text[WP_ADDR_TEXT_MAX];
    int r;

    put_text(o, "server", wp_addr_text(&q->from, text));
    put_text(o, "transport", query_transport_name(q));
    json_object_set_new(o, "timeMs", json_real((double)q->took_ns / 1e6));
    put_number(o, "size", (long long)q->wire_len);
    json_object_set_new(o, "cut", json_boolean(q->reply.cut));
    json_object_set_new(o, "responseMessage", message(q));
    r = json_dumpf(o, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(o);
    putchar('\n');
    return r < 0 ? -ENOMEM : 0;
}
