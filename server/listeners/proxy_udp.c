#include "server/listeners/proxy_udp.h"

#include <stdlib.h>
#include <string.h>

#include "server/listeners/proxy.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"

enum { BUCKETS = 1024, SESSIONS_MAX = 10240, TLV_KEPT = 1024, LOG_BURST = 5, LOG_EVERY_S = 10 };

struct session {
    struct session *chain;         /* of its bucket */
    struct session *older, *newer; /* by last header */
    struct wp_addr peer, client, dest;
    uint64_t due_ns;
    uint16_t tlv_len;
    uint8_t tlv[];
};

struct wp_proxy_sessions {
    struct session *bucket[BUCKETS];
    struct session *oldest, *newest;
    unsigned n;
};

static struct session **bucket_of(struct wp_proxy_sessions *s, const struct wp_addr *peer)
{
    uint64_t h = wp_hash_mix(wp_hash_bytes(peer->ip, sizeof(peer->ip)), peer->port);

    return &s->bucket[h % BUCKETS];
}

static void unlink_age(struct wp_proxy_sessions *s, struct session *e)
{
    *(e->older != NULL ? &e->older->newer : &s->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &s->newest) = e->older;
}

static void drop(struct wp_proxy_sessions *s, struct session *e)
{
    struct session **at = bucket_of(s, &e->peer);

    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlink_age(s, e);
    s->n--;
    free(e);
}

void wp_proxy_sessions_free(struct wp_proxy_sessions *s)
{
    if (s == NULL)
        return;
    while (s->oldest != NULL)
        drop(s, s->oldest);
    free(s);
}

static struct session *find(struct wp_proxy_sessions *s, const struct wp_addr *peer, uint64_t now_ns)
{
    struct session *e = s != NULL ? *bucket_of(s, peer) : NULL;

    while (e != NULL && !wp_addr_equal(&e->peer, peer))
        e = e->chain;
    if (e != NULL && e->due_ns <= now_ns) {
        drop(s, e);
        return NULL;
    }
    return e;
}

static void remember(struct wp_proxy_sessions **where, const struct wp_proxy_settings *set,
                     const struct wp_addr *peer, const struct wp_proxy_header *h, uint64_t now_ns)
{
    unsigned max = set->udp_sessions_max > 0 ? (unsigned)set->udp_sessions_max : SESSIONS_MAX;
    uint16_t tlv_len = h->tlv_len <= TLV_KEPT ? h->tlv_len : 0;
    struct wp_proxy_sessions *s = *where;
    struct session *e;

    if (s == NULL) {
        s = *where = calloc(1, sizeof(*s));
        if (s == NULL)
            return;
    }
    e = find(s, peer, now_ns);
    if (e != NULL)
        drop(s, e);
    while (s->n >= max)
        drop(s, s->oldest);
    e = calloc(1, sizeof(*e) + tlv_len);
    if (e == NULL)
        return;
    e->peer = *peer;
    e->client = h->client;
    e->dest = h->dest;
    e->due_ns = now_ns + (uint64_t)set->udp_session_ns;
    e->tlv_len = tlv_len;
    if (tlv_len > 0)
        memcpy(e->tlv, h->tlv, tlv_len);
    e->chain = *bucket_of(s, peer);
    *bucket_of(s, peer) = e;
    e->older = s->newest;
    *(s->newest != NULL ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
    s->n++;
}

static void attribute(struct wp_query *q, const struct wp_addr *client, const struct wp_addr *dest,
                      const uint8_t *tlv, uint16_t tlv_len)
{
    q->client = *client;
    q->local = *dest;
    q->proxy_tlv = tlv_len > 0 ? tlv : NULL;
    q->proxy_tlv_len = tlv_len;
}

/* No header: a session's client if there is one, else the sender itself (CoreDNS takes the header
 * for optional; `allow` says whose headers are believed, not who must send one). */
static void without_header(struct wp_proxy_sessions *s, struct wp_query *q, uint64_t now_ns)
{
    const struct session *e = find(s, &q->peer, now_ns);
    const uint8_t *tlv;

    if (e == NULL)
        return;
    /* the session may go while the query waits */
    tlv = e->tlv_len > 0 ? wp_arena_dup(q->arena, e->tlv, e->tlv_len) : NULL;
    attribute(q, &e->client, &e->dest, tlv, tlv != NULL ? e->tlv_len : 0);
}

static bool refuse(const struct wp_addr *peer, const char *why)
{
    static struct wp_log_limit limit;
    char text[WP_ADDR_TEXT_MAX];

    if (wp_log_allow(&limit, LOG_BURST, LOG_EVERY_S))
        wp_log(WP_WARNING, NULL, "dropping invalid Proxy Protocol packet from %s: %s",
               wp_addr_text(peer, text), why);
    return false;
}

bool wp_proxy_datagram(struct wp_proxy_sessions **sessions, const struct wp_proxy_settings *set,
                       struct wp_query *q, uint64_t now_ns)
{
    enum wp_proxy_default policy = wp_proxy_policy(set, &q->peer);
    struct wp_proxy_header h;
    int n;

    if (policy == WP_PROXY_SKIP)
        return true;
    n = wp_proxy_parse(q->wire, q->wire_len, &h);
    if (n == WP_ENOTFOUND) {
        if (policy == WP_PROXY_USE)
            without_header(*sessions, q, now_ns);
        return true;
    }
    if (n <= 0)
        return refuse(&q->peer, "malformed header");
    if (h.version == 1)
        return refuse(&q->peer,
                      "unsupported Proxy Protocol version 1 (only v2 supported for UDP)");
    if (!h.local && !h.datagram)
        return refuse(&q->peer, "PROXY Protocol header is not UDP type");
    if (policy == WP_PROXY_REJECT)
        return refuse(&q->peer, "connection rejected by Proxy Protocol connection policy");
    q->wire += n;
    q->wire_len -= (uint32_t)n;
    if (policy == WP_PROXY_USE && !h.local) {
        attribute(q, &h.client, &h.dest, h.tlv, h.tlv_len);
        if (set->udp_session_ns > 0)
            remember(sessions, set, &q->peer, &h, now_ns);
    }
    return q->wire_len > 0; /* a header alone is only remembered */
}
