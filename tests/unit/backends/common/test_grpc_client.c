/* The module around gRPC C core, with the real C core: what an outage costs. Pages that libraries
 * take past the heap are counted: this program's mmap stands before libc's. The heap's own, and
 * stacks, come from within libc and are not seen, so what threads do does not blur the figure. */
#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/common/grpc_client.h"

enum {
    SEATS = 8,
    WARM = 200,   /* tries until C core has its threads */
    TRIES = 2000, /* those that are measured */
    MOST_KB = 64, /* one block, of a late thread; 400 and more while abseil looked for deadlocks */
};

struct seat {
    struct wp_grpc_channel *channel;
};
static const struct wp_grpc_ops *g;
static struct seat seats[SEATS];
static char target[40];
static unsigned begun, ended, unavailable, until;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t over = PTHREAD_COND_INITIALIZER;
static bool is_over;
static atomic_long mapped; /* octets */

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && (prot & PROT_WRITE))
        atomic_fetch_add(&mapped, (long)len);
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

static void try_once(struct seat *s);

static void tried(void *arg, int status, const char *message, const uint8_t *data, size_t len)
{
    struct seat *s = arg;

    (void)message, (void)data, (void)len;
    g->channel_free(s->channel);
    unavailable += status == WP_GRPC_UNAVAILABLE;
    if (begun < until)
        try_once(s);
    if (++ended < until)
        return;
    pthread_mutex_lock(&lock);
    is_over = true;
    pthread_cond_signal(&over);
    pthread_mutex_unlock(&lock);
}

/* As a search for a member does: a channel for each try. */
static void try_once(struct seat *s)
{
    struct wp_grpc_channel_config config = {
        .target = target,
        .connect_timeout_ms = 2000,
        .keepalive_ms = 10000,
        .keepalive_timeout_ms = 5000,
        .max_receive = 1 << 20,
    };

    begun++;
    s->channel = g->channel_new(&config);
    CHECK(s->channel != NULL);
    CHECK(g->unary(s->channel, "/etcdserverpb.Maintenance/Status", NULL, 0, "", 0, 5000, tried,
                   s) != NULL);
}

static void begin(struct wp_grpc_post *post)
{
    (void)post;
    for (unsigned i = 0; i < SEATS; i++)
        try_once(&seats[i]);
}

static void run(unsigned n)
{
    struct wp_grpc_post post = {.fn = begin};

    begun = ended = unavailable = 0;
    until = n;
    is_over = false;
    g->post(&post);
    pthread_mutex_lock(&lock);
    while (!is_over)
        pthread_cond_wait(&over, &lock);
    pthread_mutex_unlock(&lock);
    CHECK(unavailable == n);
}

/* A port that is taken, so that nobody else gets it, and where nobody listens. */
static int refusing_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    snprintf(target, sizeof(target), "ipv4:127.0.0.1:%u", ntohs(a.sin_port));
    return fd;
}

static void an_outage_takes_no_memory(void)
{
    char why[256];
    int port = refusing_port();
    long before, grown_kb;

    g = wp_grpc_open(why);
    CHECK_AT(why, g != NULL);
    CHECK(g->acquire() == 0);
    run(WARM);
    before = atomic_load(&mapped);
    run(TRIES);
    grown_kb = (atomic_load(&mapped) - before) / 1024;
    print_message("%d tries: %ld kB\n", TRIES, grown_kb);
    CHECK(grown_kb <= MOST_KB);
    g->release();
    close(port);
}

RUN_TESTS(TEST(an_outage_takes_no_memory))
