/* forward with every allocation failing once: set-up, start, a question, a changed list. Nothing
 * leaks, and who asks gets an answer or a failure. */
#include "failmalloc.h"
#include "forward_world.h"

#include <unistd.h>

/* Set-up and start; false: no allocation failed. */
static bool round_of(long n, const char *body)
{
    bool failed;
    int r = -ENOMEM;

    house_open();
    failmalloc_after(n);
    if (house_conf(body))
        r = house_start();
    failed = failmalloc_stop();
    CHECK(r == 0 || failed);
    conf_unload(&conf);
    wp_worker_done(&house);
    wp_loop_free(worker);
    wp_loop_free(admin);
    for (int i = 0; i < 3; i++)
        close(up_fd[i]);
    return failed;
}

static void test_set_up(void)
{
    long n = 0;

    while (round_of(n, "forward example.org $1 {\n except a.example.org\n resolver 127.0.0.1\n}\n"
                       "forward . $2 tls://$3%dns.example {\n tls\n}"))
        n++;
    CHECK(n > 10);
}

/* A question with the n-th allocation failing: answered, or SERVFAIL, at once or in time. */
static bool question(long n)
{
    struct client c;
    bool failed;

    house_new("forward . $1 {\n max_fails 0\n}"); /* no health checks among the queries */
    failmalloc_after(n);
    client_ask(&c, "a.example", true);
    turn();
    failed = failmalloc_stop();
    if (c.done == 0 && up_receive(0) > 0)
        up_answer(0, 0, 7);
    for (int i = 0; i < 5 && c.done == 0; i++)
        later(1100 * MS);
    CHECK(client_rcode(&c) == 0 || (failed && client_rcode(&c) == 2));
    client_free(&c);
    CHECK(flights() == 0);
    client_ask(&c, "b.example", true); /* the next one is well */
    turn();
    CHECK(up_receive(0) > 0);
    up_answer(0, 0, 8);
    CHECK(client_address(&c) == 8);
    client_free(&c);
    house_free();
    return failed;
}

static void test_question(void)
{
    long n = 0;

    while (question(n))
        n++;
    CHECK(n >= 4);
}

static void write_servers(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* The file changes without memory: the list stays as it was or becomes the new one. */
static bool change(long n)
{
    char path[] = "/tmp/waypost-servers-XXXXXX", body[100];
    const struct forward_list *l;
    int fd = mkstemp(path);
    bool failed;

    CHECK(fd >= 0 && close(fd) == 0);
    write_servers(path, "nameserver 127.0.0.71\n");
    snprintf(body, sizeof(body), "forward . %s", path);
    house_new(body);
    later(1100 * MS);
    write_servers(path, "nameserver 127.0.0.72\nnameserver 127.0.0.73\n");
    failmalloc_after(n);
    later(1100 * MS);
    failed = failmalloc_stop();
    l = atomic_load(&forward->first->list);
    CHECK(l->n == 1 ? failed && strcmp(wp_upstream_text(l->up[0]), "127.0.0.71:53") == 0
                    : l->n == 2 && strcmp(wp_upstream_text(l->up[1]), "127.0.0.73:53") == 0);
    house_free();
    unlink(path);
    return failed;
}

static void test_changed_list(void)
{
    long n = 0;

    while (change(n))
        n++;
    CHECK(n >= 3);
}

RUN_TESTS(TEST(test_set_up), TEST(test_question), TEST(test_changed_list))
