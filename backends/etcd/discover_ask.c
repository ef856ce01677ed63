/* Asking the host's resolver. */
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/etcd/discover.h"
#include "waypost/dns/types.h"

enum { REPLY_MAX = 65535, NAME_MAX_TEXT = 512 };

/* One question: 0 also when there are none. */
static int ask(struct __res_state *rs, uint8_t *buf, const char *service, const char *name,
               const char *domain, struct wp_etcd_found *ret, char why[256])
{
    char owner[NAME_MAX_TEXT];
    int n = snprintf(owner, sizeof(owner), "%s%s%s._tcp.%s", service, name != NULL ? "-" : "",
                     name != NULL ? name : "", domain);

    if (n >= (int)sizeof(owner)) {
        snprintf(why, 256, "the name is too long");
        return WP_EUNSUPPORTED;
    }
    n = res_nquery(rs, owner, WP_CLASS_IN, WP_TYPE_SRV, buf, REPLY_MAX);
    if (n < 0 && (rs->res_h_errno == HOST_NOT_FOUND || rs->res_h_errno == NO_DATA))
        return 0;
    if (n < 0) {
        snprintf(why, 256, "%.180s: %s", owner,
                 rs->res_h_errno == TRY_AGAIN ? "no answer from the resolver"
                                              : "the resolver failed");
        return WP_EUNSUPPORTED;
    }
    if (wp_etcd_found_read(buf, n < REPLY_MAX ? (size_t)n : REPLY_MAX, ret) < 0) {
        snprintf(why, 256, "%.180s: malformed reply", owner);
        return WP_EUNSUPPORTED;
    }
    return 0;
}

/* Without an answer about the secure ones nothing is known: not the others instead, which would
 * send a password in the clear because a datagram was lost. */
static int ask_both(struct __res_state *rs, uint8_t *buf, const char *domain, const char *name,
                    bool only_secure, struct wp_etcd_found *ret, char why[256])
{
    int r = ask(rs, buf, "_etcd-client-ssl", name, domain, ret, why);

    ret->secure = ret->n > 0;
    if (r < 0 || ret->secure)
        return r;
    if (!only_secure)
        r = ask(rs, buf, "_etcd-client", name, domain, ret, why);
    if (r == 0 && ret->n == 0) {
        snprintf(why, 256, "no SRV records of _etcd-client%s%.40s%.40s._tcp.%.150s",
                 only_secure ? "-ssl" : "", name != NULL ? "-" : "", name != NULL ? name : "", domain);
        r = WP_EUNSUPPORTED;
    }
    return r;
}

int wp_etcd_discover(const char *domain, const char *name, bool only_secure,
                     struct wp_etcd_found *ret, char why[256])
{
    struct __res_state rs = {0};
    uint8_t *buf = malloc(REPLY_MAX);
    int r = WP_EUNSUPPORTED;

    memset(ret, 0, sizeof(*ret));
    snprintf(why, 256, "out of memory");
    if (buf != NULL && res_ninit(&rs) == 0) { /* resolv.conf as it is now */
        r = ask_both(&rs, buf, domain, name, only_secure, ret, why);
        res_nclose(&rs);
    }
    free(buf);
    return r;
}
