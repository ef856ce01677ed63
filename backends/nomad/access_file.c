/* Tokens, certificates and keys that stand in files. A file is read again when its place, size or time has
 * changed: rotation writes it anew, renames another one onto it, or moves a link above it. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/common/secret_file.h"
#include "backends/nomad/access_priv.h"
#include "waypost/base/hash.h"
#include "waypost/plugin/log.h"

/* --- what is there ----------------------------------------------------------------------------- */

static uint64_t stamp_of_file(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return 0;
    const uint64_t parts[] = {st.st_dev,
                              st.st_ino,
                              (uint64_t)st.st_size,
                              (uint64_t)st.st_mtim.tv_sec,
                              (uint64_t)st.st_mtim.tv_nsec,
                              (uint64_t)st.st_ctim.tv_sec,
                              (uint64_t)st.st_ctim.tv_nsec};
    return wp_hash_bytes(parts, sizeof(parts)) | 1;
}

/* A mounted secret keeps its files in hidden folders beside links to them. */
static int is_shown(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* Each file of a folder in the order of their names: -errno, or what f returned. */
static int each_file(const char *dir, int (*f)(void *arg, const char *path), void *arg)
{
    struct dirent **names;
    int n = scandir(dir, &names, is_shown, alphasort), r = n < 0 ? -errno : 0;

    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        if (r == 0 && snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name) < 4096 &&
            stat(path, &st) == 0 && S_ISREG(st.st_mode))
            r = f(arg, path);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return r;
}

static int add_stamp(void *arg, const char *path)
{
    uint64_t *sum = arg;

    *sum = wp_hash_mix(*sum, stamp_of_file(path)) ^ wp_hash_bytes(path, strlen(path));
    return 0;
}

static uint64_t stamp_of(const struct wp_nomad_file *f)
{
    uint64_t sum = 1;

    if (!f->is_dir)
        return stamp_of_file(f->path);
    return each_file(f->path, add_stamp, &sum) == 0 ? sum | 1 : 0;
}

struct collected {
    char *text;
    size_t len;
};

/* What holds no certificate is no part of it; a file that cannot be read is. */
static int add_certificates(void *arg, const char *path)
{
    struct collected *c = arg;
    char *text, *grown;
    size_t len;
    int r = wp_secret_file_read(path, WP_NOMAD_PEM_MAX, &text);

    if (r < 0)
        return r;
    len = wp_pem_has(text, "CERTIFICATE") ? strlen(text) : 0;
    if (c->len + len > WP_NOMAD_PEM_MAX) {
        free(text);
        return WP_ELIMIT;
    }
    grown = realloc(c->text, c->len + len + 2);
    if (grown != NULL) {
        c->text = grown;
        c->len += (size_t)sprintf(grown + c->len, "%.*s%s", (int)len, text, len > 0 ? "\n" : "");
    }
    free(text);
    return grown != NULL ? 0 : -ENOMEM;
}

static int read_dir(const char *path, char **ret)
{
    struct collected c = {strdup(""), 0};
    int r = c.text != NULL ? each_file(path, add_certificates, &c) : -ENOMEM;

    if (r < 0)
        free(c.text);
    else
        *ret = c.text;
    return r;
}

/* --- is it good ---------------------------------------------------------------------------------- */

const char *wp_nomad_token_flaw(char *text)
{
    static const char space[] = " \t\r\n";
    size_t from = strspn(text, space), len = strlen(text + from);

    while (len > 0 && strchr(space, text[from + len - 1]) != NULL)
        len--;
    memmove(text, text + from, len);
    text[len] = '\0';
    if (len == 0)
        return "no token in it";
    for (const char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return "a control character in the token";
    return NULL;
}

static const char *flaw_of(const struct wp_nomad_file *f, char *text)
{
    if (f->word == NULL)
        return wp_nomad_token_flaw(text);
    if (wp_pem_has(text, f->word))
        return NULL;
    return strcmp(f->word, "KEY") == 0 ? "no key in it" : "no certificate in it";
}

static int complain(struct wp_nomad_file *f, const char *flaw, char why[256])
{
    if (f->text == NULL)
        return wp_nomad_say(why, "%s %.150s: %s", f->what, f->path, flaw);
    if (!f->told)
        wp_log(WP_ERROR, "nomad", "%s %s: %s, keeping what it held before", f->what, f->path, flaw);
    f->told = true;
    return 0;
}

/* *ret: what it holds now if that is good and something else than before, else NULL. *ret_stamp: of it, or 0: there
 * is nothing good. */
static int look(struct wp_nomad_file *f, bool now, char why[256], char **ret, uint64_t *ret_stamp)
{
    uint64_t stamp = stamp_of(f); /* before reading: what changes meanwhile is seen the next time */
    char *text = NULL, buf[80];
    const char *flaw;
    int r;

    *ret = NULL;
    *ret_stamp = stamp;
    if (!now && f->text != NULL && stamp != 0 && stamp == f->stamp)
        return 0;
    r = f->is_dir ? read_dir(f->path, &text)
                  : wp_secret_file_read(f->path, f->word != NULL ? WP_NOMAD_PEM_MAX : WP_NOMAD_TOKEN_MAX, &text);
    if (r == -ENOMEM)
        return r;
    flaw = r < 0 ? wp_errno_words(r, buf) : flaw_of(f, text);
    if (flaw == NULL && f->text != NULL && strcmp(text, f->text) == 0)
        f->told = false;
    else if (flaw == NULL)
        *ret = text;
    if (*ret == NULL)
        free(text);
    if (flaw == NULL)
        return 0;
    *ret_stamp = 0;
    return complain(f, flaw, why);
}

static void take(struct wp_nomad_file *f, char *text, uint64_t stamp)
{
    f->stamp = stamp;
    if (text == NULL)
        return;
    f->told = false;
    free(f->text);
    f->text = text;
}

int wp_nomad_file_look(struct wp_nomad_file *f, bool now, char why[256])
{
    uint64_t stamp;
    char *text;
    int r = f->path != NULL ? look(f, now, why, &text, &stamp) : 0;

    if (r < 0 || f->path == NULL)
        return r;
    take(f, text, stamp);
    return text != NULL;
}

int wp_nomad_pair_look(struct wp_nomad_file *cert, struct wp_nomad_file *key, bool now,
                       char why[256])
{
    char *certificate = NULL, *private = NULL;
    uint64_t stamp[2];
    int r;

    if (cert->path == NULL)
        return 0;
    r = look(cert, now, why, &certificate, &stamp[0]);
    if (r == 0)
        r = look(key, now, why, &private, &stamp[1]);
    if (r < 0 || stamp[0] == 0 || stamp[1] == 0) { /* neither is taken without the other being good */
        free(certificate);
        free(private);
        return r;
    }
    r = certificate != NULL || private != NULL;
    take(cert, certificate, stamp[0]);
    take(key, private, stamp[1]);
    return r;
}
