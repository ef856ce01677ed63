/* The gate that every message passes, and the sources that are never answered. */
#include <string.h>

#include "server/guard/guard_priv.h"
#include "waypost/plugin/query.h"
#include "waypost/server/router.h"

enum { OPCODES_ALWAYS = 1u << WP_OPCODE_QUERY | 1u << WP_OPCODE_NOTIFY };

enum wp_intake wp_guard_message(struct wp_query *q)
{
    unsigned opcodes = OPCODES_ALWAYS;
    enum wp_intake verdict;

    /* UPDATE over DoH, gRPC or QUIC reached handlers that trusted the transport
     * (CVE-2026-86003): one list here, not one in each listener. */
    if (q->transport == WP_UDP || q->transport == WP_TCP || q->transport == WP_DOT)
        opcodes |= q->route->opcodes;
    verdict = wp_msg_parse_query(q->wire, q->wire_len, opcodes, &q->msg);
    if (WP_UNLIKELY(q->route->group != NULL && q->route->group->cookie.set))
        verdict = wp_guard_cookie(q, verdict);
    if (WP_UNLIKELY(verdict != WP_INTAKE_OK) && q->route->group->counts != NULL)
        wp_metric_add(q->route->group->counts->rejected[verdict], q->worker, 1);
    return verdict;
}

static bool is_multicast_or_broadcast(const struct wp_addr *a)
{
    static const uint8_t none[16];

    if (memcmp(a->ip, none, sizeof(none)) == 0)
        return true; /* the unspecified address */
    return a->family == 4 ? a->ip[0] >= 224 : a->ip[0] == 0xff;
}

bool wp_guard_source_ok(const struct wp_addr *client, const struct wp_addr *local)
{
    if (client->port == 0 || client->family == 0 || is_multicast_or_broadcast(client))
        return false;
    /* Our own socket as source: two servers, or one with itself, would talk for ever. A stub on
     * this host uses our address with another port, and is served. */
    return !(client->port == local->port && wp_addr_equal_ip(client, local));
}
