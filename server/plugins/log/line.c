/* A record's line. The log thread makes one for every question, beside workers that want the same
 * cores: hence no printf. */
#include "server/plugins/log/record.h"

#include <string.h>
#include "waypost/base/text.h"

struct out {
    char *at, *end; /* there are SLACK more octets behind `end` */
};

enum { SLACK = 8 };

static void put(struct out *o, const char *s, size_t len)
{
    if (len > (size_t)(o->end - o->at))
        len = (size_t)(o->end - o->at);
    memcpy(o->at, s, len);
    o->at += len;
}

/* At most eight octets, as one store: what stands between placeholders is short. */
static void put_short(struct out *o, const char eight[8], size_t len)
{
    if (len > (size_t)(o->end - o->at))
        len = (size_t)(o->end - o->at);
    memcpy(o->at, eight, 8);
    o->at += len;
}

static void put_text(struct out *o, const char *s)
{
    put(o, s, strlen(s));
}

/* A word of a few letters: cheaper by hand than by strlen and memcpy. */
static void put_word(struct out *o, const char *s)
{
    while (*s != '\0' && o->at < o->end)
        *o->at++ = *s++;
}

/* Digits go straight to their places: made elsewhere and copied they would have to be waited for.
 */
static void put_number(struct out *o, uint64_t v)
{
    size_t n = 1;
    char *to;

    for (uint64_t rest = v; rest >= 10; rest /= 10)
        n++;
    if (n > (size_t)(o->end - o->at))
        return;
    to = o->at += n;
    do
        *--to = (char)('0' + v % 10);
    while ((v /= 10) > 0);
}

/* Seconds with up to nine decimals, none of them a trailing zero. */
static void put_seconds(struct out *o, uint64_t ns)
{
    uint32_t rest = (uint32_t)(ns % 1000000000);
    unsigned n = 9;
    char *to;

    put_number(o, ns / 1000000000);
    if (rest == 0 || o->end - o->at < 10)
        return;
    for (; rest % 10 == 0; rest /= 10)
        n--;
    *o->at++ = '.';
    to = o->at += n;
    for (; n > 0; n--, rest /= 10)
        *--to = (char)('0' + rest % 10);
}

/* An IP as in a URL: IPv6 in brackets. */
static void put_ip(struct out *o, const struct wp_addr *a)
{
    char buf[WP_ADDR_TEXT_MAX];

    if (a->family == 4) {
        put_text(o, wp_addr_ip_text(a, buf));
        return;
    }
    put(o, "[", 1);
    put_text(o, wp_addr_ip_text(a, buf));
    put(o, "]", 1);
}

/* The words of the flags; one set follows another that is the same for most of the time. */
static void put_flags(struct out *o, uint16_t flags)
{
    static const struct {
        uint16_t bit;
        char text[4];
    } rows[] = {
        {WP_FLAG_QR, "qr,"}, {WP_FLAG_AA, "aa,"}, {WP_FLAG_TC, "tc,"}, {WP_FLAG_RD, "rd,"},
        {WP_FLAG_RA, "ra,"}, {WP_FLAG_Z, "z,"},   {WP_FLAG_AD, "ad,"}, {WP_FLAG_CD, "cd,"},
    };
    static _Thread_local struct {
        uint16_t flags;
        uint8_t len;
        char text[32];
    } last;

    if (last.flags != flags) {
        char *to = last.text;
        for (size_t i = 0; i < WP_COUNT(rows); i++)
            if ((flags & rows[i].bit) != 0)
                to = stpcpy(to, rows[i].text);
        last.len = (uint8_t)(to > last.text ? to - last.text - 1 : 0); /* without the last comma */
        last.flags = flags;
    }
    put(o, last.text, last.len);
}

/* The next metadata value; "-" if it was not set. */
static void put_meta(struct out *o, const struct log_record *rec, size_t *at)
{
    uint16_t len = 0xffff;
    char *start;

    if (rec->len - *at >= 2) {
        memcpy(&len, rec->tail + *at, 2);
        *at += 2;
    }
    if (len == 0xffff) {
        put(o, "-", 1);
        return;
    }
    start = o->at;
    put(o, (const char *)rec->tail + *at, len);
    *at += len;
    for (; start < o->at; start++) /* whoever made it: a line stays a line */
        if ((unsigned char)*start < 0x20 || *start == 0x7f)
            *start = ' ';
}

static void put_part(struct out *o, const struct log_part *part, const struct log_record *rec,
                     const char *name, size_t *meta_at)
{
    char buf[16];

    switch (part->kind) {
    case LOG_LITERAL:
        if (part->len <= 8)
            put_short(o, part->eight, part->len);
        else
            put(o, part->text, part->len);
        break;
    case LOG_TYPE:
        put_word(o, wp_type_text(rec->qtype, buf));
        break;
    case LOG_NAME:
        put_text(o, name);
        break;
    case LOG_CLASS:
        put_word(o, wp_class_text(rec->qclass, buf));
        break;
    case LOG_PROTO:
        put_word(o, rec->is_udp ? "udp" : "tcp");
        break;
    case LOG_SIZE:
        put_number(o, rec->size);
        break;
    case LOG_REMOTE:
        put_ip(o, &rec->client);
        break;
    case LOG_PORT:
        put_number(o, rec->client.port);
        break;
    case LOG_LOCAL:
        put_ip(o, &rec->local);
        break;
    case LOG_ID:
        put_number(o, rec->id);
        break;
    case LOG_OPCODE:
        put_number(o, rec->opcode);
        break;
    case LOG_DO:
        put_word(o, rec->dnssec_ok ? "true" : "false");
        break;
    case LOG_BUFSIZE:
        put_number(o, rec->bufsize);
        break;
    case LOG_RCODE:
        put_word(o, rec->rcode == LOG_NO_REPLY ? "-" : wp_rcode_text(rec->rcode, buf));
        break;
    case LOG_RSIZE:
        put_number(o, rec->reply_size);
        break;
    case LOG_RFLAGS:
        if (rec->rcode == LOG_NO_REPLY)
            put(o, "-", 1);
        else
            put_flags(o, rec->flags);
        break;
    case LOG_DURATION:
        put_seconds(o, rec->elapsed_ns);
        put(o, "s", 1);
        break;
    case LOG_META:
        put_meta(o, rec, meta_at);
        break;
    }
}

static void put_format(struct out *o, const struct log_record *rec, const char *name)
{
    size_t meta_at = rec->name_len;

    for (unsigned i = 0; i < rec->format->n_parts; i++)
        put_part(o, &rec->format->parts[i], rec, name, &meta_at);
}

/* Octets that the members after msg may need: the name, escaped twice, and small ones. */
enum { JSON_REST = 4096 };

/* The default format written out: half the time of going through its parts. */
static void put_common(struct out *o, const struct log_record *rec, const char *name)
{
    char buf[16];

    put_ip(o, &rec->client);
    put_short(o, ":       ", 1);
    put_number(o, rec->client.port);
    put_short(o, " -      ", 3);
    put_number(o, rec->id);
    put_short(o, " \"      ", 2);
    put_word(o, wp_type_text(rec->qtype, buf));
    put_short(o, "        ", 1);
    put_word(o, wp_class_text(rec->qclass, buf));
    put_short(o, "        ", 1);
    put_text(o, name);
    put_short(o, rec->is_udp ? " udp    " : " tcp    ", 5);
    put_number(o, rec->size);
    put_short(o, rec->dnssec_ok ? " true   " : " false  ", rec->dnssec_ok ? 6 : 7);
    put_number(o, rec->bufsize);
    put_short(o, "\"       ", 2);
    put_word(o, rec->rcode == LOG_NO_REPLY ? "-" : wp_rcode_text(rec->rcode, buf));
    put_short(o, "        ", 1);
    if (rec->rcode == LOG_NO_REPLY)
        put_short(o, "-       ", 1);
    else
        put_flags(o, rec->flags);
    put_short(o, "        ", 1);
    put_number(o, rec->reply_size);
    put_short(o, "        ", 1);
    put_seconds(o, rec->elapsed_ns);
    put_short(o, "s       ", 1);
}

static void put_json_string(struct out *o, const char *key, const char *s, size_t len)
{
    put_text(o, key);
    put(o, "\"", 1);
    o->at += wp_json_escape(s, len, o->at, (size_t)(o->end - o->at));
    put(o, "\"", 1);
}

static void put_json_number(struct out *o, const char *key, uint64_t v)
{
    put_text(o, key);
    put_number(o, v);
}

static void put_json(struct out *o, const struct log_record *rec, const char *name)
{
    char text[4096], ip[WP_ADDR_TEXT_MAX], buf[16];
    struct out msg = {text, text + sizeof(text) - SLACK};
    const char *word;

    put_format(&msg, rec, name);
    o->end -= JSON_REST;
    put_json_string(o, "\"level\":\"INFO\",\"msg\":", text, (size_t)(msg.at - text));
    o->end += JSON_REST;
    wp_addr_ip_text(&rec->client, ip);
    put_json_string(o, ",\"plugin\":\"log\",\"client_ip\":", ip, strlen(ip));
    put_json_number(o, ",\"client_port\":", rec->client.port);
    put_json_string(o, ",\"qname\":", name, strlen(name));
    word = wp_type_text(rec->qtype, buf);
    put_json_string(o, ",\"qtype\":", word, strlen(word));
    word = wp_class_text(rec->qclass, buf);
    put_json_string(o, ",\"qclass\":", word, strlen(word));
    put_json_string(o, ",\"protocol\":", rec->is_udp ? "udp" : "tcp", 3);
    put_json_number(o, ",\"id\":", rec->id);
    put_json_number(o, ",\"opcode\":", rec->opcode);
    put_json_number(o, ",\"request_size\":", rec->size);
    put_text(o, rec->dnssec_ok ? ",\"dnssec_ok\":true" : ",\"dnssec_ok\":false");
    put_json_number(o, ",\"bufsize\":", rec->bufsize);
    word = wp_rcode_text(rec->rcode, buf);
    if (rec->rcode == LOG_NO_REPLY)
        put_text(o, ",\"rcode\":null");
    else
        put_json_string(o, ",\"rcode\":", word, strlen(word));
    put_json_number(o, ",\"response_size\":", rec->reply_size);
    put_text(o, ",\"duration_seconds\":");
    put_seconds(o, rec->elapsed_ns);
    put(o, "}", 1);
}

size_t wp_log_record_line(const void *data, size_t len, bool json, char *to, size_t cap)
{
    const struct log_record *rec = data;
    struct out o = {to, to + cap - SLACK};
    char name[WP_NAME_TEXT_MAX];

    (void)len;
    wp_name_text(rec->tail, name);
    if (json) {
        put_json(&o, rec, name);
    } else {
        put_short(&o, "[INFO] ", 7);
        if (rec->format->is_common)
            put_common(&o, rec, name);
        else
            put_format(&o, rec, name);
    }
    return (size_t)(o.at - to);
}
