/* ready with plugins that report: who is asked, how often, and whose instance counts. */
#include "check.h"
#include "waypost/base/addr.h"
#include "waypost/plugin/block.h"
#include "waypost/server/log.h"
#include "waypost/server/worker.h"
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

extern const struct wp_plugin wp_plugin_ready;

/* --- reporters ------------------------------------------------------------------------------- */

struct reporter {
    atomic_bool ready;
    atomic_int asked;
};

static bool is_ready(void *self)
{
    struct reporter *r = self;

    atomic_fetch_add(&r->asked, 1);
    return atomic_load(&r->ready);
}

static const struct wp_plugin alpha = {.name = "alpha", .is_ready = is_ready};
static const struct wp_plugin beta = {.name = "beta", .is_ready = is_ready};
static const struct wp_plugin silent = {.name = "silent"};

/* --- the house around it --------------------------------------------------------------------- */

static struct wp_loop *loop;
static pthread_t thread;
static struct wp_arena arena;
static int held_fd, log_fd;
static struct wp_addr address;
static char address_text[WP_ADDR_TEXT_MAX];

static void *run_loop(void *arg)
{
    wp_loop_run(arg);
    return NULL;
}

/* A port that nobody else gets: bound here, and listened on by `ready`. */
static void hold_port(void)
{
    struct sockaddr_storage ss;
    socklen_t len;
    int on = 1;

    CHECK(wp_addr_parse("127.0.0.1:0", 0, &address) == 0);
    len = wp_addr_to_sockaddr(&address, &ss);
    held_fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(held_fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    CHECK(bind(held_fd, (struct sockaddr *)&ss, len) == 0);
    len = sizeof(ss);
    CHECK(getsockname(held_fd, (struct sockaddr *)&ss, &len) == 0);
    wp_addr_from_sockaddr((struct sockaddr *)&ss, &address);
    wp_addr_text(&address, address_text);
}

static void begin(void)
{
    char path[] = "/tmp/waypost-ready-XXXXXX";

    log_fd = mkstemp(path);
    CHECK(log_fd >= 0);
    unlink(path);
    wp_log_set_fd(log_fd);
    hold_port();
    wp_arena_init(&arena, 0);
    CHECK(wp_loop_new(0, &loop) == 0);
    CHECK(pthread_create(&thread, NULL, run_loop, loop) == 0);
}

static void end(void)
{
    wp_loop_stop(loop);
    pthread_join(thread, NULL);
    wp_loop_free(loop);
    wp_arena_done(&arena);
    close(held_fd);
    close(log_fd);
}

static const char *read_log(void)
{
    static char text[4096];
    ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

    CHECK(n >= 0 && ftruncate(log_fd, 0) == 0 && lseek(log_fd, 0, SEEK_SET) == 0);
    text[n] = '\0';
    return text;
}

/* An instance of `ready` in a block of its own with these plugins. */
struct block {
    struct wp_block b;
    struct wp_node all[4];
    void *self;
};

static void set_word(struct block *k, const char *option, const char *first, const char *second)
{
    const char *words[] = {first, second};
    struct wp_line line = {.file = "C", .words = words, .n_words = 2};
    struct wp_setup s = {.arena = &arena, .block = &k->b};

    for (const struct wp_option *row = wp_plugin_ready.options; row->name != NULL; row++)
        if (strcmp(row->name, option) == 0)
            CHECK(row->parse(k->self, &s, &line) == 0);
}

static void open_block(struct block *k, const char *monitor, const struct wp_plugin *one,
                       void *one_self, const struct wp_plugin *two, void *two_self)
{
    struct wp_setup s = {.arena = &arena, .block = &k->b};
    struct wp_env env = {.admin = loop, .block = &k->b, .arena = &arena, .gen = k};

    k->self = calloc(1, wp_plugin_ready.size);
    k->all[0] = (struct wp_node){&wp_plugin_ready, k->self};
    k->all[1] = (struct wp_node){&silent, NULL};
    k->all[2] = (struct wp_node){one, one_self};
    k->all[3] = (struct wp_node){two, two_self};
    k->b = (struct wp_block){.all = k->all, .n_all = 4};
    CHECK(wp_plugin_ready.new(k->self, &s) == 0);
    set_word(k, "", "ready", address_text);
    set_word(k, "monitor", "monitor", monitor);
    CHECK(wp_plugin_ready.start(k->self, &env) == 0);
}

static void close_block(struct block *k)
{
    wp_plugin_ready.stop(k->self);
    free(k->self);
}

/* "503 alpha,beta" */
static const char *ask(void)
{
    static char text[1024];
    static const char request[] = "GET /ready HTTP/1.0\r\n\r\n";
    struct sockaddr_storage ss;
    socklen_t len = wp_addr_to_sockaddr(&address, &ss);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t at = 0;
    ssize_t n;

    if (connect(fd, (struct sockaddr *)&ss, len) < 0) {
        close(fd);
        return "refused";
    }
    CHECK(send(fd, request, sizeof(request) - 1, 0) > 0);
    while ((n = recv(fd, text + at, sizeof(text) - 1 - at, 0)) > 0)
        at += (size_t)n;
    close(fd);
    text[at] = '\0';
    CHECK(at > 16 && strstr(text, "\r\n\r\n") != NULL);
    memmove(text, text + 9, 4);
    memmove(text + 4, strstr(text + 4, "\r\n\r\n") + 4,
            strlen(strstr(text + 4, "\r\n\r\n") + 4) + 1);
    return text;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_names_of_those_that_are_not_ready(void)
{
    struct reporter a = {0}, b = {0};
    struct block k;

    open_block(&k, "until-ready", &beta, &b, &alpha, &a);
    CHECK(strcmp(ask(), "503 alpha,beta") == 0);
    CHECK(strcmp(read_log(), "[INFO] plugin/ready: Plugins not ready: \"alpha,beta\"\n") == 0);
    atomic_store(&a.ready, true);
    CHECK(strcmp(ask(), "503 beta") == 0);
    atomic_store(&b.ready, true);
    CHECK(strcmp(ask(), "200 OK") == 0);
    read_log();
    CHECK(strcmp(ask(), "200 OK") == 0);
    CHECK(strcmp(read_log(), "") == 0);
    close_block(&k);
    CHECK(strcmp(ask(), "refused") == 0);
}

static void test_until_ready_is_not_asked_again(void)
{
    struct reporter a = {.ready = true}, b = {.ready = true};
    struct block k;

    open_block(&k, "until-ready", &alpha, &a, &beta, &b);
    CHECK(strcmp(ask(), "200 OK") == 0);
    atomic_store(&a.ready, false);
    CHECK(strcmp(ask(), "200 OK") == 0);
    CHECK(atomic_load(&a.asked) == 1);
    close_block(&k);
}

static void test_continuously_is_asked_each_time(void)
{
    struct reporter a = {.ready = true}, b = {.ready = true};
    struct block k;

    open_block(&k, "continuously", &alpha, &a, &beta, &b);
    CHECK(strcmp(ask(), "200 OK") == 0);
    atomic_store(&a.ready, false);
    CHECK(strcmp(ask(), "503 alpha") == 0);
    atomic_store(&a.ready, true);
    CHECK(strcmp(ask(), "200 OK") == 0);
    close_block(&k);
}

/* One set for the process, by name; the block set up last decides. What another instance has taken
 * over stays when the first one goes (a reload). */
static void test_blocks_and_generations(void)
{
    struct reporter a1 = {.ready = true}, a2 = {0}, b = {.ready = true};
    struct block old, new;

    open_block(&old, "until-ready", &alpha, &a1, &beta, &b);
    CHECK(strcmp(ask(), "200 OK") == 0);
    open_block(&new, "continuously", &alpha, &a2, &silent, NULL);
    CHECK(strcmp(ask(), "503 alpha") == 0); /* the newer instance of alpha */
    atomic_store(&b.ready, false);
    CHECK(strcmp(ask(), "503 alpha,beta") == 0); /* and the newer setting */
    close_block(&old);                           /* the port stays, beta goes */
    CHECK(strcmp(ask(), "503 alpha") == 0);
    atomic_store(&a2.ready, true);
    CHECK(strcmp(ask(), "200 OK") == 0);
    close_block(&new);
}

static void test_lameduck_closes_the_port(void)
{
    struct reporter a = {.ready = true}, b = {.ready = true};
    struct block k;

    open_block(&k, "until-ready", &alpha, &a, &beta, &b);
    CHECK(wp_plugin_ready.lameduck(k.self) == 0);
    CHECK(strcmp(ask(), "refused") == 0);
    close_block(&k);
}

RUN_TESTS(TEST(begin), TEST(test_names_of_those_that_are_not_ready),
          TEST(test_until_ready_is_not_asked_again), TEST(test_continuously_is_asked_each_time),
          TEST(test_blocks_and_generations), TEST(test_lameduck_closes_the_port), TEST(end))
