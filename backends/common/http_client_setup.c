/* A request as curl's options. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/common/http_client_priv.h"

/* 64 KiB: a list of many megabytes comes in few pieces, a watch does not cost much. */
enum { BUFFER = 64 * 1024, IDLE_CONNECTION_S = 90 };

/* Options set so far; the first failure is kept. */
struct options {
    CURL *easy;
    CURLcode r;
};

static void set_long(struct options *o, CURLoption name, long value)
{
    if (o->r == CURLE_OK)
        o->r = curl_easy_setopt(o->easy, name, value);
}

static void set_text(struct options *o, CURLoption name, const char *value)
{
    if (o->r == CURLE_OK)
        o->r = curl_easy_setopt(o->easy, name, value);
}

static void set_blob(struct options *o, CURLoption name, const char *text)
{
    struct curl_blob blob = {
        .data = (void *)(uintptr_t)text, .len = strlen(text), .flags = CURL_BLOB_COPY};

    if (o->r == CURLE_OK)
        o->r = curl_easy_setopt(o->easy, name, &blob);
}

/* --- the URL ------------------------------------------------------------------------------- */

struct place {
    CURLU *url;
    char *scheme, *host, *port; /* host: an IPv6 address in brackets */
};

static void place_done(struct place *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
    curl_url_cleanup(p->url);
}

static int place_of(const char *url, struct place *p)
{
    char *user = NULL;
    CURLUcode r;

    p->url = curl_url();
    if (p->url == NULL)
        return -ENOMEM;
    r = curl_url_set(p->url, CURLUPART_URL, url, 0);
    if (r != CURLUE_OK)
        return r == CURLUE_OUT_OF_MEMORY ? -ENOMEM : WP_ECONFIG;
    if (curl_url_get(p->url, CURLUPART_USER, &user, 0) == CURLUE_OK) {
        curl_free(user);
        return WP_ECONFIG; /* it would stand in texts */
    }
    if (curl_url_get(p->url, CURLUPART_SCHEME, &p->scheme, 0) != CURLUE_OK ||
        curl_url_get(p->url, CURLUPART_HOST, &p->host, 0) != CURLUE_OK ||
        curl_url_get(p->url, CURLUPART_PORT, &p->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        return WP_ECONFIG;
    return strcmp(p->scheme, "http") == 0 || strcmp(p->scheme, "https") == 0 ? 0 : WP_ECONFIG;
}

static bool is_name(const char *s)
{
    return s[0] != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789.-_:")] == '\0';
}

/* curl asks for and verifies the URL's host: so the URL gets the other name, the connection goes
 * where the URL said, and Host tells what it said. */
static int rename_server(struct wp_httpc_call *c, struct place *p, const char *name)
{
    struct curl_slist *headers;
    char text[1200];
    int n;

    n = snprintf(text, sizeof(text), strchr(name, ':') != NULL ? "[%s]" : "%s", name);
    if (!is_name(name) || (size_t)n >= sizeof(text) ||
        curl_url_set(p->url, CURLUPART_HOST, text, 0) != CURLUE_OK)
        return WP_ECONFIG;
    n = snprintf(text, sizeof(text), "::%s:%s", p->host, p->port);
    if ((size_t)n >= sizeof(text))
        return WP_ECONFIG;
    c->connect_to = curl_slist_append(NULL, text);
    snprintf(text, sizeof(text), "Host: %s%s%s", p->host, strcmp(p->port, "443") == 0 ? "" : ":",
             strcmp(p->port, "443") == 0 ? "" : p->port);
    headers = curl_slist_append(c->headers, text);
    if (c->connect_to == NULL || headers == NULL)
        return -ENOMEM;
    c->headers = headers;
    return 0;
}

static int set_url(struct wp_httpc_call *c, struct options *o, const struct wp_httpc_request *r,
                   struct place *p)
{
    char *url = NULL;
    int err = place_of(r->url, p);

    if (err < 0)
        return err;
    if (r->unix_path != NULL)
        snprintf(c->peer, sizeof(c->peer), "%s", r->unix_path);
    else
        snprintf(c->peer, sizeof(c->peer), "%.140s:%.8s", p->host, p->port);
    if (r->tls != NULL && r->tls->server_name != NULL && strcmp(p->scheme, "https") == 0)
        err = rename_server(c, p, r->tls->server_name);
    if (err < 0)
        return err;
    if (curl_url_get(p->url, CURLUPART_URL, &url, 0) != CURLUE_OK)
        return -ENOMEM;
    set_text(o, CURLOPT_URL, url);
    curl_free(url);
    return 0;
}

/* --- the proxy ----------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    struct in_addr v4;

    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

/* As Go reads the environment: loopback addresses never go through a proxy, and unlike with curl
 * HTTP_PROXY counts in capitals too, except in a CGI, where the client makes it. */
static void set_proxy(struct options *o, const struct wp_httpc_request *r, const struct place *p)
{
    const char *upper = getenv("HTTP_PROXY");

    if (r->proxy != NULL)
        set_text(o, CURLOPT_PROXY, r->proxy);
    else if (!r->proxy_env || is_loopback(p->host) || r->unix_path != NULL)
        set_text(o, CURLOPT_PROXY, "");
    else if (strcmp(p->scheme, "http") == 0 && getenv("http_proxy") == NULL && upper != NULL &&
             getenv("REQUEST_METHOD") == NULL)
        set_text(o, CURLOPT_PROXY, upper);
}

/* --- TLS ----------------------------------------------------------------------------------- */

static void set_ca(struct options *o, const struct wp_httpc_tls *t)
{
    const char *file = t->ca_file;

    if (file == NULL && t->ca_dir == NULL)
        file = getenv("SSL_CERT_FILE");
    if (t->ca_pem == NULL && file == NULL && t->ca_dir == NULL)
        return;
    /* what is not given is taken away: else the system's would be believed too */
    set_text(o, CURLOPT_CAPATH, t->ca_pem == NULL ? t->ca_dir : NULL);
    set_text(o, CURLOPT_PROXY_CAPATH, t->ca_pem == NULL ? t->ca_dir : NULL);
    set_text(o, CURLOPT_CAINFO, t->ca_pem == NULL ? file : NULL);
    set_text(o, CURLOPT_PROXY_CAINFO, t->ca_pem == NULL ? file : NULL);
    if (t->ca_pem != NULL) {
        set_blob(o, CURLOPT_CAINFO_BLOB, t->ca_pem);
        set_blob(o, CURLOPT_PROXY_CAINFO_BLOB, t->ca_pem);
    }
}

static void set_tls(struct options *o, const struct wp_httpc_tls *t)
{
    static const struct wp_httpc_tls none;

    if (t == NULL)
        t = &none;
    set_ca(o, t);
    set_long(o, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    if (t->insecure) {
        set_long(o, CURLOPT_SSL_VERIFYPEER, 0);
        set_long(o, CURLOPT_SSL_VERIFYHOST, 0);
    }
    if (t->cert_pem != NULL)
        set_blob(o, CURLOPT_SSLCERT_BLOB, t->cert_pem);
    else if (t->cert_file != NULL)
        set_text(o, CURLOPT_SSLCERT, t->cert_file);
    if (t->key_pem != NULL)
        set_blob(o, CURLOPT_SSLKEY_BLOB, t->key_pem);
    else if (t->key_file != NULL)
        set_text(o, CURLOPT_SSLKEY, t->key_file);
}

/* --- headers and body ---------------------------------------------------------------------- */

static bool is_line(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

static int add_header(struct wp_httpc_call *c, const char *name, const char *value)
{
    struct curl_slist *list;
    char *line;
    int n;

    if (name[0] == '\0' || strpbrk(name, ": ") != NULL || !is_line(name) || !is_line(value))
        return WP_ECONFIG;
    /* curl takes "Name:" for leaving the header out */
    n = asprintf(&line, value[0] != '\0' ? "%s: %s" : "%s;%s", name, value);
    if (n < 0)
        return -ENOMEM;
    list = curl_slist_append(c->headers, line);
    free(line);
    if (list == NULL)
        return -ENOMEM;
    c->headers = list;
    return 0;
}

static int set_content(struct wp_httpc_call *c, struct options *o, const struct wp_httpc_request *r)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < r->n_headers; i++)
        err = add_header(c, r->headers[i].name, r->headers[i].value);
    if (err < 0)
        return err;
    if (r->body != NULL) {
        struct curl_slist *list = curl_slist_append(c->headers, "Expect:"); /* no waiting for 100 */
        if (list == NULL)
            return -ENOMEM;
        c->headers = list;
        set_long(o, CURLOPT_POSTFIELDSIZE, (long)r->body_len);
        if (o->r == CURLE_OK)
            o->r = curl_easy_setopt(o->easy, CURLOPT_COPYPOSTFIELDS, r->body);
    }
    if (r->method != NULL && strcmp(r->method, "HEAD") == 0)
        set_long(o, CURLOPT_NOBODY, 1);
    else if (r->method != NULL)
        set_text(o, CURLOPT_CUSTOMREQUEST, r->method);
    if (r->gzip)
        set_text(o, CURLOPT_ACCEPT_ENCODING, "gzip");
    return 0;
}

static void set_manner(struct options *o, const struct wp_httpc_request *r)
{
    set_long(o, CURLOPT_NOSIGNAL, 1);
    set_text(o, CURLOPT_PROTOCOLS_STR, "http,https");
    set_long(o, CURLOPT_HTTP_VERSION, r->http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS);
    /* In clear there is no HTTP/2 to wait for: a call would wait for the end of the one before. */
    set_long(o, CURLOPT_PIPEWAIT, !r->http1 && strncasecmp(r->url, "https:", 6) == 0);
    set_long(o, CURLOPT_BUFFERSIZE, BUFFER);
    set_long(o, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_S);
    set_long(o, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
    /* a name that is being looked up when its call ends is left to its thread: the engine's
     * would wait for it */
    set_long(o, CURLOPT_QUICK_EXIT, 1);
    set_long(o, CURLOPT_CONNECTTIMEOUT_MS,
             (long)(r->connect_ms > 0 ? r->connect_ms : WP_HTTPC_CONNECT_MS));
    set_long(o, CURLOPT_TIMEOUT_MS, (long)r->total_ms);
    if (r->unix_path != NULL)
        set_text(o, CURLOPT_UNIX_SOCKET_PATH, r->unix_path);
}

int wp_httpc_setup(struct wp_httpc_call *c, const struct wp_httpc_request *r)
{
    struct options o = {.easy = c->easy};
    struct place p = {0};
    int err = set_url(c, &o, r, &p);

    if (err == 0)
        err = set_content(c, &o, r);
    if (err == 0) {
        set_proxy(&o, r, &p);
        set_tls(&o, r->tls);
        set_manner(&o, r);
        if (o.r == CURLE_OK)
            o.r = curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
        if (o.r == CURLE_OK && c->connect_to != NULL)
            o.r = curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to);
        if (o.r != CURLE_OK)
            err = o.r == CURLE_OUT_OF_MEMORY ? -ENOMEM : WP_ECONFIG;
    }
    place_done(&p);
    return err;
}
