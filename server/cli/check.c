/* `waypost check`: everything that a start would do up to opening sockets, and every error of it,
 * not only the first. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/cli/cli_priv.h"
#include "server/cli/directive_priv.h"
#include "server/cli/flag_priv.h"
#include "waypost/server/cli.h"

enum { REPORT_MAX = 16 << 20 };

/* Errors in the order of the text, file by file as they were met; set-up meets them directive by
 * directive. */
struct place {
    const struct wp_conf_error *error;
    unsigned file, at; /* when the file and the error were first met */
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    if (x->error->line != y->error->line)
        return x->error->line < y->error->line ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static bool is_same_file(const struct wp_conf_error *a, const struct wp_conf_error *b)
{
    return a->file == NULL || b->file == NULL ? a->file == b->file : strcmp(a->file, b->file) == 0;
}

static struct place *places(struct wp_conf_report *r, unsigned *ret_n)
{
    struct place *p;
    unsigned n = 0;

    for (const struct wp_conf_error *e = r->first; e != NULL; e = e->next)
        n++;
    p = wp_arena_array(r->arena, n, sizeof(*p));
    if (p == NULL)
        return NULL;
    n = 0;
    for (const struct wp_conf_error *e = r->first; e != NULL; e = e->next, n++) {
        unsigned before = 0;

        while (before < n && !is_same_file(p[before].error, e))
            before++;
        p[n] = (struct place){.error = e, .at = n, .file = before < n ? p[before].file : n};
    }
    qsort(p, n, sizeof(*p), by_place);
    *ret_n = n;
    return p;
}

static void print(struct wp_conf_report *r, int err)
{
    unsigned n = 0;
    struct place *p = places(r, &n);

    for (unsigned i = 0; i < n; i++)
        fprintf(stderr, "%s\n", wp_conf_error_check_text(r, p[i].error));
    if (n == 0)
        fprintf(stderr, "%s\n", wp_strerror(err));
    if (n < r->n && n > 0)
        fprintf(stderr, "%u more errors\n", r->n - n);
}

int cli_load(const struct wp_cli *cli, struct wp_conf_source *ret_source, struct wp_gen **ret,
             char **ret_text)
{
    struct wp_conf_report report;
    struct wp_arena arena;
    size_t len;
    int r = wp_cli_source(cli, ret_source, ret_text, &len);

    if (r != 0)
        return r;
    wp_arena_init(&arena, REPORT_MAX);
    wp_conf_report_init(&report, &arena);
    r = wp_gen_new(ret_source, *ret_text, len, true, 0, &report, ret);
    if (r < 0)
        print(&report, r);
    wp_arena_done(&arena);
    return r < 0 ? 1 : 0;
}

static int check(const struct wp_cli *cli)
{
    struct wp_conf_source source;
    struct wp_gen *gen = NULL;
    char *text = NULL;
    int code = cli_load(cli, &source, &gen, &text);

    if (code == 0)
        printf("%s: ok\n", source.path != NULL ? source.path : "built-in Corefile");
    wp_gen_free(gen);
    free(text);
    return code;
}

int wp_cli_check(int argc, char **argv)
{
    struct wp_cli cli = {.conf = "", .pidfile = ""};
    const char *port = "53", *cfg = "", *provider = "openssl";
    const struct flag flags[] = {
        {"conf", FLAG_TEXT, &cli.conf, "Corefile to look at; without: ./Corefile"},
        {"dns.port", FLAG_TEXT, &port, "Default port"},
        {"p", FLAG_TEXT, &port, "Default port"},
        {"plugin.cfg", FLAG_TEXT, &cfg, "Order of the plugins, and those from outside"},
        {"tls-provider", FLAG_TEXT, &provider, "TLS library where a Corefile names none"},
    };
    enum flag_result r;
    int rest;

    r = flag_read(flags, WP_COUNT(flags), argc, argv, &rest, stderr);
    if (r != FLAG_OK) {
        cli.conf = "";
        port = "53";
        provider = "openssl";
        fprintf(stderr, "Usage of waypost check:\n");
        flag_usage(flags, WP_COUNT(flags), stderr);
        return r == FLAG_HELP ? 0 : 2;
    }
    if (rest < argc) {
        cli_extra(argc, argv, rest);
        return 1;
    }
    if (!cli_port(port, &cli.port) || !cli_tls_provider(provider) ||
        (cfg[0] != '\0' && !cli_plugin_cfg(cfg, true)))
        return 1;
    return check(&cli);
}
