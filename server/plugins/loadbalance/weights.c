/* Weight files: "domain" lines, each followed by "address weight" lines. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/plugins/loadbalance/loadbalance.h"
#include "waypost/base/hash.h"
#include "waypost/base/text.h"

enum { FILE_MAX = 16 << 20, WEIGHT_MAX = 255 };

void lb_weights_free(struct lb_weights *w)
{
    if (w == NULL)
        return;
    wp_arena_done(&w->arena);
    free(w);
}

unsigned lb_weight_of(const struct lb_weights *w, const struct wp_rr *rr)
{
    struct wp_addr a;
    size_t len;

    if (w == NULL || !lb_address(rr, &a))
        return 1;
    len = wp_name_size(rr->owner);
    for (unsigned i = 0; i < w->n; i++) {
        const struct lb_domain *d = &w->domains[i];

        if (memcmp(d->name, rr->owner, len) != 0)
            continue;
        for (unsigned k = 0; k < d->n; k++) {
            if (wp_addr_equal_ip(&d->weights[k].addr, &a))
                return d->weights[k].weight;
        }
        return 1;
    }
    return 1;
}

static char *slurp(const char *path, size_t *ret_len, char why[256])
{
    FILE *f = fopen(path, "re");
    char *text;
    size_t len;

    if (f == NULL) {
        snprintf(why, 256, "open %s: %s", path, wp_strerror(-errno));
        return NULL;
    }
    text = malloc(FILE_MAX + 1);
    len = text != NULL ? fread(text, 1, FILE_MAX + 1, f) : 0;
    fclose(f);
    if (text == NULL || len > FILE_MAX) {
        snprintf(why, 256, "%s: too large", path);
        free(text);
        return NULL;
    }
    text[len] = '\0';
    *ret_len = len;
    return text;
}

static int add_domain(struct lb_weights *w, const char *word, unsigned line, char why[256])
{
    struct lb_domain *more = wp_arena_array(&w->arena, w->n + 1, sizeof(*more));
    struct wp_name name;

    if (more == NULL)
        return -ENOMEM;
    if (wp_name_parse(word, &name) < 0) {
        snprintf(why, 256, "line %u: invalid domain name \"%s\"", line, word);
        return WP_EMALFORMED;
    }
    if (w->n > 0)
        memcpy(more, w->domains, w->n * sizeof(*more));
    more[w->n] = (struct lb_domain){.name = wp_arena_dup(&w->arena, name.wire, WP_NAME_MAX)};
    if (more[w->n].name == NULL)
        return -ENOMEM;
    w->domains = more;
    w->n++;
    return 0;
}

static int add_weight(struct lb_weights *w, const char *addr, const char *weight, unsigned line,
                      char why[256])
{
    struct lb_domain *d = w->n > 0 ? &w->domains[w->n - 1] : NULL;
    struct lb_weight *more;
    struct wp_addr a;
    int64_t n;

    if (d == NULL) {
        snprintf(why, 256, "line %u: missing domain name", line);
        return WP_EMALFORMED;
    }
    if (wp_addr_parse_ip(addr, &a) < 0) {
        snprintf(why, 256, "line %u: wrong IP address: %s", line, addr);
        return WP_EMALFORMED;
    }
    if (wp_int_parse(weight, 1, WEIGHT_MAX, &n) < 0) {
        snprintf(why, 256, "line %u: wrong weight value: %s", line, weight);
        return WP_EMALFORMED;
    }
    more = wp_arena_array(&w->arena, d->n + 1, sizeof(*more));
    if (more == NULL)
        return -ENOMEM;
    if (d->n > 0)
        memcpy(more, d->weights, d->n * sizeof(*more));
    more[d->n++] = (struct lb_weight){.addr = a, .weight = (uint8_t)n};
    d->weights = more;
    return 0;
}

static int read_line(struct lb_weights *w, char *text, unsigned line, char why[256])
{
    char *save, *word = strtok_r(text, " \t\r", &save), *second, *third;

    if (word == NULL || word[0] == '#')
        return 0;
    second = strtok_r(NULL, " \t\r", &save);
    third = second != NULL ? strtok_r(NULL, " \t\r", &save) : NULL;
    if (third != NULL && third[0] != '#') {
        snprintf(why, 256, "line %u: unexpected token \"%s\"", line, third);
        return WP_EMALFORMED;
    }
    if (second == NULL || second[0] == '#')
        return add_domain(w, word, line, why);
    return add_weight(w, word, second, line, why);
}

int lb_weights_read(const char *path, struct lb_weights **ret, uint64_t *ret_digest, char why[256])
{
    size_t len = 0;
    char *text = slurp(path, &len, why), *save, *l;
    struct lb_weights *w = text != NULL ? calloc(1, sizeof(*w)) : NULL;
    unsigned line = 0;
    int r = 0;

    if (w == NULL) {
        free(text);
        return text == NULL ? WP_ENOTFOUND : -ENOMEM;
    }
    wp_arena_init(&w->arena, 64 << 20);
    *ret_digest = wp_hash_bytes(text, len);
    for (l = text; r == 0 && l != NULL; l = save) {
        save = strchr(l, '\n');
        if (save != NULL)
            *save++ = '\0';
        r = read_line(w, l, ++line, why);
    }
    free(text);
    if (r < 0) {
        if (r == -ENOMEM)
            snprintf(why, 256, "%s", wp_strerror(r));
        lb_weights_free(w);
        return r;
    }
    *ret = w;
    return 0;
}
