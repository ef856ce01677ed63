/* One writer, readers on other threads: whatever they meet is whole, and nothing that they hold is
 * freed (the sanitizers see to that). */
#include "kube_world.h"

#include <pthread.h>
#include <stdatomic.h>

#include "waypost/base/grace.h"

enum { READERS = 2, NAMES = 40, STEPS = 4000 };

static struct kube_world world;
static atomic_bool over;
static atomic_size_t n_reads, n_found, n_torn;

/* Every version of a service has its number in the address and in the port; every version of its
 * slice has it in all addresses. */
static void check_place(const struct wp_kube_place *p)
{
    struct wp_kube_cursor ips = wp_kube_place_ips(p, WP_KUBE_LOCAL);
    struct wp_kube_cursor ports = wp_kube_place_ports(p, WP_KUBE_LOCAL);
    struct wp_kube_port port;
    struct wp_kube_addr a;
    size_t n = 0;
    bool whole = true;

    while (wp_kube_addr_next(&ips, &a) && wp_kube_port_next(&ports, &port))
        whole &= a.len == 4 && a.at[3] == port.number;
    for (uint32_t k = 0; k < p->n_slices[WP_KUBE_LOCAL]; k++) {
        const struct wp_kube_slice *s = wp_kube_place_slices(p, WP_KUBE_LOCAL)[k];
        uint8_t version = 0;
        for (size_t i = 0; i < s->n; i++, n++) {
            a = wp_kube_slice_addr(s, i);
            whole &= i == 0 || a.at[2] == version;
            version = a.at[2];
        }
    }
    whole &= n == p->n_ready[WP_KUBE_LOCAL];
    atomic_fetch_add(&n_torn, !whole);
    atomic_fetch_add(&n_found, 1);
    atomic_fetch_add(&n_found, wp_kube_place_namespace_present(p));
}

static void check_reverse(unsigned i)
{
    uint8_t ip[4] = {10, (uint8_t)(i % NAMES), (uint8_t)i, 1};
    struct wp_kube_addr a = wp_kube_addr_from_ip(ip, 4);
    struct wp_kube_hits h = wp_kube_endpoint_hits(world.store, &a);
    const struct wp_kube_slice *s;
    const struct wp_kube_place *p;
    const struct wp_kube_pod *pod;
    size_t at;

    while ((s = wp_kube_hits_slice(&h, &at)) != NULL) {
        struct wp_kube_addr found = wp_kube_slice_addr(s, at);
        atomic_fetch_add(&n_torn, !wp_kube_addr_equal(&found, &a));
    }
    h = wp_kube_pod_hits(world.store, &a);
    while ((pod = wp_kube_hits_pod(&h)) != NULL)
        atomic_fetch_add(&n_torn, wp_kube_pod_namespace(pod).len != 1);
    ip[1] = 96;
    h = wp_kube_cluster_ip_hits(world.store, &a);
    while ((p = wp_kube_hits_place(&h)) != NULL)
        check_place(p);
}

static void *read_on(void *arg)
{
    unsigned i = *(const unsigned *)arg;
    int slot = wp_grace_register();

    wp_grace_online(slot);
    while (!atomic_load(&over)) {
        char name[16];
        int len = snprintf(name, sizeof(name), "s%u", i % NAMES);
        uint64_t hash = wp_kube_place_hash("a", 1, name, (size_t)len);
        const struct wp_kube_place *p;
        wp_kube_place_prefetch(world.store, hash);
        p = wp_kube_place_find(world.store, hash, "a", 1, name, (size_t)len);
        if (p != NULL)
            check_place(p);
        check_reverse(i++);
        if (i % 64 == 0)
            for (size_t at = 0; (p = wp_kube_place_each(world.store, &at)) != NULL;)
                check_place(p);
        atomic_fetch_add(&n_reads, 1);
        wp_grace_quiescent(slot);
    }
    wp_grace_offline(slot);
    wp_grace_unregister(slot);
    return NULL;
}

static void write_step(unsigned step)
{
    unsigned i = step * 7 % NAMES, v = step % 250;
    char name[16], endpoints[1024] = "";
    size_t len = 0;

    snprintf(name, sizeof(name), "s%u", i);
    if (step % 11 == 3)
        CHECK(kube_remove(&world, WP_KUBE_SERVICES, "a", name) >= 0);
    else
        CHECK(kube_putf(&world, WP_KUBE_SERVICES,
                        "{'metadata':{'name':'%s','namespace':'a'},'spec':{'clusterIPs':["
                        "'10.96.%u.%u'],'ports':[{'port':%u}]}}",
                        name, v, v, v) == 1);
    for (unsigned k = 0; k < 1 + step % 9; k++)
        len += (size_t)snprintf(endpoints + len, sizeof(endpoints) - len,
                                "%s{'addresses':['10.%u.%u.%u']}", k > 0 ? "," : "", i, v, k);
    if (step % 13 == 5)
        CHECK(kube_remove(&world, WP_KUBE_SLICES, "a", name) >= 0);
    else
        CHECK(kube_putf(&world, WP_KUBE_SLICES,
                        "{'metadata':{'name':'%s','namespace':'a','labels':{"
                        "'kubernetes.io/service-name':'s%u'}},'endpoints':[%s]}",
                        name, step % 5 == 0 ? (i + 1) % NAMES : i, endpoints) == 1);
    if (step % 7 == 2)
        CHECK(kube_remove(&world, WP_KUBE_PODS, "a", name) >= 0);
    else
        CHECK(kube_putf(&world, WP_KUBE_PODS,
                        "{'metadata':{'name':'%s','namespace':'a'},'status':{'podIPs':[{'ip':"
                        "'10.%u.%u.1'}]}}",
                        name, i, v) == 1);
    if (step % 50 == 0)
        CHECK(kube_putf(&world, WP_KUBE_NAMESPACES, "{'metadata':{'name':'a'}}") == 1);
    else if (step % 50 == 25)
        CHECK(kube_remove(&world, WP_KUBE_NAMESPACES, "", "a") == 1);
    wp_kube_store_reap(world.store);
}

static void test_readers_meet_whole_places(void)
{
    unsigned first[READERS] = {0, NAMES / 2};
    pthread_t threads[READERS];

    kube_open(&world);
    for (unsigned i = 0; i < READERS; i++)
        CHECK(pthread_create(&threads[i], NULL, read_on, &first[i]) == 0);
    for (unsigned step = 0; step < STEPS || atomic_load(&n_reads) < 1000; step++)
        write_step(step);
    atomic_store(&over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&n_torn) == 0);
    CHECK(atomic_load(&n_found) > 0);
    kube_close(&world);
}

RUN_TESTS(TEST(test_readers_meet_whole_places))
