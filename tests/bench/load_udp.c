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

enum {
    SEGMENTS = 60,
    REPLY_MAX = 1500,
    WAIT_MS = 20,
    PATIENCE = 10,     /* waits, then it is lost */
    PACE_US = 50,      /* with a rate: between looks, */
    LATE_US = 2000000, /* and a question is lost after this */
};

static struct {
    int fd;
    unsigned in_flight;
    uint16_t id;
    bool asked[65536];
    uint64_t asked_ns[65536]; /* with a rate */
} socks[LOAD_CONNS_MAX];
static struct pollfd polled[LOAD_CONNS_MAX];
static unsigned silent;  /* waits in a row without a reply */
static uint64_t turn_ns; /* with a rate: this turn's */

void load_udp_open(struct load *l)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(l->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int segment = (int)l->question, room = 4 << 20;

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
        if (l->rate > 0 && l->n_waits < LOAD_WAITS_MAX)
            l->waits[l->n_waits++] = (uint32_t)((turn_ns - socks[i].asked_ns[id]) / 1000);
        load_reply(l, replies[j], m[j].msg_len);
    }
    return n > 0;
}

static unsigned ask(struct load *l, unsigned i, unsigned due)
{
    static uint8_t out[SEGMENTS * LOAD_QUESTION_MAX];
    unsigned n = l->depth - socks[i].in_flight;
    uint16_t first = socks[i].id;

    if (n > SEGMENTS)
        n = SEGMENTS;
    if (n > due)
        n = due;
    for (unsigned j = 0; j < n; j++) {
        uint8_t *q = out + j * l->question;
        uint16_t id = socks[i].id++;

        load_question(l, q);
        q[0] = (uint8_t)(id >> 8);
        q[1] = (uint8_t)id;
    }
    if (n == 0 || send(socks[i].fd, out, n * l->question, 0) < 0)
        return 0; /* the socket is full: the next turn asks */
    for (unsigned j = 0; j < n; j++) {
        socks[i].asked[(uint16_t)(first + j)] = true;
        socks[i].asked_ns[(uint16_t)(first + j)] = turn_ns;
    }
    socks[i].in_flight += n;
    l->asked += n;
    return n;
}

/* What was asked long ago is lost. */
static void give_up_late(struct load *l, unsigned i)
{
    for (unsigned id = 0; socks[i].in_flight != 0 && id < 65536; id++)
        if (socks[i].asked[id] && turn_ns - socks[i].asked_ns[id] > (uint64_t)LATE_US * 1000) {
            socks[i].asked[id] = false;
            socks[i].in_flight--;
            l->lost++;
        }
}

/* At a rate: what is due is asked through the socket whose turn it is; one that is full is left
 * out. */
static void turn_at_rate(struct load *l)
{
    static unsigned at;
    unsigned tried = 0;
    long due;

    turn_ns = load_now_ns();
    if (l->pace_ns == 0)
        l->pace_ns = turn_ns;
    for (unsigned i = 0; i < l->conns; i++)
        take(l, i);
    due = (long)(l->rate * (double)(turn_ns - l->pace_ns) / 1e9) - (long)l->asked;
    while (due > 0 && tried++ < l->conns) {
        at = (at + 1) % l->conns;
        if (socks[at].in_flight == l->depth)
            give_up_late(l, at);
        due -= ask(l, at, due < SEGMENTS ? (unsigned)due : SEGMENTS);
    }
    ppoll(polled, l->conns, &(struct timespec){0, PACE_US * 1000}, NULL);
}

void load_udp_turn(struct load *l)
{
    bool any = false;

    if (l->rate > 0) {
        turn_at_rate(l);
        return;
    }
    for (unsigned i = 0; i < l->conns; i++) {
        any |= take(l, i);
        ask(l, i, SEGMENTS);
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
