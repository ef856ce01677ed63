/* Environment references in a word: {%NAME%} first, then {$NAME}. The result is not split into
 * words again, but looked through again for further references. */
#include <stdlib.h>
#include <string.h>

#include "server/config/parse_priv.h"

struct form {
    const char *open, *close;
};

/* Every occurrence of ref in s replaced by value. */
static int replace_all(struct wp_arena *arena, const char *s, const char *ref, size_t ref_len,
                       const char *value, const char **ret)
{
    size_t value_len = strlen(value), n = 0, len = strlen(s);
    char *out, *to;

    for (const char *at = strstr(s, ref); at != NULL; at = strstr(at + ref_len, ref))
        n++;
    if (value_len > CONF_ENV_WORD_MAX || n > CONF_ENV_WORD_MAX / (value_len + 1))
        return WP_ELIMIT;
    len = len - n * ref_len + n * value_len;
    if (len > CONF_ENV_WORD_MAX)
        return WP_ELIMIT;
    out = to = wp_arena_alloc(arena, len + 1);
    if (out == NULL)
        return -ENOMEM;
    for (const char *at = strstr(s, ref); at != NULL; at = strstr(s, ref)) {
        to = mempcpy(to, s, (size_t)(at - s));
        to = mempcpy(to, value, value_len);
        s = at + ref_len;
    }
    strcpy(to, s);
    *ret = out;
    return 0;
}

static int replace_form(struct wp_arena *arena, const struct form *f, const char **word)
{
    size_t open_len = strlen(f->open), close_len = strlen(f->close);
    const char *s = *word, *at, *end;
    char *ref, *name;
    const char *value;
    int r;

    for (int round = 0; (at = strstr(s, f->open)) != NULL; round++) {
        end = strstr(at, f->close);
        if (end == NULL || end <= at + open_len) /* not closed, or no name: all is left as it is */
            break;
        if (round == CONF_ENV_ROUNDS)
            return WP_ELIMIT;
        ref = wp_arena_strndup(arena, at, (size_t)(end - at) + close_len);
        name = wp_arena_strndup(arena, at + open_len, (size_t)(end - at) - open_len);
        if (ref == NULL || name == NULL)
            return -ENOMEM;
        value = getenv(name);
        r = replace_all(arena, s, ref, strlen(ref), value != NULL ? value : "", &s);
        if (r < 0)
            return r;
    }
    *word = s;
    return 0;
}

int wp_conf_env(struct wp_arena *arena, const char *word, const char **ret)
{
    static const struct form forms[] = {{"{%", "%}"}, {"{$", "}"}};
    const char *s = word;

    for (size_t i = 0; i < WP_COUNT(forms); i++) {
        int r = replace_form(arena, &forms[i], &s);

        if (r < 0)
            return r;
    }
    *ret = s;
    return 0;
}
