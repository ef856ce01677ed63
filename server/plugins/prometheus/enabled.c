#include "server/plugins/prometheus/enabled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/plugins/prometheus/families.h"
#include "waypost/plugin/block.h"

struct row {
    struct row *next;
    int n;
    char *values[4];
};
static struct row *rows; /* main thread */

static void free_row(struct row *r)
{
    for (size_t i = 0; i < WP_COUNT(r->values); i++)
        free(r->values[i]);
    free(r);
}

/* The link to the row, or to the end. */
static struct row **find(const char *const values[4])
{
    struct row **at = &rows;

    for (; *at != NULL; at = &(*at)->next) {
        size_t i = 0;
        while (i < 4 && strcmp((*at)->values[i], values[i]) == 0)
            i++;
        if (i == 4)
            break;
    }
    return at;
}

static struct row *new_row(const char *const values[4])
{
    struct row *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    for (size_t i = 0; i < 4; i++) {
        r->values[i] = strdup(values[i]);
        if (r->values[i] == NULL) {
            free_row(r);
            return NULL;
        }
    }
    return r;
}

static void count(const char *const values[4], int n)
{
    struct row **at = find(values), *r = *at;

    if (r == NULL && n > 0) {
        r = *at = new_row(values);
        wp_metric_set(wp_metric_series(&prom_enabled, values), 1);
    }
    if (r == NULL)
        return; /* short of memory: the page knows less, that is all */
    r->n += n;
    if (r->n > 0)
        return;
    wp_metric_drop(&prom_enabled, values);
    *at = r->next;
    free_row(r);
}

static void count_chain(const struct wp_block *b, const char *server, int n)
{
    for (unsigned i = 0; i < b->n_chain; i++)
        count((const char *const[4]){server, b->keys[0].text, b->view != NULL ? b->view : "",
                                     b->chain[i].plugin->name},
              n);
}

/* The other addresses of a block have the label of the first one with the host exchanged. */
void wp_prom_enabled(const struct wp_block *b, const char *server, int n)
{
    const char *host = strstr(server, "://"), *port = strrchr(server, ':');

    if (b->n_keys == 0)
        return;
    if (b->set.n_bind < 2 || host == NULL) {
        count_chain(b, server, n);
        return;
    }
    host += 3;
    for (unsigned i = 0; i < b->set.n_bind; i++) {
        bool v6 = strchr(b->set.bind[i], ':') != NULL;
        char label[256];
        snprintf(label, sizeof(label), "%.*s%s%s%s%s", (int)(host - server), server, v6 ? "[" : "",
                 b->set.bind[i], v6 ? "]" : "", port);
        count_chain(b, label, n);
    }
}
