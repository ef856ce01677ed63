#include "server/plugins/log/record.h"

#include <string.h>

/* Values that no longer fit are cut: a line is for reading. */
static void add_meta(struct log_record *rec, const struct wp_query *q)
{
    for (unsigned i = 0; i < rec->format->n_parts; i++) {
        const struct log_part *part = &rec->format->parts[i];
        const char *value;
        size_t room = sizeof(rec->tail) - rec->len, len;
        uint16_t kept;
        if (part->kind != LOG_META || room < 2)
            continue;
        value = wp_query_meta(q, part->text);
        len = value != NULL ? strlen(value) : 0;
        if (len > room - 2)
            len = room - 2;
        kept = value != NULL ? (uint16_t)len : 0xffff;
        memcpy(rec->tail + rec->len, &kept, 2);
        if (len > 0)
            memcpy(rec->tail + rec->len + 2, value, len);
        rec->len = (uint16_t)(rec->len + 2 + len);
    }
}

/* The header's second word as it will be sent. */
static uint16_t reply_flags(const struct wp_query *q)
{
    uint16_t flags = WP_FLAG_QR;

    if (q->reply.begun)
        flags |= q->reply.flags & (WP_FLAG_AA | WP_FLAG_TC | WP_FLAG_RA | WP_FLAG_AD);
    if (wp_msg_opcode(&q->msg) == WP_OPCODE_QUERY)
        flags |= q->msg.flags & (WP_FLAG_RD | WP_FLAG_CD);
    return flags;
}

void wp_log_record_fill(struct log_record *rec, const struct log_format *format, struct wp_query *q)
{
    const struct wp_qname *name = &q->msg.qname;

    rec->format = format;
    rec->elapsed_ns = wp_query_elapsed(q);
    rec->client = q->client;
    rec->local = q->local;
    rec->size = q->wire_len;
    rec->reply_size = wp_reply_size(q);
    rec->id = q->msg.id;
    rec->is_udp = wp_query_proto(q)[0] == 'u';
    rec->bufsize = rec->is_udp ? q->had_size : 65535;
    rec->qtype = q->msg.qtype;
    rec->qclass = q->msg.qclass;
    rec->rcode = q->reply.dropped ? LOG_NO_REPLY : q->reply.rcode;
    rec->flags = reply_flags(q);
    rec->opcode = (uint8_t)wp_msg_opcode(&q->msg);
    rec->dnssec_ok = q->had_do;
    rec->name_len = name->len;
    rec->len = name->len;
    memcpy(rec->tail, name->wire, name->len);
    if (format->n_meta > 0)
        add_meta(rec, q);
}
