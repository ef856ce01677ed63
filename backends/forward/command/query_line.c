/* What is asked, and whom: the words of the line. */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "backends/forward/command/query.h"
#include "backends/forward/forward.h"
#include "waypost/base/text.h"

static const struct {
    const char *name, *other, *scheme;
    uint16_t port;
} transports[] = {
    [QUERY_UDP] = {"udp", "udp", "dns", 53},      [QUERY_TCP] = {"tcp", "tcp", "dns", 53},
    [QUERY_DOT] = {"dot", "tls", "tls", 853},     [QUERY_DOH] = {"doh", "https", "https", 443},
    [QUERY_GRPC] = {"grpc", "grpc", "grpc", 443},
};

/* --- the question --------------------------------------------------------------------------- */

static int reverse_name(const char *text, struct wp_name *ret)
{
    struct wp_addr a;

    if (wp_addr_parse_ip(text, &a) < 0)
        return query_say("-x %s: not an address", text);
    wp_name_reverse(&a, ret);
    return 0;
}

static int read_type(struct query *q, const char *word)
{
    if (wp_type_parse(word, &q->type) < 0)
        return query_say("%s: no such type", word);
    if (q->type == WP_TYPE_AXFR || q->type == WP_TYPE_IXFR)
        return query_say("%s: a transfer is more than a question", word);
    return 0;
}

static int read_question(struct query *q, const char *const *words, unsigned n)
{
    const char *reverse = q->o->reverse;

    q->cls = WP_CLASS_IN;
    q->type = reverse != NULL ? WP_TYPE_PTR : WP_TYPE_A;
    if (reverse == NULL && n == 0)
        return query_say("what is asked? NAME [TYPE [CLASS]], or -x ADDRESS");
    if (n > (reverse != NULL ? 0 : 3))
        return query_say("%s: one word too many", words[n - 1]);
    if (reverse != NULL)
        return reverse_name(reverse, &q->name);
    if (wp_name_parse(words[0], &q->name) < 0)
        return query_say("%s: not a domain name", words[0]);
    if (n > 1 && read_type(q, words[1]) < 0)
        return WP_ECONFIG;
    if (n > 2 && wp_class_parse(words[2], &q->cls) < 0)
        return query_say("%s: no such class", words[2]);
    return 0;
}

/* --- the server ----------------------------------------------------------------------------- */

static int read_transport(struct query *q, const char *word, const char *scheme, size_t scheme_len)
{
    const char *wanted = q->o->transport;
    unsigned by_name = WP_COUNT(transports), by_scheme = WP_COUNT(transports);

    for (unsigned i = WP_COUNT(transports); i-- > 0;) {
        if (wanted != NULL &&
            (wp_text_ieq(wanted, transports[i].name) || wp_text_ieq(wanted, transports[i].other)))
            by_name = i;
        if (scheme != NULL && strlen(transports[i].scheme) == scheme_len &&
            memcmp(scheme, transports[i].scheme, scheme_len) == 0)
            by_scheme = i;
    }
    if (wanted != NULL && by_name == WP_COUNT(transports))
        return query_say("--transport %s: udp, tcp, dot, doh or grpc", wanted);
    if (scheme != NULL && by_scheme == WP_COUNT(transports))
        return query_say("%s: dns://, tls://, https:// or grpc://", word);
    if (wanted != NULL && scheme != NULL &&
        transports[by_name].scheme != transports[by_scheme].scheme)
        return query_say("%s over %s? One of them is wrong", word, wanted);
    q->transport = wanted != NULL ? by_name : scheme != NULL ? by_scheme : QUERY_UDP;
    q->port = transports[q->transport].port;
    return 0;
}

static int find_host(struct query *q)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *all = NULL;
    int r;

    if (wp_addr_parse_ip(q->host, &q->addrs[0]) == 0) {
        q->n_addrs = 1;
        q->addrs[0].port = q->port;
        return 0;
    }
    r = getaddrinfo(q->host, NULL, &hints, &all);
    if (r != 0)
        return query_say("@%s: %s", q->host, gai_strerror(r));
    for (const struct addrinfo *ai = all; ai != NULL && q->n_addrs < QUERY_ADDRS_MAX;
         ai = ai->ai_next) {
        wp_addr_from_sockaddr(ai->ai_addr, &q->addrs[q->n_addrs]);
        q->addrs[q->n_addrs++].port = q->port;
    }
    freeaddrinfo(all);
    return 0;
}

static bool is_path(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] == 0x7f)
            return false;
    }
    return n <= WP_UP_PATH_MAX && text[0] == '/';
}

/* Behind the scheme: HOST[%NAME][:PORT], an address in brackets or bare, and for https a path. */
static int read_place(struct query *q, const char *word, char *text)
{
    char *slash = strchr(text, '/'), *name, *port, *host;
    int64_t number;

    if (slash != NULL && q->transport != QUERY_DOH)
        return query_say("@%s: a path is for https", word);
    if (slash != NULL) {
        q->path = wp_arena_strdup(q->arena, slash);
        *slash = '\0';
    }
    if (slash != NULL && q->path == NULL)
        return -ENOMEM;
    forward_split(text, &host, &name, &port);
    if (*host == '\0' || (port != NULL && wp_int_parse(port, 1, UINT16_MAX, &number) < 0))
        return query_say("@%s: not a server", word);
    if (port != NULL)
        q->port = (uint16_t)number;
    q->host = host;
    q->server_name = name;
    q->authority = wp_arena_printf(q->arena, strchr(host, ':') != NULL ? "[%s]%s%s" : "%s%s%s",
                                   host, port != NULL ? ":" : "", port != NULL ? port : "");
    return q->authority == NULL ? -ENOMEM : find_host(q);
}

static int read_server(struct query *q, const char *word)
{
    const char *sep = strstr(word, "://");
    char *text = wp_arena_strdup(q->arena, sep != NULL ? sep + 3 : word);
    int r = text == NULL ? -ENOMEM
                         : read_transport(q, word, sep != NULL ? word : NULL,
                                          sep != NULL ? (size_t)(sep - word) : 0);

    return r < 0 ? r : read_place(q, word, text);
}

/* --- what belongs together ------------------------------------------------------------------ */

static int check_options(struct query *q)
{
    const struct query_options *o = q->o;
    bool tls = o->tls || o->ca != NULL || o->cert != NULL || o->tls_name != NULL || o->insecure;

    if ((o->cert == NULL) != (o->key == NULL))
        return query_say("--cert and --key belong together");
    if (tls && q->transport < QUERY_DOT)
        return query_say("certificates are for dot, doh and grpc");
    if ((o->path != NULL || o->get) && q->transport != QUERY_DOH)
        return query_say("--path and --get are for doh");
    if (o->path != NULL)
        q->path = o->path;
    if (q->path != NULL && !is_path(q->path))
        return query_say("--path %s: not a path", q->path);
    if (o->bufsize == 0 && (o->dnssec_ok || o->nsid || o->cookie || o->ecs != NULL))
        return query_say("--bufsize 0 leaves EDNS out, and with it --do, --nsid, --cookie, --ecs");
    if (o->tls_name != NULL)
        q->server_name = o->tls_name;
    /* gRPC is cleartext unless something of TLS is told, as CoreDNS's is without `tls` */
    q->secure = q->transport == QUERY_DOT || q->transport == QUERY_DOH ||
                (q->transport == QUERY_GRPC && (tls || q->server_name != NULL));
    return 0;
}

int query_read_line(struct query *q, const struct wp_command_line *line)
{
    const char *server = "127.0.0.1",
               **words = wp_arena_array(q->arena, line->n_words + 1u, sizeof(*words));
    unsigned n = 0, servers = 0;
    int r;

    if (words == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < line->n_words; i++) {
        if (line->words[i][0] == '@') {
            server = line->words[i] + 1;
            servers++;
        } else {
            words[n++] = line->words[i];
        }
    }
    if (servers > 1)
        return query_say("@%s: one server is asked", server);
    r = read_question(q, words, n);
    if (r == 0)
        r = read_server(q, server);
    return r == 0 ? check_options(q) : r;
}
