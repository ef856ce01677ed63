/* UDP answers: neighbours of one size to one client leave as one segmented message
 * (UDP_SEGMENT), all messages in one call: most of a datagram's price is its way through the
 * kernel. */
#include "server/listeners/udp_priv.h"

#include <errno.h>
#include <netinet/udp.h>

#include "waypost/server/router.h"

/* No segmented message is made of answers that might not fit a link's frame. */
enum { SEGMENTS_MAX = 60, SEGMENT_LEN = 1232 };

/* Messages to be sent, with room for the control data of each. */
struct outgoing {
    struct mmsghdr msg[WP_UDP_SLOTS];
    struct iovec iov[WP_UDP_SLOTS];
    struct {
        _Alignas(struct cmsghdr) uint8_t octets[WP_UDP_CONTROL + CMSG_SPACE(sizeof(uint16_t))];
    } control[WP_UDP_SLOTS];
    unsigned n_msg, n_iov;
};

static bool may_join(const struct wp_udp *u, const struct wp_udp_slot *a,
                     const struct wp_udp_slot *b, unsigned n)
{
    return !u->no_segments && a->env == b->env && a->q->out_len == b->q->out_len &&
           a->q->out_len <= SEGMENT_LEN && n < SEGMENTS_MAX;
}

/* One message of n answers of one size to one client. */
static void address(struct outgoing *o, struct wp_udp_slot *const *s, unsigned n)
{
    struct msghdr *h = &o->msg[o->n_msg].msg_hdr;
    const struct wp_udp_envelope *env = s[0]->env;
    uint8_t *control = o->control[o->n_msg].octets;
    size_t len = env->control_len;

    *h = (struct msghdr){
        .msg_name = (void *)&env->name,
        .msg_namelen = env->name_len,
        .msg_iov = &o->iov[o->n_iov],
        .msg_iovlen = n,
    };
    for (unsigned i = 0; i < n; i++)
        o->iov[o->n_iov++] = (struct iovec){.iov_base = s[i]->q->out, .iov_len = s[i]->q->out_len};
    if (len > 0)
        memcpy(control, env->control, len);
    if (n > 1) {
        struct cmsghdr *c = (struct cmsghdr *)(control + len);
        uint16_t size = (uint16_t)s[0]->q->out_len;

        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof(size));
        memcpy(CMSG_DATA(c), &size, sizeof(size));
        len += CMSG_SPACE(sizeof(size));
    }
    h->msg_control = len > 0 ? control : NULL;
    h->msg_controllen = len;
    o->n_msg++;
}

/* A segmented message that this way does not take: its answers one by one, and no more of them. */
static void send_apart(struct wp_udp *u, struct msghdr *h)
{
    struct iovec *v = h->msg_iov;
    size_t n = h->msg_iovlen;

    u->no_segments = true;
    h->msg_controllen -= CMSG_SPACE(sizeof(uint16_t));
    if (h->msg_controllen == 0)
        h->msg_control = NULL;
    h->msg_iovlen = 1;
    for (size_t i = 0; i < n; i++) {
        h->msg_iov = &v[i];
        if (sendmsg(u->io.fd, h, MSG_DONTWAIT) < 0)
            wp_udp_count_dropped(u, errno == EAGAIN ? WP_UDP_DROPPED_BUFFER : WP_UDP_DROPPED_ERROR);
    }
}

/* What the kernel does not take now is dropped: a resolver asks again, a queue only grows. */
static void send_all(struct wp_udp *u, struct outgoing *o)
{
    unsigned at = 0;

    while (at < o->n_msg) {
        int r = sendmmsg(u->io.fd, o->msg + at, o->n_msg - at, MSG_DONTWAIT);

        if (r > 0) {
            at += (unsigned)r;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (o->msg[at].msg_hdr.msg_iovlen > 1 && errno != EAGAIN)
            send_apart(u, &o->msg[at].msg_hdr);
        else
            wp_udp_count_dropped(u, errno == EAGAIN ? WP_UDP_DROPPED_BUFFER : WP_UDP_DROPPED_ERROR);
        at++; /* this one cannot go; the next may */
    }
}

void wp_udp_send(struct wp_udp *u, struct wp_udp_slot *const *s, unsigned n)
{
    struct outgoing o;

    o.n_msg = o.n_iov = 0;
    for (unsigned i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && may_join(u, s[i], s[k], k - i); k++)
            ;
        address(&o, s + i, k - i);
    }
    send_all(u, &o);
}
