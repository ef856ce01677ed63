/* waypost query: ask a server, over each transport that waypost speaks. */
#include "backends/forward/command/query.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "backends/forward/command/commands.h"

enum { ROOM = 64 << 20 };
#define SECOND 1000000000ll

int query_say(const char *fmt, ...)
{
    va_list args;

    fputs("waypost query: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return WP_ECONFIG;
}

static int print(struct query *q)
{
    int r = query_read_reply(q);

    if (r == 0 && q->o->json)
        r = query_print_json(q);
    else if (r == 0)
        query_print(q);
    if (r == WP_EMALFORMED) {
        query_say("%s: what came back is no DNS reply", q->host);
        return QUERY_NO_REPLY;
    }
    if (r < 0)
        query_say("out of memory");
    return r < 0 ? QUERY_INTERNAL : QUERY_ANSWERED;
}

static int run(void *options, const struct wp_command_line *line)
{
    struct wp_arena arena;
    struct query *q;
    int r, code;

    wp_arena_init(&arena, ROOM);
    q = wp_arena_zalloc(&arena, sizeof(*q));
    r = q == NULL ? -ENOMEM : 0;
    if (r == 0) {
        q->o = options;
        q->arena = &arena;
        r = query_read_line(q, line);
    }
    if (r == 0)
        r = query_write(q);
    if (r == -ENOMEM)
        query_say("out of memory");
    code = r == 0 ? query_ask(q, line->loop) : r == WP_ECONFIG ? QUERY_USAGE : QUERY_INTERNAL;
    if (code == QUERY_ANSWERED)
        code = print(q);
    wp_arena_done(&arena);
    return code;
}

static bool needs_loop(const void *options)
{
    (void)options;
    return true;
}

#define AT(member) offsetof(struct query_options, member)
static const struct wp_arg args[] = {
    {"transport", WP_ARG_TEXT, AT(transport), "NAME", NULL,
     "udp, tcp, dot, doh or grpc; else what the server's URL says, else udp", 0, 0},
    {"x", WP_ARG_TEXT, AT(reverse), "ADDRESS", NULL, "PTR of an address, instead of a NAME", 0, 0},
    {"timeout", WP_ARG_DURATION, AT(timeout_ns), "DURATION", "5s", "for each address of the server",
     SECOND / 100, 600 * SECOND},
    {"short", WP_ARG_FLAG, AT(brief), NULL, NULL, "print what the answers hold, nothing else", 0,
     0},
    {"json", WP_ARG_FLAG, AT(json), NULL, NULL, "print JSON (RFC 8427)", 0, 0},
    {"do", WP_ARG_FLAG, AT(dnssec_ok), NULL, NULL, "ask for DNSSEC records", 0, 0},
    {"ad", WP_ARG_FLAG, AT(ad), NULL, NULL, "set the AD flag", 0, 0},
    {"cd", WP_ARG_FLAG, AT(cd), NULL, NULL, "set the CD flag", 0, 0},
    {"no-rd", WP_ARG_FLAG, AT(no_rd), NULL, NULL, "ask for no recursion", 0, 0},
    {"bufsize", WP_ARG_INT, AT(bufsize), "OCTETS", "1232", "of EDNS; 0: no EDNS", 0, 65535},
    {"nsid", WP_ARG_FLAG, AT(nsid), NULL, NULL, "ask for the server's identity", 0, 0},
    {"cookie", WP_ARG_FLAG, AT(cookie), NULL, NULL, "send a cookie", 0, 0},
    {"ecs", WP_ARG_TEXT, AT(ecs), "ADDRESS/LENGTH", NULL, "send a client subnet", 0, 0},
    {"ignore-tc", WP_ARG_FLAG, AT(ignore_tc), NULL, NULL,
     "a truncated reply is not asked for again over TCP", 0, 0},
    {"tls", WP_ARG_FLAG, AT(tls), NULL, NULL,
     "gRPC with TLS; any option of certificates asks for it too", 0, 0},
    {"ca", WP_ARG_TEXT, AT(ca), "FILE", NULL,
     "who signed the server's certificate; else the system's roots", 0, 0},
    {"tls-name", WP_ARG_TEXT, AT(tls_name), "NAME", NULL,
     "the name in that certificate; else the server's", 0, 0},
    {"insecure", WP_ARG_FLAG, AT(insecure), NULL, NULL, "believe any certificate", 0, 0},
    {"cert", WP_ARG_TEXT, AT(cert), "FILE", NULL, "client certificate", 0, 0},
    {"key", WP_ARG_TEXT, AT(key), "FILE", NULL, "its key", 0, 0},
    {"path", WP_ARG_TEXT, AT(path), "PATH", NULL, "of doh; else the URL's, else /dns-query", 0, 0},
    {"get", WP_ARG_FLAG, AT(get), NULL, NULL, "doh by GET instead of POST", 0, 0},
    {0},
};
static const struct wp_exit exits[] = {
    {QUERY_ANSWERED, "a reply came, whatever its status"},
    {QUERY_USAGE, "the line cannot be read"},
    {QUERY_NO_REPLY, "no reply came"},
    {QUERY_INTERNAL, "something is wrong here: memory"},
    {0},
};
static const struct wp_command query = {
    .name = "query",
    .words = "NAME [TYPE [CLASS]] [@SERVER]",
    .summary = "Ask a DNS server, over UDP, TCP, TLS, HTTPS or gRPC, and print what it says",
    .text = "SERVER is HOST[:PORT], or a URL as in a Corefile: dns://, tls://, https://, grpc://.\n"
            "Without one 127.0.0.1 is asked. The port is 53, with TLS 853, with HTTPS and gRPC "
            "443.\n"
            "TYPE is A and CLASS is IN unless told.",
    .args = args,
    .size = sizeof(struct query_options),
    .max_words = 5,
    .needs_loop = needs_loop,
    .usage_code = QUERY_USAGE,
    .exits = exits,
    .run = run,
};
const struct wp_command *const forward_commands[] = {&query, NULL};
