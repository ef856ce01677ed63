/* Questions in datagrams. Those of a turn leave in one send that the kernel cuts (UDP_SEGMENT), so
 * that the generator is cheaper than the servers it measures; they arrive as datagrams of their
 * own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/load.h"

enum { SEGMENTS = 60, REPLY_MAX = 1500, WAIT_MS = 20, PATIENCE = 10 /* waits, then it is lost */ };

static struct {
    int fd;
    unsigned in_flight;
    uint16_t id;
    bool asked[65536];
} socks[LOAD_CONNS_MAX];
static struct pollfd polled[LOAD_CONNS_MAX];
static unsigned silent; /* waits in a row without a reply */

void load_udp_open(struct load *l)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(l->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int segment = LOAD_QUESTION, room = 4 << 20;

    for (unsigned i = 0; i < l->conns; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
            setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
            load_die("UDP socket");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)); /* as much as we get */
        socks[i].fd = fd;
        polled[i] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
}

static bool take(struct load *l, unsigned i)
{
    static uint8_t replies[SEGMENTS][REPLY_MAX];
    struct mmsghdr m[SEGMENTS] = {0};
    struct iovec iov[SEGMENTS];
    int n;

    for (unsigned j = 0; j < SEGMENTS; j++) {
        iov[j] = (struct iovec){replies[j], REPLY_MAX};
        m[j].msg_hdr = (struct msghdr){.msg_iov = &iov[j], .msg_iovlen = 1};
    }
    n = recvmmsg(socks[i].fd, m, SEGMENTS, MSG_DONTWAIT, NULL);
    for (int j = 0; j < n; j++) {
        uint16_t id = (uint16_t)(replies[j][0] << 8 | replies[j][1]);

        if (m[j].msg_len < 2 || !socks[i].asked[id])
            continue; /* after it was given up */
        socks[i].asked[id] = false;
        socks[i].in_flight--;
        load_reply(l, replies[j], m[j].msg_len);
    }
    return n > 0;
}

static void ask(struct load *l, unsigned i)
{
    static uint8_t out[SEGMENTS * LOAD_QUESTION];
    unsigned n = l->depth - socks[i].in_flight;
    uint16_t first = socks[i].id;

    if (n > SEGMENTS)
        n = SEGMENTS;
    for (unsigned j = 0; j < n; j++) {
        uint8_t *q = out + j * LOAD_QUESTION;
        uint16_t id = socks[i].id++;

        load_question(l, q);
        q[0] = (uint8_t)(id >> 8);
        q[1] = (uint8_t)id;
    }
    if (n == 0 || send(socks[i].fd, out, n * LOAD_QUESTION, 0) < 0)
        return; /* the socket is full: the next turn asks */
    for (unsigned j = 0; j < n; j++)
        socks[i].asked[(uint16_t)(first + j)] = true;
    socks[i].in_flight += n;
}

void load_udp_turn(struct load *l)
{
    bool any = false;

    for (unsigned i = 0; i < l->conns; i++) {
        any |= take(l, i);
        ask(l, i);
    }
    if (any) {
        silent = 0;
        return;
    }
    if (poll(polled, l->conns, WAIT_MS) != 0 || ++silent < PATIENCE)
        return;
    silent = 0;
    for (unsigned i = 0; i < l->conns; i++) {
        l->lost += socks[i].in_flight;
        socks[i].in_flight = 0;
        memset(socks[i].asked, 0, sizeof(socks[i].asked));
    }
}
