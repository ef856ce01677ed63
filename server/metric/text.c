/* Prometheus text exposition, format 0.0.4. */
#include "server/metric/metric_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Held while a read function runs, so that wp_metric_read can promise its end. */
static pthread_mutex_t reading = PTHREAD_MUTEX_INITIALIZER;

void wp_metric_read(struct wp_series *s, double (*fn)(void *arg), void *arg)
{
    if (s == NULL)
        return;
    pthread_mutex_lock(&reading);
    s->read = fn;
    s->read_arg = arg;
    pthread_mutex_unlock(&reading);
}

static double value_of(struct wp_series *s)
{
    double v;

    pthread_mutex_lock(&reading);
    v = s->read != NULL ? s->read(s->read_arg) : wp_series_value(s);
    pthread_mutex_unlock(&reading);
    return v;
}

static void put_help(FILE *out, const char *help)
{
    for (; *help != '\0'; help++)
        if (*help == '\n')
            fputs("\\n", out);
        else if (*help == '\\')
            fputs("\\\\", out);
        else
            fputc(*help, out);
}

static void put_value(FILE *out, double v)
{
    char buf[32];

    wp_number_text(v, buf);
    fprintf(out, " %s\n", buf);
}

static void put_labels(FILE *out, const struct wp_series *s)
{
    if (s->labels[0] != '\0')
        fprintf(out, "{%s}", s->labels);
}

static void put_histogram(FILE *out, const char *name, const struct wp_series *s)
{
    const char *comma = s->labels[0] != '\0' ? "," : "";
    uint64_t count = 0;
    char le[32];

    for (uint32_t i = 0; i <= s->n_buckets; i++) {
        count += wp_cell_sum(s, i);
        if (i < s->n_buckets)
            wp_number_text(s->buckets[i], le);
        fprintf(out, "%s_bucket{%s%sle=\"%s\"}", name, s->labels, comma,
                i < s->n_buckets ? le : "+Inf");
        put_value(out, (double)count);
    }
    fprintf(out, "%s_sum", name);
    put_labels(out, s);
    put_value(out, wp_cell_sum_double(s, s->n_buckets + 1));
    fprintf(out, "%s_count", name);
    put_labels(out, s);
    put_value(out, (double)count);
}

static void put_family(FILE *out, const struct family_view *v)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};

    if (v->n == 0)
        return;
    fprintf(out, "# HELP %s ", v->def->name);
    put_help(out, v->def->help);
    fprintf(out, "\n# TYPE %s %s\n", v->def->name, kinds[v->def->kind]);
    for (size_t i = 0; i < v->n; i++) {
        if (v->def->kind == WP_HISTOGRAM) {
            put_histogram(out, v->def->name, v->series[i]);
            continue;
        }
        fputs(v->def->name, out);
        put_labels(out, v->series[i]);
        put_value(out, value_of(v->series[i]));
    }
}

char *wp_metric_text(size_t *ret_len)
{
    struct family_view *views;
    char *text = NULL;
    size_t n;
    FILE *out;

    if (wp_metric_snapshot(&views, &n) < 0)
        return NULL;
    out = open_memstream(&text, ret_len);
    if (out != NULL) {
        for (size_t i = 0; i < n; i++)
            put_family(out, &views[i]);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    wp_metric_snapshot_free(views, n);
    return text;
}
