/* A report as JSON (RFC 8259), indented by two: read by eyes too. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "server/report/report_priv.h"
#include "waypost/base/text.h"

static void put_string(FILE *f, const char *s)
{
    size_t len = strlen(s), cap = 6 * len + 1;
    char small[1024], *out = cap <= sizeof(small) ? small : malloc(cap);

    fputc('"', f);
    if (out != NULL) {
        wp_json_escape(s, len, out, out == small ? sizeof(small) : cap);
        fputs(out, f);
    }
    fputc('"', f);
    if (out != small)
        free(out);
}

static void put_indent(FILE *f, unsigned depth)
{
    fprintf(f, "\n%*s", (int)(2 * depth), "");
}

static void put_leaf(FILE *f, const struct wp_report_node *n)
{
    char text[40];

    switch (n->kind) {
    case REPORT_TEXT:
        put_string(f, n->text);
        break;
    case REPORT_BOOL:
        fputs(n->n != 0 ? "true" : "false", f);
        break;
    case REPORT_S:
        fprintf(f, "%" PRId64 ".%03d", n->n / 1000000000, (int)(n->n / 1000000 % 1000));
        break;
    case REPORT_TIME:
        report_time_text(n->n, text);
        put_string(f, text);
        break;
    case REPORT_INT:
    case REPORT_OCTETS:
    case REPORT_NS:
        fprintf(f, "%" PRId64, n->n);
        break;
    default:
        fputs("null", f);
    }
}

/* Depth is bounded by WP_REPORT_DEPTH. */
static void put_node(FILE *f, const struct wp_report_node *n, unsigned depth)
{
    bool list = n->kind == REPORT_LIST;

    if (n->kind != REPORT_OBJECT && !list) {
        put_leaf(f, n);
        return;
    }
    fputc(list ? '[' : '{', f);
    for (const struct wp_report_node *c = n->first; c != NULL; c = c->next) {
        put_indent(f, depth + 1);
        if (!list) {
            put_string(f, c->name);
            fputs(": ", f);
        }
        put_node(f, c, depth + 1);
        if (c->next != NULL)
            fputc(',', f);
    }
    if (n->first != NULL)
        put_indent(f, depth);
    fputc(list ? ']' : '}', f);
}

char *wp_report_as_json(struct wp_report *r, size_t *ret_len)
{
    struct wp_report_node *root = report_root(r);
    char *out = NULL;
    FILE *f = root != NULL ? open_memstream(&out, ret_len) : NULL;

    if (f == NULL)
        return NULL;
    put_node(f, root, 0);
    fputc('\n', f);
    if (fclose(f) != 0) {
        free(out);
        return NULL;
    }
    return out;
}
