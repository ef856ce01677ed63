/* manual SOURCE TEMPLATE: the manual page. In the template the lines "@DIRECTIVES@", "@COMMANDS@" and
 * "@SYNOPSIS@" stand for what the option tables of the build say: the page cannot tell of an
 * option that is not there, nor forget one. */
#include <stdio.h>
#include <string.h>

#include "waypost/plugin/command.h"
#include "waypost/plugin/plugin.h"
#include "waypost/server/cli.h"

/* Text in a macro's line: no escapes, no control line. */
static void put_text(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
    }
}

/* What the README says behind "*NAME* - ", or "". */
static void summary(const char *source, const char *name, char line[1024])
{
    static const char *const parts[] = {"server/plugins", "backends"};
    char path[1024], start[128];

    snprintf(start, sizeof(start), "*%s* - ", name);
    for (size_t i = 0; i < WP_COUNT(parts); i++) {
        FILE *f;

        snprintf(path, sizeof(path), "%s/%s/%s/README.md", source, parts[i], name);
        f = fopen(path, "re");
        while (f != NULL && fgets(line, 1024, f) != NULL) {
            if (strncmp(line, start, strlen(start)) == 0) {
                memmove(line, line + strlen(start), strlen(line + strlen(start)) + 1);
                line[strcspn(line, "\n")] = '\0';
                fclose(f);
                return;
            }
        }
        if (f != NULL)
            fclose(f);
    }
    line[0] = '\0';
}

static void put_option(const struct wp_option *o)
{
    if (o->help == NULL)
        return;
    if (strcmp(o->name, "*") == 0)
        printf(".It Ar WORD ...\n");
    else if (o->name[0] == '\0')
        printf(".It arguments\n");
    else
        printf(".It Cm %s%s\n", o->name, wp_cli_option_words(o->kind));
    put_text(o->help);
    if (o->def != NULL) {
        fputs("; ", stdout);
        put_text(o->def);
    }
    putchar('\n');
}

static void put_directive(const char *source, const struct wp_plugin *p)
{
    char text[1024];
    bool list = false;

    for (const struct wp_option *o = p->options; o != NULL && o->name != NULL; o++)
        list = list || o->help != NULL;
    summary(source, p->name, text);
    printf(".Ss %s\n", p->name);
    put_text(text);
    putchar('\n');
    if (list) {
        puts(".Bl -tag -width Ds -compact");
        for (const struct wp_option *o = p->options; o->name != NULL; o++)
            put_option(o);
        puts(".El");
    }
}

/* --- commands ------------------------------------------------------------------------------- */

static void put_args(const struct wp_arg *args)
{
    for (; args != NULL && args->name != NULL; args++) {
        fputs(".It Fl Fl ", stdout);
        put_text(args->name);
        if (args->value != NULL)
            printf(" Ar %s", args->value);
        putchar('\n');
        put_text(args->help);
        if (args->kind == WP_ARG_WORDS)
            fputs("; may be given several times", stdout);
        if (args->def != NULL) {
            fputs("; ", stdout);
            put_text(args->def);
        }
        putchar('\n');
    }
}

static void put_command(const struct wp_command *c)
{
    printf(".Ss waypost %s\n.Nm waypost\n.Cm %s\n.Op Ar OPTIONS\n.Ar ", c->name, c->name);
    put_text(c->words);
    if (c->takes_command)
        fputs("\n.Op Cm \\-\\- Ar COMMAND ...", stdout);
    puts("\n.Pp");
    put_text(c->summary);
    puts(".");
    if (c->text != NULL) {
        put_text(c->text);
        putchar('\n');
    }
    puts(".Bl -tag -width Ds -compact");
    put_args(c->args);
    put_args(c->shared);
    if (c->takes_conf)
        puts(".It Fl conf Ar FILE\nA Corefile that says the same");
    puts(".El\n.Pp\nExit status:\n.Bl -tag -width Ds -compact");
    for (const struct wp_exit *e = c->exits; e->means != NULL; e++) {
        if (e->code < 0)
            puts(".It else");
        else
            printf(".It %d\n", e->code);
        put_text(e->means);
        putchar('\n');
    }
    puts(".El");
}

static void put_synopsis(const struct wp_command *c)
{
    printf(".Nm\n.Cm %s\n.Op Ar OPTIONS\n.Ar ", c->name);
    put_text(c->words);
    puts(c->takes_command ? "\n.Op Cm \\-\\- Ar COMMAND ..." : "");
}

static void put_those(const struct wp_command *const *c, void (*put)(const struct wp_command *c))
{
    for (; c != NULL && *c != NULL; c++)
        put(*c);
}

static void each_command(void (*put)(const struct wp_command *c))
{
    put_those(wp_commands, put);
    for (const struct wp_directive *d = wp_directives(); d->name != NULL; d++)
        put_those(d->plugin != NULL ? d->plugin->commands : NULL, put);
}

static void put_line(const char *source, const char *line)
{
    if (strcmp(line, "@COMMANDS@\n") == 0)
        each_command(put_command);
    else if (strcmp(line, "@SYNOPSIS@\n") == 0)
        each_command(put_synopsis);
    else if (strcmp(line, "@DIRECTIVES@\n") != 0)
        fputs(line, stdout);
    else
        for (const struct wp_directive *d = wp_directives(); d->name != NULL; d++) {
            if (d->plugin != NULL)
                put_directive(source, d->plugin);
        }
}

int main(int argc, char **argv)
{
    FILE *in = argc == 3 ? fopen(argv[2], "re") : NULL;
    char line[1024];

    if (in == NULL) {
        fprintf(stderr, "manual SOURCE TEMPLATE\n");
        return 2;
    }
    while (fgets(line, sizeof(line), in) != NULL)
        put_line(argv[1], line);
    fclose(in);
    return fflush(stdout) == 0 ? 0 : 1;
}
