/* How long connections may take, and how many questions a TCP connection may ask. */
#include <string.h>

#include "waypost/base/text.h"
#include "waypost/plugin/block.h"
#include "waypost/plugin/plugin.h"

#define SECOND INT64_C(1000000000)
#define DAY (24 * 3600 * SECOND)

struct timeouts {
    bool any; /* the line being read has an option */
};

/* Go duration text, or a bare number of seconds. */
static int parse_duration(const char *word, int64_t *ret)
{
    int64_t n;

    if (wp_int_parse(word, -DAY, DAY, &n) == 0) {
        if (n > 2 * DAY / SECOND || n < -2 * DAY / SECOND)
            n = n < 0 ? -2 * DAY / SECOND : 2 * DAY / SECOND; /* out of range either way */
        *ret = n * SECOND;
        return 0;
    }
    return wp_duration_parse(word, ret);
}

static int parse_time(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct wp_settings *set = &s->block->set;
    struct timeouts *t = self;
    int64_t *to = strcmp(line->words[0], "read") == 0    ? &set->read_ns
                  : strcmp(line->words[0], "write") == 0 ? &set->write_ns
                                                         : &set->idle_ns;
    char text[32];
    int64_t ns;

    t->any = true;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    if (parse_duration(line->words[1], &ns) < 0)
        return wp_setup_error(s, line, "failed to parse duration '%s'", line->words[1]);
    if (ns < SECOND || ns > DAY) {
        wp_duration_text(ns, text);
        return wp_setup_error(
            s, line, "timeout provided '%s' needs to be between 1 second and 24 hours", text);
    }
    *to = ns;
    return 0;
}

static int parse_queries(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct timeouts *t = self;
    int64_t n;
    int r;

    t->any = true;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    r = wp_int_parse(line->words[1], INT64_MIN, INT64_MAX, &n);
    if (r < 0)
        return wp_setup_error(s, line,
                              "invalid value for maxtcpqueries '%s': strconv.Atoi: parsing \"%s\": %s",
                              line->words[1], line->words[1],
                              r == WP_ELIMIT ? "value out of range" : "invalid syntax");
    if (n == 0 || n < -1)
        return wp_setup_error(
            s, line, "maxtcpqueries provided '%lld' needs to be -1 (unlimited) or a positive integer",
            (long long)n);
    s->block->set.max_tcp_queries = n;
    return 0;
}

/* waypost's own: connections of a TCP or TLS listener, of one client, and questions in work on one
 * connection. 0 is unlimited for the counts. */
static int parse_limit(void *self, struct wp_setup *s, const struct wp_line *line)
{
    static const struct {
        const char *name;
        size_t offset;
        int64_t min;
    } limits[] = {
        {"maxconnections", offsetof(struct wp_settings, tcp_max_connections), 0},
        {"maxperclient", offsetof(struct wp_settings, tcp_max_per_client), 0},
        {"acceptrate", offsetof(struct wp_settings, tcp_accept_rate), 0},
        {"pipeline", offsetof(struct wp_settings, tcp_pipeline), 1},
    };
    struct timeouts *t = self;
    int64_t n;
    int r;

    t->any = true;
    if (line->n_words != 2)
        return wp_setup_arg_error(s, line);
    for (size_t i = 0; i < WP_COUNT(limits); i++) {
        if (strcmp(limits[i].name, line->words[0]) != 0)
            continue;
        r = wp_setup_int(s, line, line->words[1], limits[i].min, INT32_MAX, &n);
        if (r < 0)
            return r;
        *(int64_t *)((char *)&s->block->set + limits[i].offset) = n;
    }
    return 0;
}

static int begin(void *self, struct wp_setup *s, const struct wp_line *line)
{
    struct timeouts *t = self;

    (void)s;
    (void)line;
    t->any = false;
    return 0;
}

static int end(void *self, struct wp_setup *s, const struct wp_line *line)
{
    const struct timeouts *t = self;

    return t->any ? 0 : wp_setup_error(s, line, "timeouts block with no timeouts specified");
}

static const struct wp_option timeouts_options[] = {
    {.name = "read", .kind = WP_OPT_CALL, .parse = parse_time,
     .help = "from the start of a message or handshake to its end; 3s"},
    {.name = "write", .kind = WP_OPT_CALL, .parse = parse_time,
     .help = "for the client to take an answer; 5s"},
    {.name = "idle", .kind = WP_OPT_CALL, .parse = parse_time,
     .help = "between messages of a connection; 10s"},
    {.name = "maxtcpqueries", .kind = WP_OPT_CALL, .parse = parse_queries,
     .help = "questions of one TCP or TLS connection, -1: any number; -1"},
    {.name = "maxconnections", .kind = WP_OPT_CALL, .parse = parse_limit,
     .help = "open connections of a TCP or TLS listener, 0: any number; 10000"},
    {.name = "maxperclient", .kind = WP_OPT_CALL, .parse = parse_limit,
     .help = "open connections of one client (an IPv4 address, an IPv6 /64), 0: any number; 0"},
    {.name = "acceptrate", .kind = WP_OPT_CALL, .parse = parse_limit,
     .help = "connections that are accepted in a second, 0: any number; 0"},
    {.name = "pipeline", .kind = WP_OPT_CALL, .parse = parse_limit,
     .help = "questions in work on one TCP or TLS connection; 100"},
    {0},
};

const struct wp_plugin wp_plugin_timeouts = {
    .name = "timeouts",
    .size = sizeof(struct timeouts),
    .options = timeouts_options,
    .unknown = "unknown option: '%s'",
    .repeat = WP_REPEAT_LAST,
    .config_only = true,
    .begin = begin,
    .end = end,
};
