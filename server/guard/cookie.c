/* DNS cookies (RFC 7873, RFC 9018): who shows one that we gave him has received our answers, so
 * his address is not forged. Over the effective client address: behind PROXY that of the client. */
#include "waypost/dns/cookie.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "server/guard/guard_priv.h"
#include "waypost/base/rd.h"
#include "waypost/base/wr.h"
#include "waypost/plugin/loop.h"
#include "waypost/plugin/query.h"
#include "waypost/server/router.h"

/* --- the process's own secret -------------------------------------------------------------- */

/* Written where nobody reads: the newest is `at`, the one before it is still known, the next one
 * goes to a slot that was last looked at two rotations ago. */
enum { SLOTS = 4 };
static uint8_t own[SLOTS][WP_COOKIE_SECRET];
static _Atomic unsigned rotations; /* 0: none yet */
static pthread_mutex_t rotate_lock = PTHREAD_MUTEX_INITIALIZER;

bool wp_guard_cookie_is_ready(void)
{
    return atomic_load_explicit(&rotations, memory_order_acquire) > 0;
}

int wp_guard_cookie_rotate(void)
{
    unsigned n;
    int r = 0;

    pthread_mutex_lock(&rotate_lock);
    n = atomic_load_explicit(&rotations, memory_order_relaxed) + 1;
    if (getrandom(own[n % SLOTS], WP_COOKIE_SECRET, 0) == WP_COOKIE_SECRET)
        atomic_store_explicit(&rotations, n, memory_order_release);
    else
        r = errno != 0 ? -errno : -EIO;
    pthread_mutex_unlock(&rotate_lock);
    return r;
}

/* The secrets to be tried, the one that makes cookies first. */
static unsigned secrets(const struct wp_cookie_settings *set, const uint8_t *ret[WP_COOKIE_SECRETS])
{
    unsigned n = atomic_load_explicit(&rotations, memory_order_acquire);

    for (unsigned i = 0; i < set->n_secrets; i++)
        ret[i] = set->secret[i];
    if (set->n_secrets > 0)
        return set->n_secrets;
    ret[0] = own[n % SLOTS];
    ret[1] = own[(n - 1) % SLOTS];
    return n > 1 ? 2 : 1;
}

/* --- a query's ----------------------------------------------------------------------------- */

/* The cookie was for us: an upstream that were shown it would take it for a wrong one of its own.
 */
static void take_out(struct wp_query *q, size_t len)
{
    struct wp_edns *e = &q->msg.edns;
    const uint8_t *from = e->options;
    size_t left = e->options_len;
    uint8_t *kept = left > 4 + len ? wp_arena_alloc(q->arena, left) : NULL;
    uint16_t n = 0;

    while (kept != NULL && left >= 4) {
        size_t octets = 4 + (size_t)wp_be16(from + 2);

        if (wp_be16(from) != WP_EDNS_COOKIE) {
            memcpy(kept + n, from, octets);
            n = (uint16_t)(n + octets);
        }
        from += octets;
        left -= octets;
    }
    e->options = n > 0 ? kept : NULL;
    e->options_len = n;
}

/* Sets q->cookie; true if the client's was good. */
static bool judge(struct wp_query *q, const uint8_t *cookie, size_t len)
{
    const struct wp_cookie_settings *set = &q->route->group->cookie;
    uint32_t now = (uint32_t)wp_loop_unix_time(q->loop), age = WP_COOKIE_RENEW_S + 1;
    const uint8_t *secret[WP_COOKIE_SECRETS];
    unsigned n = secrets(set, secret), i;
    bool good = false;

    for (i = 0; i < n && !good; i++)
        good = wp_cookie_is_good(secret[i], &q->client, now, cookie, len, &age);
    if (good && age <= WP_COOKIE_RENEW_S && i == 1) { /* young, and by the newest secret */
        memcpy(q->cookie, cookie, WP_COOKIE_LEN);
    } else {
        memcpy(q->cookie, cookie, WP_COOKIE_CLIENT);
        wp_cookie_make(secret[0], &q->client, now, q->cookie);
    }
    q->has_cookie = true;
    return good;
}

enum wp_intake wp_guard_cookie(struct wp_query *q, enum wp_intake verdict)
{
    const uint8_t *cookie;
    uint16_t len;
    bool asks = verdict == WP_INTAKE_OK, good;

    if (!asks && (verdict != WP_INTAKE_FORMERR_HEAD ||
                  !wp_msg_parse_no_question(q->wire, q->wire_len, &q->msg)))
        return verdict;
    cookie = wp_edns_option_find(&q->msg.edns, WP_EDNS_COOKIE, &len);
    if (cookie == NULL)
        return verdict;
    if (!wp_cookie_len_ok(len))
        return WP_INTAKE_FORMERR;
    good = judge(q, cookie, len);
    take_out(q, len);
    if (!asks) /* RFC 7873 s5.4: only a wrong one is told */
        return good || len == WP_COOKIE_CLIENT ? WP_INTAKE_COOKIE : WP_INTAKE_BADCOOKIE;
    /* An address cannot be forged but over UDP. */
    if (!good && q->transport == WP_UDP && q->route->group->cookie.enforce)
        return WP_INTAKE_BADCOOKIE;
    return WP_INTAKE_OK;
}
