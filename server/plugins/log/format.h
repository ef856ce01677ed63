/* A FORMAT in parts. Formats are kept for the life of the process, each text once: a record may
 * wait in its ring while a reload frees the plugin that made it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/err.h"

enum log_part_kind {
    LOG_LITERAL,
    LOG_TYPE,
    LOG_NAME,
    LOG_CLASS,
    LOG_PROTO,
    LOG_SIZE,
    LOG_REMOTE,
    LOG_PORT,
    LOG_LOCAL,
    LOG_ID,
    LOG_OPCODE,
    LOG_DO,
    LOG_BUFSIZE,
    LOG_RCODE,
    LOG_RSIZE,
    LOG_RFLAGS,
    LOG_DURATION,
    LOG_META,
};

struct log_part {
    enum log_part_kind kind;
    const char *text; /* LITERAL: octets; META: the label, NUL-terminated */
    size_t len;
    char eight[8]; /* LITERAL of at most eight octets: here, too */
};

struct log_format {
    struct log_format *next;
    char *text; /* as asked for */
    char *body; /* what the parts point into */
    unsigned n_parts, n_meta;
    bool is_common; /* it is LOG_COMMON, which has a function of its own */
    struct log_part parts[];
};

/* {common} and {combined} are words of FORMAT that stand for these. */
#define LOG_COMMON                                                                                 \
    "{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} "   \
    "{>rflags} {rsize} {duration}"
#define LOG_COMBINED LOG_COMMON " \"{>opcode}\""

/* NULL when memory is short. */
const struct log_format *wp_log_format_get(const char *text);
