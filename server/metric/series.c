/* The registry: which families and series there are. Everything here takes the lock; nothing
 * here is on the path of a query that has its series. */
#include "server/metric/metric_priv.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "waypost/base/hash.h"
#include "waypost/base/text.h"

enum { HASH_SIZE = 4096, LABELS_MAX = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct wp_series *table[HASH_SIZE]; /* by lock */
static struct family_state **families;     /* by lock; sorted by name */
static size_t n_families;                  /* by lock */
static uint32_t n_cells;                   /* by lock */

/* --- making ----------------------------------------------------------------------------------- */

static size_t n_labels(const struct wp_family *f)
{
    size_t n = 0;

    while (f->labels[n] != NULL)
        n++;
    return n;
}

static uint64_t hash_of(const struct wp_family *f, const char *const *values)
{
    uint64_t h = wp_hash_bytes(f->name, strlen(f->name));

    for (size_t i = 0; f->labels[i] != NULL; i++)
        h = wp_hash_mix(h, wp_hash_bytes(values[i], strlen(values[i])));
    return h;
}

static struct wp_series *find(const struct wp_family *f, const char *const *values, uint64_t hash)
{
    for (struct wp_series *s = table[hash % HASH_SIZE]; s != NULL; s = s->next) {
        size_t i = 0;
        if (strcmp(s->family->def->name, f->name) != 0)
            continue;
        while (f->labels[i] != NULL && strcmp(s->values[i], values[i]) == 0)
            i++;
        if (f->labels[i] == NULL)
            return s;
    }
    return NULL;
}

static struct family_state *find_family(const struct wp_family *f)
{
    size_t at = 0;
    struct family_state *state, **grown;

    for (; at < n_families; at++) {
        int order = strcmp(families[at]->def->name, f->name);
        if (order == 0)
            return families[at];
        if (order > 0)
            break;
    }
    grown = realloc(families, (n_families + 1) * sizeof(struct family_state *));
    if (grown == NULL)
        return NULL;
    families = grown;
    state = calloc(1, sizeof(*state));
    if (state == NULL)
        return NULL;
    state->def = f;
    memmove(families + at + 1, families + at, (n_families - at) * sizeof(struct family_state *));
    families[at] = state;
    n_families++;
    return state;
}

/* Label values as the exposition wants them: valid UTF-8, with \\, \" and \n escaped. */
static void put_value(FILE *out, const char *value)
{
    char clean[4096];
    size_t len = wp_json_escape(value, strlen(value), clean, sizeof(clean));

    for (size_t i = 0; i < len; i++) {
        bool is_code = clean[i] == '\\' && strchr("\"\\n", clean[i + 1]) == NULL;
        if (is_code) { /* JSON's other escapes do not exist here */
            fputs("\xef\xbf\xbd", out);
            i += clean[i + 1] == 'u' ? 5 : 1;
        } else if (clean[i] == '\\') {
            fputc(clean[i++], out);
            fputc(clean[i], out);
        } else {
            fputc(clean[i], out);
        }
    }
}

static char *render_labels(const struct wp_family *f, const char *const *values)
{
    size_t order[LABELS_MAX], n = n_labels(f), len;
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) { /* by name, as Go's client writes them */
        size_t at = i;
        for (; at > 0 && strcmp(f->labels[order[at - 1]], f->labels[i]) > 0; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "%s%s=\"", i > 0 ? "," : "", f->labels[order[i]]);
        put_value(out, values[order[i]]);
        fputc('"', out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void free_series(struct wp_series *s)
{
    for (size_t i = 0; s->values != NULL && s->values[i] != NULL; i++)
        free(s->values[i]);
    free(s->values);
    free((char *)s->labels);
    free(s);
}

static struct wp_series *new_series(const struct wp_family *f, const char *const *values)
{
    struct wp_series *s = calloc(1, sizeof(*s));
    size_t n = n_labels(f);

    if (s == NULL)
        return NULL;
    s->labels = render_labels(f, values);
    s->values = calloc(n + 1, sizeof(char *));
    if (s->labels == NULL || s->values == NULL)
        goto fail;
    for (size_t i = 0; i < n; i++) {
        s->values[i] = strdup(values[i]);
        if (s->values[i] == NULL)
            goto fail;
    }
    if (f->kind == WP_HISTOGRAM) {
        s->buckets = f->buckets;
        s->n_buckets = (uint32_t)f->n_buckets;
    }
    return s;
fail:
    free_series(s);
    return NULL;
}

/* Puts a new series in its places; false when there is no room. */
static bool admit(struct wp_series *s, const struct wp_family *f, uint64_t hash)
{
    struct family_state *family = find_family(f);

    if (family == NULL || wp_series_n_cells(s) > METRIC_CELLS_MAX - n_cells)
        return false;
    assert(family->def->kind == f->kind); /* one name, one meaning */
    if (family->n == family->cap) {
        size_t cap = family->cap > 0 ? family->cap * 2 : 8;
        struct wp_series **grown = realloc(family->series, cap * sizeof(struct wp_series *));
        if (grown == NULL)
            return false;
        family->series = grown;
        family->cap = cap;
    }
    family->series[family->n++] = s;
    s->family = family;
    s->first = n_cells;
    n_cells += wp_series_n_cells(s);
    s->next = table[hash % HASH_SIZE];
    table[hash % HASH_SIZE] = s;
    return true;
}

struct wp_series *wp_metric_series(const struct wp_family *f, const char *const *values)
{
    uint64_t hash = hash_of(f, values);
    struct wp_series *s;

    assert(n_labels(f) <= LABELS_MAX);
    pthread_mutex_lock(&lock);
    s = find(f, values, hash);
    if (s == NULL) {
        s = new_series(f, values);
        if (s != NULL && !admit(s, f, hash)) {
            free_series(s);
            s = NULL;
        }
    } else {
        atomic_store(&s->gone, false);
    }
    pthread_mutex_unlock(&lock);
    return s;
}

void wp_metric_drop(const struct wp_family *f, const char *const *values)
{
    struct wp_series *s;

    pthread_mutex_lock(&lock);
    s = find(f, values, hash_of(f, values));
    if (s != NULL && !atomic_load(&s->gone)) {
        atomic_store(&s->gone, true);
        atomic_store(&s->gauge, 0);
        if (s->n_buckets == 0)
            atomic_store(&s->before, wp_cell_sum(s, 0)); /* starts anew when it comes back */
    }
    pthread_mutex_unlock(&lock);
}

/* --- looking ---------------------------------------------------------------------------------- */

static int compare_series(const void *a, const void *b)
{
    const struct wp_series *x = *(struct wp_series *const *)a, *y = *(struct wp_series *const *)b;

    return strcmp(x->labels, y->labels);
}

static int view_family(const struct family_state *family, struct family_view *ret)
{
    struct wp_series **series = malloc((family->n + 1) * sizeof(struct wp_series *));
    size_t n = 0;

    if (series == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < family->n; i++)
        if (!atomic_load(&family->series[i]->gone))
            series[n++] = family->series[i];
    *ret = (struct family_view){.def = family->def, .series = series, .n = n};
    return 0;
}

/* Only pointers are copied under the lock: a scrape of many series does not hold up a query that
 * meets a new one. */
int wp_metric_snapshot(struct family_view **ret, size_t *ret_n)
{
    struct family_view *views;
    size_t n = 0;
    int r = 0;

    pthread_mutex_lock(&lock);
    views = calloc(n_families + 1, sizeof(*views));
    for (; views != NULL && r == 0 && n < n_families; n++)
        r = view_family(families[n], &views[n]);
    pthread_mutex_unlock(&lock);
    if (views == NULL)
        return -ENOMEM;
    if (r < 0) {
        wp_metric_snapshot_free(views, n);
        return r;
    }
    for (size_t i = 0; i < n; i++)
        qsort(views[i].series, views[i].n, sizeof(struct wp_series *), compare_series);
    *ret = views;
    *ret_n = n;
    return 0;
}

void wp_metric_snapshot_free(struct family_view *views, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(views[i].series);
    free(views);
}
