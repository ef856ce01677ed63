/* `waypost explain` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command/commands.h"
#include "server/command/find.h"
#include "waypost/base/addr.h"
#include "waypost/dns/name.h"
#include "waypost/dns/types.h"

struct options {
    struct ask_options ask; /* first */
    const char *transport, *listener, *client, *reverse;
    bool dnssec_ok;
};
#define AT(member) offsetof(struct options, member)

static const struct wp_arg args[] = {
    {"x", WP_ARG_TEXT, AT(reverse), "ADDRESS", NULL, "PTR of an address, instead of a NAME", 0, 0},
    {"transport", WP_ARG_TEXT, AT(transport), "udp|tcp|dot|doh|grpc", NULL,
     "ask as if over this transport; without, over UDP where there is a listener for it", 0, 0},
    {"listener", WP_ARG_TEXT, AT(listener), "LISTENER", NULL,
     "ask the listener that status calls so (dns://:53); without, the first one", 0, 0},
    {"client", WP_ARG_TEXT, AT(client), "ADDRESS", NULL,
     "ask as if from there; without, from 127.0.0.1", 0, 0},
    {"do", WP_ARG_FLAG, AT(dnssec_ok), NULL, NULL, "with EDNS and its DO bit", 0, 0},
    {0},
};

static bool is_plain(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '_' ||
           c == '*';
}

/* What means nothing in a request: everything else is escaped. */
static void put_name(FILE *f, const uint8_t *wire)
{
    if (*wire == 0)
        fputc('.', f);
    for (; *wire != 0; wire += 1 + *wire) {
        for (unsigned i = 1; i <= *wire; i++)
            fprintf(f, is_plain(wire[i]) ? "%c" : "\\%03u", wire[i]);
        fputc('.', f);
    }
}

static int say(const char *what, const char *word)
{
    fprintf(stderr, "waypost explain: %s: %s\n", word, what);
    return ASK_USAGE;
}

static int read_question(const struct options *o, const struct wp_command_line *line,
                         struct wp_name *ret_name, uint16_t *ret_type)
{
    unsigned n_words = o->reverse != NULL ? 0 : 2;
    struct wp_addr a;

    *ret_type = o->reverse != NULL ? WP_TYPE_PTR : WP_TYPE_A;
    if (line->n_words > n_words)
        return say("one word too many", line->words[n_words]);
    if (line->n_words == 0 && o->reverse == NULL)
        return say("is missing", "NAME");
    if (o->reverse != NULL) {
        if (wp_addr_parse_ip(o->reverse, &a) < 0)
            return say("not an address", o->reverse);
        wp_name_reverse(&a, ret_name);
        return 0;
    }
    if (wp_name_parse(line->words[0], ret_name) < 0)
        return say("not a name", line->words[0]);
    if (line->n_words > 1 && wp_type_parse(line->words[1], ret_type) < 0)
        return say("no such type", line->words[1]);
    return 0;
}

/* A word goes into a request as it is. */
static bool is_word(const char *s)
{
    for (; *s != '\0'; s++)
        if (*s <= ' ' || *s > '~' || strchr("&#%?", *s) != NULL)
            return false;
    return true;
}

static int put_words(FILE *f, const struct options *o)
{
    const char *const rows[][2] = {
        {"transport", o->transport}, {"listener", o->listener}, {"client", o->client}};

    for (size_t i = 0; i < WP_COUNT(rows); i++) {
        if (rows[i][1] == NULL)
            continue;
        if (!is_word(rows[i][1]))
            return say("cannot be read", rows[i][1]);
        fprintf(f, "&%s=%s", rows[i][0], rows[i][1]);
    }
    fprintf(f, "%s%s", o->dnssec_ok ? "&do=1" : "", o->ask.json ? "" : "&format=text");
    return 0;
}

static int run(void *options, const struct wp_command_line *line)
{
    const struct options *o = options;
    char *target = NULL;
    struct wp_name name;
    uint16_t type;
    size_t len;
    int code = read_question(o, line, &name, &type), fd;
    FILE *f = code == 0 ? open_memstream(&target, &len) : NULL;

    if (code != 0)
        return code;
    if (f == NULL)
        return say(wp_strerror(-ENOMEM), line->n_words > 0 ? line->words[0] : o->reverse);
    fputs("/explain?name=", f);
    put_name(f, name.wire);
    fprintf(f, "&type=TYPE%u", type);
    code = put_words(f, o);
    if (fclose(f) != 0 && code == 0)
        code = say(wp_strerror(-ENOMEM), "explain");
    if (code == 0) {
        fd = find_process("explain", o->ask.socket);
        code = fd < 0 ? -fd : ask_process("explain", fd, target);
    }
    free(target);
    return code;
}

const struct wp_command command_explain = {
    .name = "explain",
    .words = "NAME [TYPE]",
    .summary = "How a running waypost answers a question, plugin by plugin, and from what",
    .text = "The question is asked in the running process, by the way of every other: it is counted, "
            "logged and cached.\n"
            "Told are the block that takes it, what each plugin decides and how long that takes, the "
            "records' sources (of etcd: key, revision and lease) and the reply.\n"
            "NAME is taken as fully qualified; TYPE is A unless it is said.",
    .args = args,
    .shared = ask_args,
    .size = sizeof(struct options),
    .max_words = 2,
    .usage_code = ASK_USAGE,
    .exits = ask_exits,
    .run = run,
};
