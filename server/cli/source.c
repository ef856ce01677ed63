/* Where the Corefile comes from: -conf, standard input, ./Corefile, or the built-in one. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "waypost/server/cli.h"
#include "waypost/server/log.h"

/* A terminal (or /dev/null) on standard input gives nothing: the default file is tried then. */
static bool has_stdin(void)
{
    struct stat st;

    return fstat(STDIN_FILENO, &st) == 0 && !S_ISCHR(st.st_mode);
}

static int nothing(struct wp_conf_source *source, char **ret_text, size_t *ret_len)
{
    char *text = calloc(1, 1);

    if (text == NULL)
        return -ENOMEM;
    /* an empty text is the built-in one to the parser */
    source->path = NULL;
    source->text = text;
    source->len = 0;
    *ret_text = text;
    *ret_len = 0;
    return 0;
}

static int find(const struct wp_cli *cli, struct wp_arena *arena, struct wp_conf_source *source,
                char **ret_text, size_t *ret_len, const char **ret_why)
{
    bool given = cli->conf[0] != '\0' && strcmp(cli->conf, "stdin") != 0;
    int r;

    if (strcmp(cli->conf, "stdin") == 0 && has_stdin()) {
        source->path = "/dev/stdin";
        r = wp_conf_read_fd(STDIN_FILENO, source->path, arena, ret_text, ret_len, ret_why);
        if (r == 0) { /* cannot be read twice */
            source->text = *ret_text;
            source->len = *ret_len;
        }
        return r;
    }
    source->path = given ? cli->conf : "Corefile";
    r = wp_conf_read_file(source->path, arena, ret_text, ret_len, ret_why);
    if (r == -EISDIR)
        *ret_why = wp_arena_printf(arena, "read %s: %s", source->path, *ret_why);
    return r == -ENOENT && !given ? nothing(source, ret_text, ret_len) : r;
}

int wp_cli_source(const struct wp_cli *cli, struct wp_conf_source *ret, char **ret_text,
                  size_t *ret_len)
{
    struct wp_conf_source source = {.default_port = cli->port};
    const char *why = NULL;
    struct wp_arena arena;
    int r;

    wp_arena_init(&arena, 1 << 20);
    r = find(cli, &arena, &source, ret_text, ret_len, &why);
    if (r == 0)
        *ret = source;
    else
        wp_log_fatal("%s%s", cli->conf[0] != '\0' ? "loading Caddyfile via flag: " : "",
                     why != NULL ? why : wp_strerror(r));
    wp_arena_done(&arena);
    return r < 0 ? 1 : 0;
}
