/* What a start prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "waypost/dns/name.h"
#include "waypost/server/cli.h"
#include "waypost/server/log.h"
#include "waypost/server/router.h"

#define COREDNS_VERSION "1.15.0" /* whose behaviour this is */
enum { PRINT_MAX = WP_LOG_LINE_MAX - 100 };

const char *wp_cli_banner(void)
{
#if defined(__x86_64__)
#define ARCH "amd64"
#elif defined(__aarch64__)
#define ARCH "arm64"
#else
#define ARCH "unknown"
#endif
#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif
    return "CoreDNS-" COREDNS_VERSION "\nlinux/" ARCH ", " COMPILER ", waypost-" WP_VERSION;
}

static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

/* RFC 1035 s2.3.1, "preferred name syntax"; the root and reverse zones are spared. */
static bool is_preferred(const uint8_t *zone)
{
    static const uint8_t v4[] = "\7in-addr\4arpa", v6[] = "\3ip6\4arpa";

    if (wp_name_within(zone, v4) || wp_name_within(zone, v6))
        return true;
    for (; *zone != 0; zone += 1 + *zone) {
        if (!is_letter(zone[1]) || zone[*zone] == '-')
            return false;
        for (unsigned i = 1; i <= *zone; i++) {
            if (!is_letter(zone[i]) && (uint8_t)(zone[i] - '0') > 9 && zone[i] != '-')
                return false;
        }
    }
    return true;
}

static int by_octets(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In quotes, as Go writes a string. */
static void print_quoted(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s != '\0'; s++)
        fprintf(f, *s == '\\' || *s == '"' ? "\\%c" : "%c", *s);
    fputc('"', f);
}

static void print_zone(FILE *f, const struct wp_group *g, const char *text)
{
    struct wp_name name;

    if (wp_name_parse(text, &name) == 0 && !is_preferred(name.wire)) {
        fputs("Warning: Domain ", f);
        print_quoted(f, text);
        fputs(" does not follow RFC1035 preferred syntax\n", f);
    }
    if (g->scheme != WP_SCHEME_DNS)
        fprintf(f, "%s://", wp_scheme_text(g->scheme));
    fprintf(f, "%s:%u", text, g->port);
    if (g->host[0] != '\0')
        fprintf(f, " on %s", g->host);
    fputc('\n', f);
}

/* Texts of the zones, each to be freed. */
static char **zone_texts(const struct wp_route *r, unsigned *ret_n)
{
    char **texts = calloc(r->n_zones + 1, sizeof(*texts)), buf[WP_NAME_TEXT_MAX];
    unsigned n = 0;

    for (unsigned i = 0; texts != NULL && i <= r->mask; i++) {
        if (r->slots[i].name == NULL)
            continue;
        texts[n] = strdup(wp_name_text(r->slots[i].name, buf));
        n += texts[n] != NULL;
    }
    *ret_n = n;
    return texts;
}

char *wp_cli_zone_lines(const struct wp_group *g)
{
    unsigned n = 0;
    char **texts = zone_texts(g->route, &n), *out = NULL;
    size_t len;
    FILE *f = open_memstream(&out, &len);

    if (texts != NULL)
        qsort(texts, n, sizeof(*texts), by_octets);
    for (unsigned i = 0; i < n; i++) {
        if (f != NULL)
            print_zone(f, g, texts[i]);
        free(texts[i]);
    }
    free(texts);
    if (f == NULL || fclose(f) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

/* A log record has a limit: more lines than fit are printed in several pieces. */
static void print_lines(const char *text)
{
    size_t len = strlen(text);

    while (len > 0) {
        size_t n = len - 1; /* the last newline is the record's */

        if (n > PRINT_MAX) {
            for (n = PRINT_MAX; n > 0 && text[n] != '\n'; n--)
                ;
            if (n == 0)
                n = strcspn(text, "\n");
        }
        wp_log_print("%.*s", (int)n, text);
        text += n + 1;
        len -= n + 1;
    }
}

void wp_cli_announce(const struct wp_gen *gen)
{
    for (unsigned i = 0; i < gen->n_groups; i++) {
        const struct wp_group *g = &gen->groups[i];
        char *lines = wp_cli_zone_lines(g);

        for (unsigned s = 0; lines != NULL && (s == 0 || s < g->sockets); s++)
            print_lines(lines);
        free(lines);
    }
    wp_log_print("%s", wp_cli_banner());
}
