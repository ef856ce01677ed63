/* What the kernel tells with a datagram: the address that was asked, and how it has joined those of
 * one sender (UDP_GRO). */
#include "server/listeners/udp_priv.h"

#include <netinet/udp.h>
#include <string.h>

/* Keep a packet info for the reply: the address asked becomes the source. */
static void keep_info(struct wp_udp_envelope *env, const struct cmsghdr *c)
{
    size_t len = CMSG_SPACE(c->cmsg_len - CMSG_LEN(0));

    if (len <= sizeof(env->control)) {
        memmove(env->control, c, len);
        env->control_len = len;
    }
}

unsigned wp_udp_read_control(struct wp_udp_envelope *env, struct msghdr *h)
{
    unsigned segment = 0;
    struct cmsghdr *info = NULL;

    env->control_len = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;

            memcpy(&size, CMSG_DATA(c), sizeof(size));
            segment = size > 0 ? (unsigned)size : 0;
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo i;

            memcpy(&i, CMSG_DATA(c), sizeof(i));
            env->local.family = 4;
            memcpy(env->local.ip, &i.ipi_addr, 4);
            i.ipi_ifindex = 0;
            i.ipi_spec_dst = i.ipi_addr;
            memcpy(CMSG_DATA(c), &i, sizeof(i));
            info = c;
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo i;

            memcpy(&i, CMSG_DATA(c), sizeof(i));
            env->local.family = 6;
            memcpy(env->local.ip, &i.ipi6_addr, 16);
            if (IN6_IS_ADDR_LINKLOCAL(&i.ipi6_addr))
                env->local.scope = i.ipi6_ifindex;
            else
                i.ipi6_ifindex = 0; /* routing decides, except where only the link does */
            memcpy(CMSG_DATA(c), &i, sizeof(i));
            info = c;
        }
    }
    if (info != NULL)
        keep_info(env, info);
    return segment;
}
