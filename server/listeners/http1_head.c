#include "http1_head.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "waypost/base/text.h"

static int refuse(struct wp_head *h, unsigned status)
{
    if (h->status == 0)
        h->status = (uint16_t)status;
    return 1;
}

/* --- fields ------------------------------------------------------------------------------------
 */

static bool is_value(const struct wp_head *h, const char *text)
{
    return h->value_len == strlen(text) && strncasecmp(h->value, text, h->value_len) == 0;
}

static int on_length(struct wp_head *h)
{
    uint64_t n = 0;

    if (h->has_length || h->value_len == 0 || h->value_len > 18)
        return refuse(h, 400);
    for (unsigned i = 0; i < h->value_len; i++) {
        if ((uint8_t)(h->value[i] - '0') > 9)
            return refuse(h, 400);
        n = n * 10 + (uint64_t)(h->value[i] - '0');
    }
    h->has_length = true;
    h->length = n;
    return 0;
}

/* One coding, chunked, once: everything else is how requests are smuggled (RFC 9112 s6.1). */
static int on_coding(struct wp_head *h)
{
    if (h->has_coding)
        return refuse(h, 400);
    h->has_coding = true;
    h->chunked = is_value(h, "chunked");
    return h->chunked ? 0 : refuse(h, 501);
}

static int on_type(struct wp_head *h)
{
    h->has_type = true;
    h->type_len = h->value_len;
    memcpy(h->type, h->value, h->value_len);
    return 0;
}

static int on_host(struct wp_head *h)
{
    return ++h->n_host > 1 ? refuse(h, 400) : 0;
}

static int on_expect(struct wp_head *h)
{
    h->expect_continue = is_value(h, "100-continue");
    return h->expect_continue ? 0 : refuse(h, 417);
}

static int field_done(struct wp_head *h)
{
    static const struct {
        const char *name;
        int (*fn)(struct wp_head *h);
    } fields[] = {
        {"content-length", on_length}, {"transfer-encoding", on_coding},
        {"content-type", on_type},     {"host", on_host},
        {"expect", on_expect},
    };
    int r = 0;

    if (!h->in_value)
        return 0;
    while (h->value_len > 0 &&
           (h->value[h->value_len - 1] == ' ' || h->value[h->value_len - 1] == '\t'))
        h->value_len--;
    for (size_t i = 0; i < WP_COUNT(fields) && r == 0; i++) {
        if (h->name_len == strlen(fields[i].name) &&
            memcmp(h->name, fields[i].name, h->name_len) == 0)
            r = fields[i].fn(h);
    }
    h->in_value = false;
    h->name_len = h->value_len = 0;
    return r;
}

/* --- what the library tells
 * ------------------------------------------------------------------------ */

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct wp_head *h = p->data;

    if (len > WP_HEAD_TARGET_MAX - h->target_len)
        return refuse(h, 414);
    if (h->target_len + len > h->target_cap) {
        uint32_t cap = h->target_cap == 0 ? 512 : h->target_cap;
        uint8_t *more;

        while (cap < h->target_len + len)
            cap *= 2;
        more = realloc(h->target, cap);
        if (more == NULL)
            return refuse(h, 503);
        h->target = more;
        h->target_cap = cap;
    }
    memcpy(h->target + h->target_len, at, len);
    h->target_len += (uint32_t)len;
    return 0;
}

/* RFC 9110 s5.6.2; the library's table is more generous. */
static bool is_token(uint8_t c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    return (uint8_t)(wp_lower(c) - 'a') < 26 || (uint8_t)(c - '0') < 10 ||
           (c != 0 && strchr(marks, c) != NULL);
}

static int on_name(http_parser *p, const char *at, size_t len)
{
    struct wp_head *h = p->data;

    if (field_done(h) != 0)
        return 1;
    for (size_t i = 0; i < len; i++) {
        if (!is_token((uint8_t)at[i]))
            return refuse(h, 400);
        if (h->name_len < sizeof(h->name))
            h->name[h->name_len++] = (char)wp_lower((uint8_t)at[i]);
    }
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct wp_head *h = p->data;
    size_t room = sizeof(h->value) - h->value_len;

    h->in_value = true;
    if (len > room)
        len = room;
    memcpy(h->value + h->value_len, at, len);
    h->value_len = (uint8_t)(h->value_len + len);
    return 0;
}

static int on_end(http_parser *p)
{
    struct wp_head *h = p->data;

    if (field_done(h) != 0)
        return -1;
    h->complete = true;
    h->method = (uint8_t)p->method;
    h->minor = (uint8_t)p->http_minor;
    h->keep_alive = p->http_minor == 1 && http_should_keep_alive(p);
    return 1; /* the body is not the library's business */
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_end,
};

/* --- reader
 * -------------------------------------------------------------------------------------------- */

static void set_library_limit(void)
{
    http_parser_set_max_header_size(1 << 20); /* ours is told for each listener, and lower */
}

void wp_head_reset(struct wp_head *h, uint32_t fields_max)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint8_t *target = h->target;
    uint32_t cap = h->target_cap;

    pthread_once(&once, set_library_limit);
    memset(h, 0, sizeof(*h));
    if (cap > 4096) { /* a long one once does not mean long ones for ever */
        free(target);
        target = NULL;
        cap = 0;
    }
    h->target = target;
    h->target_cap = cap;
    h->fields_max = fields_max;
    h->empty = true;
    http_parser_init(&h->parser, HTTP_REQUEST);
    h->parser.data = h;
}

void wp_head_done(struct wp_head *h)
{
    free(h->target);
    h->target = NULL;
}

static size_t bad_line(struct wp_head *h)
{
    refuse(h, 400);
    return 0;
}

/* Octets up to the end of the head; 0 with h->status set when a line is not as it must be. Blank
 * lines before the request line are skipped. */
static size_t scan(struct wp_head *h, const uint8_t *data, size_t len, bool *ret_done)
{
    size_t i = 0;

    while (i < len) {
        const uint8_t *lf = memchr(data + i, '\n', len - i);
        size_t end = lf != NULL ? (size_t)(lf - data) : len;

        if (h->empty && h->begun && end > i && (data[i] == ' ' || data[i] == '\t'))
            return bad_line(h); /* folded */
        for (; i < end; i++) {
            if (h->cr)
                return bad_line(h); /* CR inside a line */
            if (data[i] == '\r')
                h->cr = true;
            else
                h->empty = false, h->begun = true;
        }
        if (lf == NULL)
            return len;
        if (!h->cr)
            return bad_line(h); /* LF alone */
        h->cr = false;
        i++;
        if (h->empty && h->begun) {
            *ret_done = true;
            return i;
        }
        if (h->empty && ++h->n_blank > WP_HEAD_BLANK_MAX)
            return bad_line(h);
        h->empty = true;
    }
    return len;
}

static unsigned status_of(enum http_errno e)
{
    return e == HPE_INVALID_VERSION ? 505 : e == HPE_HEADER_OVERFLOW ? 431 : 400;
}

/* "http://host/path" means the same as "/path" (RFC 9112 s3.2.2). */
static void to_origin_form(struct wp_head *h)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < WP_COUNT(schemes); i++) {
        size_t n = strlen(schemes[i]);
        uint8_t *slash;

        if (h->target_len < n || strncasecmp((char *)h->target, schemes[i], n) != 0)
            continue;
        slash = memchr(h->target + n, '/', h->target_len - n);
        n = slash != NULL ? (size_t)(slash - h->target) : h->target_len;
        memmove(h->target, h->target + n, h->target_len - n);
        h->target_len -= (uint32_t)n;
        return;
    }
}

/* The head as a whole. */
static int judge(struct wp_head *h)
{
    const http_parser *p = &h->parser;

    if (!h->complete)
        return refuse(h, 400);
    if (p->http_major != 1 || p->http_minor > 1)
        return refuse(h, 505);
    if (h->minor == 1 && h->n_host != 1)
        return refuse(h, 400); /* RFC 9112 s3.2 */
    if (h->chunked && (h->has_length || h->minor == 0))
        return refuse(h, 400); /* RFC 9112 s6.1 */
    if (h->method == HTTP_CONNECT)
        h->target_len = 0; /* an authority, which is no path */
    to_origin_form(h);
    return 0;
}

int wp_head_read(struct wp_head *h, const uint8_t *data, size_t len, bool *ret_done)
{
    bool done = false;
    size_t n = scan(h, data, len, &done), used;

    *ret_done = false;
    if (h->status != 0)
        return WP_EMALFORMED;
    used = http_parser_execute(&h->parser, &settings, (const char *)data, n);
    if (h->status == 0 && HTTP_PARSER_ERRNO(&h->parser) != HPE_OK)
        refuse(h, status_of(HTTP_PARSER_ERRNO(&h->parser)));
    if (h->status == 0 && used != n && !h->complete)
        refuse(h, 400);
    h->octets += (uint32_t)n;
    if (h->status == 0 && h->octets - h->target_len > h->fields_max)
        refuse(h, 431);
    if (h->status == 0 && done)
        judge(h);
    if (h->status != 0)
        return WP_EMALFORMED;
    *ret_done = done;
    return (int)n;
}
