/* What a worker keeps of a question for its log line. The worker copies; the log thread makes text
 * of it. */
#pragma once
#include "server/plugins/log/format.h"
#include "waypost/base/addr.h"
#include "waypost/plugin/log.h"
#include "waypost/plugin/query.h"

enum { LOG_NO_REPLY = 0xffff, LOG_HEAD_MAX = 112 };

struct log_record {
    const struct log_format *format;
    uint64_t elapsed_ns;
    struct wp_addr client, local;
    uint32_t size, reply_size;
    uint16_t id, bufsize, qtype, qclass;
    uint16_t rcode; /* LOG_NO_REPLY: dropped */
    uint16_t flags; /* of the reply */
    uint16_t len;   /* octets of tail in use */
    uint8_t opcode, name_len;
    bool is_udp, dnssec_ok;
    /* the name, lower case; then each metadata value of the format: 16-bit length (0xffff: not
     * set), octets */
    uint8_t tail[WP_LOG_RECORD_MAX - LOG_HEAD_MAX];
};
_Static_assert(sizeof(struct log_record) <= WP_LOG_RECORD_MAX, "a record fits");

/* On the worker, when the reply stands. */
void wp_log_record_fill(struct log_record *rec, const struct log_format *format,
                        struct wp_query *q);
static inline size_t wp_log_record_len(const struct log_record *rec)
{
    return offsetof(struct log_record, tail) + rec->len;
}
/* On the log thread. */
wp_log_format_fn wp_log_record_line;
