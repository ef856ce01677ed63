/* The program's commands and those that plugins bring: which one it is, what it prints of itself, running it. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/cli/cli_priv.h"
#include "server/cli/command_priv.h"
#include "waypost/server/cli.h"
#include "waypost/server/log.h"

enum { LINE_MAX_OCTETS = 16 << 20 };

/* --- which ---------------------------------------------------------------------------------- */

/* How many of the words the name takes; 0: it is another one. */
static int takes(const char *name, int argc, char **argv)
{
    const char *blank = strchr(name, ' ');
    size_t first = blank != NULL ? (size_t)(blank - name) : strlen(name);

    if (argc < 2 || strlen(argv[1]) != first || memcmp(argv[1], name, first) != 0)
        return 0;
    if (blank == NULL)
        return 1;
    return argc > 2 && strcmp(argv[2], blank + 1) == 0 ? 2 : -1;
}

static const struct wp_command *find_in(const struct wp_command *const *c, int argc, char **argv,
                                        int *ret_n)
{
    for (; c != NULL && *c != NULL; c++) {
        int n = takes((*c)->name, argc, argv);

        if (n == -1)
            *ret_n = 1;
        if (n < 1)
            continue;
        *ret_n = n;
        return *c;
    }
    return NULL;
}

const struct wp_command *command_find(int argc, char **argv, const struct wp_plugin **ret_plugin,
                                      int *ret_n)
{
    const struct wp_command *c;

    *ret_n = 0;
    *ret_plugin = NULL;
    c = find_in(wp_commands, argc, argv, ret_n);
    for (const struct wp_directive *d = wp_directives(); c == NULL && d->name != NULL; d++) {
        c = d->plugin != NULL ? find_in(d->plugin->commands, argc, argv, ret_n) : NULL;
        *ret_plugin = d->plugin;
    }
    return c;
}

/* --- what it is ----------------------------------------------------------------------------- */

static void put_args(const struct wp_arg *args, FILE *out)
{
    for (; args != NULL && args->name != NULL; args++) {
        fprintf(out, "  --%s%s%s%s\n    \t%s", args->name, args->value != NULL ? " " : "",
                args->value != NULL ? args->value : "", args->kind == WP_ARG_WORDS ? "..." : "",
                args->help);
        if (args->def != NULL)
            fprintf(out, " (default %s)", args->def);
        fputc('\n', out);
    }
}

void command_help(const struct wp_command *c, FILE *out)
{
    fprintf(out, "Usage: waypost %s [OPTIONS] %s%s\n%s\n", c->name, c->words,
            c->takes_command ? " [-- COMMAND...]" : "", c->summary);
    if (c->text != NULL)
        fprintf(out, "%s\n", c->text);
    fputs("Options:\n", out);
    put_args(c->args, out);
    put_args(c->shared, out);
    if (c->takes_conf)
        fputs("  -conf FILE\n    \tA Corefile that says the same\n", out);
    fputs("Exit status:\n", out);
    for (const struct wp_exit *e = c->exits; e->means != NULL; e++) {
        if (e->code < 0)
            fprintf(out, "  %s\n", e->means);
        else
            fprintf(out, "  %d  %s\n", e->code, e->means);
    }
}

static void list_those(const struct wp_command *const *c, FILE *out)
{
    for (; c != NULL && *c != NULL; c++)
        fprintf(out, "  %s %s%s\n    \t%s\n", (*c)->name, (*c)->words,
                (*c)->takes_command ? " [-- COMMAND...]" : "", (*c)->summary);
}

void command_list(FILE *out)
{
    list_those(wp_commands, out);
    for (const struct wp_directive *d = wp_directives(); d->name != NULL; d++)
        list_those(d->plugin != NULL ? d->plugin->commands : NULL, out);
}

/* --- running it ----------------------------------------------------------------------------- */

static int find_instances(const struct wp_gen *gen, const struct wp_plugin *p, struct wp_arena *a,
                          struct wp_command_line *line)
{
    void **found = wp_arena_array(a, gen->n_blocks + 1, sizeof(*found));

    if (found == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < gen->n_blocks; i++) {
        found[line->n_instances] = wp_block_plugin(&gen->blocks[i], p->name);
        line->n_instances += found[line->n_instances] != NULL;
    }
    line->instances = found;
    return 0;
}

static int run_with_conf(const struct wp_plugin *p, const struct wp_command *c, void *options,
                         struct command_words *w, struct wp_arena *a)
{
    struct wp_cli cli = {.conf = w->conf, .pidfile = "", .port = 53};
    struct wp_conf_source source;
    struct wp_gen *gen = NULL;
    char *text = NULL;
    int code = cli_load(&cli, &source, &gen, &text);

    if (code != 0 || find_instances(gen, p, a, &w->line) < 0)
        code = c->usage_code;
    if (code == 0 && w->line.n_instances == 0) {
        fprintf(stderr, "waypost %s: %s: no block has the directive %s\n", c->name, w->conf,
                p->name);
        code = c->usage_code;
    }
    if (code == 0)
        code = c->run(options, &w->line);
    wp_gen_free(gen);
    free(text);
    return code;
}

static int run_read(const struct wp_plugin *p, const struct wp_command *c, void *options,
                    struct command_words *w, struct wp_arena *a)
{
    struct command_loop loop = {0};
    int code = c->needs_loop != NULL && c->needs_loop(options) ? command_loop_start(&loop) : 0;

    if (code < 0) {
        fprintf(stderr, "waypost %s: %s\n", c->name, wp_strerror(code));
        return c->usage_code;
    }
    w->line.loop = loop.loop;
    code = w->conf != NULL ? run_with_conf(p, c, options, w, a) : c->run(options, &w->line);
    command_loop_end(&loop);
    return code;
}

int command_run(const struct wp_plugin *p, const struct wp_command *c, int argc, char **argv)
{
    struct command_words w;
    struct wp_arena arena;
    void *options;
    int code;

    wp_log_set_fd(STDERR_FILENO); /* stdout is for what was asked for */
    wp_arena_init(&arena, LINE_MAX_OCTETS);
    options = wp_arena_zalloc(&arena, c->size);
    code = options == NULL ? -ENOMEM : command_read(c, argc, argv, &arena, options, &w, stderr);
    if (code == 0 && w.help) {
        command_help(c, stdout);
    } else if (code == 0) {
        code = run_read(p, c, options, &w, &arena);
    } else {
        if (code == -ENOMEM)
            fprintf(stderr, "waypost %s: %s\n", c->name, wp_strerror(code));
        fprintf(stderr, "See: waypost help %s\n", c->name);
        code = c->usage_code;
    }
    wp_arena_done(&arena);
    return code;
}
