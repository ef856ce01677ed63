#include "server/plugins/prometheus/web_priv.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "waypost/base/hash.h"

/* Wrong passwords that are looked at each second: bcrypt is slow on purpose, and the loop that pays
 * for it answers health checks too. */
enum { WRONG_PER_S = 2, CREDENTIALS_MAX = 512 };

int wp_web_new(const char *path, char why[WEB_WHY_MAX], struct web **ret)
{
    struct web *w = calloc(1, sizeof(*w));
    char tls_why[256];
    int r;

    if (w == NULL) {
        snprintf(why, WEB_WHY_MAX, "%s", wp_strerror(-ENOMEM));
        return -ENOMEM;
    }
    r = wp_web_read(path, why, w);
    if (r == 0 && w->has_tls) {
        const struct wp_tls_server_config config = {.cert_file = w->cert,
                                                    .key_file = w->key,
                                                    .ca_file = w->ca,
                                                    .client_auth = w->client_auth,
                                                    .alpn = "http/1.1"};
        r = wp_tls_server_new(&config, tls_why, &w->tls);
        if (r < 0)
            snprintf(why, WEB_WHY_MAX, "%s", tls_why);
    }
    if (r < 0) {
        wp_web_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void wp_web_free(struct web *w)
{
    if (w == NULL)
        return;
    for (unsigned i = 0; i < w->n_users; i++) {
        free(w->users[i].name);
        free(w->users[i].hash);
    }
    wp_tls_ctx_unref(w->tls);
    free(w->cert);
    free(w->key);
    free(w->ca);
    free(w->headers);
    free(w);
}

struct wp_tls_ctx *wp_web_tls(const struct web *w)
{
    return w->tls;
}

const char *wp_web_headers(const struct web *w)
{
    return w->headers;
}

/* "Basic BASE64" to "user:password"; false when it is not that (RFC 7617 s2, RFC 4648 s4). */
static bool decode_basic(const char *authorization, char out[CREDENTIALS_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;

    if (strncasecmp(authorization, "Basic ", 6) != 0)
        return false;
    for (const char *p = authorization + 6; *p != '\0' && *p != '='; p++) {
        const char *digit = strchr(digits, *p);
        if (digit == NULL || n == CREDENTIALS_MAX - 1)
            return false;
        bits = (bits << 6 | (unsigned)(digit - digits)) & 0xffff;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[n++] = (char)(bits >> n_bits);
        }
    }
    out[n] = '\0';
    return strlen(out) == n && strchr(out, ':') != NULL;
}

static bool bcrypt_matches(const char *password, const char *hash)
{
    struct crypt_data *data = calloc(1, sizeof(*data)); /* 32 KiB */
    const char *made = data != NULL ? crypt_r(password, hash, data) : NULL;
    bool same = made != NULL && strlen(made) == strlen(hash);
    unsigned differ = 0;

    for (size_t i = 0; same && hash[i] != '\0'; i++)
        differ |= (unsigned char)(made[i] ^ hash[i]);
    free(data);
    return same && differ == 0;
}

static bool may_try(struct web *w)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if ((uint64_t)now.tv_sec != w->window_s) {
        w->window_s = (uint64_t)now.tv_sec;
        w->n_wrong = 0;
    }
    return w->n_wrong < WRONG_PER_S;
}

bool wp_web_allows(struct web *w, const char *authorization)
{
    char credentials[CREDENTIALS_MAX], *password;
    uint64_t known;

    if (w->n_users == 0)
        return true;
    if (!decode_basic(authorization, credentials))
        return false;
    known = wp_hash_bytes(credentials, strlen(credentials)) | 1;
    password = strchr(credentials, ':');
    *password++ = '\0';
    for (unsigned i = 0; i < w->n_users; i++) {
        struct web_user *u = &w->users[i];
        if (strcmp(u->name, credentials) != 0)
            continue;
        if (u->known == known)
            return true; /* else each scrape would cost a tenth of a second */
        if (!may_try(w))
            return false;
        if (bcrypt_matches(password, u->hash))
            u->known = known;
        else
            w->n_wrong++;
        return u->known == known;
    }
    return false;
}
