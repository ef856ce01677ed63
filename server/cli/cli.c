/* The program's own flags, and which sub-command it is. */
#include "waypost/server/cli.h"

#include <stdlib.h>
#include <string.h>

#include "server/cli/cli_priv.h"
#include "server/cli/command_priv.h"
#include "server/cli/directive_priv.h"
#include "server/cli/flag_priv.h"
#include "waypost/base/text.h"
#include "waypost/server/log.h"
#include "waypost/tls/tls.h"

bool cli_port(const char *text, uint16_t *ret)
{
    int64_t n = 0;

    /* an empty one is what Go makes of it: any free port */
    if (text[0] != '\0' && wp_int_parse(text, INT64_MIN, INT64_MAX, &n) < 0) {
        wp_log_fatal("lookup tcp/%s: unknown port", text);
        return false;
    }
    if (n < 0 || n > UINT16_MAX) {
        wp_log_fatal("address %s: invalid port", text);
        return false;
    }
    *ret = (uint16_t)n;
    return true;
}

bool cli_tls_provider(const char *name)
{
    char why[WP_TLS_ERR_MAX];

    if (wp_tls_provider_use(name, why) < 0) {
        wp_log_fatal("-tls-provider: %s", why);
        return false;
    }
    return true;
}

/* A program with a GPL module beside it says so. */
static void print_libraries(void)
{
    char text[WP_TLS_ERR_MAX];

    wp_tls_providers(text);
    printf("TLS: %s\n", text);
}

void cli_extra(int argc, char **argv, int at)
{
    char text[1024] = "";

    for (; at < argc; at++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 text[0] != '\0' ? " " : "", argv[at]);
    wp_log_fatal("extra command line arguments: [%s]", text);
}

static void usage(const char *program, const struct flag *flags, size_t n, FILE *out)
{
    fprintf(out, "Usage of %s:\n", program);
    flag_usage(flags, n, out);
    fprintf(out, "Commands:\n"
                 "  check [-conf FILE] [-dns.port PORT] [-plugin.cfg FILE] [-tls-provider NAME]\n"
                 "    \tTell every error of a Corefile, start nothing\n");
    command_list(out);
    fprintf(out, "  help [COMMAND|DIRECTIVE]\n"
                 "    \tWhat a command does, its options and exit codes; the options of a directive\n");
}

/* `COMMAND ...` and `help COMMAND`: their exit code. NO_COMMAND: the server's own flags follow. */
enum { NO_COMMAND = -2 };
static int run_command(int argc, char **argv)
{
    bool help = argc > 2 && strcmp(argv[1], "help") == 0;
    const struct wp_plugin *plugin = NULL;
    const struct wp_command *c;
    int n;

    argc -= help;
    argv += help;
    if (argc > 1 && strcmp(argv[1], "check") == 0) {
        char *show[] = {argv[1], (char *)(uintptr_t) "-h", NULL};
        return help ? wp_cli_check(2, show) : wp_cli_check(argc - 1, argv + 1);
    }
    c = command_find(argc, argv, &plugin, &n);
    if (c != NULL && !help)
        return command_run(plugin, c, argc - 1 - n, argv + 1 + n);
    if (c != NULL && argc == 1 + n) {
        command_help(c, stdout);
        return 0;
    }
    if (!help && n == 0)
        return NO_COMMAND;
    if (help && argc == 2 && directive_help(argv[1], stdout))
        return 0;
    fprintf(stderr, "waypost: %s%s%s: no such command%s\nSee: waypost help\n", argv[1],
            argc > 2 ? " " : "", argc > 2 ? argv[2] : "", help ? " or directive" : "");
    return 2;
}

/* `-plugin.cfg FILE` in front of a command: what it loads may be what the command is about. Words taken,
 * or -1: an error was told. */
static int read_cfg_before(int argc, char **argv)
{
    const char *name = argc > 3 && argv[2][0] != '-' && argv[3][0] != '-' ? argv[1] : "";

    if (strcmp(name, "-plugin.cfg") != 0 && strcmp(name, "--plugin.cfg") != 0)
        return 0;
    return cli_plugin_cfg(argv[2], true) ? 2 : -1;
}

int wp_cli_read(int argc, char **argv, struct wp_cli *ret)
{
    struct wp_cli cli = {.conf = "Corefile", .pidfile = ""};
    const char *format = "text", *port = "53", *cfg = "", *provider = "openssl";
    bool version = false, plugins = false, order = false;
    const struct flag flags[] = {
        {"conf", FLAG_TEXT, &cli.conf, "Corefile to load"},
        {"dns.port", FLAG_TEXT, &port, "Default port"},
        {"log-format", FLAG_TEXT, &format, "Log format (text or json)"},
        {"order", FLAG_BOOL, &order, "With -plugins: in the order in which they are asked"},
        {"p", FLAG_TEXT, &port, "Default port"},
        {"pidfile", FLAG_TEXT, &cli.pidfile, "Path to write pid file"},
        {"plugin.cfg", FLAG_TEXT, &cfg, "Order of the plugins, and those from outside"},
        {"plugins", FLAG_BOOL, &plugins, "List installed plugins"},
        {"quiet", FLAG_BOOL, &cli.quiet, "Quiet mode (no initialization output)"},
        {"tls-provider", FLAG_TEXT, &provider, "TLS library where a Corefile names none: openssl or wolfssl"},
        {"version", FLAG_BOOL, &version, "Show version"},
    };
    const char *untouched = cli.conf;
    enum flag_result r;
    int rest, code, before = read_cfg_before(argc, argv);

    if (before < 0)
        return 1;
    if (before > 0) {
        argv[before] = argv[0];
        argc -= before;
        argv += before;
    }
    code = run_command(argc, argv);
    if (code != NO_COMMAND)
        return code;
    if (argc == 2 && strcmp(argv[1], "help") == 0) {
        usage(argv[0], flags, WP_COUNT(flags), stdout);
        return 0;
    }
    r = flag_read(flags, WP_COUNT(flags), argc, argv, &rest, stderr);
    if (r != FLAG_OK) {
        cli.conf = "Corefile";
        port = "53";
        format = "text";
        provider = "openssl";
        usage(argc > 0 ? argv[0] : "waypost", flags, WP_COUNT(flags), stderr);
        return r == FLAG_HELP ? 0 : 2;
    }
    if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0) {
        fprintf(stderr, "unknown log format \"%s\": expected text or json\n", format);
        return 1;
    }
    wp_log_set_json(strcmp(format, "json") == 0);
    if (rest < argc) {
        cli_extra(argc, argv, rest);
        return 1;
    }
    if (version) {
        puts(wp_cli_banner());
        print_libraries();
        return 0;
    }
    if (cfg[0] != '\0' && !cli_plugin_cfg(cfg, false))
        return 1;
    if (plugins)
        return cli_list_plugins(cli.conf != untouched ? cli.conf : NULL, order);
    if (!cli_port(port, &cli.port) || !cli_tls_provider(provider))
        return 1;
    if (cli.conf == untouched)
        cli.conf = "";
    *ret = cli;
    return WP_CLI_GO_ON;
}
