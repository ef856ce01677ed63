/* A record of saved state: what is taken is written the same, octet for octet, and stays within itself. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "backends/nomad/saved.h"

static void walk(const struct wp_nomad_service *v)
{
    const char *octets = wp_nomad_service_octets(v);

    for (uint32_t n = 0; n < v->n; n++) {
        const struct wp_nomad_instance *i = &v->instances[n];
        CHECK((size_t)i->text + i->host_len + i->tags_len <= v->octets_len);
        CHECK(wp_nomad_instance_host(v, i) >= octets);
        (void)wp_nomad_instance_has_tag(v, i, "no such tag", 11);
    }
    CHECK(v->n_of[0] + v->n_of[1] + v->n_of[2] == v->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_nomad_service *v;
    uint8_t *again;

    if (wp_nomad_saved_read(data, size, &v) < 0)
        return 0;
    walk(v);
    CHECK(wp_nomad_saved_size(v) == size);
    again = malloc(size);
    CHECK(again != NULL);
    wp_nomad_saved_write(v, again);
    CHECK(memcmp(again, data, size) == 0);
    free(again);
    wp_nomad_service_free(v);
    return 0;
}
