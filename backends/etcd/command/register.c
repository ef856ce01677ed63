/* waypost register: a record for as long as a command runs, or this process. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/etcd/command/agent.h"
#include "backends/etcd/command/commands.h"
#include "backends/etcd/command/health.h"
#include "backends/etcd/command/record.h"
#include "waypost/base/text.h"

enum {
    EXIT_OWN = 125, /* as env(1) and timeout(1) have it, like the next two */
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127,
    ROOM = 1 << 20,
};
#define SECOND 1000000000ll
static const char who[] = "register";

struct options {
    struct etcd_access access;
    int64_t ttl_s, priority, weight, record_ttl_s;
    const char *text;
    struct wp_words tags;
    const char *health, *health_cacert, *health_tls_name;
    bool health_insecure;
    int64_t health_interval_ns, health_timeout_ns, health_fails, exit_ns;
    const char *listen, *token_file;
    bool remote;
};

/* All of a run. */
struct registrar {
    const struct options *o;
    struct etcd_place place;
    struct wp_name name;
    char name_text[WP_NAME_TEXT_MAX];
    struct etcd_record record;
    struct etcd_pair *pairs;
    unsigned n_pairs;
    struct etcd_health_config check;
    struct etcd_teller teller;
    struct etcd_signals signals;
    struct etcd_keeper *keeper;
    struct etcd_health *health;
    pid_t child; /* 0: no command */
    int child_status;
    bool ending;
    bool over;
    bool must_leave; /* by _exit */
};

/* --- what the line says --------------------------------------------------------------------- */

/* The context of an https check. */
static int read_health_tls(struct registrar *g, const struct options *o)
{
    const struct wp_client_tls t = {.ca = o->health_cacert};
    char why[256];

    if (!g->check.https) {
        if (o->health_cacert != NULL || o->health_tls_name != NULL || o->health_insecure)
            return etcd_say(who, "--health-cacert, --health-tls-name and --health-insecure are for "
                                 "--health https:");
        return 0;
    }
    g->check.tls_name = o->health_tls_name;
    if (wp_client_tls_open(&t, NULL, o->health_insecure, why, &g->check.tls) < 0)
        return etcd_say(who, "--health %s: %s", o->health, why);
    return 0;
}

static int read_health(struct registrar *g, const struct options *o)
{
    const char *why;
    int r;

    g->check = (struct etcd_health_config){.interval_ns = o->health_interval_ns,
                                           .timeout_ns = o->health_timeout_ns,
                                           .fails = o->health_fails,
                                           .signals = &g->signals};
    if (o->health == NULL)
        return read_health_tls(g, o);
    r = etcd_health_parse(o->health, g->record.address, g->record.port, g->place.arena, &g->check,
                          &why);
    if (r == WP_EMALFORMED)
        return etcd_say(who, "--health %s: %s", o->health, why);
    return r < 0 ? etcd_say(who, "out of memory") : read_health_tls(g, o);
}

static int read_line(struct registrar *g, const struct options *o,
                     const struct wp_command_line *line)
{
    int64_t port;

    if (etcd_access_name(&o->access, who, line->words[0], &g->name) < 0)
        return WP_ECONFIG;
    wp_name_text(g->name.wire, g->name_text);
    if (etcd_record_name_check(&g->name, who) < 0)
        return WP_ECONFIG;
    if (wp_int_parse(line->words[2], 0, UINT16_MAX, &port) < 0)
        return etcd_say(who, "%s: not a port", line->words[2]);
    g->record = (struct etcd_record){
        .address = line->words[1],
        .port = (uint16_t)port,
        .priority = o->priority,
        .weight = o->weight,
        .ttl_s = o->record_ttl_s,
        .text = o->text,
        .tags = o->tags,
    };
    if (etcd_record_check(&g->record, who) < 0 || read_health(g, o) < 0)
        return WP_ECONFIG;
    return etcd_access_open(&o->access, line, &g->name, &g->place);
}

/* --- start ---------------------------------------------------------------------------------- */

/* What a service manager gave is for this process: the command is not asked whether it is ready. */
static int take_notify_socket(struct registrar *g)
{
    const char *path = getenv("NOTIFY_SOCKET");

    if (path == NULL)
        return 0;
    g->teller.notify = wp_arena_strdup(g->place.arena, path);
    unsetenv("NOTIFY_SOCKET");
    return g->teller.notify == NULL ? -ENOMEM : 0;
}

static void on_health(void *arg, bool is_well, const char *why)
{
    struct registrar *g = arg;

    if (is_well)
        etcd_tell(&g->teller, "well", "the check succeeds");
    else
        etcd_tell(&g->teller, "unwell", "the check fails: %s", why);
    etcd_keeper_want(g->keeper, is_well);
}

/* The command is there before any thread is, and before etcd has been asked for anything. */
static int start_command(struct registrar *g, char **command)
{
    int r;

    if (command == NULL)
        return 0;
    r = etcd_spawn(&g->signals, command, false, &g->child);
    if (r == 0)
        return 0;
    g->child = 0;
    etcd_say(who, "%s: %s", command[0], strerror(-r));
    return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

/* What may fail is tried before the command runs. */
static int prepare(struct registrar *g)
{
    char why[256] = "";
    int r = etcd_record_pairs(&g->record, &g->place, &g->name, &g->pairs, &g->n_pairs);

    if (r == WP_ECONFIG)
        return r;
    if (r < 0)
        return etcd_say(who, "%s", wp_strerror(r));
    return wp_grpc_open(why) == NULL ? etcd_say(who, "%s", why) : 0;
}

static int start_keeper(struct registrar *g)
{
    const struct etcd_keeper_config c = {
        .src = &g->place.src,
        .pairs = g->pairs,
        .n_pairs = g->n_pairs,
        .ttl_s = g->o->ttl_s,
        .teller = &g->teller,
    };
    char why[256];
    int r = etcd_keeper_start(&c, why, &g->keeper);

    if (r == 0 && g->o->health != NULL)
        r = etcd_health_start(&g->check, on_health, g, &g->health);
    else if (r == 0)
        etcd_keeper_want(g->keeper, true);
    return r < 0 ? etcd_say(who, "%s", wp_strerror(r)) : 0;
}

/* --- life ----------------------------------------------------------------------------------- */

/* Everything that has ended: the command, a check, and what lost its parent when this is the
 * first process of a container. */
static void reap(struct registrar *g)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == g->child) {
            g->child_status = status;
            g->over = true;
        } else if (g->health != NULL) {
            etcd_health_reaped(g->health, pid, status);
        }
    }
}

/* Nobody new shall be sent to what is about to end. */
static void begin_end(struct registrar *g)
{
    if (!g->ending)
        etcd_notify(&g->teller, "STOPPING=1");
    g->ending = true;
    etcd_keeper_close(g->keeper);
}

static void on_signal(struct registrar *g, const struct signalfd_siginfo *info)
{
    int sig = (int)info->ssi_signo;

    if (sig == SIGCHLD) {
        reap(g);
        return;
    }
    if (g->child == 0) {
        g->over = sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT;
        return;
    }
    if (sig == SIGTERM)
        begin_end(g);
    if (info->ssi_code != SI_KERNEL) /* the terminal's have reached the whole group */
        kill(g->child, sig);
}

static void live(struct registrar *g)
{
    struct signalfd_siginfo info;

    reap(g); /* what ended before the descriptor was there */
    while (!g->over) {
        ssize_t n = read(g->signals.fd, &info, sizeof(info));
        if (n == (ssize_t)sizeof(info))
            on_signal(g, &info);
        else if (n < 0 && errno != EINTR)
            break;
    }
    begin_end(g);
    etcd_health_stop(g->health);
    g->must_leave = !etcd_keeper_stop(g->keeper, (unsigned)(g->o->exit_ns / 1000000));
}

static int run_command(struct registrar *g, const struct wp_command_line *line)
{
    int code = prepare(g) < 0 ? EXIT_OWN : start_command(g, line->command);

    if (code != 0)
        return code;
    if (start_keeper(g) < 0) { /* no memory: it is not left alone */
        if (g->child > 0)
            kill(g->child, SIGTERM);
        g->must_leave = !etcd_keeper_stop(g->keeper, 0);
        return EXIT_OWN;
    }
    live(g);
    return g->child > 0 ? etcd_exit_code(g->child_status) : EXIT_SUCCESS;
}

/* Is the line one of an agent, or of one service? */
static int check_mode(const struct options *o, const struct wp_command_line *line)
{
    bool alone = o->priority == 0 && o->weight == 0 && o->record_ttl_s == 0 && o->text == NULL &&
                 o->tags.n == 0 && o->health == NULL && o->health_tls_name == NULL &&
                 !o->health_insecure;

    if (o->listen == NULL && line->n_words < 3)
        return etcd_say(who, "too few words: NAME ADDRESS PORT");
    if (o->listen == NULL && (o->remote || o->token_file != NULL))
        return etcd_say(who, "--listen-remote and --token-file are for --listen");
    if (o->listen != NULL && (line->n_words > 0 || line->command != NULL))
        return etcd_say(who, "--listen is told of services over HTTP, not by NAME or COMMAND");
    if (o->listen != NULL && !alone)
        return etcd_say(who, "what is registered is told to --listen over HTTP, not by options");
    return 0;
}

static int run_agent(const struct options *o, const struct wp_command_line *line)
{
    const struct agent_options a = {
        .listen = o->listen,
        .token_file = o->token_file,
        .check_cacert = o->health_cacert,
        .remote = o->remote,
        .exit_ns = o->exit_ns,
        .ttl_s = o->ttl_s,
    };
    struct wp_arena arena;
    bool must_leave = false;
    int code;

    wp_arena_init(&arena, ROOM);
    code = agent_run(&a, &o->access, line, &arena, &must_leave) < 0 ? EXIT_OWN : EXIT_SUCCESS;
    if (must_leave)
        _exit(code);
    wp_arena_done(&arena);
    return code;
}

static bool needs_loop(const void *options)
{
    return ((const struct options *)options)->listen != NULL;
}

static int run(void *options, const struct wp_command_line *line)
{
    struct registrar g = {.o = options, .place = {.who = who}};
    struct wp_arena arena;
    int code = EXIT_OWN, r;

    if (check_mode(options, line) < 0)
        return EXIT_OWN;
    if (g.o->listen != NULL)
        return run_agent(g.o, line);
    wp_arena_init(&arena, ROOM);
    g.place.arena = &arena;
    g.teller = (struct etcd_teller){.name = g.name_text, .json = g.o->access.json};
    if (read_line(&g, options, line) == 0 && take_notify_socket(&g) == 0) {
        r = etcd_signals_take(&g.signals);
        if (r == 0) {
            code = run_command(&g, line);
            if (g.must_leave)
                _exit(code);
            etcd_signals_give_back(&g.signals);
        } else {
            etcd_say(who, "%s", wp_strerror(r));
        }
    }
    wp_client_tls_free(g.check.tls);
    wp_arena_done(&arena);
    return code;
}

/* --- tables --------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct options, member)
static const struct wp_arg args[] = {
    {"ttl", WP_ARG_INT, AT(ttl_s), "SECONDS", "30",
     "the lease: how long the record outlives a kill -9", 1, 86400},
    {"priority", WP_ARG_INT, AT(priority), "N", NULL, "of SRV; unset is 10", 0, 65535},
    {"weight", WP_ARG_INT, AT(weight), "N", NULL, "of SRV; unset is 100", 0, 65535},
    {"record-ttl", WP_ARG_INT, AT(record_ttl_s), "SECONDS", NULL,
     "of the answers; unset is what is left of the lease, within the server's bounds", 0,
     2147483647},
    {"text", WP_ARG_TEXT, AT(text), "TEXT", NULL, "the name's TXT, in a key of its own", 0, 0},
    {"tag", WP_ARG_WORDS, AT(tags), "TAG", NULL,
     "TAG.NAME answers too; with several, NAME's SRV has a record for each", 0, 0},
    {"health", WP_ARG_TEXT, AT(health), "CHECK", NULL,
     "tcp, tcp:[HOST:]PORT, http://HOST[:PORT]/PATH, http:[PORT]/PATH, the same with https, or "
     "exec:COMMAND: the record stands only while it succeeds",
     0, 0},
    {"health-cacert", WP_ARG_TEXT, AT(health_cacert), "FILE", NULL,
     "who signed the certificate that https shows; else the system's roots", 0, 0},
    {"health-tls-name", WP_ARG_TEXT, AT(health_tls_name), "NAME", NULL,
     "the name in that certificate; else HOST", 0, 0},
    {"health-insecure", WP_ARG_FLAG, AT(health_insecure), NULL, NULL,
     "https believes any certificate", 0, 0},
    {"health-interval", WP_ARG_DURATION, AT(health_interval_ns), "DURATION", "5s",
     "between checks; at most 0.5s before the first success", 10000000, 86400 * SECOND},
    {"health-timeout", WP_ARG_DURATION, AT(health_timeout_ns), "DURATION", "2s",
     "a check that takes longer fails", 10000000, 3600 * SECOND},
    {"health-fails", WP_ARG_INT, AT(health_fails), "N", "2",
     "so many failures one after another take the record away", 1, 1000},
    {"listen", WP_ARG_TEXT, AT(listen), "PLACE", NULL,
     "ADDRESS:PORT or unix:PATH: be an agent for many services, told of them over HTTP; without "
     "NAME and COMMAND",
     0, 0},
    {"listen-remote", WP_ARG_FLAG, AT(remote), NULL, NULL,
     "PLACE may be an address that other hosts reach", 0, 0},
    {"token-file", WP_ARG_TEXT, AT(token_file), "FILE", NULL,
     "a word that each request to the agent must show: Authorization: Bearer WORD", 0, 0},
    {"exit-timeout", WP_ARG_DURATION, AT(exit_ns), "DURATION", "2s",
     "the end waits no longer for etcd to take the record away", 0, 600 * SECOND},
    {0},
};
static const struct wp_exit exits[] = {
    {0, "without COMMAND: after SIGTERM, SIGINT, SIGHUP or SIGQUIT"},
    {EXIT_OWN, "the line cannot be read, or registering cannot begin"},
    {EXIT_CANNOT_RUN, "COMMAND cannot be run"},
    {EXIT_NOT_FOUND, "COMMAND is not found"},
    {-1, "COMMAND's own exit code; 128 and the signal's number when one ended it"},
    {0},
};
const struct wp_command etcd_command_register = {
    .name = "register",
    .words = "NAME ADDRESS PORT | --listen PLACE",
    .summary = "Keep a record in etcd for as long as COMMAND runs, or this process",
    .text =
        "The record is written under a lease that is kept alive, as the etcd plugin reads it.\n"
        "It goes when COMMAND ends or SIGTERM comes; after a kill -9 when the lease ends.\n"
        "When etcd is away or has lost the lease, COMMAND runs on and the record comes back.\n"
        "SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT and SIGWINCH are handed on to "
        "COMMAND.\n"
        "It serves as the first process of a container, and tells systemd when the record stands.\n"
        "PORT 0: the name has none. ADDRESS may be a name, an alias then.\n"
        "With --listen it is an agent: PUT /v1/services registers a service, DELETE "
        "/v1/services/ID takes it away, GET tells of them. All go when it ends.",
    .args = args,
    .shared = etcd_access_args,
    .size = sizeof(struct options),
    .max_words = 3,
    .takes_command = true,
    .takes_conf = true,
    .needs_loop = needs_loop,
    .usage_code = EXIT_OWN,
    .exits = exits,
    .run = run,
};
