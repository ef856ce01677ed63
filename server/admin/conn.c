/* One connection: read a request, answer it, and again. The next request is looked at only when
 * the answer to the one before has been sent, so a client that pipelines costs one answer. */
#include "server/admin/http_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include "waypost/tls/tls.h"

enum header {
    HEADER_OTHER,
    HEADER_AUTHORIZATION,
    HEADER_ACCEPT_ENCODING,
    HEADER_HOST,
    HEADER_ORIGIN,
    HEADERS
};

struct http_conn {
    struct http_conn *next, **prev;
    struct http_listener *listener;
    struct wp_io io;
    struct wp_timer timer;
    struct wp_tls_conn *tls; /* NULL: cleartext */

    http_parser parser;
    bool complete;     /* a request stands */
    bool is_open;      /* inside a request */
    bool last;         /* nothing follows the answer that is being sent */
    bool lingering;    /* our side is closed; input is thrown away */
    int bad;           /* status of the answer to a request that breaks a limit */
    size_t head, body; /* octets of the request so far; of what is thrown away when lingering */
    enum header header;
    struct wp_http_later *later; /* the answer to the request is still to be given */
    char field[32], path[HTTP_TARGET_MAX], authorization[HTTP_VALUE_MAX], encoding[HTTP_VALUE_MAX];
    char host[HTTP_HOST_MAX], origin[HTTP_HOST_MAX];
    bool keeps; /* the page takes the body: */
    char *kept; /* closed by a NUL */

    uint8_t in[HTTP_HEAD_MAX]; /* plaintext; in[in_at..in_len) is not parsed yet */
    size_t in_at, in_len;
    char *out; /* plaintext; out[out_at..out_len) is not sent yet */
    size_t out_at, out_len;
};

/* A request whose answer is given later; outlives its connection. */
struct wp_http_later {
    struct http_conn *conn;  /* NULL: gone */
    struct http_asked asked; /* without its words */
};

struct http_conn *wp_http_conn_next(const struct http_conn *c)
{
    return c->next;
}

void wp_http_conn_free(struct http_conn *c)
{
    struct http_listener *l = c->listener;

    *c->prev = c->next;
    if (c->next != NULL)
        c->next->prev = c->prev;
    else
        l->last = c->prev;
    l->n_conns--;
    if (c->later != NULL)
        c->later->conn = NULL;
    wp_timer_cancel(&c->timer);
    wp_io_del(&c->io);
    close(c->io.fd);
    wp_tls_conn_free(c->tls);
    free(c->out);
    free(c->kept);
    free(c);
}

static void set_deadline(struct http_conn *c, int ms)
{
    wp_timer_set(c->listener->loop, &c->timer,
                 wp_loop_now(c->listener->loop) + (uint64_t)ms * 1000000);
}

/* --- the parser's callbacks ------------------------------------------------------------------ */

/* Appends to a NUL-terminated value; false when it would be cut. */
static bool append(char *to, size_t cap, const char *at, size_t len)
{
    size_t have = strlen(to);

    if (len >= cap - have)
        return false;
    memcpy(to + have, at, len);
    to[have + len] = '\0';
    return true;
}

/* For values that few pages ask for: "?" stands for one that is too long. */
static void note(char to[HTTP_HOST_MAX], const char *at, size_t len)
{
    if (!append(to, HTTP_HOST_MAX, at, len))
        strcpy(to, "?");
}

static int on_begin(http_parser *p)
{
    struct http_conn *c = p->data;

    c->is_open = true;
    c->complete = false;
    c->head = c->body = 0;
    c->header = HEADER_OTHER;
    c->field[0] = c->path[0] = c->authorization[0] = c->encoding[0] = '\0';
    c->host[0] = c->origin[0] = '\0';
    c->keeps = false;
    set_deadline(c, HTTP_TIMEOUT_MS);
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = p->data;

    if (!append(c->path, sizeof(c->path), at, len))
        c->bad = 414;
    return c->bad;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = p->data;

    if (c->header != HEADER_OTHER || c->field[0] == '\n') { /* a value came between: a new field */
        c->field[0] = '\0';
        c->header = HEADER_OTHER;
    }
    if (!append(c->field, sizeof(c->field), at, len))
        c->field[0] = ' '; /* none of ours is so long */
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    static const char *const names[HEADERS] = {[HEADER_AUTHORIZATION] = "authorization",
                                               [HEADER_ACCEPT_ENCODING] = "accept-encoding",
                                               [HEADER_HOST] = "host",
                                               [HEADER_ORIGIN] = "origin"};
    struct http_conn *c = p->data;
    bool fits = true;

    for (unsigned i = HEADER_OTHER + 1; c->header == HEADER_OTHER && i < HEADERS; i++) {
        if (strcasecmp(c->field, names[i]) == 0)
            c->header = i;
    }
    switch (c->header) {
    case HEADER_AUTHORIZATION:
        fits = append(c->authorization, sizeof(c->authorization), at, len);
        break;
    case HEADER_ACCEPT_ENCODING:
        fits = append(c->encoding, sizeof(c->encoding), at, len);
        break;
    case HEADER_HOST:
        note(c->host, at, len);
        break;
    case HEADER_ORIGIN:
        note(c->origin, at, len);
        break;
    case HEADER_OTHER:
    case HEADERS:
        c->field[0] = '\n'; /* no field begins so: on_field starts anew */
        break;
    }
    if (!fits)
        c->bad = 431;
    return c->bad;
}

static int on_head(http_parser *p)
{
    struct http_conn *c = p->data;
    const struct wp_http_page *page = wp_http_find(c->listener, c->path, strcspn(c->path, "?#"));

    c->keeps = page != NULL && page->takes_body;
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = p->data;

    if (len > HTTP_BODY_MAX - c->body) {
        c->bad = 413;
        return c->bad;
    }
    if (c->keeps) {
        char *kept = realloc(c->kept, c->body + len + 1);

        if (kept == NULL) {
            c->bad = 503;
            return c->bad;
        }
        c->kept = kept;
        memcpy(kept + c->body, at, len);
        kept[c->body + len] = '\0';
    }
    c->body += len;
    return c->bad;
}

static int on_complete(http_parser *p)
{
    struct http_conn *c = p->data;

    c->complete = true;
    http_parser_pause(p, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = on_begin,
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};

/* --- answers --------------------------------------------------------------------------------- */

static void send_answer(struct http_conn *c, char *out, size_t len, bool last)
{
    c->out = out;
    c->out_at = 0;
    c->out_len = out != NULL ? len : 0;
    c->last = last || out == NULL;
    set_deadline(c, HTTP_TIMEOUT_MS);
}

/* Accept-Encoding names gzip, and not with a quality of zero. */
static bool takes_gzip(const char *encoding)
{
    const char *at = strcasestr(encoding, "gzip");

    if (at == NULL)
        return false;
    at += 4 + strspn(at + 4, " \t;");
    if (strncasecmp(at, "q=", 2) != 0)
        return true;
    at += 2;
    return at[strspn(at, "0.")] >= '1' && at[strspn(at, "0.")] <= '9';
}

static const char *split_query(char *target)
{
    char *mark;

    target[strcspn(target, "#")] = '\0';
    mark = strchr(target, '?');
    if (mark == NULL)
        return "";
    *mark = '\0';
    return mark + 1;
}

static void answer_request(struct http_conn *c)
{
    struct http_asked asked = {
        .rq = {.method = http_method_str(c->parser.method),
               .path = c->path,
               .query = split_query(c->path),
               .authorization = c->authorization,
               .host = c->host,
               .origin = c->origin,
               .body = !c->keeps         ? NULL
                       : c->kept != NULL ? c->kept
                                         : "",
               .body_len = c->keeps ? c->body : 0,
               .conn = c},
        .keep_alive = http_should_keep_alive(&c->parser) && !c->parser.upgrade,
        .gzip = takes_gzip(c->encoding),
        .head = c->parser.method == HTTP_HEAD,
    };
    struct wp_http_answer a;
    size_t len;
    char *out;

    wp_http_ask(c->listener, &asked, &a);
    free(c->kept);
    c->kept = NULL;
    c->is_open = c->complete = false;
    http_parser_pause(&c->parser, 0);
    if (c->later != NULL) {
        c->later->asked = (struct http_asked){
            .keep_alive = asked.keep_alive, .gzip = asked.gzip, .head = asked.head};
        set_deadline(c, WP_HTTP_LATER_MS);
        return;
    }
    out = wp_http_answer(&asked, &a, &len);
    send_answer(c, out, len, !asked.keep_alive);
}

struct wp_http_later *wp_http_later(const struct wp_http_request *rq)
{
    struct wp_http_later *later = calloc(1, sizeof(*later));

    if (later == NULL)
        return NULL;
    later->conn = rq->conn;
    rq->conn->later = later;
    return later;
}

static void answer_error(struct http_conn *c, int status)
{
    size_t len;
    char *out = wp_http_error(status, &len);

    send_answer(c, out, len, true);
}

static void parse(struct http_conn *c)
{
    size_t n = http_parser_execute(&c->parser, &settings, (const char *)c->in + c->in_at,
                                   c->in_len - c->in_at);
    enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);

    c->in_at += n;
    c->head += n;
    if (c->complete)
        answer_request(c);
    else if (c->bad != 0)
        answer_error(c, c->bad);
    else if (err != HPE_OK)
        answer_error(c, 400);
    else if (c->head - c->body > HTTP_HEAD_MAX)
        answer_error(c, 431);
}

/* --- octets in and out ----------------------------------------------------------------------- */

/* Ciphertext into the TLS connection. As recv. */
static ssize_t feed_tls(struct http_conn *c)
{
    uint8_t raw[HTTP_HEAD_MAX];
    ssize_t n = recv(c->io.fd, raw, sizeof(raw), 0);

    if (n > 0 && wp_tls_feed(c->tls, raw, (size_t)n) < 0) {
        errno = EPROTO;
        return -1;
    }
    return n;
}

/* Plaintext into `in`: as recv; EAGAIN when nothing is there. */
static ssize_t read_plain(struct http_conn *c)
{
    int r;

    if (c->tls == NULL)
        return recv(c->io.fd, c->in, sizeof(c->in), 0);
    for (;;) {
        ssize_t n;
        r = wp_tls_is_ready(c->tls) ? 1 : wp_tls_handshake(c->tls);
        if (r > 0)
            r = wp_tls_read(c->tls, c->in, sizeof(c->in));
        if (r > 0)
            return r;
        if (r < 0)
            break;
        n = feed_tls(c);
        if (n <= 0)
            return n;
    }
    errno = EPROTO;
    return r == WP_ECLOSED ? 0 : -1;
}

/* As send; what TLS has to say of its own goes too. 0: all is sent. */
static int write_out(struct http_conn *c)
{
    while (c->tls == NULL && c->out_at < c->out_len) {
        ssize_t n = send(c->io.fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        c->out_at += (size_t)n;
    }
    if (c->tls == NULL)
        return 0;
    for (;;) {
        size_t len;
        const uint8_t *p = wp_tls_pending(c->tls, &len);
        ssize_t n;
        if (len == 0) {
            size_t piece = c->out_len - c->out_at < 16384 ? c->out_len - c->out_at : 16384;
            if (piece == 0)
                return 0;
            if (wp_tls_write(c->tls, c->out + c->out_at, piece) < 0)
                return -EPROTO;
            c->out_at += piece;
            continue;
        }
        n = send(c->io.fd, p, len, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        wp_tls_sent(c->tls, (size_t)n);
    }
}

static bool is_busy(int err)
{
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

/* Half-close and read on for a moment: closing with unread input would reset the connection
 * and take the answer from the client. */
static void linger(struct http_conn *c)
{
    if (c->tls != NULL) {
        wp_tls_close(c->tls);
        (void)write_out(c); /* a close_notify that does not fit is not worth waiting for */
    }
    shutdown(c->io.fd, SHUT_WR);
    c->lingering = true;
    c->body = 0;
    set_deadline(c, HTTP_LINGER_MS);
}

/* Throws input away; false when the connection is at its end. */
static bool drain(struct http_conn *c)
{
    for (;;) {
        ssize_t n = recv(c->io.fd, c->in, sizeof(c->in), 0);
        if (n == 0 || (n < 0 && !is_busy(errno)))
            return false;
        if (n < 0)
            return true;
        c->body += (size_t)n;
        if (c->body > HTTP_LINGER_MAX)
            return false;
    }
}

/* Sends what waits. False when the connection is at its end, or when it must wait. */
static bool flush(struct http_conn *c, bool *ret_end)
{
    int r = write_out(c);

    *ret_end = r < 0 && !is_busy(-r);
    if (r < 0) {
        wp_io_set(&c->io, WP_IO_WRITE);
        return false;
    }
    if (c->out != NULL) {
        free(c->out);
        c->out = NULL;
        c->out_at = c->out_len = 0;
        set_deadline(c, HTTP_TIMEOUT_MS);
    }
    if (c->last)
        linger(c);
    wp_io_set(&c->io, WP_IO_READ);
    return true;
}

/* As far as it goes. False when the connection is at its end. */
static bool go_on(struct http_conn *c)
{
    for (;;) {
        bool end;
        ssize_t n;
        if (!flush(c, &end))
            return !end;
        if (c->lingering)
            return drain(c);
        if (c->later != NULL) {
            wp_io_set(&c->io, 0); /* only its end is of interest now */
            return true;
        }
        if (c->in_at < c->in_len) {
            parse(c);
            continue;
        }
        n = read_plain(c);
        if (n < 0 && is_busy(errno)) {
            if (!flush(c, &end)) /* the handshake's answers */
                return !end;
            return true;
        }
        if (n <= 0) {
            (void)write_out(c); /* an alert, if TLS broke */
            return false;
        }
        c->in_at = 0;
        c->in_len = (size_t)n;
    }
}

static void on_io(struct wp_io *io, uint32_t events)
{
    struct http_conn *c = (struct http_conn *)((char *)io - offsetof(struct http_conn, io));

    if ((events & (WP_IO_ERROR | WP_IO_HANGUP)) != 0 || !go_on(c))
        wp_http_conn_free(c);
}

void wp_http_finish(struct wp_http_later *later, struct wp_http_answer *a)
{
    struct http_conn *c = later->conn;
    size_t len;
    char *out = wp_http_answer(&later->asked, a, &len);

    if (c != NULL) {
        c->later = NULL;
        send_answer(c, out, len, !later->asked.keep_alive);
        if (!go_on(c))
            wp_http_conn_free(c);
    } else {
        free(out);
    }
    free(later);
}

static void on_timeout(struct wp_timer *t)
{
    wp_http_conn_free((struct http_conn *)((char *)t - offsetof(struct http_conn, timer)));
}

void wp_http_accepted(struct http_listener *l, int fd)
{
    struct http_conn *c = calloc(1, sizeof(*c));

    if (l->n_conns >= l->max_conns)
        wp_http_conn_free(l->first);
    if (c == NULL || (l->tls != NULL && wp_tls_conn_new(l->tls, NULL, &c->tls) < 0)) {
        free(c);
        close(fd);
        return;
    }
    c->listener = l;
    c->io = (struct wp_io){.fd = fd, .fn = on_io};
    c->timer.fn = on_timeout;
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    c->prev = l->last;
    *l->last = c;
    l->last = &c->next;
    l->n_conns++;
    set_deadline(c, HTTP_TIMEOUT_MS);
    if (wp_io_add(l->loop, &c->io, WP_IO_READ) < 0)
        wp_http_conn_free(c);
}
