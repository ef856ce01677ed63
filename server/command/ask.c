/* One request to a process, and its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "server/command/find.h"
#include "waypost/base/octets.h"
#include "waypost/plugin/http_admin.h"

enum { ANSWER_MAX = 64 << 20, PIECE = 65536, PATIENCE_S = WP_HTTP_LATER_MS / 1000 + 5 };

static int send_all(int fd, const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

        if (n < 0)
            return -errno;
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

static int receive_all(int fd, struct wp_octets *in)
{
    for (;;) {
        uint8_t *to = in->len < ANSWER_MAX ? wp_octets_room(in, PIECE) : NULL;
        ssize_t n = to != NULL ? recv(fd, to, PIECE, 0) : -1;

        if (to == NULL)
            return -ENOMEM;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        in->len += (uint32_t)n;
    }
}

/* The body, after a head that says "HTTP/1.1 200 "; NULL: it is no answer. */
static const char *body_of(const struct wp_octets *in, int *ret_status, size_t *ret_len)
{
    const char *at = (const char *)wp_octets_view(in);
    const char *end = in->len > 0 ? memmem(at, in->len, "\r\n\r\n", 4) : NULL;

    if (end == NULL || in->len < 13 || memcmp(at, "HTTP/1.1 ", 9) != 0)
        return NULL;
    *ret_status = atoi(at + 9);
    *ret_len = in->len - (size_t)(end + 4 - at);
    return end + 4;
}

static int show(const char *command, const struct wp_octets *in)
{
    size_t len = 0;
    int status = 0;
    const char *body = body_of(in, &status, &len);

    if (body == NULL) {
        fprintf(stderr, "waypost %s: the process closed the connection: is it another user's?\n",
                command);
        return ASK_REFUSED;
    }
    if (status != 200) {
        fprintf(stderr, "waypost %s: %.*s", command, (int)len, body);
        if (len == 0 || body[len - 1] != '\n')
            fputc('\n', stderr);
        return ASK_REFUSED;
    }
    fwrite(body, 1, len, stdout);
    return fflush(stdout) == 0 ? 0 : ASK_REFUSED;
}

int ask_process(const char *command, int fd, const char *target)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct wp_octets in = {0};
    char *request = NULL;
    int r = -ENOMEM;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (asprintf(&request, "GET %s HTTP/1.1\r\nHost: waypost\r\nConnection: close\r\n\r\n", target) >= 0)
        r = send_all(fd, request);
    else
        request = NULL;
    if (r == 0 || r == -EPIPE || r == -ECONNRESET)
        r = receive_all(fd, &in);
    close(fd);
    free(request);
    if (r < 0 && r != -ECONNRESET) {
        fprintf(stderr, "waypost %s: %s\n", command,
                r == -EAGAIN ? "the process does not answer" : wp_strerror(r));
        r = ASK_REFUSED;
    } else {
        r = show(command, &in);
    }
    wp_octets_clear(&in);
    return r;
}
