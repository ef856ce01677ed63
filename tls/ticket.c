/* Keys of session tickets (RFC 5077 s4, RFC 8446 s4.6.1). They are one ring for the process, so that
 * every worker, every generation and every provider has them, or those of a file, which other
 * processes may have as well; what a ticket may be used for is decided by the policy's id. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "tls/tls_priv.h"
#include "waypost/base/digest.h"
#include "waypost/base/hash.h"

enum { KEYS = 3 }; /* one that encrypts, two that still decrypt */

static struct wp_tls_ticket_key ring[KEYS]; /* newest first */
static unsigned n_keys;
static pthread_rwlock_t ring_lock = PTHREAD_RWLOCK_INITIALIZER;

/* The lock is held for writing. */
static int new_key(void)
{
    struct wp_tls_ticket_key k;

    if (getrandom(&k, sizeof(k), 0) != sizeof(k))
        return WP_ETLS;
    memmove(ring + 1, ring, sizeof(ring) - sizeof(ring[0]));
    ring[0] = k;
    explicit_bzero(&k, sizeof(k));
    if (n_keys < KEYS)
        n_keys++;
    return 0;
}

void wp_tls_tickets_rotate(void)
{
    pthread_rwlock_wrlock(&ring_lock);
    if (n_keys > 0)
        (void)new_key(); /* without randomness the old key goes on */
    pthread_rwlock_unlock(&ring_lock);
}

void wp_tls_ticket_newest(const struct wp_tls_material *m, struct wp_tls_ticket_key *ret)
{
    if (m->n_tickets > 0) {
        *ret = m->tickets[0];
        return;
    }
    pthread_rwlock_rdlock(&ring_lock);
    *ret = ring[0];
    pthread_rwlock_unlock(&ring_lock);
}

static int find(const struct wp_tls_ticket_key *keys, unsigned n, const uint8_t name[16],
                struct wp_tls_ticket_key *ret)
{
    for (unsigned i = 0; i < n; i++)
        if (memcmp(name, keys[i].name, sizeof(keys[i].name)) == 0) {
            *ret = keys[i];
            return i == 0 ? 1 : 2;
        }
    return 0;
}

int wp_tls_ticket_find(const struct wp_tls_material *m, const uint8_t name[16],
                       struct wp_tls_ticket_key *ret)
{
    int r;

    if (m->n_tickets > 0)
        return find(m->tickets, m->n_tickets, name, ret);
    pthread_rwlock_rdlock(&ring_lock);
    r = find(ring, n_keys, name, ret);
    pthread_rwlock_unlock(&ring_lock);
    return r;
}

/* Another certificate, client policy, CA or protocol is another context: no ticket crosses. It is
 * the same in every process that is configured so. */
static int policy_id(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                     struct wp_tls_material *m)
{
    const uint8_t mode = (uint8_t)p->client_auth;
    struct wp_digest *d = wp_digest_new();
    uint8_t sum[WP_DIGEST_LEN];

    if (d != NULL) {
        wp_digest_add(d, p->cert_file, strlen(p->cert_file) + 1);
        wp_digest_add(d, m->alpn, sizeof(m->alpn));
        wp_digest_add(d, &mode, sizeof(mode));
        if (f->ca.data != NULL)
            wp_digest_add(d, f->ca.data, f->ca.len);
    }
    if (wp_digest_end(d, sum) < 0)
        return WP_ETLS;
    memcpy(m->policy_id, sum, sizeof(m->policy_id));
    return 0;
}

static int take_file(const struct wp_tls_file *f, struct wp_tls_material *m,
                     char errbuf[WP_TLS_ERR_MAX])
{
    if (f->data == NULL)
        return 0;
    if (f->len == 0 || f->len % sizeof(m->tickets[0]) != 0 || f->len > sizeof(m->tickets)) {
        snprintf(errbuf, WP_TLS_ERR_MAX,
                 "could not load ticket keys: %s: not one to %d keys of %zu octets", f->path,
                 WP_TLS_TICKET_KEYS, sizeof(m->tickets[0]));
        return WP_ETLS;
    }
    memcpy(m->tickets, f->data, f->len);
    m->n_tickets = (unsigned)(f->len / sizeof(m->tickets[0]));
    m->tickets_id = wp_hash_bytes(f->data, f->len) | 1;
    return 0;
}

int wp_tls_tickets_load(const struct wp_tls_policy *p, const struct wp_tls_files *f,
                        struct wp_tls_material *m, char errbuf[WP_TLS_ERR_MAX])
{
    int r = take_file(&f->tickets, m, errbuf);

    if (r < 0)
        return r;
    pthread_rwlock_wrlock(&ring_lock);
    if (n_keys == 0)
        r = new_key();
    pthread_rwlock_unlock(&ring_lock);
    if (r == 0)
        r = policy_id(p, f, m);
    if (r < 0)
        snprintf(errbuf, WP_TLS_ERR_MAX, "session tickets: no randomness or no memory");
    return r;
}
