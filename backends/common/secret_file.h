/* Files of credentials: tokens, certificates, keys. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "waypost/base/err.h"

/* The whole file as a text, the caller's to free; -errno, WP_ELIMIT past max, WP_EMALFORMED with a NUL. */
int wp_secret_file_read(const char *path, size_t max, char **ret) WP_MUSTCHECK;
bool wp_pem_has(const char *text, const char *word); /* "-----BEGIN ...WORD-----" */
/* An error as Go writes it: "no such file or directory". */
const char *wp_errno_words(int err, char buf[80]);
