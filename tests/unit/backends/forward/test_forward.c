/* Flights: who shares one, what a cancel does to it, `next` and failures for all who wait, and lists
 * that change under way. */
#include "forward_world.h"

#include <unistd.h>

static void test_shared(void)
{
    struct client c[3];

    house_new("forward . $1");
    CHECK(client_ask(&c[0], "a.example", false) == WP_STEP_WAIT && client_ask(&c[1], "A.Example", false) == WP_STEP_WAIT);
    CHECK(client_ask(&c[2], "a.example", true) == WP_STEP_WAIT); /* with an OPT it is another question */
    CHECK(flights() == 2);
    turn();
    CHECK(up_receive(0) == 27);
    up_answer(0, 0, 7);
    CHECK(client_address(&c[0]) == 7 && client_address(&c[1]) == 7 && c[2].done == 0);
    CHECK(memcmp(c[0].q->out + 12, "\1a\7example", 9) == 0 && memcmp(c[1].q->out + 12, "\1A\7Example", 9) == 0);
    CHECK(up_receive(0) == 38);
    up_answer(0, 3, 0);
    CHECK(client_rcode(&c[2]) == 3 && flights() == 0);
    for (int i = 0; i < 3; i++)
        client_free(&c[i]);
    house_free();
}

static void test_cancel_of_one(void)
{
    struct client a, b;

    house_new("forward . $1");
    client_ask(&a, "a.example", false);
    client_ask(&b, "a.example", false);
    turn();
    CHECK(up_receive(0) > 0);
    wp_query_cancel(a.q);
    CHECK(a.done == 1 && client_rcode(&a) == 2 && flights() == 1);
    up_answer(0, 0, 7);
    CHECK(client_address(&b) == 7 && a.done == 1);
    client_free(&a);
    client_free(&b);
    house_free();
}

static void test_cancel_of_all(void)
{
    struct client a, b;

    house_new("forward . $1");
    client_ask(&a, "a.example", false);
    client_ask(&b, "a.example", false);
    turn();
    CHECK(up_receive(0) > 0);
    wp_query_cancel(a.q);
    wp_query_cancel(b.q);
    CHECK(a.done == 1 && b.done == 1 && flights() == 0);
    up_answer(0, 0, 7);
    later(10 * SECOND);
    CHECK(a.done == 1 && b.done == 1 && up_receive(0) == 0);
    client_free(&a);
    client_free(&b);
    house_free();
}

static void test_next_takes_all_along(void)
{
    struct client c[3];

    house_new("forward . $1 {\n next NXDOMAIN\n}\nforward other.example $3\nforward . $2");
    for (int i = 0; i < 3; i++)
        client_ask(&c[i], "a.example", false);
    turn();
    CHECK(up_receive(0) > 0);
    up_answer(0, 3, 0);
    CHECK(flights() == 1 && c[0].done == 0);
    wp_query_cancel(c[1].q); /* in its second flight */
    CHECK(c[1].done == 1 && flights() == 1);
    CHECK(up_receive(1) > 0 && up_receive(1) == 0 && up_receive(2) == 0);
    up_answer(1, 0, 9);
    CHECK(client_address(&c[0]) == 9 && client_address(&c[2]) == 9);
    for (int i = 0; i < 3; i++)
        client_free(&c[i]);
    house_free();
}

static void test_max_concurrent_counts_who_waits(void)
{
    struct client c[4];

    house_new("forward . $1 {\n max_concurrent 2\n}");
    CHECK(client_ask(&c[0], "a.example", false) == WP_STEP_WAIT && client_ask(&c[1], "b.example", false) == WP_STEP_WAIT);
    CHECK(client_ask(&c[2], "c.example", false) == WP_STEP_DONE && client_rcode(&c[2]) == 5);
    CHECK(wp_metric_value(forward->rejects) >= 1);
    client_free(&c[2]);
    wp_query_cancel(c[0].q);
    CHECK(client_ask(&c[2], "c.example", false) == WP_STEP_WAIT);
    CHECK(client_ask(&c[3], "d.example", false) == WP_STEP_DONE);
    later(3 * SECOND); /* nobody answers */
    CHECK(client_rcode(&c[1]) == 2 && client_rcode(&c[2]) == 2 && atomic_load(&forward->first->concurrent) == 0);
    for (int i = 0; i < 4; i++)
        client_free(&c[i]);
    house_free();
}

/* Every upstream once, then it is told; with a number of tries set, that many. */
static void test_silence(void)
{
    static const struct {
        const char *option;
        uint64_t over_ms;
        unsigned asked[2]; /* datagrams, two for each try */
    } rows[] = {
        {"", 4000, {2, 2}},
        {"max_connect_attempts 1", 2000, {2, 0}},
        {"max_connect_attempts 0", 5000, {4, 2}},
        {"read_timeout 500ms", 1000, {2, 2}},
        {"read_timeout 500ms\nmax_connect_attempts 3", 1500, {4, 2}},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char body[200];
        struct client c;
        unsigned asked[2] = {0};

        snprintf(body, sizeof(body), "forward . $1 $2 {\npolicy sequential\nmax_fails 0\n%s\n}", rows[i].option);
        house_new(body);
        client_ask(&c, "a.example", true);
        turn();
        for (uint64_t ms = 10; ms < 6000 && c.done == 0; ms += 10) {
            later(10 * MS);
            for (int u = 0; u < 2; u++)
                asked[u] += up_receive(u) > 0;
            CHECK_AT(rows[i].option, (c.done > 0) == (ms >= rows[i].over_ms));
        }
        CHECK_AT(rows[i].option, client_rcode(&c) == 2 && asked[0] == rows[i].asked[0] && asked[1] == rows[i].asked[1]);
        CHECK_AT(rows[i].option, memmem(c.q->out, c.q->out_len, "\0\x0f\0", 3) != NULL);
        client_free(&c);
        house_free();
    }
}

/* Nobody can even be asked: the answer stands before serve() returns. */
static void test_failure_at_once(void)
{
    struct client c;

    house_new("forward . $1 $2 {\n source_address 192.0.2.1\n max_fails 0\n}");
    CHECK(client_ask(&c, "a.example", true) == WP_STEP_DONE && client_rcode(&c) == 2 && flights() == 0);
    CHECK(strcmp(c.q->reply.error, "") != 0 && strstr(c.q->reply.error, "dial udp 127.0.0.1:") == c.q->reply.error);
    client_free(&c);
    house_free();
}

/* The same without a bound on tries: it ends with the window, not with the processor. */
static void test_failure_at_once_without_bound(void)
{
    struct client c;
    int turns = 0;

    house_new("forward . $1 {\n source_address 192.0.2.1\n max_fails 0\n max_connect_attempts 0\n}");
    CHECK(client_ask(&c, "a.example", false) == WP_STEP_WAIT);
    for (; turns < 1000 && c.done == 0; turns++)
        later(10 * MS);
    CHECK(client_rcode(&c) == 2 && turns >= 490 && turns <= 510);
    client_free(&c);
    house_free();
}

static void write_servers(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static unsigned upstreams_alive(void)
{
    unsigned n = 0;

    for (const struct wp_upstream *u = forward->set->all; u != NULL; u = u->next)
        n++;
    return n;
}

/* The file changes while a query waits for a server that is not in it any more: the query goes on,
 * the server's memory goes when it is over. */
static void test_list_changes_under_a_flight(void)
{
    char path[] = "/tmp/waypost-servers-XXXXXX", body[100];
    struct client c;
    int fd = mkstemp(path);

    CHECK(fd >= 0 && close(fd) == 0);
    write_servers(path, "nameserver 127.0.0.71\nnameserver 127.0.0.72\n");
    snprintf(body, sizeof(body), "forward . %s {\n policy sequential\n read_timeout 1500ms\n}", path);
    house_new(body);
    later(1100 * MS);
    CHECK(upstreams_alive() == 2);
    profile.source = (struct wp_addr){0};
    client_ask(&c, "a.example", false); /* nobody is there: refused, or silent */
    write_servers(path, "nameserver 127.0.0.73\n");
    later(1100 * MS);
    CHECK(atomic_load(&forward->first->list)->n == 1 && upstreams_alive() >= 1);
    for (int i = 0; i < 100 && (c.done == 0 || upstreams_alive() > 1); i++)
        later(500 * MS);
    CHECK(client_rcode(&c) == 2 && upstreams_alive() == 1);
    write_servers(path, ""); /* names nobody: what is known stays */
    later(1100 * MS);
    CHECK(atomic_load(&forward->first->list)->n == 1 && upstreams_alive() == 1);
    client_free(&c);
    house_free();
    unlink(path);
}

static void test_round_robin(void)
{
    static const int want[] = {1, 2, 0, 1, 2, 0};

    house_new("forward . $1 $2 $3 {\n policy round_robin\n}");
    for (size_t i = 0; i < COUNT(want); i++) {
        struct client c;
        char name[32];

        snprintf(name, sizeof(name), "q%zu.example", i);
        client_ask(&c, name, false);
        turn();
        for (int u = 0; u < 3; u++)
            CHECK((up_receive(u) > 0) == (u == want[i]));
        up_answer(want[i], 0, 1);
        CHECK(c.done == 1);
        client_free(&c);
    }
    house_free();
}

/* A reply with two OPTs can be read, but not be taken over: the next upstream is asked. */
static void test_reply_that_cannot_be_taken(void)
{
    static const uint8_t opts[] = "\0\0\x29\4\xd0\0\0\0\0\0\0\0\0\x29\4\xd0\0\0\0\0\0";
    uint8_t buf[600];
    struct client c;
    size_t len;

    house_new("forward . $1 $2 {\n policy sequential\n}");
    client_ask(&c, "a.example", false);
    turn();
    len = answer(buf, up_got[0], up_receive(0), 0, 0);
    memcpy(buf + len, opts, 22);
    buf[11] = 2;
    CHECK(sendto(up_fd[0], buf, len + 22, 0, (struct sockaddr *)&up_peer[0], sizeof(struct sockaddr_in)) > 0);
    turn();
    CHECK(c.done == 0 && up_receive(1) > 0);
    up_answer(1, 0, 5);
    CHECK(client_address(&c) == 5);
    client_free(&c);
    house_free();
}

RUN_TESTS(TEST(test_shared), TEST(test_cancel_of_one), TEST(test_cancel_of_all), TEST(test_next_takes_all_along),
          TEST(test_max_concurrent_counts_who_waits), TEST(test_silence), TEST(test_failure_at_once),
          TEST(test_failure_at_once_without_bound), TEST(test_list_changes_under_a_flight), TEST(test_round_robin),
          TEST(test_reply_that_cannot_be_taken))
