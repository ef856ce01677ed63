/* An HTTP/1.1 request, head and chunked body: read in one piece and in pieces of a size that the
 * input picks, with the same outcome. Two readers that disagree about where a request ends are
 * what request smuggling needs. */
#include <stdlib.h>
#include <string.h>

#include "server/listeners/http1_chunk.h"
#include "server/listeners/http1_head.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

struct outcome {
    int ret;
    unsigned status;
    bool done;
    size_t head_len, end; /* of the head, of the request */
    size_t body_len;
    uint32_t body_sum;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void read_body(struct outcome *o, const struct wp_head *h, const uint8_t *data, size_t size,
                      size_t step)
{
    struct wp_chunked c = {0};
    size_t pos = o->head_len;

    while (h->chunked && pos < size && !c.done && o->ret == 0) {
        const uint8_t *piece;
        size_t n;
        int used = wp_chunked_read(&c, data + pos, smaller(step, size - pos), &piece, &n);

        if (used < 0) {
            o->ret = used;
            break;
        }
        CHECK(used > 0 && (size_t)used <= size - pos);
        CHECK(n == 0 || (piece >= data + pos && piece + n <= data + pos + used));
        for (size_t i = 0; i < n; i++)
            o->body_sum = o->body_sum * 31 + piece[i];
        o->body_len += n;
        pos += (size_t)used;
    }
    o->end = o->ret < 0 ? 0 : pos;
    o->done = !h->chunked || c.done;
}

static struct outcome request(struct wp_head *h, const uint8_t *data, size_t size, size_t step)
{
    struct outcome o = {0};
    size_t pos = 0;
    bool done = false;

    wp_head_reset(h, 16384);
    while (pos < size && !done) {
        int used = wp_head_read(h, data + pos, smaller(step, size - pos), &done);

        if (used < 0) {
            o.ret = used;
            o.status = h->status;
            CHECK(h->status >= 400 && h->status < 600);
            return o;
        }
        CHECK(used > 0);
        pos += (size_t)used;
    }
    o.head_len = pos;
    if (done) {
        CHECK(pos >= 4 && memcmp(data + pos - 4, "\r\n\r\n", 4) == 0);
        CHECK(!(h->chunked && h->has_length) && h->type_len <= WP_HEAD_VALUE_MAX);
        read_body(&o, h, data, size, step);
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_head whole = {0}, pieces = {0};
    struct outcome a, b;

    if (size < 1)
        return 0;
    a = request(&whole, data + 1, size - 1, size);
    b = request(&pieces, data + 1, size - 1, (size_t)(data[0] & 31) + 1);
    CHECK((a.ret < 0) == (b.ret < 0) && a.done == b.done);
    if (a.ret == 0 && a.done) {
        CHECK(a.head_len == b.head_len && a.end == b.end);
        CHECK(a.body_len == b.body_len && a.body_sum == b.body_sum);
        CHECK(whole.target_len == pieces.target_len && whole.method == pieces.method);
        CHECK(whole.target_len == 0 || memcmp(whole.target, pieces.target, whole.target_len) == 0);
        CHECK(whole.has_length == pieces.has_length && whole.length == pieces.length);
        CHECK(whole.keep_alive == pieces.keep_alive && whole.type_len == pieces.type_len);
    }
    wp_head_done(&whole);
    wp_head_done(&pieces);
    return 0;
}
