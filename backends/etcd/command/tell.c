#include "backends/etcd/command/tell.h"

#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "waypost/base/text.h"

enum { TEXT_MAX = 1024, LINE_OCTETS = 4 * TEXT_MAX /* what a pipe takes whole */ };

void etcd_tell(const struct etcd_teller *t, const char *event, const char *fmt, ...)
{
    char text[TEXT_MAX], clean[2 * TEXT_MAX], line[LINE_OCTETS], when[32];
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    struct timespec now;
    struct tm utc;
    va_list args;
    int n;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (t->json) {
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &utc);
        wp_json_escape(text, strlen(text), clean, sizeof(clean));
        n = snprintf(line, sizeof(line),
                     "{\"time\":\"%s.%03dZ\",\"event\":\"%s\",\"name\":\"%s\",\"text\":\"%s\"}\n",
                     when, (int)(now.tv_nsec / 1000000), event, t->name, clean);
    } else {
        n = snprintf(line, sizeof(line), "waypost register: %s: %s\n", t->name, text);
    }
    /* Whoever reads may be slow or gone: the registration goes on, and waits for nobody. */
    if (n > 0 && (size_t)n < sizeof(line) && poll(&out, 1, 0) == 1 &&
        write(STDERR_FILENO, line, (size_t)n) < 0)
        return;
}

void etcd_notify(const struct etcd_teller *t, const char *state)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len;
    int fd;

    if (t->notify == NULL || (t->notify[0] != '/' && t->notify[0] != '@'))
        return;
    len = strlen(t->notify);
    if (len >= sizeof(to.sun_path))
        return;
    memcpy(to.sun_path, t->notify, len);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = '\0'; /* the abstract name space */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
        etcd_tell(t, "notify", "%s: %s", t->notify, strerror(errno));
    close(fd);
}
