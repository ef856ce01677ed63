#include "waypost/dns/grpc_frame.h"

#include <limits.h>
#include <string.h>

#include "waypost/base/rd.h"
#include "waypost/base/wr.h"

void wp_grpc_reader_init(struct wp_grpc_reader *r, uint32_t max)
{
    *r = (struct wp_grpc_reader){.max = max};
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Part of the head; with its last octet the message is known. */
static int read_head(struct wp_grpc_reader *r, const uint8_t *data, size_t len)
{
    size_t n = smaller(len, WP_GRPC_HEAD_LEN - (size_t)r->n_head);

    memcpy(r->head + r->n_head, data, n);
    r->n_head = (uint8_t)(r->n_head + n);
    if (r->head[0] > 1)
        return WP_EMALFORMED;
    if (r->n_head < WP_GRPC_HEAD_LEN)
        return (int)n;
    r->compressed = r->head[0] == 1;
    r->len = r->left = wp_be32(r->head + 1);
    if (r->len > r->max)
        return WP_ELIMIT;
    r->complete = r->len == 0;
    return (int)n;
}

int wp_grpc_read(struct wp_grpc_reader *r, const uint8_t *data, size_t len,
                 const uint8_t **ret_piece, size_t *ret_len)
{
    size_t n;

    *ret_piece = data;
    *ret_len = 0;
    if (len == 0)
        return 0;
    if (r->complete) {
        r->complete = false;
        r->n_head = 0;
    }
    if (r->n_head < WP_GRPC_HEAD_LEN)
        return read_head(r, data, len);
    n = smaller(smaller(len, r->left), INT_MAX);
    r->left -= (uint32_t)n;
    r->complete = r->left == 0;
    *ret_len = n;
    return (int)n;
}

bool wp_grpc_reader_is_between(const struct wp_grpc_reader *r)
{
    return r->complete || r->n_head == 0;
}

void wp_grpc_head(uint8_t head[WP_GRPC_HEAD_LEN], uint32_t len)
{
    head[0] = 0;
    wp_put32(head + 1, len);
}
