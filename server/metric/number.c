#include "server/metric/metric_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "d.ddde+XX" with the fewest digits that read back as v. */
static void shortest(double v, char buf[32])
{
    for (int digits = 0; digits < 17; digits++) {
        snprintf(buf, 32, "%.*e", digits, v);
        if (strtod(buf, NULL) == v)
            return;
    }
}

size_t wp_number_text(double v, char buf[32])
{
    char *e;
    int exponent, digits;

    if (isnan(v))
        return (size_t)(stpcpy(buf, "NaN") - buf);
    if (isinf(v))
        return (size_t)(stpcpy(buf, v < 0 ? "-Inf" : "+Inf") - buf);
    if (v == 0)
        return (size_t)(stpcpy(buf, "0") - buf);
    shortest(v, buf);
    e = strchr(buf, 'e');
    exponent = atoi(e + 1);
    if (exponent < -4 || exponent >= 6) /* where Go changes to the exponent */
        return strlen(buf);
    digits = (int)(e - buf) - 1 - (v < 0); /* after the first one, counting the point */
    digits = digits > 0 ? digits - 1 : 0;
    digits = digits > exponent ? digits - exponent : 0;
    return (size_t)snprintf(buf, 32, "%.*f", digits, v);
}
