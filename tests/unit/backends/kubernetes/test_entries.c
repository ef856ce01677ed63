/* What answers are made of: walked and counted alike. */
#include "kube_world.h"

#include "backends/kubernetes/entries.h"

#define SLICE(name, family, ends, ports)                                                           \
    "{'metadata':{'name':'" name "','namespace':'a','labels':{'kubernetes.io/service-name':'s'}}," \
    "'addressType':'" family "','endpoints':[" ends "],'ports':[" ports "]}"
#define END(address) "{'addresses':['" address "']}"
#define AWAY "{'addresses':['192.0.2.9'],'conditions':{'ready':false}}"
#define WEB "{'name':'web','port':80}"
#define TWO WEB ",{'name':'more','protocol':'UDP','port':81}"

/* entries: with and without names for addresses */
static const struct {
    const char *what, *slices[3];
    size_t all, without_names;
} cases[] = {
    {"none", {NULL}, 0, 0},
    {"one", {SLICE("x", "IPv4", END("192.0.2.1") "," END("192.0.2.2"), WEB)}, 2, 2},
    {"ports", {SLICE("x", "IPv4", END("192.0.2.1") "," END("192.0.2.2"), TWO)}, 4, 4},
    {"one that is empty behind",
     {SLICE("x", "IPv4", END("192.0.2.1") "," END("192.0.2.2"), TWO), SLICE("y", "IPv6", "", WEB)},
     4,
     4},
    {"one that is not ready between",
     {SLICE("x", "IPv4", END("192.0.2.1"), TWO), SLICE("y", "IPv4", AWAY, TWO),
      SLICE("z", "IPv4", END("192.0.2.2"), WEB)},
     3,
     3},
    {"names behind",
     {SLICE("x", "IPv4", END("192.0.2.1"), TWO), SLICE("y", "FQDN", END("a.test"), WEB)},
     3,
     2},
};

static void test_counts(void **state)
{
    struct kube_world w = {0};
    struct wp_kube_filter any = {.endpoint = NULL};

    (void)state;
    kube_open(&w);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct wp_kube_slice *slices[3] = {NULL};
        struct wp_kube_entries e;
        struct wp_kube_entry entry;
        uint32_t n = 0;
        size_t walked = 0;

        for (; n < 3 && cases[i].slices[n] != NULL; n++) {
            char json[1024];
            snprintf(json, sizeof(json), "%s", cases[i].slices[n]);
            for (char *c = json; *c != '\0'; c++)
                *c = *c == '\'' ? '"' : *c;
            slices[n] = wp_kube_slice_new(kube_read(&w, WP_KUBE_SLICES, json));
            CHECK(slices[n] != NULL);
        }
        wp_kube_entries_of_slices(&e, (const struct wp_kube_slice *const *)slices, n, &any);
        CHECK_AT(cases[i].what, wp_kube_entries_count(&e, true) == cases[i].all);
        CHECK_AT(cases[i].what, wp_kube_entries_count(&e, false) == cases[i].without_names);
        while (wp_kube_entries_next(&e, &entry))
            walked++;
        CHECK_AT(cases[i].what, walked == cases[i].all);
        for (uint32_t k = 0; k < n; k++)
            free(slices[k]);
    }
    kube_close(&w);
}

RUN_TESTS(TEST(test_counts))
