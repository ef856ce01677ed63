/* Sockets towards an upstream, and the words for what is wrong with them. */
#include "backends/common/upstream_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int wp_up_connect(const struct wp_upstream *u, int type)
{
    const struct wp_addr *source = &u->profile->source;
    int fd = socket(u->sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, r;

    if (fd < 0)
        return -errno;
    /* Every ICMP error, not only port unreachable, ends a try at once. */
    if (type == SOCK_DGRAM && u->addr.family == 4)
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
    else if (type == SOCK_DGRAM)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
    if (source->family != 0) {
        struct sockaddr_storage sa;
        socklen_t len = wp_addr_to_sockaddr(source, &sa);

        if (type == SOCK_STREAM) /* the port is chosen with the peer known: four-tuples count */
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        if (bind(fd, (struct sockaddr *)&sa, len) < 0)
            goto failed;
    }
    if (connect(fd, (const struct sockaddr *)&u->sa, u->sa_len) < 0 && errno != EINPROGRESS)
        goto failed;
    return fd;
failed:
    r = -errno;
    close(fd);
    return r;
}

/* "192.0.2.1:1234->", or nothing. */
static void local_text(int fd, char buf[WP_ADDR_TEXT_MAX + 2])
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    struct wp_addr a;

    buf[0] = '\0';
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
        return;
    wp_addr_from_sockaddr((struct sockaddr *)&sa, &a);
    wp_addr_text(&a, buf);
    strcat(buf, "->");
}

const char *wp_up_why(const struct wp_upstream *u, const char *op, const char *net, int fd, int err)
{
    static _Thread_local char buf[WP_UP_WHY_MAX];
    char local[WP_ADDR_TEXT_MAX + 2], text[64];
    size_t n;

    local_text(fd, local);
    n = (size_t)snprintf(buf, sizeof(buf), "%s %s %s%s: ", op, net, local, u->text);
    if (err == WP_ETIMEOUT || err == -ETIMEDOUT) {
        snprintf(buf + n, sizeof(buf) - n, "i/o timeout");
        return buf;
    }
    snprintf(text, sizeof(text), "%s", wp_strerror(err));
    if (text[0] >= 'A' && text[0] <= 'Z')
        text[0] = (char)(text[0] + 32); /* as Go words the same errno */
    snprintf(buf + n, sizeof(buf) - n, "%s: %s", strcmp(op, "dial") == 0 ? "connect" : op, text);
    return buf;
}
