/* A record of saved state of the cluster's data. Properties: what is taken is written again as the
 * same octets; the store takes it and has it; what the store gives back can be saved and read. */
#include "fuzz.h"

#include "backends/kubernetes/saved.h"
#include "backends/kubernetes/store.h"
#include "backends/kubernetes/walk.h"

static void keep(const struct wp_kube_object *o)
{
    struct wp_kube_store_config c = {.source = 1, .labels = true};
    struct wp_kube_object back, again;
    struct wp_kube_store *s;
    struct wp_kube_walk w;
    struct wp_arena a;
    uint8_t *rec;
    size_t len;

    CHECK(wp_kube_store_new(&c, &s) == 0);
    CHECK(wp_kube_store_put(s, o, 1) == 1);
    wp_arena_init(&a, 0);
    wp_kube_walk_begin(&w, s);
    CHECK(wp_kube_walk_next(&w, &a, &back) == 1);
    len = wp_kube_saved_size(&back);
    rec = wp_arena_alloc(&a, len);
    CHECK(rec != NULL);
    wp_kube_saved_write(&back, rec);
    CHECK(wp_kube_saved_read(rec, len, &a, &again) == 0);
    CHECK(wp_kube_text_equal(again.name, o->name) && again.n_ips == o->n_ips &&
          again.n_ports == o->n_ports);
    CHECK(wp_kube_walk_next(&w, &a, &back) == 0);
    wp_arena_done(&a);
    CHECK(wp_kube_store_remove(s, o, 1) == 1);
    CHECK(wp_kube_store_reap(s) == 0);
    wp_kube_store_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wp_kube_object o;
    struct wp_arena a;
    uint8_t *again;

    wp_arena_init(&a, 64 << 20);
    if (wp_kube_saved_read(data, size, &a, &o) == 0) {
        CHECK(wp_kube_saved_size(&o) == size);
        again = wp_arena_alloc(&a, size);
        if (again != NULL) {
            wp_kube_saved_write(&o, again);
            CHECK(memcmp(again, data, size) == 0);
            keep(&o);
        }
    }
    wp_arena_done(&a);
    return 0;
}
