#include "backends/common/secret_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* It may be a pipe or still be growing: what comes is read, not what its size says. */
static int read_all(FILE *in, size_t max, char **ret)
{
    size_t len = 0, cap = 4096;
    char *text = malloc(cap), *grown;

    while (text != NULL) {
        len += fread(text + len, 1, cap - 1 - len, in);
        if (len < cap - 1)
            break;
        if (len >= max) {
            free(text);
            return WP_ELIMIT;
        }
        cap *= 2;
        grown = realloc(text, cap);
        if (grown == NULL)
            free(text);
        text = grown;
    }
    if (text == NULL)
        return -ENOMEM;
    text[len] = '\0';
    if (ferror(in) || strlen(text) != len) {
        int r = ferror(in) ? -errno : WP_EMALFORMED;
        free(text);
        return r;
    }
    *ret = text;
    return 0;
}

int wp_secret_file_read(const char *path, size_t max, char **ret)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    int r;

    if (in == NULL)
        return -errno;
    r = read_all(in, max, &text);
    fclose(in);
    if (r < 0)
        return r;
    if (strlen(text) > max) {
        free(text);
        return WP_ELIMIT;
    }
    *ret = text;
    return 0;
}

bool wp_pem_has(const char *text, const char *word)
{
    static const char begin[] = "-----BEGIN ";

    for (const char *p = strstr(text, begin); p != NULL; p = strstr(p + 1, begin)) {
        const char *end = strstr(p + sizeof(begin) - 1, "-----");
        if (end != NULL && end - p >= (ptrdiff_t)strlen(word) &&
            memcmp(end - strlen(word), word, strlen(word)) == 0)
            return true;
    }
    return false;
}

const char *wp_errno_words(int err, char buf[80])
{
    snprintf(buf, 80, "%.78s", wp_strerror(err));
    buf[0] = (char)tolower((unsigned char)buf[0]);
    return buf;
}
