/* Search lists: read from a file in the form of resolv.conf(5), and read again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/plugins/autopath/autopath.h"
#include "waypost/plugin/log.h"

enum { FILE_MAX = 64 << 10 };
#define REREAD_NS 1000000000ull

/* --- text ------------------------------------------------------------------------------------ */

/* The names of one line in place of those that were there. */
static void take_words(struct autopath_list *l, char *words, unsigned max)
{
    char *save, *word;
    unsigned n = 0;

    l->len = 0;
    l->left_out = 0;
    for (word = strtok_r(words, " \t\r", &save); word != NULL; word = strtok_r(NULL, " \t\r", &save)) {
        struct wp_name name;

        if (n == max || wp_name_parse(word, &name) < 0) {
            l->left_out++;
            continue;
        }
        if (name.len == 1) /* "search .": the name as it is comes last in any case */
            continue;
        wp_name_lower(name.wire, name.len);
        memcpy(l->names + l->len, name.wire, name.len);
        l->len += name.len;
        n++;
    }
}

int autopath_list_parse(char *text, struct autopath_list **ret)
{
    struct autopath_list *l = malloc(sizeof(*l) + (size_t)AUTOPATH_NAMES_MAX * WP_NAME_MAX + 1);
    char *line;

    if (l == NULL)
        return -ENOMEM;
    l->len = 0;
    l->left_out = 0;
    while ((line = strsep(&text, "\n")) != NULL) {
        size_t word;

        line += strspn(line, " \t\r");
        word = strcspn(line, " \t\r");
        if (word == 6 && memcmp(line, "search", word) == 0)
            take_words(l, line + word, AUTOPATH_NAMES_MAX);
        else if (word == 6 && memcmp(line, "domain", word) == 0)
            take_words(l, line + word, 1);
    }
    l->names[l->len++] = 0;
    *ret = realloc(l, sizeof(*l) + l->len);
    if (*ret == NULL)
        *ret = l; /* it only was to become smaller */
    return 0;
}

bool autopath_list_equal(const struct autopath_list *a, const struct autopath_list *b)
{
    return a->len == b->len && memcmp(a->names, b->names, a->len) == 0;
}

int autopath_list_read(const char *path, struct autopath_list **ret, char why[AUTOPATH_WHY])
{
    FILE *f = fopen(path, "re");
    char *text = malloc(FILE_MAX + 1);
    int r = f == NULL ? -errno : 0;
    size_t n = 0;

    if (f != NULL && text != NULL) {
        n = fread(text, 1, FILE_MAX, f);
        if (ferror(f))
            r = -errno;
    }
    if (r == 0 && text == NULL)
        r = -ENOMEM;
    if (r == 0) {
        text[n] = '\0';
        r = autopath_list_parse(text, ret);
    } else if (r != -ENOMEM) {
        snprintf(why, AUTOPATH_WHY, "%s %s", f == NULL ? "open" : "read", path);
    }
    if (f != NULL)
        fclose(f);
    free(text);
    return r;
}

/* --- reading it again ------------------------------------------------------------------------ */

static void free_list(struct wp_grace_item *item)
{
    free(item); /* it is the first member */
}

/* A file that cannot be read changes nothing: it may be on its way. */
static void look(struct autopath *a)
{
    struct autopath_list *now = NULL, *before = atomic_load(&a->list);
    char why[AUTOPATH_WHY];

    if (autopath_list_read(a->path, &now, why) < 0)
        return;
    if (before != NULL && autopath_list_equal(before, now)) {
        free(now);
        return;
    }
    atomic_store_explicit(&a->list, now, memory_order_release);
    if (before != NULL)
        wp_grace_retire(&before->grace, free_list);
    wp_log(WP_INFO, "autopath", "%s changed, its search list is in use", a->path);
}

static void on_timer(struct wp_timer *t)
{
    struct autopath *a = (struct autopath *)((char *)t - offsetof(struct autopath, timer));

    look(a);
    wp_timer_set(a->env->admin, t, wp_loop_now(a->env->admin) + REREAD_NS);
}

static void arm(void *arg, struct wp_loop *loop)
{
    struct autopath *a = arg;

    a->timer.fn = on_timer;
    wp_timer_set(loop, &a->timer, wp_loop_now(loop) + REREAD_NS);
}

static void disarm(void *arg, struct wp_loop *loop)
{
    struct autopath *a = arg;

    (void)loop;
    wp_timer_cancel(&a->timer);
}

void autopath_watch(struct autopath *a)
{
    wp_loop_call(a->env->admin, arm, a);
}

void autopath_unwatch(struct autopath *a)
{
    if (a->env != NULL)
        wp_loop_call(a->env->admin, disarm, a);
}
