#include "waypost/base/err.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int value;
    const char *text;
} texts[] = {
#define ERR_ROW(name, value, text) {value, text},
    WP_ERRORS(ERR_ROW)
#undef ERR_ROW
};

const char *wp_strerror(int err)
{
    static _Thread_local char unknown[32];
    const char *known;

    for (size_t i = 0; i < WP_COUNT(texts); i++)
        if (texts[i].value == err)
            return texts[i].text;
    if (err == 0)
        return "success";
    known = err < 0 && err > -1000 ? strerrordesc_np(-err) : NULL;
    if (known != NULL)
        return known;
    snprintf(unknown, sizeof(unknown), "error %d", err);
    return unknown;
}
