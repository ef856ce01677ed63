/* Chunked bodies: what is read, what is refused, the same in one piece and octet by octet. */
#include "check.h"

#include "server/listeners/http1_chunk.h"

static const struct {
    const char *what, *in, *out;
    int ret;     /* 0, or the error */
    size_t rest; /* octets after the body */
} cases[] = {
    {"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", 0, 0},
    {"two chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello", 0, 0},
    {"hexadecimal, both cases", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
     "01234567890123456789", 0, 0},
    {"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello", 0, 0},
    {"empty body", "0\r\n\r\n", "", 0, 0},
    {"next request after it", "1\r\nx\r\n0\r\n\r\nGET", "x", 0, 3},
    {"extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello", 0, 0},
    {"space after the size", "5 \r\nhello\r\n0\r\n\r\n", "hello", 0, 0},
    {"trailers", "1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", "x", 0, 0},
    {"no size", "\r\nhello\r\n", "", WP_EMALFORMED, 0},
    {"not hexadecimal", "g\r\n", "", WP_EMALFORMED, 0},
    {"minus", "-1\r\n", "", WP_EMALFORMED, 0},
    {"0x", "0x5\r\nhello\r\n", "", WP_EMALFORMED, 0},
    {"space before", " 5\r\nhello\r\n", "", WP_EMALFORMED, 0},
    {"LF alone after the size", "5\nhello\r\n", "", WP_EMALFORMED, 0},
    {"CR alone after the size", "5\rhello", "", WP_EMALFORMED, 0},
    {"no CRLF after data", "5\r\nhelloX", "hello", WP_EMALFORMED, 0},
    {"LF alone after data", "5\r\nhello\n0\r\n\r\n", "hello", WP_EMALFORMED, 0},
    {"LF alone at the end", "0\r\n\n", "", WP_EMALFORMED, 0},
    {"LF in an extension", "5;a\nhello", "", WP_EMALFORMED, 0},
    {"NUL in a trailer", "0\r\na\1b\r\n\r\n", "", WP_EMALFORMED, 0},
    {"folded trailer", "0\r\nA: b\r\n c\r\n\r\n", "", WP_EMALFORMED, 0},
    {"size of nine digits", "100000000\r\n", "", WP_ELIMIT, 0},
};

static void run(size_t row, size_t step)
{
    const uint8_t *in = (const uint8_t *)cases[row].in;
    size_t len = strlen(cases[row].in), pos = 0, n_out = 0;
    struct wp_chunked c = {0};
    char out[64];
    int r = 0;

    while (pos < len && !c.done && r >= 0) {
        size_t n = len - pos < step ? len - pos : step, piece_len;
        const uint8_t *piece;

        r = wp_chunked_read(&c, in + pos, n, &piece, &piece_len);
        if (r < 0)
            break;
        CHECK_AT(cases[row].what, r > 0 && (size_t)r <= n);
        CHECK_AT(cases[row].what, n_out + piece_len <= sizeof(out));
        memcpy(out + n_out, piece, piece_len);
        n_out += piece_len;
        pos += (size_t)r;
    }
    CHECK_AT(cases[row].what, (r < 0 ? r : 0) == cases[row].ret);
    CHECK_AT(cases[row].what, n_out == strlen(cases[row].out));
    CHECK_AT(cases[row].what, memcmp(out, cases[row].out, n_out) == 0);
    CHECK_AT(cases[row].what, c.done == (cases[row].ret == 0));
    if (c.done)
        CHECK_AT(cases[row].what, len - pos == cases[row].rest);
}

static void test_chunks(void)
{
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t step = 1; step < 70; step++)
            run(i, step);
}

static void test_chunks_noise(void)
{
    struct wp_chunked c = {0};
    const uint8_t *piece;
    size_t n, used = 0;
    int r = wp_chunked_read(&c, (const uint8_t *)"1;", 2, &piece, &n);

    while (r > 0 && used < 2 * WP_CHUNK_NOISE_MAX) {
        used++;
        r = wp_chunked_read(&c, (const uint8_t *)"x", 1, &piece, &n);
    }
    CHECK(r == WP_ELIMIT);
    CHECK(used == WP_CHUNK_NOISE_MAX + 1);
}

RUN_TESTS(TEST(test_chunks), TEST(test_chunks_noise))
