/* Files in the form of resolv.conf(5): only their `nameserver` lines count here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/forward/forward.h"

enum { LINE_MAX_OCTETS = 512, LINES_MAX = 4096 };

/* The first word after `nameserver`, or NULL. */
static char *server_of(char *line)
{
    char *save, *word = strtok_r(line, " \t\r\n", &save);

    if (word == NULL || strcmp(word, "nameserver") != 0)
        return NULL;
    return strtok_r(NULL, " \t\r\n", &save);
}

/* The rest of a line that was longer than the buffer. */
static void skip_line(FILE *f, const char *line)
{
    int c;

    if (strchr(line, '\n') != NULL)
        return;
    do
        c = fgetc(f);
    while (c != EOF && c != '\n');
}

int forward_resolv_conf(const char *path, struct wp_addr *ret, unsigned max)
{
    FILE *f = fopen(path, "re");
    char line[LINE_MAX_OCTETS];
    unsigned n = 0;
    int r;

    if (f == NULL)
        return -errno;
    for (unsigned i = 0; i < LINES_MAX && n < max && fgets(line, sizeof(line), f) != NULL; i++) {
        char *server;

        skip_line(f, line);
        server = server_of(line);
        if (server == NULL || wp_addr_parse_ip(server, &ret[n]) < 0)
            continue;
        ret[n++].port = 53;
    }
    r = ferror(f) ? -EIO : (int)n;
    fclose(f);
    return r;
}
