/* FORMAT of the query log: any text is a format. A text without placeholder comes out as it is, any
 * other as long as the line may get; JSON escapes leave no quote or control character open. */
#include "fuzz.h"
#include "server/plugins/log/record.h"

static struct log_record rec;
static char out[WP_LOG_FORMAT_MAX + 1];

static bool has_placeholder(const struct log_format *f)
{
    for (unsigned i = 0; i < f->n_parts; i++)
        if (f->parts[i].kind != LOG_LITERAL)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned kept; /* formats live for ever: a run must end before memory does */
    char text[1024];
    size_t n, len = size < sizeof(text) ? size : sizeof(text) - 1;

    if (kept++ > 200000)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    rec.format = wp_log_format_get(text);
    CHECK(rec.format != NULL);
    rec.client = rec.local = (struct wp_addr){.family = 6, .ip = {[15] = 1}, .port = 53};
    memcpy(rec.tail, "\3a\"b\1\0\0", 7);
    rec.name_len = 7;
    rec.len = 7;
    n = wp_log_record_line(&rec, wp_log_record_len(&rec), false, out, WP_LOG_FORMAT_MAX);
    CHECK(n <= WP_LOG_FORMAT_MAX && memcmp(out, "[INFO] ", 7) == 0);
    if (!has_placeholder(rec.format))
        CHECK(n == 7 + strlen(text) && memcmp(out + 7, text, n - 7) == 0);
    n = wp_log_record_line(&rec, wp_log_record_len(&rec), true, out, WP_LOG_FORMAT_MAX);
    CHECK(n > 0 && n <= WP_LOG_FORMAT_MAX && out[n - 1] == '}');
    for (size_t i = 0; i < n; i++)
        CHECK((unsigned char)out[i] >= 0x20);
    return 0;
}
