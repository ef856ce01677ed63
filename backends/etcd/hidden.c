#include "backends/etcd/hidden.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "waypost/base/text.h"

bool wp_etcd_is_hidden(const char *message)
{
    static const char *const words[] = {"handshake",   "Peer name",     "Socket closed",
                                        "read failed", "reset by peer", "GOAWAY",
                                        "http1"};

    for (size_t i = 0; i < WP_COUNT(words); i++)
        if (strstr(message, words[i]) != NULL)
            return true;
    return false;
}

/* "ipv4:192.0.2.1:2379", "ipv6:%5B2001:db8::1%5D:2379", "unix:/run/etcd", up to ": " or the end. */
static bool parse_address(const char *text, struct wp_tls_probe *p)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&p->addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&p->addr;
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&p->addr;
    const char *end = strstr(text, ": ");
    char word[sizeof(un->sun_path) + 8], *port;
    size_t len = end != NULL ? (size_t)(end - text) : strlen(text);
    int64_t number;

    if (len >= sizeof(word))
        return false;
    memcpy(word, text, len);
    word[len] = '\0';
    memset(&p->addr, 0, sizeof(p->addr));
    if (strncmp(word, "unix:", 5) == 0 && len - 5 < sizeof(un->sun_path)) {
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, word + 5, len - 5);
        p->addr_len = sizeof(*un);
        return true;
    }
    port = strrchr(word, ':');
    if (port == NULL || wp_int_parse(port + 1, 1, 65535, &number) < 0)
        return false;
    *port = '\0';
    if (strncmp(word, "ipv4:", 5) == 0 && inet_pton(AF_INET, word + 5, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        p->addr_len = sizeof(*v4);
        return true;
    }
    if (strncmp(word, "ipv6:%5B", 8) != 0 || strlen(word) < 12 || strcmp(port - 3, "%5D") != 0)
        return false;
    port[-3] = '\0';
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)number);
    p->addr_len = sizeof(*v6);
    return inet_pton(AF_INET6, word + 8, &v6->sin6_addr) == 1;
}

/* gRPC names the address that it tried last; else the endpoint may be one. */
static bool find_address(const char *target, const char *message, struct wp_tls_probe *p)
{
    static const char *const kinds[] = {"ipv4:", "ipv6:", "unix:"};

    for (size_t i = 0; i < WP_COUNT(kinds); i++) {
        const char *at = strstr(message, kinds[i]);
        if (at != NULL && parse_address(at, p))
            return true;
    }
    return parse_address(target, p);
}

/* What the certificate must name: as gRPC has it. */
static void name_of(const char *target, char ret[WP_ETCD_HIDDEN_NAME])
{
    const char *host = strncmp(target, "dns:///", 7) == 0 ? target + 7 : strchr(target, ':') + 1;
    const char *colon = strrchr(host, ':');
    size_t len = colon != NULL ? (size_t)(colon - host) : strlen(host);

    if (strncmp(target, "unix:", 5) == 0)
        snprintf(ret, WP_ETCD_HIDDEN_NAME, "localhost");
    else if (strncmp(host, "%5B", 3) == 0 && len > 6)
        snprintf(ret, WP_ETCD_HIDDEN_NAME, "%.*s", (int)(len - 6), host + 3);
    else
        snprintf(ret, WP_ETCD_HIDDEN_NAME, "%.*s", (int)len, host);
}

bool wp_etcd_hidden_at(const char *target, const char *message, char name[WP_ETCD_HIDDEN_NAME],
                       struct wp_tls_probe *ret)
{
    name_of(target, name);
    ret->name = name;
    return find_address(target, message, ret);
}
