#include "server/admin/http_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

enum { WORTH_GZIP = 1024 };

static const char *reason(int status)
{
    switch (status) {
#define ROW(code, name, text)                                                                      \
    case code:                                                                                     \
        return #text;
        HTTP_STATUS_MAP(ROW)
#undef ROW
    }
    return "Unknown";
}

const struct wp_http_page *wp_http_find(const struct http_listener *l, const char *path, size_t len)
{
    for (const struct wp_http_page *p = l->pages; p != NULL; p = p->next) {
        size_t n = strlen(p->path);

        if (len >= n && memcmp(p->path, path, n) == 0 && (len == n || (p->below && path[n] == '/')))
            return p;
    }
    return NULL;
}

static void not_found(struct wp_http_answer *a)
{
    a->status = 404;
    a->headers = "X-Content-Type-Options: nosniff\r\n";
    a->body = "404 page not found\n";
    a->len = strlen(a->body);
}

/* NULL when it cannot be done: the answer then goes as it is. */
static char *gzip(const char *body, size_t len, size_t *ret_len)
{
    z_stream z = {0};
    size_t cap;
    char *out;

    if (len > UINT32_MAX / 2 ||
        deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    cap = deflateBound(&z, len);
    out = malloc(cap);
    z.next_in = (Bytef *)(uintptr_t)body;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    if (out != NULL && deflate(&z, Z_FINISH) != Z_STREAM_END) {
        free(out);
        out = NULL;
    }
    *ret_len = z.total_out;
    deflateEnd(&z);
    return out;
}

static char *join(const struct wp_http_answer *a, bool keep_alive, bool head, const char *encoding,
                  size_t *ret_len)
{
    char date[64], *out = NULL;
    time_t now = time(NULL);
    struct tm tm;
    FILE *f = open_memstream(&out, ret_len);

    if (f == NULL)
        return NULL;
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    fprintf(f,
            "HTTP/1.1 %d %s\r\n%s%sContent-Type: %s\r\nDate: %s\r\nContent-Length: %zu\r\n%s\r\n",
            a->status, reason(a->status), a->headers != NULL ? a->headers : "", encoding,
            a->type != NULL ? a->type : "text/plain; charset=utf-8", date, a->len,
            keep_alive ? "" : "Connection: close\r\n");
    if (!head && a->len > 0)
        fwrite(a->body, 1, a->len, f);
    if (fclose(f) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

void wp_http_ask(const struct http_listener *l, const struct http_asked *asked,
                 struct wp_http_answer *a)
{
    const struct wp_http_page *page = wp_http_find(l, asked->rq.path, strlen(asked->rq.path));

    *a = (struct wp_http_answer){.status = 200};
    if (page != NULL)
        page->fn(page->arg, &asked->rq, a);
    else
        not_found(a);
}

char *wp_http_answer(const struct http_asked *asked, struct wp_http_answer *a, size_t *ret_len)
{
    const char *encoding = "";
    char *out, *packed = NULL;

    if (asked->gzip && a->compressible && a->len >= WORTH_GZIP) {
        size_t len;
        packed = gzip(a->body, a->len, &len);
        if (packed != NULL) {
            encoding = "Content-Encoding: gzip\r\n";
            a->body = packed;
            a->len = len;
        }
    }
    out = join(a, asked->keep_alive, asked->head, encoding, ret_len);
    free(packed);
    free(a->to_free);
    return out;
}

char *wp_http_error(int status, size_t *ret_len)
{
    struct wp_http_answer a = {.status = status};
    char body[64];

    snprintf(body, sizeof(body), "%d %s", status, reason(status));
    a.body = body;
    a.len = strlen(body);
    return join(&a, false, false, "", ret_len);
}
