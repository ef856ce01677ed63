/* curl's results as our errors, and as texts for people. curl's own words are used for TLS only:
 * the others may hold parts of the request. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "backends/common/http_client_priv.h"

/* OpenSSL's results of a verification, which are part of its interface (x509_vfy.h). */
static const char *verify_text(long result)
{
    static const struct {
        long result;
        const char *text;
    } rows[] = {
        {9, "the server's certificate is not valid yet"},
        {10, "the server's certificate has expired"},
        {18, "the server's certificate is signed by an unknown authority"},
        {19, "the server's certificate is signed by an unknown authority"},
        {20, "the server's certificate is signed by an unknown authority"},
        {21, "the server's certificate is signed by an unknown authority"},
        {23, "the server's certificate has been revoked"},
        {26, "the server's certificate is not for servers"},
    };

    for (size_t i = 0; i < WP_COUNT(rows); i++)
        if (rows[i].result == result)
            return rows[i].text;
    return NULL;
}

/* "error:0A000412:SSL routines::sslv3 alert bad certificate, errno 0" -> the words after "::" */
static void tls_words(const struct wp_httpc_call *c, char out[120])
{
    const char *words = strstr(c->why, "::");

    snprintf(out, 120, "%.110s", words != NULL ? words + 2 : c->why);
    out[strcspn(out, ",(")] = '\0';
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
}

static int tls_error(const struct wp_httpc_call *c, CURLcode result, char out[160])
{
    const char *text = NULL;
    char words[120];
    long verified = 0;

    curl_easy_getinfo(c->easy, CURLINFO_SSL_VERIFYRESULT, &verified);
    if (result == CURLE_SSL_CACERT_BADFILE)
        text = "no CA certificate to verify the server with";
    else if (result == CURLE_SSL_CERTPROBLEM)
        text = "our client certificate or its key is not usable";
    else if (result == CURLE_PEER_FAILED_VERIFICATION)
        text = strstr(c->why, "target host name") != NULL
                   ? "the server's certificate is not for this name"
                   : verify_text(verified);
    if (text != NULL) {
        snprintf(out, 160, "%s", text);
        return WP_ETLS;
    }
    tls_words(c, words);
    snprintf(out, 160, "TLS: %s", words[0] != '\0' ? words : curl_easy_strerror(result));
    return WP_ETLS;
}

static int connect_error(const struct wp_httpc_call *c, char out[160])
{
    long number = 0;

    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &number);
    if (number == 0) {
        snprintf(out, 160, "cannot connect");
        return WP_EUNREACHABLE;
    }
    snprintf(out, 160, "%.150s", strerrordesc_np((int)number));
    out[0] = (char)tolower((unsigned char)out[0]); /* "connection refused" */
    return -(int)number;
}

static int timeout_error(const struct wp_httpc_call *c, char out[160])
{
    curl_off_t connected = 0;

    curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    if (c->err == WP_ETIMEOUT)
        snprintf(out, 160, "silent for %u ms", (unsigned)(c->idle_ns / 1000000));
    else
        snprintf(out, 160, "%s", connected == 0 ? "no connection in time" : "no answer in time");
    return WP_ETIMEOUT;
}

static int own_error(const struct wp_httpc_call *c, char out[160])
{
    if (c->err == WP_ELIMIT)
        snprintf(out, 160, "%s",
                 c->head_len > WP_HTTPC_HEAD_MAX ? "headers too large" : "body too large");
    else if (c->err == -ENOMEM)
        snprintf(out, 160, "out of memory");
    else
        snprintf(out, 160, "given up");
    return c->err;
}

static const struct {
    CURLcode result;
    int err;
    const char *text;
} rows[] = {
    {CURLE_COULDNT_RESOLVE_HOST, WP_EUNREACHABLE, "no such host"},
    {CURLE_COULDNT_RESOLVE_PROXY, WP_EUNREACHABLE, "no such proxy"},
    {CURLE_PROXY, WP_EUNREACHABLE, "the proxy refuses"},
    {CURLE_GOT_NOTHING, WP_ECLOSED, "connection closed without an answer"},
    {CURLE_PARTIAL_FILE, WP_ECLOSED, "connection closed before the end"},
    {CURLE_RECV_ERROR, WP_ECLOSED, "connection lost"},
    {CURLE_SEND_ERROR, WP_ECLOSED, "connection lost"},
    {CURLE_HTTP2, WP_ECLOSED, "HTTP/2 connection ended"},
    {CURLE_HTTP2_STREAM, WP_ECLOSED, "HTTP/2 stream ended"},
    {CURLE_WEIRD_SERVER_REPLY, WP_EMALFORMED, "not an HTTP answer"},
    {CURLE_UNSUPPORTED_PROTOCOL, WP_EMALFORMED, "not an HTTP answer"},
    {CURLE_BAD_CONTENT_ENCODING, WP_EMALFORMED, "broken compression"},
    {CURLE_FILESIZE_EXCEEDED, WP_ELIMIT, "body too large"},
    {CURLE_URL_MALFORMAT, WP_ECONFIG, "not a URL"},
    {CURLE_OUT_OF_MEMORY, -ENOMEM, "out of memory"},
};

static int other_error(CURLcode result, char out[160])
{
    for (size_t i = 0; i < WP_COUNT(rows); i++)
        if (rows[i].result == result) {
            snprintf(out, 160, "%s", rows[i].text);
            return rows[i].err;
        }
    snprintf(out, 160, "%.150s", curl_easy_strerror(result));
    return WP_ECLOSED;
}

static bool is_tls(const struct wp_httpc_call *c, CURLcode result)
{
    switch (result) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
        return true;
    case CURLE_RECV_ERROR: /* a refusal of TLS 1.3 comes when we already read */
        return strstr(c->why, "SSL routines") != NULL && strstr(c->why, "alert") != NULL;
    default:
        return false;
    }
}

int wp_httpc_error(const struct wp_httpc_call *c, CURLcode result, char text[WP_HTTPC_TEXT_MAX])
{
    char why[160];
    int err;

    if (result == CURLE_OPERATION_TIMEDOUT)
        err = timeout_error(c, why);
    else if (c->err != 0)
        err = own_error(c, why);
    else if (is_tls(c, result))
        err = tls_error(c, result, why);
    else if (result == CURLE_COULDNT_CONNECT)
        err = connect_error(c, why);
    else
        err = other_error(result, why);
    snprintf(text, WP_HTTPC_TEXT_MAX, "%.90s: %s", c->peer, why);
    return err;
}
